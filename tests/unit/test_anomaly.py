"""Anomalies on figures that were made: what is news is told once, what is restless by nature never."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from console.checks.anomaly import FIRST, Detector, Episode, _Sorted

DAY, WEEK = 1440, 10080  # minutes
Figure = Callable[[int, random.Random], float | None]


def season(at: int, r: random.Random) -> float:
    return 100 + 40 * math.sin(at / DAY * 2 * math.pi) + r.gauss(0, 3)


def alarms(figure: Figure, seed: int = 1, minutes: int = 2 * WEEK) -> list[tuple[int, Episode]]:
    """(minute, episode) of each alarm."""
    r, detector, found = random.Random(seed), Detector(), []
    for at in range(minutes):
        value = figure(at, r)
        if value is not None and (begun := detector.add(at * 60.0, value)) is not None:
            found.append((at, begun))
    return found


RESTLESS: dict[str, Figure] = {
    "even": lambda at, r: r.gauss(100, 5),
    "waiting times": lambda at, r: r.expovariate(1 / 20),
    "latencies": lambda at, r: r.lognormvariate(3, 0.5),
    "counts": lambda at, r: float(sum(r.random() < 0.02 for _ in range(50))),
    "day and night": season,
    "slow drift": lambda at, r: 100 + at * 0.005 + r.gauss(0, 3),
    "always the same": lambda at, r: 4.0,
    "always nothing": lambda at, r: 0.0,
}


@pytest.mark.parametrize("name", RESTLESS)
def test_what_is_restless_by_nature_gives_less_than_one_alarm_a_week(name: str) -> None:
    found = [len(alarms(RESTLESS[name], seed)) for seed in range(3)]
    assert sum(found) <= 3 * 2 * 0.34, found  # of six weeks: one false alarm in three


def quiet(at: int, r: random.Random) -> float:
    return r.gauss(100, 3)


EVENTS: dict[str, Figure] = {
    "a step": lambda at, r: quiet(at, r) + (40 if at >= WEEK else 0),
    "a spike": lambda at, r: quiet(at, r) + (60 if WEEK <= at < WEEK + 5 else 0),
    "a spike in a season": lambda at, r: season(at, r) + (80 if WEEK <= at < WEEK + 5 else 0),
    "it stops": lambda at, r: 4.0 if at < WEEK else 0.0,
}


@pytest.mark.parametrize("name", EVENTS)
def test_what_is_news_is_told_once_and_at_once(name: str) -> None:
    for seed in range(3):
        found = alarms(EVENTS[name], seed)
        assert len(found) == 1, (seed, found)
        at, episode = found[0]
        assert WEEK <= at <= WEEK + 2
        assert episode.since == at * 60.0
        assert not episode.low <= episode.value <= episode.high


def test_a_single_odd_minute_is_no_news() -> None:
    assert alarms(lambda at, r: quiet(at, r) + (60 if at == WEEK else 0)) == []


def test_nothing_is_said_before_a_day_is_known() -> None:
    early: Figure = lambda at, r: quiet(at, r) + (60 if FIRST - 20 <= at < FIRST - 10 else 0)  # noqa: E731
    assert alarms(early, minutes=DAY + 600) == []


def test_a_gap_is_no_news() -> None:
    assert alarms(lambda at, r: None if 3 * DAY < at < 5 * DAY else season(at, r)) == []


def test_an_episode_lasts_until_it_is_calm_again() -> None:
    r, detector = random.Random(4), Detector()
    for at in range(3 * DAY):
        detector.add(at * 60.0, quiet(at, r))
    for at in range(3 * DAY, 3 * DAY + 4):
        detector.add(at * 60.0, 180.0)
    assert detector.episode is not None
    for at in range(3 * DAY + 4, 3 * DAY + 40):
        detector.add(at * 60.0, quiet(at, r))
    assert detector.episode is None
    assert detector.alarms == 1


def test_what_long_gone_days_had_at_this_hour_counts() -> None:
    """Two days as a light job makes each night: known from the means of weeks, it is no news."""

    def night(at: int) -> float:
        return 300.0 if at % DAY // 60 == 3 else 100.0

    r = random.Random(2)

    def told(weeks: int) -> int:
        detector = Detector()
        for ten in range(-weeks * WEEK // 10, 0):
            detector.remember(ten * 600.0, night(ten * 10) + r.gauss(0, 1))
        for at in range(2 * DAY):
            detector.add(at * 60.0, night(at) + r.gauss(0, 3))
        return detector.alarms

    assert told(3) == 0


def test_the_median_distance_is_that_of_a_plain_sort() -> None:
    r = random.Random(3)
    for count in [*range(2, 40), 999, 1000]:
        kept = _Sorted(2000)
        values = [r.choice([r.gauss(0, 1), float(r.randrange(3))]) for _ in range(count)]
        for value in values:
            kept.add(value)
        middle = kept.at(0.5)
        assert kept.deviation(middle) == pytest.approx(sorted(abs(v - middle) for v in values)[count // 2 - 1])


def test_only_the_last_values_are_kept() -> None:
    kept = _Sorted(3)
    for value in (5.0, 1.0, 4.0, 2.0, 4.0):
        kept.add(value)
    assert kept.ordered == [2.0, 4.0, 4.0]
