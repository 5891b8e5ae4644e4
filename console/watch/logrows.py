"""Lines in order, as a view walks over them: those in the ring, or those of one file on disk; filtered.

Both are addressed by one number that grows with age's end: `seq` in the ring, the byte offset in a file. A walk
looks at a bounded number of lines and says how far it came, so that a rare level never stops the screen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from console.watch.logfile import FileLines
from console.watch.logrecord import RANK, LogRecord
from console.watch.logs import LogHub

BUDGET = 4000  # lines one walk looks at: about 50 ms where each must be read
_INFO = RANK["info"]
_HEAD_WITHIN = 60  # lines looked back for the record that a continuation belongs to


@dataclass(frozen=True, slots=True)
class LineFilter:
    """Which lines to show. `minimum` is a rank of `RANK`; lines without a level rank as info."""

    minimum: int = 0
    source: str = ""  # "" means all
    text: str = ""  # lower case
    matches: Callable[[LogRecord], bool] | None = None  # asked last, of what passes the rest

    def wants(self, record: LogRecord) -> bool:
        """Whether a record that continues no other passes."""
        rank = RANK[record.level] if record.level is not None else _INFO
        if rank < self.minimum or (self.text and self.text not in record.message.lower()):
            return False
        return self.matches is None or self.matches(record)


@dataclass(frozen=True, slots=True)
class Walk:
    """Records found, oldest first, and the number up to which lines were looked at."""

    records: list[LogRecord]
    reached: int


Step = tuple[int, str, LogRecord | None]  # number, source, record; None: a record that surely does not pass


class Rows(Protocol):
    """Lines that can be walked over."""

    source: str  # "" when of several

    @property
    def first(self) -> int: ...

    @property
    def end(self) -> int: ...

    def key(self, record: LogRecord) -> int: ...

    def after_key(self, record: LogRecord) -> int: ...

    def back(self, before: int, wanted: LineFilter) -> Iterator[Step]:
        """The lines before a number, newest first."""
        ...

    def forth(self, start: int, wanted: LineFilter) -> Iterator[Step]: ...

    def start_of(self, key: int) -> int:
        """The number of the line that `key` lies in."""
        ...

    def close(self) -> None: ...


def walk_back(rows: Rows, before: int, count: int, wanted: LineFilter, stop: int = 0, budget: int = BUDGET) -> Walk:
    """The last `count` lines that pass before the number `before`, not going below `stop`.

    Lines that continue a record pass when that record does.
    """
    found: list[LogRecord] = []
    tails: dict[str, list[LogRecord]] = {}
    reached = before
    for number, source, record in rows.back(before, wanted):
        if number < stop:
            break
        reached = number
        if record is None:
            tails.pop(source, None)
        else:
            if record.continuation:
                tails.setdefault(record.source, []).append(record)
            else:
                tail = tails.pop(record.source, [])
                if wanted.wants(record):
                    found += tail
                    found.append(record)
        budget -= 1
        if len(found) >= count or budget <= 0:
            break
    if reached <= max(stop, rows.first):  # heads of these were dropped, or lie before what is asked for
        found += [one for tail in tails.values() for one in tail if wanted.minimum <= _INFO or stop]
    found.sort(key=rows.key)
    return Walk(found[-count:], reached)


def walk_forth(rows: Rows, start: int, count: int, wanted: LineFilter, budget: int = BUDGET) -> Walk:
    """The first `count` lines that pass from the number `start` on."""
    found: list[LogRecord] = []
    passing: dict[str, bool] = {}
    reached = start
    for number, source, record in rows.forth(start, wanted):
        if len(found) >= count or budget <= 0:
            break
        budget -= 1
        if record is None:
            passing[source] = False
            reached = number + 1
            continue
        reached = rows.after_key(record)
        if record.continuation:
            if record.source not in passing:
                passing[record.source] = _head_passes(rows, number, record.source, wanted)
            if passing[record.source]:
                found.append(record)
            continue
        passing[record.source] = wanted.wants(record)
        if passing[record.source]:
            found.append(record)
    return Walk(found, reached)


def _head_passes(rows: Rows, before: int, source: str, wanted: LineFilter) -> bool:
    left = _HEAD_WITHIN
    for _, _, record in rows.back(before, LineFilter(0, source)):
        left -= 1
        if record is not None and not record.continuation:
            return wanted.wants(record)
        if left <= 0:
            break
    return wanted.minimum <= _INFO


class RingRows:
    """What the hub holds in memory."""

    source = ""

    def __init__(self, hub: LogHub) -> None:
        self._hub = hub

    @property
    def first(self) -> int:
        return self._hub.buffer.first

    @property
    def end(self) -> int:
        return self._hub.buffer.next

    def key(self, record: LogRecord) -> int:
        return record.seq or 0

    def after_key(self, record: LogRecord) -> int:
        return (record.seq or 0) + 1

    def start_of(self, key: int) -> int:
        return key

    def close(self) -> None:
        """Nothing is open."""

    def back(self, before: int, wanted: LineFilter) -> Iterator[Step]:
        buffer = self._hub.buffer
        seq = min(before, buffer.next) - 1
        while seq >= 0 and (chunk := buffer.chunk_at(seq)) is not None:
            if wanted.source and chunk.source != wanted.source:
                seq = chunk.seq - 1
                continue
            lines = buffer.lines(chunk)
            for number in range(seq, chunk.seq - 1, -1):
                raw = lines[number - chunk.seq]
                passes = self._hub.may_pass(chunk.source, raw, wanted.minimum)
                yield number, chunk.source, self._hub.record(number) if passes else None
            seq = chunk.seq - 1

    def forth(self, start: int, wanted: LineFilter) -> Iterator[Step]:
        buffer = self._hub.buffer
        seq = max(start, buffer.first)
        while (chunk := buffer.chunk_at(seq)) is not None:
            end = chunk.end
            if not wanted.source or chunk.source == wanted.source:
                lines = buffer.lines(chunk)
                end = chunk.seq + len(lines)  # it may grow meanwhile: these are the lines that are split
                for number in range(seq, end):
                    raw = lines[number - chunk.seq]
                    passes = self._hub.may_pass(chunk.source, raw, wanted.minimum)
                    yield number, chunk.source, self._hub.record(number) if passes else None
            seq = end


class FileRows:
    """One source's file on disk, read by blocks as the walk needs them."""

    first = 0

    def __init__(self, hub: LogHub, source: str, path: Path) -> None:
        self.source = source
        self._hub = hub
        self._lines = FileLines(path)

    @property
    def end(self) -> int:
        return self._lines.size

    def key(self, record: LogRecord) -> int:
        return record.offset or 0

    def after_key(self, record: LogRecord) -> int:
        return (record.offset or 0) + len(record.raw) + 1

    def start_of(self, key: int) -> int:
        return self._lines.line_start(key)

    def holds(self, record: LogRecord) -> bool:
        """Whether this file has that line where the record says."""
        if record.offset is None:
            return False
        found = self._lines.after(record.offset, max(64, len(record.raw) + 2))
        return bool(found) and found[0][1] == record.raw

    def close(self) -> None:
        self._lines.close()

    def back(self, before: int, wanted: LineFilter) -> Iterator[Step]:
        end = before
        while end > 0:
            lines = self._lines.before(end)
            if not lines:
                return
            for offset, raw in reversed(lines):
                yield offset, self.source, self._record(offset, raw, wanted)
            if lines[0][0] >= end:
                return
            end = lines[0][0]

    def forth(self, start: int, wanted: LineFilter) -> Iterator[Step]:
        at = start
        while lines := self._lines.after(at):
            for offset, raw in lines:
                yield offset, self.source, self._record(offset, raw, wanted)
            offset, raw = lines[-1]
            at = offset + len(raw) + 1

    def _record(self, offset: int, raw: bytes, wanted: LineFilter) -> LogRecord | None:
        if not self._hub.may_pass(self.source, raw, wanted.minimum):
            return None
        return self._hub.read_back(self.source, raw, offset)


def find_time(rows: Rows, target: float, source: str = "") -> int:
    """The number of the first line written at or after `target` (unix seconds), by halving.

    Lines are taken to be in order of time. `rows.end` when all are older.
    """
    low, high = rows.first, rows.end
    wanted = LineFilter(0, source)
    while high - low > 1:
        middle = rows.start_of((low + high) // 2)
        told = _time_from(rows, middle, high, wanted)
        if told is None or told[1] >= target:
            if middle <= low:
                break
            high = middle
        else:
            if told[2] <= low:
                break
            low = told[2]
    for number, _, record in rows.forth(rows.start_of(low), wanted):
        if record is not None and (at := _when(record)) is not None and at >= target:
            return number
        if number > high + 65536:
            break
    return rows.end


def _when(record: LogRecord) -> float | None:
    return None if record.continuation else record.at or record.arrived or None


def _time_from(rows: Rows, start: int, high: int, wanted: LineFilter) -> tuple[int, float, int] | None:
    """(number, time, number after it) of the first line from `start` on that tells one."""
    left = 200
    for number, _, record in rows.forth(start, wanted):
        if number >= high or left <= 0:
            return None
        left -= 1
        if record is not None and (at := _when(record)) is not None:
            return number, at, rows.after_key(record)
    return None
