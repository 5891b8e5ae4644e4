"""When something will be full, from its past: a range with its reason in words, or that it is not filling.

No single line through the past fits disks: they breathe by the day, are cleaned by the week, get one big file, or begin
to leak an hour ago. So each hour is compared with the same hour a week before (the season falls out), jumps that came
once are taken out first, and the last day is held against what was usual before. Pure; seconds and the unit of the
series; nothing but the standard library.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isnan, nan
from statistics import fmean, median

HOUR = 3600.0
DAY, WEEK = 24, 168  # hours
LEAST = 48  # hours that must be known before anything is said
_FAR = 10 * WEEK  # hours: what lies beyond is not filling
_JUMP_RUN = 3  # hours that one jump may take
_JUMP_LEAST = 0.02  # of the capacity
_JUMP_CLEAR = 12.0  # times what is usual from hour to hour
_REGIMES = (DAY, 6)  # hours over which the present is held against the past
_SINCE, _STILL = 6, 0.4  # hours in which a new slope must go on, with this share of itself
_FRESH = 3  # hours: without a newer value nothing is said of the future


@dataclass(frozen=True, slots=True)
class Forecast:
    """`earliest` and `latest` in seconds from now. Both None: it is not filling, or too little is known (`short`).

    `latest` None beside an `earliest`: only the faster of the two slopes gets there.
    """

    earliest: float | None = None
    latest: float | None = None
    reason: str = ""
    short: bool = False
    history: float = 0.0  # seconds that are known
    slopes: tuple[float, ...] = ()  # units a second, slowest first


def filling(level: Sequence[float], capacity: float, told: Callable[[float], str] = "{:.3g}".format) -> Forecast:
    """When a level reaches the capacity. `level`: a value for each hour, the newest last, NaN where nobody looked.

    `told`: an amount in words.
    """
    known = sum(not isnan(v) for v in level)
    history = known * HOUR
    if known < LEAST or all(isnan(v) for v in level[-_FRESH:]):
        why = f"too little history: {known} h" if known < LEAST else f"no figure of the last {_FRESH} h"
        return Forecast(reason=why, short=True, history=history)
    seen = [at for at, value in enumerate(level) if not isnan(value)]
    steady = without_jumps(level[seen[0] : seen[-1] + 1], capacity)
    now = steady[-1]
    if now >= capacity > 0:
        return Forecast(0.0, 0.0, "it is full", history=history)
    season, words = (WEEK, "week") if len(steady) >= WEEK + DAY else (DAY, "day")
    changes = _changes(steady, season)
    regime, hours = _regime(steady)
    far = min(float(_FAR), len(steady) / 2)  # nobody sees further ahead than half as far as behind
    low, middle, high = _quartiles(changes)
    noise = _noise(steady) / 2
    smooth = _smooth(steady)
    ways = ((high, noise), (middle, 0.0), (low, -noise)) if low > 0 else ()
    usual = [_path(smooth, season, change, capacity - lift, far) for change, lift in ways]
    slow = usual[1] if usual else None
    reasons = []
    if low > 0:
        reasons.append(f"it grows {told(middle / season * DAY)} a day, {words} against {words}")
    fast: float | None = None
    if regime is not None and regime > max(0.0, 2 * middle / season):
        fast = (capacity - now) / regime
        if fast > far:
            fast = None
        else:
            reasons.append(f"in the last {hours} h {told(regime * hours)}, more than in any {hours} h before")
    ends = [one for one in (*usual, fast) if one is not None]
    if not ends:
        return Forecast(reason="not filling", history=history)
    slopes = sorted(s / HOUR for s in (middle / season if slow is not None else None, regime if fast else None) if s)
    sure = [one for one in usual if one is not None]
    return Forecast(
        min(ends) * HOUR,
        max(sure) * HOUR if len(sure) == 3 else None,
        "; ".join(reasons),
        history=history,
        slopes=tuple(slopes),
    )


def without_jumps(level: Sequence[float], capacity: float) -> list[float]:
    """The same without what came once: a big file, a clean-up by hand. What comes again is how it lives, and stays.

    >>> without_jumps([1.0, 1.0, 1.5, 41.5, 41.5, 41.5, 41.5], 100.0)
    [41.0, 41.0, 41.5, 41.5, 41.5, 41.5, 41.5]
    """
    known = [(at, value) for at, value in enumerate(level) if not isnan(value)]
    pairs = [(at, value - before, at - then) for (then, before), (at, value) in pairwise(known)]
    if not pairs:
        return list(level)
    usual = median(change / hours for _, change, hours in pairs)
    steps = [(at, change - usual * hours) for at, change, hours in pairs]  # beside what it does anyway
    spread = 1.4826 * median(abs(step) for _, step in steps)
    least = max(_JUMP_LEAST * capacity, _JUMP_CLEAR * spread)
    jumps: list[list[tuple[int, float]]] = []
    for at, step in steps:
        # Half of it is enough for what spreads over two hours.
        if abs(step) < least / 2:
            continue
        if jumps and at - jumps[-1][-1][0] <= 1 and (step > 0) == (jumps[-1][-1][1] > 0):
            jumps[-1].append((at, step))
        else:
            jumps.append([(at, step)])
    sizes = [sum(step for _, step in run) for run in jumps]
    once: dict[int, float] = {}
    for place, (run, size) in enumerate(zip(jumps, sizes, strict=True)):
        others = sizes[:place] + sizes[place + 1 :]
        again = any(0.4 <= other / size <= 2.5 for other in others) if size else True
        # A clean-up shows only after two weeks whether it comes again.
        early = size < 0 and len(level) < 2 * WEEK
        if abs(size) >= least and len(run) <= _JUMP_RUN and not again and not early:
            once |= dict(run)
    found, lift = list(level), 0.0
    for at in reversed(range(len(level))):
        found[at] += lift
        lift += once.get(at, 0.0)
    return found


def _changes(level: Sequence[float], season: int) -> list[float]:
    """The change of each hour of the last two seasons against the season before, or the last one that is known."""
    found = []
    for at in range(max(season, len(level) - 2 * season), len(level)):
        for back in range(1, min(3, at // season) + 1):
            change = (level[at] - level[at - back * season]) / back
            if not isnan(change):
                found.append(change)
                break
    return found


def _regime(level: Sequence[float]) -> tuple[float | None, int]:
    """(units an hour, over so many hours) where the level rises faster than it did in any such time before.

    Compared with what was before the last week, so that a leak stays new until the weeks show it.
    """
    found: tuple[float | None, int] = (None, 0)
    for hours in _REGIMES:
        recent = [_rate(level, i, hours) for i in range(len(level) - max(1, hours // 4), len(level))]
        recent = [rate for rate in recent if not isnan(rate)]
        end = len(level) - (WEEK if len(level) >= WEEK + 3 * DAY else hours)
        past = [rate for i in range(hours, end) if not isnan(rate := _rate(level, i, hours))]
        if not recent or len(past) < max(DAY, 2 * hours) - hours:
            continue
        now, most, usual = median(recent), max(past), median(past)
        noise = 1.4826 * median(abs(rate - usual) for rate in past)
        new = now > most + max(0.1 * abs(most), noise)
        if new and _goes_on(level, now) and (found[0] is None or now > found[0]):
            found = now, hours
    return found


def _goes_on(level: Sequence[float], rate: float) -> bool:
    """Whether the last hours still rise like that: a copy of some hours that has ended is no slope."""
    ends = [[v for v in level[at - 4 : at] if not isnan(v)] for at in (len(level) - _SINCE, len(level))]
    return not all(ends) or (fmean(ends[1]) - fmean(ends[0])) / _SINCE >= _STILL * rate


def _rate(level: Sequence[float], at: int, hours: int) -> float:
    return (level[at] - level[at - hours]) / hours if at >= hours else nan


def _path(level: Sequence[float], season: int, change: float, capacity: float, far: float) -> float | None:
    """Hours until the way of the last seasons, lifted by their change, first reaches the capacity."""
    last = len(level) - 1
    beside = [level[i] - level[i - season] - change for i in range(max(season, last - 5), last + 1)]
    offset = median([one for one in beside if not isnan(one)] or [0.0])
    way = []  # of one season from now on: each hour as in the last three
    for at in range(last + 1 - season, last + 1):
        some = [level[at - back * season] + back * change for back in range(min(3, at // season + 1))]
        some = [one for one in some if not isnan(one)]
        way.append(sum(some) / len(some) if some else nan)
    for ahead in range(1, int(far) + 1):
        seasons, hour = divmod(ahead - 1, season)
        value = way[hour] + (seasons + 1) * change + offset
        if isnan(value):
            value = level[last] + change / season * ahead
        if value >= capacity:
            return float(ahead)
    return None


def _smooth(level: Sequence[float]) -> list[float]:
    """Means of three hours: of many restless hours some one would always touch the top."""
    found = []
    for at in range(len(level)):
        some = [value for value in level[max(0, at - 1) : at + 2] if not isnan(value)]
        found.append(sum(some) / len(some) if some else nan)
    return found


def _noise(level: Sequence[float]) -> float:
    """How far one hour strays from its neighbours."""
    strays = [abs(level[i] - (level[i - 1] + level[i + 1]) / 2) for i in range(1, len(level) - 1)]
    return 1.4826 * median([one for one in strays if not isnan(one)] or [0.0])


def _quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    ordered = sorted(values)
    if len(ordered) < 4:
        return 0.0, 0.0, 0.0
    return ordered[len(ordered) // 4], median(ordered), ordered[3 * len(ordered) // 4]
