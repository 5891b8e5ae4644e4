"""Count lines, errors and warnings of one input within a fixed cost, and keep its last error lines.

Up to `EXACT` lines a second every line is read. Above that a chunk is searched for the words that errors and
warnings are written with, some of the lines found are read, and their share is applied to all that were found;
a few of the other lines are read, too, for formats that write levels as numbers. Such figures are marked as
estimated.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from console.watch.logline import Line, LineReader
from console.watch.logrecord import RANK

EXACT = 1000  # lines a second that are all read: about 2 % of a core, patterns included
_SUSPECTS = 12  # lines read for each word of a chunk above that rate
_OTHERS = 8  # lines without any of the words read of a chunk
_NEEDLES = (b"err", b"warn", b"fatal", b"crit", b"panic", b"severe")  # in lower-cased data: half the price
_SURE = b"ERR"  # as it stands: rare among lines that only talk about errors
_WINDOW = 60
_PAST = 16 << 10  # bytes of a backlog that are searched
_ERROR = RANK["error"]
_WARNING = RANK["warning"]


@dataclass(slots=True)
class _Second:
    """What arrived within one second."""

    second: int
    lines: int = 0
    errors: float = 0.0
    warnings: float = 0.0
    estimated: bool = False
    read: int = 0


class LineCounter:
    """Counts of one source over the last minute. `on_error` is told error lines, `on_line` all lines that were read and
    how many each stands for."""

    def __init__(
        self,
        reader: LineReader,
        on_error: Callable[[bytes], None],
        clock: Callable[[], float] = time.monotonic,
        on_line: Callable[[Line, float], None] | None = None,
    ) -> None:
        self.lines = 0
        self._reader = reader
        self._on_error = on_error
        self._on_line = on_line
        self._clock = clock
        self._seconds: deque[_Second] = deque()
        self._past = b""

    def add(self, data: bytes, *, old: bool = False) -> None:
        """Count whole lines. `old`: a backlog read at the start, which says nothing of now."""
        count = data.count(b"\n") + (0 if data.endswith(b"\n") else 1)
        self.lines += count
        now = self._bucket()
        if old:
            self._past = (self._past + data)[-_PAST:]
            return
        now.lines += count
        if now.read + count <= EXACT:
            now.read += count
            for line in data.split(b"\n"):
                if line:
                    self._tally(now, line, 1.0)
        else:
            now.estimated = True
            self._estimate(now, data, count)

    def rates(self) -> tuple[float, float, float, bool]:
        """Lines a second lately, errors and warnings of the last minute, whether those are estimated."""
        now = int(self._clock())
        seconds = [s for s in list(self._seconds) if s.second > now - _WINDOW]
        return (
            sum(s.lines for s in seconds if now - 3 <= s.second < now) / 3.0,
            sum(s.errors for s in seconds),
            sum(s.warnings for s in seconds),
            any(s.estimated for s in seconds),
        )

    def _bucket(self) -> _Second:
        second = int(self._clock())
        if not self._seconds or self._seconds[-1].second != second:
            self._forget(second)
            self._seconds.append(_Second(second))
        return self._seconds[-1]

    def _forget(self, now: int) -> None:
        while self._seconds and self._seconds[0].second <= now - _WINDOW:
            self._seconds.popleft()

    def _tally(self, now: _Second, raw: bytes, weight: float) -> int:
        line = self._reader.read(raw[:4096].decode("utf-8", "replace"))
        rank = RANK[line.level] if line.level is not None and not line.continuation else -1
        if rank >= _ERROR:
            now.errors += weight
            self._on_error(raw)
        elif rank == _WARNING:
            now.warnings += weight
        if self._on_line is not None and now.second:
            self._on_line(line, weight)
        return rank

    def look_back(self) -> None:
        """Search the end of the backlog for error lines, without counting them."""
        if self._past:
            past, self._past = self._past, b""
            spare = _Second(0)
            for line in past.split(b"\n")[1:]:
                if line and (_suspicious(line) or line[:1] == b"{"):
                    self._tally(spare, line, 1.0)

    def _estimate(self, now: _Second, data: bytes, count: int) -> None:
        seen: set[int] = set()
        low = data.lower()
        for hay, needle in ((data, _SURE), *((low, needle) for needle in _NEEDLES)):
            starts, total = _lines_with(hay, needle, seen)
            if starts:
                weight = total / len(starts)
                for start in starts:
                    self._tally(now, data[start : _end(data, start)], weight)
        others = [start for start in _spread(data, _OTHERS) if start not in seen]
        plain = [line for start in others if not _suspicious(line := data[start : _end(data, start)])]
        for line in plain:
            self._tally(now, line, count / _OTHERS)


def _lines_with(data: bytes, needle: bytes, seen: set[int]) -> tuple[list[int], int]:
    """Starts of the first lines that hold `needle` and were not seen, and about how many such lines there are."""
    starts: list[int] = []
    met = hits = 0
    at = data.find(needle)
    while at >= 0 and len(starts) < _SUSPECTS and met < 4 * _SUSPECTS:
        start = data.rfind(b"\n", 0, at) + 1
        met += 1
        if start not in seen:
            seen.add(start)
            starts.append(start)
        hits += 1
        at = data.find(needle, _end(data, at))
    if at >= 0 and met:
        rest = data.count(needle, at)
        return starts, len(starts) + round(rest * len(starts) / met)
    return starts, len(starts)


def _spread(data: bytes, number: int) -> list[int]:
    """Starts of lines spread evenly over the data."""
    step = max(1, len(data) // number)
    found: list[int] = []
    for position in range(0, len(data), step):
        start = data.rfind(b"\n", 0, position) + 1
        if not found or found[-1] != start:
            found.append(start)
    return found[:number]


def _suspicious(line: bytes) -> bool:
    low = line.lower()
    return any(needle in low for needle in _NEEDLES)


def _end(data: bytes, start: int) -> int:
    end = data.find(b"\n", start)
    return end if end >= 0 else len(data)
