"""A writer in a process of its own that does one thing each time it is told to: it can be stopped, starved and cut
off between two calls, and within one.

The child is `python -m tests.faults.scribe DIRECTORY LOGIN [WEAKNESS]`: a line of JSON in, a line of JSON out. A
weakness is what a worse writer would have; tests use it to show that they notice.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from console.errors import RecordError
from console.incident import clock, shelf
from console.incident.disk import RealDisk
from console.incident.events import Actor, new_id
from console.incident.journal import Journal
from console.incident.verify import verify

ROOT = Path(__file__).parents[2]
WEAKNESSES = (
    "killed by a limit",
    "believes short writes",
    "unsynced",
    "one lock for all",
    "no spare place",
    "adopts any clock",
)
_PATIENCE = 30.0  # seconds; a machine that runs other tests too may take long to start Python


class Scribe:
    """The parent's side. `before`: a command that runs the child, to which the child's own command is appended."""

    def __init__(
        self,
        directory: Path,
        login: str = "ana",
        weakness: str = "",
        *,
        before: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory
        command = [*before, sys.executable, "-m", "tests.faults.scribe", str(directory), login, weakness]
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self._heard = b""
        self.pid = int(self.answer()["pid"])

    def ask(self, do: str, **more: Any) -> dict[str, Any]:
        self.tell(do, **more)
        return self.answer()

    def tell(self, do: str, **more: Any) -> None:
        """Ask without waiting for the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **more}).encode() + b"\n")

    def note(self, text: str, id: str = "") -> dict[str, Any]:
        """Append. The answer has `id` and `order` of what is acknowledged, or `error` and `remedy`."""
        return self.ask("note", text=text, id=id or new_id())

    def answer(self, patience: float = _PATIENCE) -> dict[str, Any]:
        """The next line it says; {} when it has died."""
        assert self._process.stdout is not None
        fd, end = self._process.stdout.fileno(), time.monotonic() + patience
        while b"\n" not in self._heard:
            if not select.select([fd], [], [], max(0.0, end - time.monotonic()))[0]:
                raise AssertionError(f"no answer in {patience} s")
            chunk = os.read(fd, 65536)
            if not chunk:
                return {}
            self._heard += chunk
        line, _, self._heard = self._heard.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def answered(self) -> bool:
        """True when an answer waits to be read."""
        assert self._process.stdout is not None
        return bool(self._heard or select.select([self._process.stdout], [], [], 0)[0])

    def stopped(self) -> bool:
        """True while SIGSTOP holds it."""
        return _state(self.pid) == "T"

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def wait(self) -> int:
        """The exit code, negative for the signal that ended it."""
        return self._process.wait(_PATIENCE)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Scribe:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def until(true: Callable[[], bool], what: str, patience: float = _PATIENCE) -> None:
    """Wait for something that can only be looked at."""
    end = time.monotonic() + patience
    while not true():
        assert time.monotonic() < end, f"not within {patience} s: {what}"
        time.sleep(0.005)


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


class _Disk(RealDisk):
    """The real one with a weakness; stops the whole process within the next call that `stop_in` names."""

    def __init__(self, weakness: str) -> None:
        self.weakness = weakness
        self.stop_in = ""
        self._lock = -1

    def create(self, path: Path, mode: int) -> int:
        if self.weakness == "one lock for all":
            self._lock = os.open(path.parent / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return super().create(path, mode)

    def write(self, fd: int, data: bytes, offset: int) -> int:
        if self._lock >= 0:
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        if self._stop("write"):
            data = data[: len(data) // 2]
            super().write(fd, data, offset)
            os.kill(os.getpid(), signal.SIGSTOP)
        written = super().write(fd, data, offset)
        return len(data) if self.weakness == "believes short writes" else written

    def sync(self, fd: int) -> None:
        if self._stop("sync"):
            os.kill(os.getpid(), signal.SIGSTOP)
        if self.weakness != "unsynced":
            super().sync(fd)
        if self._lock >= 0:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def sync_directory(self, path: Path) -> None:
        if self.weakness != "unsynced":
            super().sync_directory(path)

    def _stop(self, call: str) -> bool:
        stop, self.stop_in = self.stop_in == call, "" if self.stop_in == call else self.stop_in
        return stop


def main() -> int:
    directory, login, weakness = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    assert weakness in ("", *WEAKNESSES)
    if weakness == "killed by a limit":
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    if weakness == "no spare place":
        shelf.spare_places.__code__ = (lambda directory: ()).__code__
    if weakness == "adopts any clock":
        clock.MAX_AHEAD_MS = 1 << 62
    disk = _Disk(weakness)
    journal = Journal(directory, Actor(login, host=f"host-{login}", via="cli"), disk=disk)
    _say({"pid": os.getpid()})
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = _do(asked, journal, disk)
        except RecordError as error:
            answer = {"error": error.message, "remedy": error.remedy, "kind": type(error).__name__}
        _say(answer)
    return 0


def _do(asked: dict[str, Any], journal: Journal, disk: _Disk) -> dict[str, Any]:
    match asked["do"]:
        case "note":
            event = journal.append("note", {"text": asked["text"]}, id=asked["id"])
            return {"id": event.id, "order": event.order, "elsewhere": journal.elsewhere}
        case "poll":
            return {"texts": [event.data.get("text") for event in journal.poll()]}
        case "read":
            events = Journal(journal.directory, journal.actor).events()
            return {"ids": [event.id for event in events], "ok": verify(journal.directory).ok}
        case "stop in":
            disk.stop_in = asked["call"]
            return {}
    raise OSError(errno.EINVAL, f"cannot do {asked['do']}")


def _say(answer: dict[str, Any]) -> None:
    os.write(1, json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    raise SystemExit(main())
