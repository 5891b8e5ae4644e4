"""What the journal asks of a file system: durable writes, a reserve for a full disk, modes for a shared directory.

`Disk` is the seam where tests put faults. It decides nothing: what an error means is the journal's business.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import stat
import sys
from pathlib import Path
from typing import BinaryIO, Protocol

_GET_FLAGS, _SET_FLAGS = 0x80086601, 0x40086602  # FS_IOC_GETFLAGS and FS_IOC_SETFLAGS of linux/fs.h, 64 bit
_NOCOW = 0x00800000  # FS_NOCOW_FL
_KEEP_SIZE = 0x01  # FALLOC_FL_KEEP_SIZE of linux/falloc.h: posix_fallocate would change the size readers see


class Disk(Protocol):
    """Every call raises OSError as the system does."""

    def create(self, path: Path, mode: int) -> int: ...

    def write(self, fd: int, data: bytes, offset: int) -> int: ...

    def sync(self, fd: int) -> None: ...

    def reserve(self, fd: int, offset: int, size: int) -> bool: ...

    def sync_directory(self, path: Path) -> None: ...

    def close(self, fd: int, size: int) -> None: ...


class RealDisk:
    """The operating system's own calls."""

    def create(self, path: Path, mode: int) -> int:
        """A new file that never existed before, marked as in use by a lock that nobody waits for."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        os.fchmod(fd, mode)  # the umask has no say in who shares a record
        with contextlib.suppress(OSError):  # no locks on this file system: the lock is only a sign of life
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with contextlib.suppress(OSError):  # only btrfs knows it, which would write elsewhere than what is reserved
            flags = int.from_bytes(fcntl.ioctl(fd, _GET_FLAGS, bytes(8)), sys.byteorder)
            fcntl.ioctl(fd, _SET_FLAGS, (flags | _NOCOW).to_bytes(8, sys.byteorder))
        return fd

    def write(self, fd: int, data: bytes, offset: int) -> int:
        return os.pwrite(fd, data, offset)

    def sync(self, fd: int) -> None:
        os.fdatasync(fd)

    def reserve(self, fd: int, offset: int, size: int) -> bool:
        """Room for `size` bytes that stays ours when the disk is full; False where that cannot be had."""
        fallocate = _fallocate()
        return fallocate is not None and fallocate(fd, _KEEP_SIZE, offset, size) == 0

    def sync_directory(self, path: Path) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems without directories to sync
                raise
        finally:
            os.close(fd)

    def close(self, fd: int, size: int) -> None:
        """Give the reserve back and close. Truncating is safe only now: it also frees what was reserved."""
        try:
            with contextlib.suppress(OSError):
                os.ftruncate(fd, size)
        finally:
            os.close(fd)


def shared(directory: Path) -> bool:
    """True when a directory is meant for a group: its setgid bit hands the group on."""
    return bool(directory.stat().st_mode & stat.S_ISGID)


def file_mode(directory: Path) -> int:
    return 0o660 if shared(directory) else 0o600


def open_log(path: Path) -> BinaryIO:
    """A log file to append to, of the directory's group where that is shared: whoever comes second writes on."""
    mode = file_mode(path.parent)
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, mode)
    with contextlib.suppress(PermissionError):  # somebody else's, who made it so already
        os.fchmod(fd, mode)
    return os.fdopen(fd, "ab")


def make_directory(path: Path) -> None:
    """Make one directory like its parent: for the group if the parent is, else private. Raises FileExistsError."""
    mode = 0o2770 if shared(path.parent) else 0o700
    path.mkdir(mode=mode)
    path.chmod(mode)


def ensure_directory(path: Path, disk: Disk | None = None) -> None:
    """Like `make_directory` for a path whose parents may be missing, durable; content with one that exists."""
    if path.is_dir():
        return
    if path.parent != path and not path.parent.is_dir():
        ensure_directory(path.parent, disk)
    with contextlib.suppress(FileExistsError):
        make_directory(path)
    with contextlib.suppress(PermissionError):  # a parent that may be entered and not be listed
        (disk or RealDisk()).sync_directory(path.parent)


def write_atomically(path: Path, content: bytes) -> None:
    """`path` has its old bytes or the new ones, whatever happens, and the new ones when this returns."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    mode = file_mode(path.parent)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        try:
            os.fchmod(fd, mode)
            view = memoryview(content)
            while view:
                view = view[os.write(fd, view) :]
            os.fsync(fd)
        finally:
            os.close(fd)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    RealDisk().sync_directory(path.parent)


class _Fallocate(Protocol):
    def __call__(self, fd: int, mode: int, offset: int, size: int, /) -> int: ...


_found: list[_Fallocate | None] = []


def _fallocate() -> _Fallocate | None:
    """The C library's fallocate, looked up once; None where there is none (macOS)."""
    if not _found:
        try:
            call = ctypes.CDLL(None, use_errno=True).fallocate64
            call.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
            call.restype = ctypes.c_int
            _found.append(call)
        except (OSError, AttributeError):
            _found.append(None)
    return _found[0]
