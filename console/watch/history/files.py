"""Files that all who share a data directory may read and write on, and that are written whole or not at all."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path


def mode(directory: Path) -> int:
    """Of a file in it: for its group where the directory hands its group on, else private."""
    return 0o660 if directory.stat().st_mode & stat.S_ISGID else 0o600


def ensure(directory: Path) -> None:
    """Make the directory, like its parent. Raises OSError."""
    if not directory.is_dir():
        like = 0o2770 if directory.parent.stat().st_mode & stat.S_ISGID else 0o700
        try:
            directory.mkdir()
        except FileExistsError:  # another process was quicker, or it is a file: opening what is in it tells
            return
        directory.chmod(like)  # the umask has no say in who shares it


def write_whole(path: Path, content: bytes) -> None:
    """`path` has its old bytes or the new ones, whatever happens. Raises OSError."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(beside, "wb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW, 0o600)) as file:
            os.fchmod(file.fileno(), mode(path.parent))
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise
