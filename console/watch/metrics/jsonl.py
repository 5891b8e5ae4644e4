"""The jsonl metric: values that an application writes to files, a JSON object a line, aggregated per window.

A line has `name`, `value` and `timestamp` (ISO, UTC where it names no zone, or a Unix time). Files are read
onwards from where the last look ended; a torn last line waits for its rest, bad lines are counted.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from console.config import MetricConfig
from console.errors import SourceError
from console.watch.metrics.lines import Identity, OpenFile
from console.watch.metrics.point import Sample, number
from console.watch.source import Lane

_DEADLINE = 5.0
_FIRST_BACK = 32 << 20  # bytes before the end of a file at which the first look begins
_BUDGET = 32 << 20  # bytes of one look; the rest waits for the next
_MOST_FILES = 64
_MOST_VALUES = 200_000  # of one name; the oldest go first
_AHEAD = 60.0  # seconds by which the writer's clock may be ahead of ours


def _p95(values: list[float]) -> float:
    """The nearest-rank 95th percentile.

    >>> _p95([float(n) for n in range(1, 101)])
    95.0
    """
    return sorted(values)[max(0, math.ceil(0.95 * len(values)) - 1)]


AGGREGATES: dict[str, Callable[[list[float]], float]] = {
    "sum": math.fsum,
    "count": lambda values: float(len(values)),
    "avg": lambda values: math.fsum(values) / len(values),
    "min": min,
    "max": max,
    "last": lambda values: values[-1],
    "p95": _p95,
}
_OF_NOTHING = {"sum": 0.0, "count": 0.0}


class JsonlFiles:
    """The files of one glob, and the recent values in them by name. All reading happens in its lane."""

    def __init__(self, pattern: str) -> None:
        self._pattern = Path(pattern).expanduser()
        self._root = Path(self._pattern.anchor)
        self._glob = str(self._pattern.relative_to(self._root))
        self._keep: dict[str, float] = {}  # name -> seconds
        self._values: dict[str, deque[tuple[float, float]]] = {}
        self._files: dict[Identity, OpenFile] = {}
        self._looked = False
        self._lane = Lane(f"metrics {pattern}")
        self._turn = asyncio.Lock()
        self.bad_lines = 0

    def want(self, name: str, seconds: float) -> None:
        """Remember values of this name for so long."""
        self._keep[name] = max(seconds, self._keep.get(name, 0.0))
        self._values.setdefault(name, deque(maxlen=_MOST_VALUES))

    async def values(self, name: str, since: float, until: float, now: float) -> list[tuple[float, float]]:
        """(unix seconds, value) of a name in (since, until], oldest first. Raises SourceError, OSError."""
        async with self._turn:
            return await self._lane.call(self._look, name, since, until, now, deadline=_DEADLINE)

    async def close(self) -> None:
        for file in self._files.values():
            file.close()
        self._files.clear()
        self._lane.close()

    def _look(self, name: str, since: float, until: float, now: float) -> list[tuple[float, float]]:
        self._open(now)
        budget = _BUDGET
        for file in list(self._files.values()):
            for line in file.lines(budget):
                self._take(line)
            if file.deleted or file.written_at < self._oldest(now):
                file.close()
                del self._files[file.identity]
        self._looked = True
        self._forget(now)
        return sorted((at, value) for at, value in self._values[name] if since < at <= until)

    def _oldest(self, now: float) -> float:
        return now - max(self._keep.values(), default=0.0) - _AHEAD

    def _open(self, now: float) -> None:
        """Open what is new. Files that nobody wrote to for as long as we remember hold nothing for us."""
        paths = list(self._root.glob(self._glob))
        if not paths and not self._files:
            raise SourceError(f"no file matches {self._pattern}")
        oldest = self._oldest(now)
        refused: OSError | None = None
        fresh = []
        for path in paths:
            try:
                found = path.stat()
            except OSError:
                continue  # gone since the glob
            if (found.st_dev, found.st_ino) not in self._files and found.st_mtime >= oldest:
                fresh.append((found.st_mtime, path))
        for _, path in sorted(fresh)[-_MOST_FILES:]:
            try:
                file = OpenFile(path, back=None if self._looked else _FIRST_BACK)
            except OSError as error:
                refused = error
                continue
            self._files[file.identity] = file
        if refused is not None and not self._files:
            raise refused

    def _take(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            entry = json.loads(line)
            name, value, at = entry["name"], number(entry["value"]), moment(entry["timestamp"])
        except (ValueError, KeyError, TypeError, RecursionError):
            self.bad_lines += 1
            return
        if value is None or at is None or not isinstance(name, str):
            self.bad_lines += 1
        elif name in self._values:
            self._values[name].append((at, value))

    def _forget(self, now: float) -> None:
        for name, values in self._values.items():
            oldest = now - self._keep[name]
            while values and values[0][0] <= oldest:
                values.popleft()


def moment(stamp: object) -> float | None:
    """Unix seconds of a timestamp; None when it is none.

    >>> moment("2026-03-01T12:00:00Z") == moment("2026-03-01T12:00:00") == moment(1772366400000)
    True
    """
    if isinstance(stamp, str):
        try:
            when = datetime.fromisoformat(stamp)
        except ValueError:
            return None
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    seconds = number(stamp)
    if seconds is None:
        return None
    return seconds / 1000.0 if seconds > 1e11 else seconds


class JsonlGauge:
    """One aggregate of one name over the last window, and over the one before it."""

    def __init__(self, config: MetricConfig, files: JsonlFiles, every: float) -> None:
        self.every = every
        self.deadline = _DEADLINE
        self._name = config.field or config.name
        self._window = config.window
        self._how = config.query.strip().lower() or "last"
        self._files = files
        if self._how not in AGGREGATES:
            raise ValueError(f'query: there is no aggregate "{self._how}"; there are {", ".join(AGGREGATES)}')
        files.want(self._name, 2 * config.window)

    async def measure(self, now: float) -> Sample:
        turn = now - self._window
        both = await self._files.values(self._name, now - 2 * self._window, now + _AHEAD, now)
        bad = self._files.bad_lines
        note = "" if not bad else "1 bad line passed over" if bad == 1 else f"{bad} bad lines passed over"
        value = self._aggregate([value for at, value in both if at > turn])
        # Without any value in the window before there may have been no writer: nothing to compare with.
        earlier = [value for at, value in both if at <= turn]
        previous = self._aggregate(earlier) if earlier else None
        if value is None:
            return Sample(None, previous, f'no line named "{self._name}" in the last {_span(self._window)}', note)
        return Sample(value, previous, note=note)

    def _aggregate(self, values: list[float]) -> float | None:
        return AGGREGATES[self._how](values) if values else _OF_NOTHING.get(self._how)

    async def close(self) -> None:
        """The files are closed by their owner."""


def _span(seconds: float) -> str:
    """
    >>> _span(3600.0), _span(90.0), _span(86400.0)
    ('1 h', '90 s', '24 h')
    """
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
