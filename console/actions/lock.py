"""One change at a time: a lock per Compose project, held by the whole family of a run's processes.

flock belongs to the open file, so a child that inherited it keeps the project locked after its parent was
killed. The record beside it only says who holds it. Nobody deletes a lock: it ends with its last holder.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import time
from dataclasses import asdict, replace
from pathlib import Path

from console.actions.facts import Holder
from console.errors import RefusedError
from console.incident.disk import ensure_directory, file_mode
from console.text import clean

_PATIENCE = 0.1  # seconds: a look at the lock holds it for microseconds and must not cause a refusal
_PLAIN = re.compile(r"[a-z0-9][a-z0-9_.-]{0,60}")


class LockedError(RefusedError):
    """Another run holds the project. `holder` None: the lock is held and its record is not readable."""

    def __init__(self, project: str, holder: Holder | None, now: float | None = None) -> None:
        super().__init__(describe(project, holder, time.time() if now is None else now), remedy=_remedy(holder))
        self.holder = holder


def describe(project: str, holder: Holder | None, now: float) -> str:
    """Who holds the lock, since when, at what step.

    >>> describe("shop", Holder("R1", "ana", 10.0, 1, "restart app", "healthy app"), 52.0)
    'ana is recovering shop: level 1, restart app, at step "healthy app", since 42 s (run R1)'
    """
    if holder is None:
        return f"another run is recovering {project}"
    where = f', at step "{holder.step}"' if holder.step else ""
    age = max(0, round(now - holder.since))
    if holder.level == 0:  # no recovery: a containment is put in force or taken back
        return f"{holder.who} is changing {project}: {holder.title}, since {age} s"
    return (
        f"{holder.who} is recovering {project}: level {holder.level}, {holder.title}{where}, "
        f"since {age} s (run {holder.run_id})"
    )


def _remedy(holder: Holder | None) -> str:
    if holder is None or holder.level == 0:
        return "Try again when that has ended"
    return f"Follow it with: sevdeck recover attach {holder.run_id}"


def _paths(data_dir: Path, project: str) -> tuple[Path, Path]:
    plain = project if _PLAIN.fullmatch(project) else hashlib.sha256(project.encode()).hexdigest()[:32]
    directory = data_dir / "locks"
    return directory / f"{plain}.lock", directory / f"{plain}.owner.json"


class ProjectLock:
    """A held lock. `fd` is handed to children; closing the last copy of it frees the project."""

    def __init__(self, fd: int, owner: Path, holder: Holder) -> None:
        self.fd = fd
        self._owner = owner
        self.holder = holder

    @classmethod
    def acquire(cls, data_dir: Path, project: str, holder: Holder) -> ProjectLock:
        """Take the lock at once or raise `LockedError` within a tenth of a second."""
        path, owner = _paths(data_dir, project)
        ensure_directory(path.parent)
        fd = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, file_mode(path.parent))
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    os.close(fd)
                    raise LockedError(project, _read(owner)) from None
                time.sleep(0.005)
        lock = cls(fd, owner, holder)
        lock.update()
        return lock

    @classmethod
    def inherit(cls, fd: int, data_dir: Path, project: str, holder: Holder) -> ProjectLock:
        """The lock that a parent took and passed on as an open file."""
        return cls(fd, _paths(data_dir, project)[1], holder)

    def update(self, *, step: str | None = None, pid: int | None = None) -> None:
        """Write who holds the lock and where the run stands. A full disk must not stop a run: best effort."""
        self.holder = replace(
            self.holder,
            step=self.holder.step if step is None else step,
            pid=self.holder.pid if pid is None else pid,
            pid_started=self.holder.pid_started if pid is None else pid_start(pid),
        )
        temporary = self._owner.with_suffix(f".{os.getpid()}.tmp")
        with contextlib.suppress(OSError):
            temporary.write_text(json.dumps(asdict(self.holder)), encoding="utf-8")
            temporary.replace(self._owner)

    def close(self) -> None:
        """Let go of this process's copy. Other holders of the same open file keep the project locked."""
        os.close(self.fd)

    def release(self) -> None:
        """The run is over: forget the owner, then free the project."""
        with contextlib.suppress(OSError):
            self._owner.unlink()
        self.close()


def holder(data_dir: Path, project: str) -> Holder | None:
    """Who holds the project now; None when it is free. A held lock without a readable record: a nameless one."""
    path, owner = _paths(data_dir, project)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(owner) or Holder("", "somebody", time.time(), 0, "a change")
    else:
        return None
    finally:
        os.close(fd)


def recovering(data_dir: Path, project: str = "") -> Holder | None:
    """The recovery that is under way: of `project`, or of any where none is named. Blocks for the disk."""
    for path in sorted((data_dir / "locks").glob("*.owner.json")):
        name = path.name.removesuffix(".owner.json")
        if not project or path == _paths(data_dir, project)[1]:
            held = holder(data_dir, name)
            if held is not None and held.level:
                return held
    return None


def _read(owner: Path) -> Holder | None:
    try:
        data = json.loads(owner.read_text(encoding="utf-8"))
        words = [clean(str(data[key]), 200) for key in ("run_id", "who", "title", "step")]
        return Holder(
            words[0],
            words[1],
            float(data["since"]),
            int(data["level"]),
            words[2],
            words[3],
            int(data["pid"]),
            int(data["pid_started"]),
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None


def pid_start(pid: int) -> int:
    """When the process started, in clock ticks since boot; 0 when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return int(stat.rsplit(")", 1)[1].split()[19])
    except (OSError, ValueError, IndexError):
        return 0


def hold_text(data_dir: Path) -> str:
    """The reason in the hold file, "" when there is none. While it exists nothing changes the host."""
    path = data_dir / "hold"
    try:
        return clean(path.read_text(encoding="utf-8", errors="replace").strip(), 300) or "no reason given"
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
