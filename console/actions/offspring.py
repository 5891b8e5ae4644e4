"""Programs that a run started and that outlive it: whoever goes on with the run waits for their end first.

A worker that is killed leaves its `docker compose` at work. Each program inherits an open, locked file; the next
worker gets that lock only when the last of them has ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from pathlib import Path

from console.actions.lock import pid_start
from console.incident.disk import file_mode

PATIENCE = 180.0  # seconds; then what still runs is ended: its own deadline died with who started it
_EVERY = 0.05
_GRACE = 5.0


def claim(place: Path, patience: float = PATIENCE) -> int:
    """An open file to hand to every program of the run. Blocks while programs of an earlier worker are at work.

    Returns the file descriptor. Raises OSError.
    """
    path = place / "programs.lock"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, file_mode(place))
    if _take(fd, patience):
        return fd
    for pid in holders(path):
        with contextlib.suppress(OSError):
            os.killpg(os.getpgid(pid), signal.SIGKILL)
    if not _take(fd, _GRACE):
        os.close(fd)
        raise TimeoutError(f"a program of this run does not end: {path} is still locked")
    return fd


def _take(fd: int, patience: float) -> bool:
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(_EVERY)


def holders(path: Path) -> list[int]:
    """Processes that have the file open, without ourselves and our own parents."""
    ours = _line_of(os.getpid())
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) in ours or not pid_start(int(entry.name)):
            continue
        with contextlib.suppress(OSError):
            if any(_is(link, path) for link in (entry / "fd").iterdir()):
                found.append(int(entry.name))
    return found


def _is(link: Path, path: Path) -> bool:
    with contextlib.suppress(OSError):
        return link.samefile(path)
    return False


def _line_of(pid: int) -> set[int]:
    line: set[int] = set()
    while pid > 1 and pid not in line:
        line.add(pid)
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid = int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rsplit(")", 1)[1].split()[1])
    return line
