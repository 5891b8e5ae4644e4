"""Disks that were made: five ordinary shapes with noise, half of which fill up within days and half of which do not.

Each is made together with its own future, so that the moment at which it is full is known and not computed.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

DAY, WEEK = 24, 168
PAST, FUTURE = 5 * WEEK, 6 * WEEK  # hours
CAPACITY = 100.0


@dataclass(frozen=True, slots=True)
class Made:
    """`level`: one value an hour. `full`: hours until the capacity is reached; None: not within six weeks."""

    shape: str
    level: list[float]
    full: float | None


def linear(at: int, slope: float) -> float:
    return slope * at


def daily(at: int, slope: float) -> float:
    return slope * at + 4.0 * math.sin(2 * math.pi * at / DAY)


def weekly(at: int, slope: float) -> float:
    """Rises by 20 in a week, and is cleaned up at its end."""
    return slope * at + 20.0 * (at % WEEK) / WEEK


def big_file(at: int, slope: float) -> float:
    return slope * at + (15.0 if at >= PAST - 30 else 0.0)


def leak(at: int, slope: float) -> float:
    """Flat, and rising since 36 hours."""
    return slope * max(0, at - (PAST - 36))


SHAPES: dict[str, Callable[[int, float], float]] = {
    "linear": linear,
    "daily cycle": daily,
    "weekly clean-up": weekly,
    "one big file": big_file,
    "leak since 36 h": leak,
}


def made(shape: str, seed: int, *, fills: bool) -> Made:
    """A disk of this shape. One that fills is full in 1 to 7 days; the phase of day and week is that of `seed`."""
    r = random.Random(f"{shape} {seed} {fills}")
    while True:
        one = _drawn(shape, r, fills)
        if max(one.level) < CAPACITY:  # noise took it past the top: no disk shows that
            return one


def _drawn(shape: str, r: random.Random, fills: bool) -> Made:
    way = SHAPES[shape]
    shift = r.randrange(WEEK) if shape == "weekly clean-up" else r.randrange(DAY) if shape == "daily cycle" else 0
    fast = shape == "leak since 36 h"
    slope = (r.uniform(0.15, 0.4) if fast else r.uniform(0.04, 0.12)) if fills else 0.0  # 1 to 3 a day, 4 to 10
    clean = [way(at + shift, slope) for at in range(PAST + FUTURE)]
    wanted = r.uniform(1.0, 7.0) * DAY
    top = clean[PAST + int(wanted)] if fills else max(clean) + r.uniform(10.0, 40.0)
    base = CAPACITY - top
    full = next((float(ahead) for ahead in range(1, FUTURE) if base + clean[PAST - 1 + ahead] >= CAPACITY), None)
    level = [base + value + r.gauss(0.0, 0.3) for value in clean[:PAST]]
    return Made(shape, level, full)
