"""A disk that is full while a reserve is left: what can still be recorded, in words."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

_FULL = 1 << 20  # bytes; whatever runs away takes the last of them in a moment
_ENTRY = 400  # bytes of a usual one, a little more than measured


def full_disk(directory: Path, reserved: int | None, statvfs: Callable[[Path], os.statvfs_result] = os.statvfs) -> str:
    """One sentence when the disk of the record is full, else "".

    `reserved`: bytes that this session's file keeps for itself (`Journal.room`), None while it has no file.
    """
    try:
        found = statvfs(directory)
        free = (found.f_bfree if os.geteuid() == 0 else found.f_bavail) * found.f_frsize
        if free >= _FULL:
            return ""
        place = f"DISK FULL on {_mount(directory)}"
    except OSError:  # reading says what is wrong with it
        return ""
    if reserved is None:
        return f"{place}: nothing is reserved before the first entry"
    return f"{place}: still recording, room for ~{(reserved + free) // _ENTRY:,} entries"


def _mount(path: Path) -> Path:
    """Where its file system is mounted."""
    path = path.resolve()
    while path.parent != path and path.parent.stat().st_dev == path.stat().st_dev:
        path = path.parent
    return path
