"""Whether a figure is unlike its own past: three simple views, each held against what is usual for it, and one alarm.

How far it is from its mean of the last hour, from its median of the last 16 hours, and from what it is at this hour of
the day; each in its own spread, and each divided by its own 99th percentile of the last days: what is restless by
nature is no news. The mean of the three decides, in two of three minutes. Of one episode there is one alarm.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass
from statistics import median

FIRST = 1440  # minutes before which nothing is said: a whole day
ALARM = 1.5  # times what is exceeded in one minute of a hundred
_CALM = 0.75
_QUIET = 15  # calm minutes after which an episode has ended
_REST = 300.0 * 60  # seconds from one alarm to the next at the least
_FADE = 0.02  # weight of a new minute in the mean
_WINDOW = 1000  # minutes of the median
_SCORES = 2000  # minutes of the percentile
_DAYS = 35 * 6  # values of one hour of the day
_LEAST = 3.0  # spreads: a percentile below it would make an alarm of ordinary noise
_FLOOR = 0.05  # of what is usual: a spread is never taken for smaller


@dataclass(frozen=True, slots=True)
class Episode:
    """One stretch of time in which a figure was unlike its past. `low` to `high` is what it usually is."""

    since: float  # unix seconds
    value: float
    low: float
    high: float
    score: float


class _Sorted:
    """The last values of a stream, in order of size."""

    __slots__ = ("_most", "_recent", "ordered")

    def __init__(self, most: int) -> None:
        self._most = most
        self._recent: deque[float] = deque()
        self.ordered: list[float] = []

    def add(self, value: float) -> None:
        self._recent.append(value)
        insort(self.ordered, value)
        if len(self._recent) > self._most:
            del self.ordered[bisect_left(self.ordered, self._recent.popleft())]

    def at(self, share: float) -> float:
        return self.ordered[int(share * (len(self.ordered) - 1))]

    def deviation(self, middle: float) -> float:
        """The median distance from `middle`, by halving: the distances of both sides are sorted already."""
        ordered, half = self.ordered, len(self.ordered) // 2
        split = bisect_left(ordered, middle)
        low, high = max(0, half - (len(ordered) - split)), min(split, half)
        while low < high:  # how many of the nearest `half` lie below the middle
            left = (low + high) // 2
            right = half - left
            if (
                right > 0
                and (split - left - 1 >= 0)
                and (ordered[split + right - 1] - middle > middle - ordered[split - left - 1])
            ):
                low = left + 1
            else:
                high = left
        left, right = low, half - low
        below = middle - ordered[split - left] if left else 0.0
        above = ordered[split + right - 1] - middle if right else 0.0
        return max(below, above)


class Detector:
    """One figure. `add` takes a value for each minute, in the order of time; minutes may be missing."""

    def __init__(self) -> None:
        self.seen = 0
        self.episode: Episode | None = None  # the one that is under way
        self.alarms = 0
        self._mean = self._var = 0.0
        self._values = _Sorted(_WINDOW)
        self._hours: list[deque[float]] = [deque(maxlen=_DAYS) for _ in range(24)]
        self._season: list[tuple[float, float] | None] = [None] * 24  # of each hour: median and spread
        self._scores = tuple(_Sorted(_SCORES) for _ in range(3))
        self._ten: tuple[int, float, int] = (0, 0.0, 0)  # the ten minutes under way: number, sum, count
        self._over = 0  # a bit for each of the last two minutes: whether it was over
        self._quiet = 0
        self._last = float("-inf")  # when the last alarm was

    def remember(self, at: float, value: float) -> None:
        """The mean of ten minutes that are long gone: for what is usual at this hour."""
        hour = int(at // 3600) % 24
        self._hours[hour].append(value)
        self._season[hour] = None

    def add(self, at: float, value: float) -> Episode | None:
        """The episode that begins with this minute; None otherwise."""
        score = self._score(at, value)
        self._learn(at, value)
        return self._decide(at, value, score)

    def _decide(self, at: float, value: float, score: float) -> Episode | None:
        if self.episode is not None:
            self._quiet = self._quiet + 1 if score < _CALM else 0
            if self._quiet >= _QUIET:
                self.episode = None
            return None
        over, self._over = self._over, (self._over << 1 | (score >= ALARM)) & 3
        if score < ALARM or not over or self.seen < FIRST or 0 <= at - self._last < _REST:
            return None
        self._last, self._quiet = at, 0
        self.alarms += 1
        self.episode = Episode(at, value, self._values.at(0.05), self._values.at(0.95), score)
        return self.episode

    def _score(self, at: float, value: float) -> float:
        """The mean of the three views, 1 being what one minute of a hundred has."""
        if not self._values.ordered:
            return 0.0
        middle = self._values.at(0.5)
        floor = max(_FLOOR * abs(middle), 0.02 * (self._values.ordered[-1] - self._values.ordered[0]))
        if floor <= 0:  # never anything but zero: the first of something is for the logs and limits to tell
            return 0.0
        views = [
            abs(value - self._mean) / max(self._var**0.5, floor),
            abs(value - middle) / max(1.4826 * self._values.deviation(middle), floor),
        ]
        usual = self._usual(int(at // 3600) % 24)
        if usual is not None:
            views.append(abs(value - usual[0]) / max(usual[1], floor))
        total = 0.0
        for scores, view in zip(self._scores, views, strict=False):
            total += view / max(_LEAST, scores.at(0.99) if len(scores.ordered) >= 100 else _LEAST)
            scores.add(view)
        return total / len(views)

    def _learn(self, at: float, value: float) -> None:
        self.seen += 1
        if self.seen == 1:
            self._mean = value
        step = value - self._mean
        self._mean += _FADE * step
        self._var = (1 - _FADE) * (self._var + _FADE * step * step)
        self._values.add(value)
        number, total, count = self._ten
        if int(at // 600) != number:
            if count:
                self.remember(number * 600.0, total / count)
            number, total, count = int(at // 600), 0.0, 0
        self._ten = (number, total + value, count + 1)

    def _usual(self, hour: int) -> tuple[float, float] | None:
        """(median, spread) at this hour of the day; None before two days are known of it."""
        if len(self._hours[hour]) < 12:
            return None
        found = self._season[hour]
        if found is None:
            values = self._hours[hour]
            middle = median(values)
            spread = 1.4826 * median(abs(value - middle) for value in values)
            # A minute strays more than the mean of ten.
            found = self._season[hour] = (middle, max(spread, self._var**0.5))
        return found
