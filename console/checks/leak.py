"""Whether the memory of a service only ever grows: its slope between restarts, and when it meets its limit.

A cache that fills and levels off, and a day that comes and goes, are no leaks. A saw of restarts is known as one: the
restart hides the leak, it does not mend it. Pure; seconds and bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import isnan
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
    parts = _parts(tens)
    if not parts or len(parts[-1]) < 2:
        return Leak(short=True)
    current = _hourly(parts[-1])
    level = parts[-1][-1]
    teeth = [part for part in parts[:-1] if _climbs(part)]
    climbs = tuple(len(part) * 600.0 for part in teeth) if len(teeth) >= _TEETH - 1 else ()
    peak = median([part[-1] for part in teeth]) if climbs else 0.0
    if len(current) >= LEAST and (found := _slope(current)) is not None:
        low, slope, high = found
        return Leak(level, slope, low, high, len(current), False, climbs, peak)
    if climbs and (len(current) < LEAST or _climbs(parts[-1])):
        slopes = sorted((part[-1] - part[0]) / (len(part) * 600.0) for part in teeth)
        return Leak(level, median(slopes), slopes[0], slopes[-1], len(current), False, climbs, peak)
    return Leak(level, hours=len(current), short=len(current) < LEAST)


def _parts(tens: Sequence[float]) -> list[list[float]]:
    """The values between restarts, oldest first; gaps are left out, and part where a new start is behind them."""
    parts: list[list[float]] = []
    for value in tens:
        if isnan(value):
            continue
        if not parts or value < _DROP * parts[-1][-1]:
            parts.append([])
        parts[-1].append(value)
    return parts


def _hourly(part: Sequence[float]) -> list[float]:
    """Medians of whole hours, the newest whole, without the warming up."""
    rest = len(part) % 6
    return [median(part[at : at + 6]) for at in range(rest, len(part), 6)][_WARM:]


def _climbs(part: Sequence[float]) -> bool:
    """Whether a life between two restarts went up all the way: each third lies above the one before."""
    part = part[6 * _WARM :]
    third = len(part) // 3
    if third < 3:
        return False
    one, two, three = (median(part[at * third : (at + 1) * third]) for at in range(3))
    return two > (1 + _GREW) * one and three > (1 + _GREW) * two


def _slope(hours: Sequence[float]) -> tuple[float, float, float] | None:
    """(lowest, likely, highest) bytes a second; None where it does not keep growing."""
    hours = hours[-_LATELY:]
    if len(hours) >= _LONG:
        days = [(hours[i] - hours[i - DAY]) / DAY for i in range(DAY, len(hours))]
        slope, newer = median(days), median(days[-DAY:])
        ordered = sorted(days)
        steady = ordered[len(ordered) // 4] > 0
        grew = slope * len(hours)
        needed = _GREW * hours[-1]
    else:
        rates = [(b - a) / (j - i) for (i, a), (j, b) in combinations(enumerate(hours), 2)]
        slope = median(rates)
        newer = median([r for (i, _), r in zip(combinations(range(len(hours)), 2), rates, strict=True)
                        if i >= len(hours) // 2])  # fmt: skip
        steady = sum(rate > 0 for rate in rates) >= _RISING * len(rates)
        grew = hours[-1] - hours[0]
        needed = _GREW_FAST * hours[0]
    if slope <= 0 or not steady or newer < _STILL * slope or grew < needed:
        return None
    low, high = sorted((slope, newer))
    return low * 0.9 / 3600, slope / 3600, high * 1.1 / 3600
