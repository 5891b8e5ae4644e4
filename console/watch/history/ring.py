"""The file of the history: two rings of slots of one size, each with its own checksum.

The place of a slot follows from its time alone, so there is no pointer that could be lost: a slot that was torn is a
gap and nothing more, a clock that steps finds its slots again, and what is older is overwritten when its turn comes.
All of the file is reserved when it is made, so it goes on while the disk fills.

SQLite was measured beside it, 100 series: with a row for each value a minute takes 6 times as long and 6 times the
bytes; with a row for each minute it is as light, and then it adds nothing but a log that a full disk stops, and pages of
which a damaged one takes more than a minute with it.
"""

from __future__ import annotations

import errno
import os
import struct
import zlib
from array import array
from dataclasses import dataclass
from pathlib import Path

from console.watch.history import files

COLUMNS = 256  # series
STEPS = (60, 600)  # seconds
SLOTS = (48 * 60, 5 * 7 * 24 * 6)  # 48 hours, 5 weeks
_MAGIC = b"sevdhist"
_HEAD = struct.Struct("<8sIIII")
_SLOT = struct.Struct("<IIqI")  # checksum of the rest, generation, number of the step since 1970, values
_STRIDE = _SLOT.size + 4 * COLUMNS
_BEGIN = (4096, 4096 + SLOTS[0] * _STRIDE)
SIZE = _BEGIN[1] + SLOTS[1] * _STRIDE
LEAST_ROOM = 10 * SIZE
_HEADER = _HEAD.pack(_MAGIC, 1, COLUMNS, *SLOTS)


@dataclass(frozen=True, slots=True)
class Slot:
    """The values of all columns at one step. `generation`: of the columns when it was written."""

    number: int
    generation: int
    values: array[float]


class Ring:
    """One open file. Every method raises OSError."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @classmethod
    def open(cls, path: Path, *, write: bool = False) -> Ring:
        """Raises ValueError for a file that is no history of this form."""
        fd = os.open(path, (os.O_RDWR if write else os.O_RDONLY) | os.O_CLOEXEC)
        try:
            if os.fstat(fd).st_size != SIZE or os.pread(fd, _HEAD.size, 0) != _HEADER:
                raise ValueError("it is damaged")
        except BaseException:
            os.close(fd)
            raise
        return cls(fd)

    @classmethod
    def create(cls, path: Path) -> Ring:
        """A new one in the place of whatever is there, whole or not at all; not where it would take the last room."""
        room = os.statvfs(path.parent)
        if room.f_bavail * room.f_frsize < LEAST_ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        fd = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(fd, files.mode(path.parent))
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(fd, 0, SIZE)
            os.ftruncate(fd, SIZE)
            os.pwrite(fd, _HEADER, 0)
            os.fsync(fd)
            beside.replace(path)
        except BaseException:
            os.close(fd)
            beside.unlink(missing_ok=True)
            raise
        return cls(fd)

    def close(self) -> None:
        os.close(self._fd)

    def write(self, ring: int, slot: Slot) -> None:
        """Put it where its time belongs. Not synced: what a crash of the host tears is a gap."""
        rest = _SLOT.pack(0, slot.generation, slot.number, len(slot.values))[4:] + slot.values.tobytes()
        data = struct.pack("<I", zlib.crc32(rest)) + rest
        if os.pwrite(self._fd, data, _BEGIN[ring] + slot.number % SLOTS[ring] * _STRIDE) != len(data):
            raise OSError("it was written only in part")

    def read(self, ring: int, first: int, last: int) -> list[Slot]:
        """The slots from `first` to `last` that are whole, in the order of time."""
        if last - first + 1 >= SLOTS[ring]:
            first, data = last - SLOTS[ring] + 1, os.pread(self._fd, SLOTS[ring] * _STRIDE, _BEGIN[ring])
        else:
            places = (_BEGIN[ring] + number % SLOTS[ring] * _STRIDE for number in range(first, last + 1))
            data = b"".join(os.pread(self._fd, _STRIDE, place) for place in places)
        found = [_slot(data, at) for at in range(0, len(data), _STRIDE)]
        return sorted((s for s in found if s is not None and first <= s.number <= last), key=lambda s: s.number)


def _slot(data: bytes, at: int) -> Slot | None:
    if len(data) - at < _STRIDE:
        return None
    checksum, generation, number, count = _SLOT.unpack_from(data, at)
    end = at + _SLOT.size + 4 * count
    if not count or count > COLUMNS or zlib.crc32(data[at + 4 : end]) != checksum:
        return None
    return Slot(number, generation, array("f", data[at + _SLOT.size : end]))
