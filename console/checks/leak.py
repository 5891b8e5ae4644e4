"""Whether the memory of a service only ever grows: its slope between restarts, and when it meets its limit.

A cache that fills and levels off, and a day that comes and goes, are no leaks. A saw of restarts is known as one: the
restart hides the leak, it does not mend it. Pure; seconds and bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import isnan, nan
from statistics import median

DAY = 24  # hours
LEAST = 12  # hours since the last restart before anything is said
_LONG = 48  # hours from which on days are compared with days
_LATELY = 96  # hours: a program may run for months before it begins to leak
_DROP = 0.85  # of the value before: what falls below began anew
_WARM = 1  # hours after a start that tell nothing
_GREW = 0.05  # of the level: less is no leak
_GREW_FAST = 0.5  # where no day can be compared with another, only this much is told from a morning
_RISING = 0.9  # share of all pairs of hours in which the later one is higher
_STILL = 0.7  # of the slope, in its newer part: less is levelling off
_UNSEEN = 3  # steps of ten minutes that a restart may take
_TEETH = 3  # climbs that ended in a restart before they are called a saw


@dataclass(frozen=True, slots=True)
class Leak:
    """`slope` in bytes a second, None: no leak. `low` and `high` are its bounds. `level`: bytes now.

    `short`: too little is known. `climbs`: lengths in seconds of the climbs before that ended in a restart.
    """

    level: float = 0.0
    slope: float | None = None
    low: float = 0.0
    high: float = 0.0
    hours: int = 0  # since the last restart
    short: bool = False
    climbs: tuple[float, ...] = ()
    peak: float = 0.0  # bytes at which those climbs usually ended

    def reaches(self, room: float) -> tuple[float, float] | None:
        """Seconds (earliest, latest) until it has grown by `room` bytes; None when it does not grow."""
        if self.slope is None or self.low <= 0:
            return None
        return max(0.0, room) / self.high, max(0.0, room) / self.low


def leaking(tens: Sequence[float]) -> Leak:
    """What the memory of one service does. `tens`: a value for each ten minutes, the newest last, NaN where unknown."""
    parts, restarts = _parts(tens)
    if not parts or len(parts[-1]) < 2:
        return Leak(short=True)
    current = _hourly(parts[-1])
    level = parts[-1][-1]
    teeth = [part for part, seen in zip(parts, restarts, strict=False) if seen and _climbs(part)]
    climbs = tuple(len(part) * 600.0 for part in teeth) if len(teeth) >= _TEETH - 1 else ()
    peak = median([part[-1] for part in teeth]) if climbs else 0.0
    hours = sum(not isnan(hour) for hour in current)
    if hours >= LEAST and (found := _slope(current)) is not None:
        low, slope, high = found
        return Leak(level, slope, low, high, len(current), False, climbs, peak)
    if climbs and (hours < LEAST or _climbs(parts[-1])):
        slopes = sorted((part[-1] - part[0]) / (len(part) * 600.0) for part in teeth)
        return Leak(level, median(slopes), slopes[0], slopes[-1], len(current), False, climbs, peak)
    return Leak(level, hours=len(current), short=hours < LEAST)


def _parts(tens: Sequence[float]) -> tuple[list[list[float]], list[bool]]:
    """The values between restarts, oldest first, and of each restart whether somebody looked when it was.

    A part begins and ends with a value that is known. What fell while nobody looked may have fallen by itself.
    """
    parts: list[list[float]] = []
    restarts: list[bool] = []
    unknown, last = 0, nan
    for value in tens:
        if isnan(value):
            unknown += 1
            continue
        if not parts:
            parts.append([])
        elif value < _DROP * last:
            parts.append([])
            restarts.append(unknown <= _UNSEEN)
        else:
            parts[-1] += [nan] * unknown
        parts[-1].append(value)
        unknown, last = 0, value
    return parts, restarts


def _hourly(part: Sequence[float]) -> list[float]:
    """Medians of whole hours, the newest whole, without the warming up; NaN where nothing is known."""
    rest = len(part) % 6
    return [_median(part[at : at + 6]) for at in range(rest, len(part), 6)][_WARM:]


def _median(values: Iterable[float]) -> float:
    return median([value for value in values if not isnan(value)] or [nan])


def _climbs(part: Sequence[float]) -> bool:
    """Whether a life between two restarts went up all the way: each third lies above the one before."""
    part = [value for value in part[6 * _WARM :] if not isnan(value)]
    third = len(part) // 3
    if third < 3:
        return False
    one, two, three = (median(part[at * third : (at + 1) * third]) for at in range(3))
    return two > (1 + _GREW) * one and three > (1 + _GREW) * two


def _slope(hours: Sequence[float]) -> tuple[float, float, float] | None:
    """(lowest, likely, highest) bytes a second; None where it does not keep growing."""
    hours = hours[-_LATELY:]
    known = [(at, hour) for at, hour in enumerate(hours) if not isnan(hour)]
    first, last = known[0][1], known[-1][1]
    if len(hours) >= _LONG:
        # (hour, change since the same hour of the day before)
        rates = [(at, (hour - hours[at - DAY]) / DAY) for at, hour in known if at >= DAY]
        rates = [(at, rate) for at, rate in rates if not isnan(rate)]
        newer = _median(rate for at, rate in rates if at >= len(hours) - DAY)
        share, needed = 0.75, _GREW * last
    else:
        rates = [(i, (b - a) / (j - i)) for (i, a), (j, b) in combinations(known, 2)]
        newer = _median(rate for at, rate in rates if at >= len(hours) // 2)
        share, needed = _RISING, _GREW_FAST * first
    if len(rates) < LEAST or isnan(newer):
        return None
    slope = median(rate for _, rate in rates)
    steady = sum(rate > 0 for _, rate in rates) >= share * len(rates)
    grew = slope * len(hours)
    if slope <= 0 or not steady or newer < _STILL * slope or grew < needed:
        return None
    low, high = sorted((slope, newer))
    return low * 0.9 / 3600, slope / 3600, high * 1.1 / 3600
