"""A disk that fails when told to: the in-memory twin of what `strace -e inject` would do to the real one."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from console.incident.disk import RealDisk


class FaultyDisk(RealDisk):
    """The real calls, except where `on_write` or `on_sync` raises or writes less. Remembers what was asked."""

    def __init__(self) -> None:
        self.on_write: Callable[[bytes], bytes] = lambda data: data  # gives the part that reaches the disk
        self.on_sync: Callable[[], None] = lambda: None
        self.on_create: Callable[[], None] = lambda: None
        self.failing_below: Path | None = None  # everything below it answers EIO
        self._paths: dict[int, Path] = {}
        self.writes: list[tuple[int, bytes]] = []
        self.syncs = 0
        self.directory_syncs = 0

    def create(self, path: Path, mode: int) -> int:
        self.on_create()
        self._check(path)
        fd = super().create(path, mode)
        self._paths[fd] = path
        return fd

    def write(self, fd: int, data: bytes, offset: int) -> int:
        self._check(self._paths[fd])
        part = self.on_write(data)
        self.writes.append((offset, part))
        return super().write(fd, part, offset)

    def _check(self, path: Path) -> None:
        if self.failing_below is not None and path.is_relative_to(self.failing_below):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def sync(self, fd: int) -> None:
        self.on_sync()
        self.syncs += 1
        super().sync(fd)

    def sync_directory(self, path: Path) -> None:
        self.directory_syncs += 1
        super().sync_directory(path)


def failing(number: int) -> Callable[..., bytes]:
    """A write or sync that fails with this errno."""

    def fail(*_: object) -> bytes:
        raise OSError(number, os.strerror(number))

    return fail
