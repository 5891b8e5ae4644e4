"""One figure over time, packed: 12 bytes a point, unknown as a gap, thinned without losing spikes."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left

Point = tuple[float, float | None]


class Track:
    """Points of one figure, oldest first, at most one per `every` seconds."""

    def __init__(self, unit: str, every: float) -> None:
        self.unit = unit
        self.every = every
        self._times = array("d")
        self._values = array("f")

    def __len__(self) -> int:
        return len(self._times)

    def add(self, at: float, value: float | None) -> None:
        """A value, or None for "unknown from here on". Out of order or too soon: passed over."""
        known = value is not None and math.isfinite(value)
        if self._times:
            gap = math.isnan(self._values[-1])
            if at <= self._times[-1] or (gap and not known):
                return
            # A tenth off, so that jitter does not skip every other point; gaps begin and end at once.
            if known and not gap and at - self._times[-1] < self.every * 0.9:
                return
        elif not known:
            return
        self._times.append(at)
        self._values.append(value if known and value is not None else math.nan)

    def forget(self, before: float) -> None:
        """Drop points older than this. Cheap: it moves memory only when an eighth is stale."""
        stale = bisect_left(self._times, before)
        if stale and stale >= len(self._times) // 8:
            del self._times[:stale]
            del self._values[:stale]

    def points(self, since: float, until: float) -> list[Point]:
        """Points in a span, without those in the middle of a flat stretch: a line through the rest is the same."""
        first, last = bisect_left(self._times, since), bisect_left(self._times, until + 1e-6)
        kept: list[Point] = []
        before = flat = math.nan  # the last value, and the one before it when they are the same
        for at, value in zip(self._times[first:last].tolist(), self._values[first:last].tolist(), strict=True):
            if value == flat:
                kept[-1] = (at, kept[-1][1])
                continue
            kept.append((at, _short(value) if value == value else None))
            flat = value if value == before else math.nan
            before = value
        return kept


def thin(points: list[Point], most: int) -> list[Point]:
    """At most about `most` points: of each stretch of time the lowest and the highest, and every gap.

    >>> thin([(float(n), 9.0 if n == 50 else 1.0) for n in range(100)], 4)
    [(0.0, 1.0), (50.0, 9.0), (51.0, 1.0)]
    """
    if len(points) <= most:
        return points
    size = math.ceil(2 * len(points) / max(2, most))
    kept: list[Point] = []
    for start in range(0, len(points), size):
        stretch = points[start : start + size]
        known = [(value, at) for at, value in stretch if value is not None]
        chosen = {at for at, value in stretch if value is None}
        if known:
            chosen |= {min(known)[1], max(known, key=lambda pair: (pair[0], -pair[1]))[1]}
        kept += [point for point in stretch if point[0] in chosen]
    return kept


def _short(value: float) -> float:
    """Four significant digits: more is noise, and weighs in the record.

    >>> _short(1234567.0), _short(0.000123456)
    (1235000.0, 0.0001235)
    """
    return float(f"{value:.4g}")
