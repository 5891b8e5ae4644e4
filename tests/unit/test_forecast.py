"""Forecasts, on disks and memories that were made: what is told must be so, and what is not known must be said.

`python -m tests.unit.test_forecast` prints the share of each shape that is told right.
"""

from __future__ import annotations

import math
import random
from array import array
from collections import Counter
from collections.abc import Callable
from itertools import product

import pytest

from console.checks.forecast import Forecast, filling, without_jumps
from console.checks.leak import Leak, leaking
from tests.unit.filling_shapes import CAPACITY, DAY, SHAPES, WEEK, Made, made

HOUR = 3600.0
MIB = 2**20
SEEDS = 60
_SLACK = 6  # hours, or a quarter of the time that is left


def verdict(one: Made, found: Forecast) -> str:
    """`right`: the range holds the truth and begins no earlier than half of it. `false`: an alarm without a reason."""
    if one.full is None:
        return "right" if found.earliest is None or found.earliest > 14 * DAY * HOUR else "false"
    if found.earliest is None:
        return "missed"
    truth, first = one.full, found.earliest / HOUR
    last = math.inf if found.latest is None else found.latest / HOUR
    if first < min(truth / 2, truth - 2 * _SLACK):
        return "early"
    held = first <= max(1.25 * truth, truth + _SLACK) and last >= min(truth / 1.25, truth - _SLACK)
    return "right" if held else "beside"


def table(seeds: int) -> dict[tuple[str, bool], Counter[str]]:
    found = {}
    for shape in SHAPES:
        for fills in (True, False):
            its = (made(shape, seed, fills=fills) for seed in range(seeds))
            found[shape, fills] = Counter(verdict(one, filling(one.level, CAPACITY)) for one in its)
    return found


@pytest.mark.parametrize("shape", SHAPES)
def test_five_shapes_of_disks_are_told_right_whether_they_fill_or_not(shape: str) -> None:
    for fills in (True, False):
        its = [made(shape, 1000 + seed, fills=fills) for seed in range(SEEDS)]
        found = Counter(verdict(one, filling(one.level, CAPACITY)) for one in its)
        assert found["right"] >= 0.95 * SEEDS, (shape, fills, found)
        assert found["false"] == 0


def noise(seed: int, hours: int, level: float = 60.0, spread: float = 1.0) -> list[float]:
    r = random.Random(seed)
    return [level + r.gauss(0.0, spread) for _ in range(hours)]


@pytest.mark.parametrize("hours", [48, 100, 200, 5 * WEEK])
def test_a_flat_disk_is_not_filling_however_restless(hours: int) -> None:
    for seed in range(100):
        found = filling(noise(seed, hours, spread=0.2 * (1 + seed % 10)), CAPACITY)
        assert found.earliest is None or found.earliest > 7 * DAY * HOUR, (seed, found)


def test_too_little_history_is_said_and_nothing_guessed() -> None:
    found = filling([90.0 + hour / 5 for hour in range(47)], CAPACITY)
    assert (found.short, found.earliest, found.reason) == (True, None, "too little history: 47 h")
    assert filling([], CAPACITY).reason == "too little history: 0 h"
    gone = [50.0] * 200 + [math.nan] * 5
    assert filling(gone, CAPACITY).reason == "no figure of the last 3 h"


def test_what_is_new_in_an_old_history_is_new() -> None:
    level = [math.nan] * 700 + [10.0 + 0.8 * hour for hour in range(60)]
    assert filling(level, CAPACITY).earliest is None  # in 53 h: 60 h do not see that far


def test_two_days_are_enough_for_what_comes_within_one() -> None:
    level = [60.0 + 0.8 * hour for hour in range(48)]  # 0.8 an hour: full in 3 h
    found = filling(level, CAPACITY)
    assert found.earliest is not None and found.latest is not None
    assert found.earliest <= 4 * HOUR <= found.latest + 2 * HOUR
    assert "a day, day against day" in found.reason
    slow = filling([10.0 + 0.8 * hour for hour in range(48)], CAPACITY)
    assert slow.earliest is None  # in 65 h, and two days do not see that far


GAPS: dict[str, Callable[[int, random.Random], bool]] = {
    "mornings only": lambda at, r: (at - 15) % 24 < 9,
    "three of ten hours missing": lambda at, r: r.random() < 0.7,
    "a week nobody looked": lambda at, r: not 500 <= at < 680,
}


@pytest.mark.parametrize("gaps", GAPS)
def test_gaps_hinder_it_little_and_invent_nothing(gaps: str) -> None:
    for fills in (True, False):
        told = 0
        for shape, seed in product(SHAPES, range(12)):
            r = random.Random(seed)
            level = made(shape, 9000 + seed, fills=fills).level
            seen = [value if GAPS[gaps](at, r) or at > 837 else math.nan for at, value in enumerate(level)]
            found = filling(seen, CAPACITY)
            told += found.earliest is not None and found.earliest <= 7 * DAY * HOUR
        assert told >= 0.95 * 60 if fills else told == 0, (fills, told)


def test_the_reason_is_in_words() -> None:
    leak = filling(made("leak since 36 h", 2, fills=True).level, CAPACITY, "{:.1f} GiB".format)
    assert "GiB, more than in any" in leak.reason and leak.latest is None
    grows = filling(made("linear", 2, fills=True).level, CAPACITY, "{:.1f} GiB".format)
    assert "GiB a day, week against week" in grows.reason


def test_a_jump_that_comes_again_is_no_jump() -> None:
    saw = [20.0 * (hour % WEEK) / WEEK for hour in range(5 * WEEK)]
    assert without_jumps(saw, CAPACITY) == saw
    once = [10.0] * 400 + [20.0, 30.0] + [30.0] * 100  # a file that took two hours
    assert without_jumps(once, CAPACITY) == pytest.approx([30.0] * 502)


@pytest.mark.parametrize("hours", [1, 2, 3, 5, 8])
def test_a_copy_of_some_hours_that_has_ended_is_no_slope(hours: int) -> None:
    for seed in range(20):
        copied = [9.0 * min(1.0, max(0.0, (at - 829 + hours) / hours)) for at in range(840)]
        level = [have + more for have, more in zip(noise(seed, 840, spread=0.3), copied, strict=True)]
        assert filling(level, CAPACITY).earliest is None


def test_a_disk_that_is_full_already_is_full_now() -> None:
    found = filling([60 + 0.05 * hour for hour in range(5 * WEEK)], 60 + 0.05 * (5 * WEEK - 1))
    assert found.earliest == 0.0


def test_a_level_that_never_moves_is_well() -> None:
    assert filling([5.0] * 500, 10.0).reason == "not filling"
    assert filling(array("f", [0.0] * 500), 0.0).short is False


# -- memory

_LENGTH = 5 * 7 * 144  # ten minutes
_LAST = {"leak for months": 72, "leak since its start": 72, "a fast leak": 20}


def memory(shape: str, seed: int) -> list[float]:
    """Ten minutes each, in bytes: what a service's memory does."""
    r = random.Random(f"{shape} {seed}")

    def value(at: int) -> float:
        hour, since = at / 6, at - (_LENGTH - 6 * _LAST.get(shape, 60))
        turn = (at + 10 * seed) / 6
        match shape:
            case "flat":
                return 200.0
            case "day and night":
                return 200 + 40 * math.sin(hour / 24 * 2 * math.pi + seed)
            case "a cache that fills":
                return 300.0 if since < 0 else 100 + 200 * (1 - math.exp(-since / 48))
            case "a restart each day":
                return 100 + 80 * (1 - math.exp(-(turn % 24)))
            case "leak for months":
                return 200 + max(0, since) / 6 * 2
            case "leak since its start":
                return 300.0 if since < 0 else 100 + since / 6 * 2
            case "a fast leak":
                return 300.0 if since < 0 else 100 + since / 6 * 10
            case "saw of two days":
                return 100 + turn % 50 * 4
            case "saw of ten hours":
                return 100 + turn % 10 * 15
        raise AssertionError(shape)

    return [(value(at) + r.gauss(0, 3)) * MIB for at in range(_LENGTH)]


@pytest.mark.parametrize("shape", ["flat", "day and night", "a cache that fills", "a restart each day"])
def test_memory_that_comes_and_goes_is_no_leak(shape: str) -> None:
    for seed in range(24):
        found = leaking(memory(shape, seed))
        ends = found.reaches(60 * MIB)
        assert ends is None or ends[0] > 7 * DAY * HOUR, (seed, found)


@pytest.mark.parametrize(
    ("shape", "rate", "spread"),
    [("leak for months", 2, 0.3), ("leak since its start", 2, 0.3), ("a fast leak", 10, 0.5), ("saw of two days", 4, 0.4),
     ("saw of ten hours", 15, 0.8)],
)  # fmt: skip
def test_a_leak_is_found_with_its_slope(shape: str, rate: float, spread: float) -> None:
    for seed in range(24):
        found = leaking(memory(shape, seed))
        assert found.slope is not None, (seed, found)
        assert found.slope * HOUR / MIB == pytest.approx(rate, abs=spread)
        ends = found.reaches(100 * rate * MIB)
        assert ends is not None and ends[0] <= 100 * HOUR * 1.05 and ends[1] >= 100 * HOUR * 0.95
        assert bool(found.climbs) == shape.startswith("saw")


@pytest.mark.parametrize(("shape", "rate", "hours"), [("leak since its start", 2, 9), ("a fast leak", 10, 5)])
def test_hours_in_which_nobody_looked_do_not_make_a_leak_steeper(shape: str, rate: float, hours: int) -> None:
    for seed in range(12):
        values = memory(shape, seed)
        found = leaking(values[: -6 * (6 + hours)] + [math.nan] * (6 * hours) + values[-6 * 6 :])
        assert found.slope is not None and found.slope * HOUR / MIB == pytest.approx(rate, abs=0.15 * rate)


def test_a_console_that_is_open_in_the_mornings_only_sees_no_restarts() -> None:
    for seed in range(24):
        values = memory("day and night", seed)
        assert leaking([math.nan if at % 144 < 90 else value for at, value in enumerate(values)]).slope is None


def test_a_saw_says_how_its_lives_end() -> None:
    found = leaking(memory("saw of ten hours", 4))
    assert found.climbs and 9 * HOUR <= sorted(found.climbs)[len(found.climbs) // 2] <= 11 * HOUR
    assert 240 * MIB <= found.peak <= 260 * MIB


def test_a_service_that_was_started_a_moment_ago_is_not_judged() -> None:
    values = [math.nan] * 1000 + [100.0 * MIB + at * MIB for at in range(20)]
    assert leaking(values).short
    assert leaking([]) == Leak(short=True)


if __name__ == "__main__":
    print("| shape | fills: right | otherwise | does not fill: right | false |\n|---|---|---|---|---|")
    counted = table(200)
    for name in SHAPES:
        full, calm = counted[name, True], counted[name, False]
        other = ", ".join(f"{what} {n / 2:g}" for what, n in full.items() if what != "right") or "-"
        print(f"| {name} | {full['right'] / 2:g} % | {other} | {calm['right'] / 2:g} % | {calm['false'] / 2:g} % |")
