"""Times of calls, and what stands beside them: a bare write and sync on the same disk, in turn with what is measured."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from console.incident.disk import RealDisk

_RESERVE = 1 << 20


class BareFile:
    """`pwrite` and `fdatasync` of lines of one size into a file with a reserve, as little as a durable append can be."""

    def __init__(self, path: Path, size: int) -> None:
        self._disk = RealDisk()
        self._fd = self._disk.create(path, 0o600)
        self._line = b"." * (size - 1) + b"\n"
        self._offset = 0
        self._reserved = 0
        self._disk.sync_directory(path.parent)

    def append(self) -> None:
        if self._reserved < self._offset + len(self._line):
            self._disk.reserve(self._fd, self._offset, _RESERVE)
            self._reserved = self._offset + _RESERVE
        os.pwrite(self._fd, self._line, self._offset)
        os.fdatasync(self._fd)
        self._offset += len(self._line)

    def close(self) -> None:
        os.close(self._fd)


def timed(work: Callable[[], object]) -> float:
    """Milliseconds that the call takes."""
    began = time.perf_counter()
    work()
    return 1000.0 * (time.perf_counter() - began)


def at(values: Sequence[float], share: float) -> float:
    """The value below which `share` of them lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def p50_p99(values: Sequence[float], unit: str = " ms") -> str:
    """Both in words."""
    return f"{at(values, 0.5):.2f} / {at(values, 0.99):.2f}{unit}"
