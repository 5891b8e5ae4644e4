"""Errors and warnings per minute: exact at ordinary rates, estimated within bounds in a flood."""

from __future__ import annotations

from console.watch.logcount import EXACT, LineCounter
from console.watch.logline import LineReader


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def counter(clock: Clock, errors: list[bytes]) -> LineCounter:
    return LineCounter(LineReader(), errors.append, clock)


GOOD = b"2026-11-22 03:12:01 INFO no errors here\n"
BAD = b"2026-11-22 03:12:01 ERROR refused\n"
SLOW = b"2026-11-22 03:12:01 WARN slow\n"


def test_every_line_counts_at_ordinary_rates() -> None:
    clock = Clock()
    errors: list[bytes] = []
    one = counter(clock, errors)
    one.add(GOOD * 5 + BAD * 2 + SLOW * 3 + b"Traceback (most recent call last):\n  File x\n")
    clock.now += 1
    rate, failed, warned, estimated = one.rates()
    assert rate == 12 / 3
    assert (failed, warned, estimated) == (2.0, 3.0, False)
    assert errors == [BAD.strip()] * 2


def test_a_minute_later_nothing_is_left() -> None:
    clock = Clock()
    one = counter(clock, [])
    one.add(BAD)
    clock.now += 61
    assert one.rates() == (0.0, 0.0, 0.0, False)
    assert one.lines == 1


def test_a_flood_is_estimated_and_rare_errors_are_not_missed() -> None:
    clock = Clock()
    errors: list[bytes] = []
    one = counter(clock, errors)
    chunk = (GOOD * 499 + BAD) * 5  # 2,500 lines, 5 errors among many lines that only say the word
    for _ in range(20):
        one.add(chunk)
    _, failed, warned, estimated = one.rates()
    assert estimated
    assert 50 <= failed <= 200  # 100 in truth
    assert warned <= 20
    assert one.lines == 50_000
    assert errors


def test_a_flood_of_numeric_levels_is_estimated_too() -> None:
    clock = Clock()
    one = counter(clock, [])
    chunk = b'{"level":30,"time":1795317121123,"msg":"ok"}\n{"level":50,"time":1795317121123,"msg":"no"}\n' * 1500
    for _ in range(10):
        one.add(chunk)
    _, failed, _, estimated = one.rates()
    assert estimated
    assert 7_000 <= failed <= 23_000  # 15,000 in truth


def test_a_backlog_is_searched_for_errors_but_not_counted() -> None:
    clock = Clock()
    errors: list[bytes] = []
    one = counter(clock, errors)
    one.add(GOOD * 10 + BAD, old=True)
    assert not errors
    one.look_back()
    assert errors == [BAD.strip()]
    assert one.rates() == (0.0, 0.0, 0.0, False)


def test_the_exact_share_is_bounded() -> None:
    clock = Clock()
    one = counter(clock, [])
    one.add(BAD * EXACT)
    assert one.rates()[1:] == (float(EXACT), 0.0, False)
