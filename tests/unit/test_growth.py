"""What grew in a day against what is usual, and deadlocks: when it is told, in which words, and when not."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Sequence
from math import nan
from pathlib import Path

import pytest

from console.checks import growth, trends
from console.checks.check import Status
from console.checks.diagnosis import run_all
from console.checks.looks.trends import CHECKS
from console.checks.scene import Scene
from console.config import DEFAULT_THRESHOLDS, Config, Limits
from console.errors import SourceError
from console.watch.history import Grid, Known, Series
from console.watch.history.docker_room import ask, logs, mount_of, sizes
from tests.unit.readings_made import GIB, NOW
from tests.unit.test_trends import known, series

LOCKS = ("database", "db", "deadlocks")
VOLUMES = ("docker", "/", "volumes")
SIZE = ("database", "db", "size")
DAY = 24


def level(*days: float, start: float = 10.0) -> list[float]:
    """Bytes at each hour: it grows by so many GiB in each of the days, evenly."""
    found = [start * GIB]
    for day in days:
        found += [found[-1] + day * GIB * hour / DAY for hour in range(1, DAY + 1)]
    return found


@pytest.mark.parametrize(
    ("days", "told"),
    [
        ((0.1, 0.1, 0.1, 0.1, 4.0), True),
        ((0.0, 0.0, 0.0, 0.0, 4.0), True),
        ((-0.5, 0.1, -0.2, 0.1, 4.0), True),
        ((2.0, 2.0, 2.0, 2.0, 4.0), False),  # it always grows: what that means is for the forecast of the disk
        ((0.1, 0.1, 0.1, 0.1, 0.9), False),  # too little to speak of
        ((0.1, 4.0), False),  # nobody knows what is usual
        ((0.1, 0.1, 0.1, 4.0, 0.1), False),  # it is over
    ],
)
def test_a_day_is_told_when_it_is_unlike_the_days_before(days: Sequence[float], told: bool) -> None:
    found = growth.rooms(known(series(VOLUMES, level(*days), None)))
    assert bool(found) == told


def test_small_against_what_there_is_is_no_news() -> None:
    assert growth.rooms(known(series(VOLUMES, level(0.1, 0.1, 0.1, 0.1, 4.0, start=500.0), None))) == ()


def test_the_finding_says_what_how_much_and_where_to_look() -> None:
    (found,) = growth.rooms(known(series(VOLUMES, level(0.1, 0.1, 0.1, 0.1, 4.0), None)))
    assert (found.check, found.group, found.status) == ("trends.growth", "quick", Status.WARN)
    assert found.summary == "Docker's volumes: 4.0 GiB more than a day ago, 14 GiB in all"
    assert found.evidence == ("usually 102 MiB a day",)
    assert "docker system df -v" in found.suggestions[0].title
    (found,) = growth.databases(known(series(SIZE, level(0.1, 0.1, 0.1, 0.1, 4.0), None)))
    assert found.group == "database" and found.summary.startswith("the data of db: 4.0 GiB more")


def test_it_is_among_what_the_console_finds_by_itself_and_what_a_diagnosis_asks_for(tmp_path: Path) -> None:
    restless = Series(LOCKS, "", None, Grid(NOW - 7140, 60.0, array("f", [*[7.0] * 60, *range(8, 68)])))
    some = known(series(VOLUMES, level(0, 0, 0, 0, 4.0), None), series(SIZE, level(0, 0, 0, 0, 4.0), None), restless)
    keys = ["trends.growth:/", "trends.growth:db", "database.deadlocks:db"]
    assert [f.key for f in trends.forecasts(some, NOW, DEFAULT_THRESHOLDS)] == keys
    assert [f.key for f in trends.forecasts(some, NOW, {"deadlocks": Limits(1000.0)})] == keys[:2]

    async def ask() -> list[str]:
        scene = Scene(Config(), data_dir=tmp_path)
        scene.now = NOW

        async def told() -> Known:
            return some

        await scene.once("trends", told)
        try:
            return [f.key for result in (await run_all(scene, CHECKS)).results for f in result.findings]
        finally:
            await scene.close()

    assert sorted(asyncio.run(ask())) == sorted(keys)


def test_gaps_are_survived_and_old_figures_say_nothing() -> None:
    hours = level(0.1, 0.1, 0.1, 0.1, 4.0)
    holes = [nan if 30 <= at < 40 or at in (len(hours) - 2, len(hours) - 26) else v for at, v in enumerate(hours)]
    assert growth.rooms(known(series(VOLUMES, holes, None)))
    assert growth.rooms(known(series(VOLUMES, [*hours, *[nan] * 5], None))) == ()


def test_a_disk_that_fills_says_what_docker_took_of_it() -> None:
    free = [(60.0 - 0.2 * hour) * GIB for hour in range(250)]
    grows = [hour * 0.15 * GIB for hour in range(250)]
    little = [hour * 0.01 * GIB for hour in range(250)]
    elsewhere = series(("docker", "/other", "images"), grows, None)
    some = (
        series(("disk", "/", "free"), free, 100.0 * GIB),
        series(VOLUMES, grows, None),
        series(("docker", "/", "logs"), little, None),
        elsewhere,
    )
    (found,) = trends.disks(known(*some), NOW).findings
    assert found.evidence[1] == "Docker took in the last day: volumes 3.6 GiB, logs 246 MiB"


def deadlocks(counts: Sequence[float], limits: Limits = DEFAULT_THRESHOLDS["deadlocks"]) -> list[str]:
    minutes = Grid(NOW - (len(counts) - 1) * 60.0, 60.0, array("f", counts))
    one = Series(LOCKS, "", None, minutes)
    return [f.summary for f in growth.deadlocks(Known({one.key: one}, NOW), NOW, {"deadlocks": limits})]


def test_deadlocks_are_told_when_they_rise() -> None:
    quiet = [7.0] * 600
    assert deadlocks(quiet) == []
    assert deadlocks([*quiet, *[7.0 + at // 5 for at in range(60)]]) == ["11 deadlocks in db within the last hour"]
    assert deadlocks([*quiet, 8.0, 9.0, 9.0]) == []  # two are no news
    assert deadlocks([at // 6 for at in range(700)]) == []  # ten an hour as ever
    assert deadlocks([*quiet, *[0.0] * 30]) == []  # its figures were reset
    assert deadlocks([*quiet, 30.0, *[30.0] * 100]) == []  # over, an hour ago
    assert deadlocks([*quiet, 30.0], Limits()) == []


def test_what_the_engine_answers_is_summed_up_by_kind() -> None:
    told = {
        "LayersSize": 900,
        "Volumes": [{"UsageData": {"Size": 70, "RefCount": 1}}, {"UsageData": {"Size": -1}}, {"UsageData": None}, {}],
        "Containers": [{"SizeRw": 5}, {"Id": "x"}],
        "BuildCache": None,
    }
    assert sizes(told) == {"images": 900, "volumes": 70, "containers": 5, "build cache": 0}


class Garbage:
    local = False

    def pin(self) -> None: ...

    def get(self, path: str, deadline: float = 0.0) -> object:
        return {"Volumes": [3]}


def test_an_answer_that_is_none_is_a_gap() -> None:
    with pytest.raises(SourceError):
        ask(Garbage())  # type: ignore[arg-type]


def test_logs_are_summed_up_with_what_was_rotated(tmp_path: Path) -> None:
    for name, length in (("a/a-json.log", 10_000), ("a/a-json.log.1", 20_000), ("b/b-json.log", 30_000), ("b/x", 9)):
        path = tmp_path / "containers" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * length)
    assert 60_000 <= logs(tmp_path) <= 60_000 + 3 * 8192
    with pytest.raises(OSError):
        logs(tmp_path / "nowhere")
    assert mount_of(tmp_path / "deep" / "down").is_mount()
