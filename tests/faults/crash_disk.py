"""A disk that can lose its power: the real files are what the system's cache holds, beside them stands what was synced.

Only what a `sync` of a file and a `sync_directory` of its directory have covered is sure to be there afterwards. Of
the rest a cut keeps whatever the test draws: any part of a file's unsynced end, any of the unsynced names.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from console.incident.disk import RealDisk

Draw = Callable[[int], int]  # how much survives: from 0, nothing, to the given number, everything


class DiedError(BaseException):
    """The process is gone in the middle of a call. Not an Exception: nothing in the program may handle it."""


class CrashDisk(RealDisk):
    """Everything below `root`, by one host. `root` itself is there for good."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.full_at = ""  # write, sync: that call answers "no space left on device"
        self.dies_after: int | None = None  # calls; odd and even are before and after the act
        self.ignores: Callable[[str, Path], bool] = lambda call, path: False  # a sync that does nothing
        self.on_sync: Callable[[], None] = lambda: None
        self._contents: dict[int, bytes] = {}  # inode -> what was synced
        self._names: dict[Path, set[str]] = {}  # directory -> names that were synced
        self._open: set[int] = set()

    def create(self, path: Path, mode: int) -> int:
        self._step()
        fd = super().create(path, mode)
        self._open.add(fd)
        self._step()
        return fd

    def write(self, fd: int, data: bytes, offset: int) -> int:
        self._step()
        if self.full_at == "write":
            os.pwrite(fd, data[: len(data) // 2], offset)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self.dies_after == 0:
            data = data[: len(data) // 2]
        written = super().write(fd, data, offset)
        self._step()
        return written

    def sync(self, fd: int) -> None:
        self._step()
        self.on_sync()
        if self.full_at == "sync":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        found = os.fstat(fd)
        if not self.ignores("sync", Path(f"/proc/self/fd/{fd}").readlink()):
            self._contents[found.st_ino] = os.pread(fd, found.st_size, 0)
        self._step()

    def sync_directory(self, path: Path) -> None:
        self._step()
        if not self.ignores("sync_directory", path):
            self._names[path] = _listed(path)
        self._step()

    def reserve(self, fd: int, offset: int, size: int) -> bool:
        return False

    def close(self, fd: int, size: int) -> None:
        self._open.discard(fd)
        super().close(fd, size)

    def let_go(self) -> None:
        """What the system does for a process that is gone."""
        while self._open:
            os.close(self._open.pop())

    def lose_power(self, draw: Draw) -> None:
        """Only what was synced is sure to be there."""
        self.let_go()
        self.dies_after = None
        self._lose_names(self.root, draw)
        for path in (path for path in sorted(self.root.rglob("*")) if path.is_file()):
            path.write_bytes(_torn(path.read_bytes(), self._contents.get(path.stat().st_ino, b""), draw))
        self.settle()

    def settle(self) -> None:
        """Everything that is there was synced, as in a copy that somebody made of a whole disk."""
        files = (path for path in self.root.rglob("*") if path.is_file())
        self._contents = {path.stat().st_ino: path.read_bytes() for path in files}
        self._names = {place: _listed(place) for place in self._places()}

    def reopen(self, path: Path) -> int:
        """The file of a program that goes on in a copied machine."""
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._open.add(fd)
        return fd

    def _places(self) -> list[Path]:
        return [self.root, *(path for path in self.root.rglob("*") if path.is_dir())]

    def _lose_names(self, place: Path, draw: Draw) -> None:
        kept = self._names.get(place, set())
        for path in sorted(place.iterdir()):
            if path.name not in kept and not draw(1):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            elif path.is_dir():
                self._lose_names(path, draw)

    def _step(self) -> None:
        if self.dies_after is not None:
            self.dies_after -= 1
            if self.dies_after < 0:
                self.dies_after = None
                raise DiedError


def _listed(place: Path) -> set[str]:
    return {path.name for path in place.iterdir()}


def _torn(cached: bytes, synced: bytes, draw: Draw) -> bytes:
    """What a file holds after the cut: the synced bytes, and of a longer unsynced end some, all or nothing."""
    if not cached.startswith(synced):
        return cached if draw(1) else synced
    end = cached[len(synced) :]
    return synced + end[: len(end) * draw(4) // 4] if end else synced
