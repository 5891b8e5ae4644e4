"""What automatic recovery remembers, so that neither a restart nor a second process forgets: backoff and freezing.

One small document for each project. Budgets need none: they are counted from the runs on disk.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from console.incident.disk import ensure_directory, file_mode, write_atomically
from console.text import clean

FIRST, CAP = 10.0, 300.0  # seconds: 10 s * 2^n after the n-th attempt, never more than 5 min
FORGET = 600.0  # seconds without trouble after which the backoff begins anew
_PLAIN = re.compile(r"[a-z0-9][a-z0-9_.-]{0,60}")


@dataclass(frozen=True, slots=True)
class Attempts:
    """Times are unix seconds, 0 for never.

    `count`: runs begun since it was last good for FORGET seconds. `last_at`: when the newest began or ended.
    `bad_at`: when users were last seen not to be served, `well_at`: when it was last found well for good.
    `frozen`: why nothing more is tried by itself, "" when it may be.
    """

    count: int = 0
    last_at: float = 0.0
    bad_at: float = 0.0
    well_at: float = 0.0
    frozen: str = ""
    frozen_at: float = 0.0

    def wait(self, now: float) -> float:
        """Seconds until the next attempt may begin.

        >>> [Attempts(n, 100.0).wait(100.0) for n in (0, 1, 2, 6, 99)]
        [0.0, 10.0, 20.0, 300.0, 300.0]
        >>> Attempts(3, 100.0).wait(701.0), Attempts(3, 100.0, bad_at=200.0).wait(130.0)
        (0.0, 10.0)
        """
        if not self.count or self.forgotten(now):
            return 0.0
        pause = min(CAP, FIRST * 2.0 ** min(self.count - 1, 16))
        # A clock that was set back must not make anybody wait for longer than the pause.
        return min(pause, max(0.0, self.last_at + pause - now))

    def forgotten(self, now: float) -> bool:
        """It was good for long enough: the next attempt is a first one."""
        return now - max(self.last_at, self.bad_at) >= FORGET

    def begun(self, now: float) -> Attempts:
        return replace(self, count=1 if self.forgotten(now) else self.count + 1, last_at=now, bad_at=now)

    def froze(self, reason: str, now: float) -> Attempts:
        return replace(self, frozen=clean(reason, 500), frozen_at=now)

    def well(self, now: float) -> Attempts:
        """It was found well for good: whatever was in doubt is over. The backoff stays until it is forgotten."""
        return replace(self, well_at=now, frozen="", frozen_at=0.0)


def load(data_dir: Path, project: str) -> Attempts:
    """What is remembered; nothing where there is no document or it is damaged. Raises OSError."""
    try:
        found = json.loads(_path(data_dir, project).read_bytes())
    except (FileNotFoundError, ValueError):
        return Attempts()
    return _from(found)


def update(data_dir: Path, project: str, change: Callable[[Attempts], Attempts]) -> Attempts:
    """Change what is remembered, durable when it returns. Raises OSError."""
    path = _path(data_dir, project)
    ensure_directory(path.parent)
    with _alone(path.with_suffix(".lock")):
        before = load(data_dir, project)
        after = change(before)
        if after != before:
            write_atomically(path, json.dumps(asdict(after)).encode())
        return after


def directory(data_dir: Path) -> Path:
    """Where everything of the monitor and of automatic recovery is kept."""
    return data_dir / "monitor"


def _path(data_dir: Path, project: str) -> Path:
    plain = project if _PLAIN.fullmatch(project) else hashlib.sha256(project.encode()).hexdigest()[:32]
    return directory(data_dir) / f"attempts-{plain}.json"


def _from(found: Any) -> Attempts:
    if not isinstance(found, dict):
        return Attempts()
    values: dict[str, Any] = {}
    for field in fields(Attempts):
        value = found.get(field.name)
        if isinstance(value, str if field.name == "frozen" else int | float) and not isinstance(value, bool):
            values[field.name] = value
    return Attempts(**values)


def open_lock(path: Path) -> int:
    """A file to be locked by everybody of the directory's group, whatever the umask of whoever came first."""
    mode = file_mode(path.parent)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, mode)
    with contextlib.suppress(PermissionError):  # somebody else's, who made it so already
        os.fchmod(fd, mode)
    return fd


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Held for milliseconds, so that waiting for it is no risk."""
    fd = open_lock(path)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
