"""Findings of the history: what is told of disks, memory, connections and odd figures, to whom, and how loudly."""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from console.checks import trends, unusual
from console.checks.anomaly import Episode
from console.checks.check import Finding, Status
from console.checks.diagnosis import run_all
from console.checks.judge import judge
from console.checks.looks import every
from console.checks.looks.trends import CHECKS
from console.checks.scene import Scene
from console.checks.unusual import Trends, Unusual
from console.config import DEFAULT_THRESHOLDS
from console.watch.history import Grid, Known, Series, place
from console.watch.history.series import Key, Sample
from console.watch.history.store import Writer
from tests.unit.filling_shapes import made
from tests.unit.readings_made import CONFIG, GIB, NOW, metric, readings

MIB = 2**20
TEN = int(NOW // 600)


def series(key: Key, hours: Sequence[float], limit: float | None, unit: str = "B") -> Series:
    """A series of which each hour is known, up to now."""
    tens = array("f", [value for value in hours for _ in range(6)])
    start = (TEN - len(tens) + 1) * 600.0
    return Series(key, unit, limit, Grid(0.0, 60.0, array("f")), Grid(start, 600.0, tens))


def known(*some: Series) -> Known:
    return Known({one.key: one for one in some}, NOW)


def disk(shape: str, seed: int, name: str = "free", *, fills: bool = True, unit: float = GIB) -> Series:
    level = made(shape, seed, fills=fills).level
    return series(("disk", "/srv", name), [(100.0 - value) * unit for value in level], 100.0 * unit)


def test_a_disk_that_fills_says_when_why_and_how_much_to_free() -> None:
    (found,) = trends.forecasts(known(disk("linear", 4)), NOW, DEFAULT_THRESHOLDS)
    assert (found.check, found.group, found.status, found.subject) == ("trends.disk", "quick", Status.WARN, "/srv")
    assert found.summary.startswith("disk /srv is full in ") and "% used" in found.summary
    assert "GiB of 100 GiB left" in found.evidence[0]
    assert "GiB a day, week against week" in found.evidence[1]
    assert found.evidence[2] == "from 35 d of history"
    (fix,) = found.suggestions
    assert fix.title.startswith("free ") and "GiB on /srv before" in fix.title and fix.action == "none"


def test_inodes_are_told_in_their_own_words() -> None:
    (found,) = trends.forecasts(known(disk("linear", 4, "inodes free", unit=10_000.0)), NOW, DEFAULT_THRESHOLDS)
    assert (found.check, found.group) == ("trends.inodes", "quick")
    assert "has no inode left in" in found.summary and "inodes a day" in found.evidence[1]
    assert "du --inodes" in found.suggestions[0].why


def test_a_leak_of_a_disk_is_told_by_the_faster_slope() -> None:
    (found,) = trends.forecasts(known(disk("leak since 36 h", 4)), NOW, DEFAULT_THRESHOLDS)
    assert "if it goes on like that" in found.summary and "more than in any" in found.evidence[1]


def test_a_disk_fails_only_when_both_slopes_end_within_two_hours_and_half_is_used() -> None:
    def of(left: float, slope: float, used: float) -> list[Finding]:
        free = [left + slope * hour for hour in range(5 * 168)][::-1]
        limit = free[-1] / (1 - used) * GIB
        return list(
            trends.forecasts(
                known(series(("disk", "/", "free"), [f * GIB for f in free], limit)), NOW, DEFAULT_THRESHOLDS
            )
        )

    assert [f.status for f in of(0.5, 0.5, 0.999)] == [Status.FAIL]  # in an hour
    assert [f.status for f in of(4.0, 0.5, 0.99)] == [Status.WARN]  # in eight


@pytest.mark.parametrize("shape", ["linear", "daily cycle", "weekly clean-up", "one big file", "leak since 36 h"])
def test_a_disk_that_does_not_fill_is_cleared_in_words(shape: str) -> None:
    one = known(disk(shape, 5, fills=False))
    assert trends.forecasts(one, NOW, DEFAULT_THRESHOLDS) == ()
    assert trends.disks(one, NOW).cleared == ("disk /srv: not filling",)


def test_too_little_history_is_said() -> None:
    one = series(("disk", "/srv", "free"), [(50 - hour) * GIB for hour in range(20)], 100.0 * GIB)
    assert trends.disks(known(one), NOW) == trends.Told((), ("no forecast of disk /srv: too little history: 20 h",))


def test_a_disk_that_is_full_is_left_to_the_reading() -> None:
    free = [max(0.0, 50.0 - 0.5 * hour) * GIB for hour in range(500)]
    assert trends.disks(known(series(("disk", "/", "free"), free, 100.0 * GIB)), NOW).findings == ()


def test_what_nobody_fills_any_more_says_nothing() -> None:
    assert trends.forecasts(known(disk("linear", 4)), NOW + 3600, DEFAULT_THRESHOLDS) == ()


def test_a_leak_names_the_service_the_limit_and_the_hour() -> None:
    hours = [100.0 * MIB + hour * 4 * MIB for hour in range(80)]
    (found,) = trends.forecasts(
        known(series(("service", "app", "memory"), hours, 600.0 * MIB)), NOW, DEFAULT_THRESHOLDS
    )
    assert (found.check, found.group, found.status) == ("trends.memory", "performance", Status.WARN)
    assert found.summary.startswith("memory of app grows 4 MiB an hour: it meets its limit of 600 MiB in ")
    (fix,) = found.suggestions
    assert fix.action == "recover:1:app" and "restart app (level 1) at a quiet hour before" in fix.title


def test_without_a_limit_the_memory_of_the_host_is_the_end() -> None:
    hours = [100.0 * MIB + hour * 40 * MIB for hour in range(80)]
    host = series(("host", "", "memory"), [4.0 * GIB] * 80, 8.0 * GIB)
    (found,) = trends.forecasts(known(series(("service", "app", "memory"), hours, None), host), NOW, DEFAULT_THRESHOLDS)
    assert "it meets all memory of the host in" in found.summary
    calm = trends.memory(known(series(("service", "app", "memory"), [9.0 * MIB] * 80, None), host), NOW)
    assert calm.cleared == ("no service leaks memory (1 looked at)",)


def test_a_saw_of_restarts_says_how_often_it_was_so() -> None:
    hours = [100.0 * MIB + hour % 30 * 10 * MIB for hour in range(30 * 8 + 9)]
    (found,) = trends.forecasts(
        known(series(("service", "app", "memory"), hours, 420.0 * MIB)), NOW, DEFAULT_THRESHOLDS
    )
    assert "8 times before it grew for about" in found.evidence[1]


def test_connections_that_pile_up() -> None:
    used = [20.0 + hour / 12 for hour in range(5 * 168)]
    one = series(("database", "db", "connections"), used, used[-1] + 8)
    (found,) = trends.forecasts(known(one), NOW, DEFAULT_THRESHOLDS)
    assert (found.check, found.group) == ("trends.connections", "performance")
    assert found.summary.startswith("connections of db run out in 4 d: 90 of 98 are used")
    assert trends.connections(known(series(one.key, [5.0] * 99, 97.0)), NOW).cleared == (
        "connections of db: not filling",
    )


# -- judged with everything else


def test_in_the_judgement_they_are_causes_below_what_fails_now() -> None:
    hours = [100.0 * MIB + hour * 4 * MIB for hour in range(80)]
    found = trends.forecasts(
        known(disk("linear", 4), series(("service", "app", "memory"), hours, 600.0 * MIB)), NOW, DEFAULT_THRESHOLDS
    )
    told = judge(readings(), CONFIG, NOW, found)
    assert {f.check for f in told} == {"trends.disk", "trends.memory"}
    assert all(f.status is Status.WARN and not f.cause for f in told)
    assert {s.action for f in told for s in f.suggestions} == {"none", "recover:1:app"}


def test_what_is_wrong_now_stands_before_what_will_be() -> None:
    slow = metric("queue", "warn", limit="> 20")
    told = judge(
        readings(metrics=(slow,)), CONFIG, NOW, trends.forecasts(known(disk("linear", 4)), NOW, DEFAULT_THRESHOLDS)
    )
    assert [f.check for f in told] == ["metrics.limit", "trends.disk"]


def test_a_healthy_stack_with_a_quiet_history_has_no_finding() -> None:
    flat = known(
        disk("daily cycle", 3, fills=False),
        series(("service", "app", "memory"), [80.0 * MIB] * 840, 256.0 * MIB),
        series(("host", "", "memory"), [3.0 * GIB] * 840, 8.0 * GIB),
        series(("database", "db", "connections"), [12.0] * 840, 97.0),
    )
    assert judge(readings(), CONFIG, NOW, trends.forecasts(flat, NOW, DEFAULT_THRESHOLDS)) == []


# -- read from the disk by a diagnosis


def written(data_dir: Path, figures: dict[Key, Callable[[int], Sample]], minutes: int) -> None:
    writer = Writer.begin(place(data_dir))
    assert writer is not None
    last = int(NOW // 60)
    for minute in range(last - minutes + 1, last + 1):
        writer.write(minute, [make(minute - last) for make in figures.values()])
    writer.close()


async def looked(data_dir: Path | None) -> Any:
    scene = Scene(CONFIG, data_dir=data_dir)
    scene.now = NOW
    try:
        return await run_all(scene, CHECKS)
    finally:
        await scene.close()


async def test_a_diagnosis_reads_the_ring_and_writes_nothing(tmp_path: Path) -> None:
    def free(ago: int) -> Sample:
        return Sample(("disk", "/srv", "free"), (10 - 0.5 * ago / 60) * GIB, "B", 1000.0 * GIB)

    written(tmp_path, {("disk", "/srv", "free"): free}, 60 * 60)
    before = {path.name: path.stat().st_mtime_ns for path in place(tmp_path).iterdir()}
    diagnosis = await looked(tmp_path)
    (found,) = diagnosis.findings
    assert found.check == "trends.disk" and "day against day" in found.evidence[1]
    assert {path.name: path.stat().st_mtime_ns for path in place(tmp_path).iterdir()} == before


async def test_a_diagnosis_without_a_history_says_nothing_and_makes_none(tmp_path: Path) -> None:
    for data_dir in (None, tmp_path):
        diagnosis = await looked(data_dir)
        assert (diagnosis.findings, diagnosis.cleared) == ([], [])
    assert not place(tmp_path).exists()


async def test_too_little_history_is_among_what_was_cleared(tmp_path: Path) -> None:
    written(tmp_path, {("disk", "/", "free"): lambda ago: Sample(("disk", "/", "free"), 9e9, "B", 1e11)}, 90)
    assert "no forecast of disk /: too little history: 1 h" in (await looked(tmp_path)).cleared


def test_the_checks_are_among_all() -> None:
    assert {"quick.trends", "performance.trends"} <= {check.name for check in every()}


# -- odd figures


def queue(ago: int) -> float:
    r = random.Random(ago)
    return 20 + 5 * math.sin(ago / 1440 * 2 * math.pi) + r.gauss(0, 1)


def minutes(key: Key, first: int, values: Sequence[float]) -> Series:
    grid = Grid(first * 60.0, 60.0, array("f", values))
    return Series(key, "messages", None, grid, grid.coarser(10))


KEY: Key = ("metric", "waiting", "value")


class Told:
    """A history that grows by the minute, as a keeper tells it."""

    def __init__(self, length: int) -> None:
        self.values = [queue(at) for at in range(length)]
        self.first = int(NOW // 60) - length + 1
        self.asked: list[float] = []

    @property
    def now(self) -> float:
        return (self.first + len(self.values) - 1) * 60.0

    def recall(self, seconds: float) -> Known:
        self.asked.append(seconds)
        skip = max(0, len(self.values) - int(min(seconds, 2880 * 60) // 60))
        return Known({KEY: minutes(KEY, self.first + skip, self.values[skip:])}, self.now)


def test_a_metric_unlike_its_past_is_told_by_the_writer_and_read_by_others(tmp_path: Path) -> None:
    place(tmp_path).mkdir()
    history = Told(2800)
    writer = Trends(tmp_path, clock=lambda: history.now)
    reader = Trends(tmp_path, clock=lambda: history.now)
    assert writer(history.recall, True) == ()
    for _ in range(3):
        history.values.append(90.0)
        found = writer(history.recall, True)
    (one,) = found
    assert (one.check, one.group, one.status, one.subject) == (
        "trends.anomaly",
        "performance",
        Status.WARN,
        "waiting",
    )
    assert "waiting was 90 messages at" in one.summary and "usually 1" in one.summary
    assert reader(history.recall, False) == found
    assert history.asked.count(1e9) == 2  # each looks at all of it once, and then at the last minutes
    begun = one.since
    for _ in range(30):
        history.values.append(90.0)
        found = writer(history.recall, True)
    assert [f.since for f in found] == [begun]  # one alarm, however long it lasts
    for _ in range(40):
        history.values.append(90.0)
        found = writer(history.recall, True)
    assert found == () == reader(history.recall, False)  # after an hour it is no news


def test_who_takes_over_knows_what_the_one_before_knew(tmp_path: Path) -> None:
    place(tmp_path).mkdir()
    history = Told(2700)
    next_one = Trends(tmp_path, clock=lambda: history.now)
    next_one(history.recall, False)
    history.values += [90.0] * 4
    (found,) = next_one(history.recall, True)
    assert found.check == "trends.anomaly"


def test_a_new_writer_knows_what_the_one_before_knew(tmp_path: Path) -> None:
    place(tmp_path).mkdir()
    history = Told(2700)
    history.values += [90.0] * 4
    (found,) = Trends(tmp_path, clock=lambda: history.now)(history.recall, True)
    assert found.check == "trends.anomaly"


def test_a_file_that_nobody_renews_says_nothing_and_damage_neither(tmp_path: Path) -> None:
    file = tmp_path / unusual.FILE
    one = Unusual(KEY, "s", Episode(NOW - 60, 9.0, 1.0, 2.0, 3.0))
    unusual.write(file, (one,), NOW)
    assert unusual.read(file, NOW + 60) == (one,)
    assert unusual.read(file, NOW + 600) == ()
    for damage in (b"", b"{", b"[]", b'{"version":1,"at":0,"episodes":[[1]]}', b"\xff" * 40):
        file.write_bytes(damage)
        assert unusual.read(file, 0.0) == ()


def test_a_clock_that_steps_back_does_not_silence_it(tmp_path: Path) -> None:
    place(tmp_path).mkdir()
    history = Told(2800)
    watching = Trends(tmp_path, clock=lambda: history.now)
    watching(history.recall, True)
    history.first -= 10_000
    watching(history.recall, True)
    for _ in range(3):
        history.values.append(90.0)
        found = watching(history.recall, True)
    assert [one.check for one in found] == ["trends.anomaly"]
