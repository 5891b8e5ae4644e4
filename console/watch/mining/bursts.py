"""When a count is unusual: bursts, and silence where there used to be lines. Pure rules over counts of five minutes.

The root of a count that is nearly Poisson has the same spread whatever its mean, so one bound serves rare and frequent
events; the day's own spread takes the place of that one where it is larger. A bound on the plain count ("mean plus
three sigma") gives about twenty false alarms a day for one quiet pattern.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence

SPAN = 300  # seconds of one count
DAY = 288  # counts that are kept
LEARNT = 24  # counts of history before anything is judged: two hours
LEAST = 5  # events that can be a burst
BOUND = 4.0  # how many spreads above the mean of the roots
_USUAL = 0.9  # share of the counts in which a source spoke that makes it one that usually speaks
_QUIET = 3  # whole counts without a line before it is silent, whatever its past


class Counts:
    """Events of the last day in spans of five minutes. `newest`: the last span in which one was."""

    def __init__(self) -> None:
        self.newest = 0
        self._ring = array("d", [0.0]) * DAY

    def add(self, span: int, weight: float = 1.0) -> None:
        """Count an event. One that is older than the day is passed over."""
        if span > self.newest:
            self._clear(self.newest + 1, span)
            self.newest = span
        if span > self.newest - DAY:
            self._ring[span % DAY] += weight

    def of(self, span: int) -> float:
        """What was counted in one span."""
        return self._ring[span % DAY] if self.newest - DAY < span <= self.newest else 0.0

    def join(self, other: Counts) -> None:
        """Add what another has counted."""
        for span, number in other.nonzero():
            self.add(span, number)

    def nonzero(self) -> list[tuple[int, float]]:
        """Spans in which something was counted, oldest first."""
        return [(span, n) for span in range(self.newest - DAY + 1, self.newest + 1) if (n := self.of(span))]

    def _clear(self, first: int, last: int) -> None:
        for span in range(max(first, last - DAY + 1), last + 1):
            self._ring[span % DAY] = 0.0


def unusual(number: float, before: Sequence[float]) -> float:
    """How many spreads a count lies above those before it. 0.0 when there are too few to tell.

    >>> unusual(40.0, [1.0, 0.0, 2.0, 1.0] * 12) > BOUND
    True
    """
    if len(before) < LEARNT:
        return 0.0
    roots = [_root(one) for one in before]
    mean = sum(roots) / len(roots)
    spread = math.sqrt(sum((root - mean) ** 2 for root in roots) / (len(roots) - 1))
    return (_root(number) - mean) / max(1.0, spread)


def is_burst(number: float, before: Sequence[float]) -> bool:
    """Whether a count is a burst against those before it."""
    return number >= LEAST and unusual(number, before) > BOUND


def is_silent(before: Sequence[float], quiet: int) -> bool:
    """Whether `quiet` counts of nothing are unusual after those `before`, the last of which was something.

    Only for a source that spoke nearly all the time and was never silent half as long.
    """
    if len(before) < LEARNT or sum(map(bool, before)) < _USUAL * len(before):
        return False
    longest = run = 0
    for one in before:
        run = 0 if one else run + 1
        longest = max(longest, run)
    return quiet >= max(_QUIET, 2 * longest + 1)


def _root(number: float) -> float:
    return 2.0 * math.sqrt(number + 0.375)
