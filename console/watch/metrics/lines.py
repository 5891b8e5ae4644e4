"""New whole lines of one open file: nothing twice, nothing torn, whatever rotation does to its name.

It follows the open file, not the name; who follows a name compares identities and opens the next file.
"""

from __future__ import annotations

import os
from pathlib import Path

_HEAD = 64  # first bytes, to notice a file that was emptied and grew past our place again
_CHUNK = 1 << 20
_LONGEST = 1 << 20  # bytes of a line without an end before it is given up

Identity = tuple[int, int]


def identity(path: Path) -> Identity | None:
    """What names a file for good: device and inode. None when it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class OpenFile:
    """A file being read onwards from a place. Raises OSError when it cannot be opened."""

    def __init__(self, path: Path, *, back: int | None = None) -> None:
        """Begins at the start, or `back` bytes before the end (at a line's start)."""
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO must not hold us
        found = os.fstat(self._fd)
        self.identity: Identity = (found.st_dev, found.st_ino)
        self._at = 0 if back is None else max(0, found.st_size - back)
        # In the middle of a line: what is left of it is not a line. One byte back tells whether we are.
        self._skip_first = self._at > 0 and os.pread(self._fd, 1, self._at - 1) != b"\n"
        self._torn = b""
        self._head = os.pread(self._fd, _HEAD, 0)
        self.unread = 0  # bytes left behind when the last `lines` hit its budget

    @property
    def deleted(self) -> bool:
        return os.fstat(self._fd).st_nlink == 0

    @property
    def written_at(self) -> float:
        return os.fstat(self._fd).st_mtime

    def lines(self, budget: int) -> list[bytes]:
        """Whole lines since the last call, without their ends, from at most `budget` bytes."""
        self._notice_truncation()
        found: list[bytes] = []
        while budget > 0:
            chunk = os.pread(self._fd, min(_CHUNK, budget), self._at)
            if not chunk:
                break
            self._at += len(chunk)
            budget -= len(chunk)
            whole, end, rest = (self._torn + chunk).rpartition(b"\n")
            self._torn = rest if len(rest) <= _LONGEST else b""
            if not end:
                continue
            batch = whole.split(b"\n")
            found += batch[1:] if self._skip_first else batch
            self._skip_first = False
        self.unread = max(0, os.fstat(self._fd).st_size - self._at)
        return found

    def skip(self) -> None:
        """Go to the end: what is between is not read."""
        self._at = os.fstat(self._fd).st_size
        self._skip_first, self._torn, self.unread = True, b"", 0

    def close(self) -> None:
        os.close(self._fd)

    def _notice_truncation(self) -> None:
        head = os.pread(self._fd, _HEAD, 0)
        if os.fstat(self._fd).st_size < self._at or not head.startswith(self._head):
            self._at, self._torn, self._skip_first = 0, b"", False
        self._head = head
