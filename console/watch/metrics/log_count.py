"""The log_count metric: lines a minute in which an expression is found, in a file or in a log source.

The value is the count of the last 60 seconds; the previous one is the average per minute of the window before
those. Counting begins when the console looks: what was written earlier is not counted.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path

from console.config import MetricConfig
from console.errors import SourceError
from console.watch.metrics.lines import OpenFile, identity
from console.watch.metrics.log_lines import LogLines
from console.watch.metrics.pattern import LinePattern
from console.watch.metrics.point import Sample
from console.watch.source import Lane

_DEADLINE = 4.0
_BUDGET = 8 << 20  # bytes of a look; of more, the count is projected from these
_MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class _Stretch:
    """So many lines between two looks."""

    start: float
    end: float
    lines: float


class Tally:
    """Counts by stretches of time, and how many fall into a span."""

    def __init__(self, keep: float) -> None:
        self._keep = keep
        self._stretches: deque[_Stretch] = deque()
        self.since: float | None = None  # unix seconds; counting began

    def add(self, now: float, lines: float) -> None:
        if self.since is None:
            self.since = now
            return  # the first look only finds the place to begin
        start = self._stretches[-1].end if self._stretches else self.since
        self._stretches.append(_Stretch(min(start, now), now, lines))
        while self._stretches and self._stretches[0].end < now - self._keep:
            self._stretches.popleft()

    def between(self, start: float, end: float) -> float:
        """Lines in a span; a stretch that is partly inside counts by its share."""
        total = 0.0
        for stretch in self._stretches:
            inside = min(end, stretch.end) - max(start, stretch.start)
            if inside > 0:
                total += stretch.lines * inside / (stretch.end - stretch.start)
        return total


class LogCountGauge:
    """One expression over one file or log source."""

    def __init__(self, config: MetricConfig, logs: LogLines | None, every: float) -> None:
        if not config.source:
            raise ValueError("source: no log named and no path")
        self.every = every
        self.deadline = _DEADLINE
        self._source = config.source
        self._window = config.window
        self._rising = config.direction != "down"
        self._pattern = LinePattern(config.query)
        self._logs = logs
        self._place: int | None = None
        self._file: OpenFile | None = None
        self._tally = Tally(config.window + 2 * _MINUTE)
        self._lane = Lane(f"count {config.name}")

    async def measure(self, now: float) -> Sample:
        if self._logs is not None and self._logs.knows(self._source):
            found = await self._lane.call(self._count_log, self._logs, now, deadline=_DEADLINE)
        else:
            found = await self._lane.call(self._count_file, deadline=_DEADLINE)
        self._tally.add(now, found)
        return self._sample(now)

    async def close(self) -> None:
        self._lane.close()
        if self._file is not None and self._lane.stuck_for is None:
            self._file.close()
        self._file = None

    def _sample(self, now: float) -> Sample:
        since = self._tally.since if self._tally.since is not None else now
        value = self._tally.between(now - _MINUTE, now)
        counted = now - since
        # A count that is still growing is already true where high is bad, and a false alarm where low is.
        if counted < _MINUTE and not (self._rising and counted > 0):
            return Sample(None, fault=f"counting; a full minute is there in {_MINUTE - counted:.0f} s")
        note = "" if counted >= _MINUTE else f"counted for {counted:.0f} s so far"
        earlier = min(self._window, counted - _MINUTE)
        if earlier < _MINUTE:
            return Sample(value, note=note)
        before = self._tally.between(now - _MINUTE - earlier, now - _MINUTE)
        return Sample(value, before * _MINUTE / earlier, note=note)

    def _count_log(self, logs: LogLines, now: float) -> float:
        since = self._tally.since if self._tally.since is not None else now
        self._place, lines = logs.after(self._source, self._place, since)
        return float(self._pattern.count(lines))

    def _count_file(self) -> float:
        path = Path(self._source).expanduser()
        if self._file is None:
            self._file = self._open(path, None if self._tally.since is not None else 0)
        total = self._count(self._file)
        now_there = identity(path)
        if now_there is not None and now_there != self._file.identity:
            self._file.close()
            self._file = None
            self._file = self._open(path, None)  # a new file under the name: all of it is new
            total += self._count(self._file)
        return total

    @staticmethod
    def _open(path: Path, back: int | None) -> OpenFile:
        try:
            return OpenFile(path, back=back)
        except FileNotFoundError:
            raise SourceError(f"no such file: {path}") from None
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror}") from None

    def _count(self, file: OpenFile) -> float:
        lines = file.lines(_BUDGET)
        found = float(self._pattern.count(lines))
        if file.unread:
            read = sum(map(len, lines)) + len(lines)
            found *= (read + file.unread) / max(1, read)
            file.skip()
        return found
