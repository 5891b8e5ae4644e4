"""The history on disk: what is kept, for how long, by whom, and what is left of it after everything that can happen."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import signal
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from console.actions.monitor.filling import Filling
from console.config import Config
from console.watch.history import Keeper, Known, load, place
from console.watch.history.gather import samples
from console.watch.history.ring import COLUMNS, SIZE, SLOTS, Ring
from console.watch.history.series import Key, Sample
from console.watch.history.store import Writer
from console.watch.metrics import MetricsReading
from console.watch.probes import ProbesReading
from console.watch.readings import Readings
from console.watch.source import Reading
from tests.unit.readings_made import GIB, NOW, broken, container, disk, fresh, host, metric, probe, readings

MINUTE = int(NOW // 60)
KEY: Key = ("metric", "queue", "value")


def sample(value: float, key: Key = KEY, limit: float | None = None) -> Sample:
    return Sample(key, value, "", limit)


def begin(directory: Path) -> Writer:
    writer = Writer.begin(directory)
    assert writer is not None
    return writer


def minutes(known: Known, key: Key = KEY) -> dict[int, float]:
    return {int(at // 60): value for at, value in known.series[key].minutes.known}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return place(tmp_path)


# -- what is written is read back


def test_minutes_and_the_means_of_ten_of_them_come_back(directory: Path) -> None:
    writer = begin(directory)
    first = MINUTE - MINUTE % 10
    for offset in (0, 1, 2, 5):
        writer.write(first + offset, [sample(float(offset)), sample(7.0, ("host", "", "load"), 9.0)])
    known = load(directory, (first + 6) * 60.0)
    assert minutes(known) == {first: 0.0, first + 1: 1.0, first + 2: 2.0, first + 5: 5.0}
    assert known.series[KEY].tens.known == [(first * 60.0, 2.0)]
    assert known.series["host", "", "load"].limit == 9.0
    assert known.newest == (first + 5) * 60.0
    assert minutes(load(directory, (first + 6) * 60.0, 130.0)).keys() == {first + 5}
    writer.close()


def test_it_never_grows_and_the_oldest_is_overwritten(directory: Path) -> None:
    writer = begin(directory)
    last = MINUTE + SLOTS[0] + 500
    for minute in range(MINUTE, last + 1):
        writer.write(minute, [sample(float(minute - MINUTE))])
    known = load(directory, last * 60.0)
    kept = minutes(known)
    assert (min(kept), max(kept), len(kept)) == (last - SLOTS[0] + 1, last, SLOTS[0])
    tens = known.series[KEY].tens.known
    assert tens[0] == (MINUTE // 10 * 600.0, (9 - MINUTE % 10) / 2)
    assert (directory / "ring").stat().st_size == SIZE
    assert sum(path.stat().st_size for path in directory.iterdir()) < SIZE + 4096
    writer.close()


def test_where_nothing_is_kept_nothing_is_known_and_nothing_is_made(directory: Path) -> None:
    assert load(directory, NOW) == Known()
    assert not directory.exists()


# -- crashes and damage

_PROGRAM = """
import sys
from pathlib import Path
from console.watch.history.store import Writer
from console.watch.history.series import Sample
writer, minute = Writer.begin(Path(sys.argv[1])), int(sys.argv[2])
while True:
    writer.write(minute, [Sample(("metric", name, "value"), float(minute), "") for name in ("a", "b")])
    print(minute, flush=True)
    minute += 1
"""


def test_a_kill_at_any_moment_loses_no_minute_that_was_written(directory: Path) -> None:
    r, minute = random.Random(7), MINUTE
    for _ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(directory), str(minute)], stdout=PIPE, text=True
        )
        assert process.stdout is not None
        with process:
            for _ in range(r.randrange(1, 150)):
                process.stdout.readline()
            process.send_signal(signal.SIGKILL)
            said = process.stdout.read().split()
        done = int(said[-1]) if said else minute
        known = load(directory, (done + 1) * 60.0)
        assert minutes(known, ("metric", "a", "value"))[done] == pytest.approx(done, abs=4)  # as a 32-bit float
        assert minutes(known, ("metric", "a", "value")).keys() >= set(range(max(minute, done - 2000), done + 1))
        minute = done + 2  # its lock went with it: the next one writes at once
    writer = begin(directory)
    assert writer.note == ""
    writer.close()


def test_a_torn_slot_is_a_gap_and_no_more(directory: Path) -> None:
    writer = begin(directory)
    for offset in range(5):
        writer.write(MINUTE + offset, [sample(float(offset))])
    writer.close()
    whole = (directory / "ring").read_bytes()
    at = whole.index((MINUTE + 2).to_bytes(8, "little"))
    (directory / "ring").write_bytes(whole[: at + 13] + b"\xff\xff\xff" + whole[at + 16 :])
    assert minutes(load(directory, (MINUTE + 5) * 60.0)).keys() == {MINUTE, MINUTE + 1, MINUTE + 3, MINUTE + 4}


@pytest.mark.parametrize("harm", ["head", "short", "empty", "columns", "no columns", "no ring"])
def test_a_damaged_file_counts_as_empty_and_is_put_aside_with_a_word(directory: Path, harm: str) -> None:
    for _ in range(2):  # a second time: what was put aside before makes room
        writer = begin(directory)
        writer.write(MINUTE, [sample(1.0)])
        writer.close()
        ring, listed = directory / "ring", directory / "series.json"
        match harm:
            case "head":
                ring.write_bytes(b"X" + ring.read_bytes()[1:])
            case "short":
                os.truncate(ring, SIZE // 2)
            case "empty":
                ring.write_bytes(b"")
            case "columns":
                listed.write_text('{"version":1,"generation":0,"columns":[[1]]}')
            case "no columns":
                listed.unlink()
            case "no ring":
                ring.unlink()
        assert load(directory, NOW) == Known()
        writer = begin(directory)
        assert "it begins anew" in writer.note
        writer.write(MINUTE + 1, [sample(2.0)])
        assert minutes(load(directory, NOW + 120)) == {MINUTE + 1: 2.0}
        writer.close()
        assert 1 <= len(list(directory.glob("*.damaged"))) <= 2
        assert sum(path.stat().st_size for path in directory.iterdir()) < 2 * SIZE + 8192


def test_noise_in_place_of_a_history_never_breaks_a_reader(directory: Path) -> None:
    writer = begin(directory)
    writer.write(MINUTE, [sample(1.0)])
    writer.close()
    r, whole = random.Random(5), bytearray((directory / "ring").read_bytes())
    for _ in range(20_000):
        whole[r.randrange(4096, SIZE)] = r.randrange(256)
    (directory / "ring").write_bytes(whole)
    found = load(directory, NOW + 60).series.get(KEY)
    assert found is not None and len(found.minutes.known) <= 1


# -- several processes


def test_of_two_writers_one_writes_and_the_other_reads(directory: Path) -> None:
    first = begin(directory)
    assert Writer.begin(directory) is None
    first.write(MINUTE, [sample(5.0)])
    assert minutes(load(directory, NOW + 60)) == {MINUTE: 5.0}
    first.close()
    second = begin(directory)
    second.write(MINUTE + 1, [sample(6.0)])
    assert minutes(load(directory, NOW + 120)) == {MINUTE: 5.0, MINUTE + 1: 6.0}
    second.close()


_RESTLESS = """
import sys
from pathlib import Path
from console.watch.history.store import Writer
from console.watch.history.series import Sample
writer = Writer.begin(Path(sys.argv[1]))
print("writes" if writer else "refused", flush=True)
minute = int(sys.argv[2])
while writer and sys.stdin.readline():  # an hour for each line
    # Half of the series are others after each hour, so that columns change hands all the time.
    for minute in range(minute, minute + 60):
        names = range(minute // 70 % 3 * 100, minute // 70 % 3 * 100 + 150)
        writer.write(minute, [Sample(("g", str(name), "v"), float(name), "") for name in names])
    minute += 1
    print("written", flush=True)
"""


def test_three_processes_at_once_and_a_reader_never_sees_a_value_under_another_name(directory: Path) -> None:
    directory.parent.mkdir(exist_ok=True)
    words = [sys.executable, "-c", _RESTLESS, str(directory), str(MINUTE)]
    processes = [subprocess.Popen(words, stdin=PIPE, stdout=PIPE, text=True) for _ in range(3)]
    try:
        said = [process.stdout.readline().strip() for process in processes if process.stdout]
        writer = processes[said.index("writes")]
        assert writer.stdin and writer.stdout
        read = wrong = 0
        for turn in range(60):  # the writer is between two hours ahead and none, on any machine
            writer.stdin.write("\n" * (3 if turn == 0 else 1))
            writer.stdin.flush()
            assert writer.stdout.readline() == "written\n"
            known = load(directory, (MINUTE + (turn + 3) * 60) * 60.0, 3 * 3600.0)
            for key, one in known.series.items():
                values = [value for grid in (one.minutes, one.tens) for _, value in grid.known]
                read += len(values)
                wrong += sum(value != float(key[1]) for value in values)
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert sorted(said) == ["refused", "refused", "writes"]
    assert read > 100_000 and wrong == 0


def test_a_minute_that_two_wrote_one_after_the_other_counts_once(directory: Path) -> None:
    for value in (4.0, 6.0):
        writer = begin(directory)
        writer.write(MINUTE, [sample(value)])
        writer.close()
    known = load(directory, NOW + 60)
    assert minutes(known) == {MINUTE: 6.0}
    assert known.series[KEY].tens.known == [(MINUTE // 10 * 600.0, 6.0)]


# -- bounds


def test_on_a_full_disk_what_has_its_place_goes_on(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = begin(directory)
    writer.write(MINUTE, [sample(1.0)])

    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("console.watch.history.files.write_whole", full)
    writer.write(MINUTE + 1, [sample(2.0), sample(3.0, ("metric", "new", "value"))])
    monkeypatch.undo()
    writer.write(MINUTE + 2, [sample(4.0), sample(5.0, ("metric", "new", "value"))])
    known = load(directory, NOW + 180)
    assert list(minutes(known).values()) == [1.0, 2.0, 4.0]
    assert list(minutes(known, ("metric", "new", "value")).values()) == [5.0]
    writer.close()


def test_more_series_than_there_is_room_for(directory: Path) -> None:
    writer = begin(directory)
    names = [("service", f"s{n}", "memory") for n in range(COLUMNS + 10)]
    writer.write(MINUTE, [sample(1.0, name) for name in names])
    assert set(load(directory, NOW + 60).series) == set(names[:COLUMNS])
    listed = (directory / "series.json").read_bytes()
    # Those that go on speaking keep their place; one that was silent for an hour gives it to another.
    for offset in range(1, 62):
        writer.write(MINUTE + offset, [sample(2.0, name) for name in names[1:COLUMNS]])
    writer.write(MINUTE + 62, [sample(3.0, names[-1])])
    known = load(directory, (MINUTE + 63) * 60.0)
    assert names[0] not in known.series
    assert minutes(known, names[-1]) == {MINUTE + 62: 3.0}  # nothing of what was there before
    assert len(minutes(known, names[1])) == 62
    assert all(value == 3.0 for _, value in known.series[names[-1]].tens.known)
    writer.close()
    now = (directory / "series.json").read_bytes()
    (directory / "series.json").write_bytes(listed)  # a reader that knew the columns a moment before
    assert 3.0 not in minutes(load(directory, (MINUTE + 63) * 60.0), names[0]).values()
    (directory / "series.json").write_bytes(now)
    again = begin(directory)
    again.write(MINUTE + 63, [sample(4.0, names[-1])])
    assert minutes(load(directory, (MINUTE + 64) * 60.0), names[-1]) == {MINUTE + 62: 3.0, MINUTE + 63: 4.0}
    again.close()


def test_a_clock_that_jumps_ahead_makes_nobody_silent(directory: Path) -> None:
    writer = begin(directory)
    names = [("service", f"s{n}", "memory") for n in range(COLUMNS)]
    for minute in (MINUTE, MINUTE + 500_000):
        writer.write(minute, [sample(1.0, name) for name in [("metric", "new", "value"), *names][minute == MINUTE :]])
    assert set(load(directory, (MINUTE + 500_001) * 60.0).series) == set(names)
    writer.close()


@pytest.mark.parametrize("step", [-90 * 86400 + 420, -3600, 3600, 90 * 86400 + 420])
def test_a_clock_that_steps_and_comes_back_does_no_harm(directory: Path, step: int) -> None:
    writer = begin(directory)
    writer.write(MINUTE, [sample(1.0)])
    writer.write(MINUTE + step // 60, [sample(9.0)])
    writer.write(MINUTE + 1, [sample(2.0)])
    kept = minutes(load(directory, NOW + 120))
    assert {MINUTE: 1.0, MINUTE + 1: 2.0}.items() <= kept.items()
    assert all(minute <= MINUTE + 2 for minute in kept)  # nothing of the future
    writer.close()


# -- the keeper


class Clock:
    def __init__(self) -> None:
        self.now = NOW - NOW % 60

    def __call__(self) -> float:
        return self.now


def kept(tmp_path: Path, clock: Clock, **more: Any) -> Keeper[Any]:
    return Keeper(tmp_path, "shop", clock=clock, **more)


def at(clock: Clock, given: Readings) -> Readings:
    """The same, taken now."""
    assert given.metrics.value is not None and given.probes.value is not None
    metrics = tuple(replace(one, taken_at=clock.now) for one in given.metrics.value.metrics)
    probes = tuple(replace(one, at=clock.now) for one in given.probes.value.probes)
    given = replace(given, metrics=fresh(MetricsReading(metrics)), probes=fresh(ProbesReading(probes)))
    return Readings(*(replace(getattr(given, one.name), taken_at=clock.now) for one in fields(Readings)))


def test_readings_become_means_of_minutes(tmp_path: Path) -> None:
    clock = Clock()
    keeper = kept(tmp_path, clock)
    start = int(clock.now // 60)
    for second in range(130):
        load_now = replace(host(), load=(float(second // 60), 0.0, 0.0))
        keeper.take(at(clock, readings(host=load_now)))
        clock.now += 1
    keeper.turn()
    found = load(place(tmp_path), clock.now).series
    assert [v for _, v in found["host", "", "load"].minutes.known] == [0.0, 1.0]
    assert found["disk", "/", "free"].minutes.known[0] == (start * 60.0, 40.0 * GIB)
    assert found["disk", "/", "free"].limit == 100.0 * GIB
    assert found["disk", "/", "inodes free"].limit == 1_000_000
    assert found["service", "app", "memory"].limit == 256 * 2**20
    assert found["metric", "bookings", "value"].minutes.known[0][1] == 41.0
    assert found["probe", "webhook", "latency"].minutes.known[0][1] == pytest.approx(12.0)
    keeper.close()


def test_what_is_stale_or_unknown_gives_nothing() -> None:
    given = readings(metrics=(metric("old"), metric("ill", fault="no answer")))
    assert not list(samples(given, NOW + 500))  # paused: nobody reads, and nothing failed
    given = replace(given, metrics=replace(given.metrics, taken_at=NOW + 500))
    assert not list(samples(given, NOW + 500))  # read again, and the metric itself is of before
    stale = replace(given, host=broken(given.host, "no answer"), containers=broken(given.containers, "no answer"))
    assert not {one.key[0] for one in samples(stale, NOW)} & {"host", "disk", "service"}
    silent = replace(disk("/nfs", 50), fault="no answer in 2 s")
    assert ("disk", "/nfs", "free") not in {one.key for one in samples(readings(host=host(disks=(silent,))), NOW)}
    with_days = probe("edge", "https://shop.example.com", ok=True, detail="certificate ends in 12 days")
    assert Sample(("probe", "edge", "certificate"), 12.0, "d") in list(samples(readings(probes=(with_days,)), NOW))


def test_services_are_summed_and_those_of_other_projects_named_so() -> None:
    two = (container("app"), container("app", id="2" * 64, name="shop-app-2", memory_limit=None))
    other = container("db", project="blog", memory=7)
    given = readings()
    assert given.containers.value is not None
    given = replace(given, containers=fresh(replace(given.containers.value, containers=(*two, other))))
    found = {one.key[1]: one for one in samples(given, NOW, "shop") if one.key[0] == "service"}
    assert (found["app"].value, found["app"].limit) == (160 * 2**20, None)
    assert found["blog/db"].value == 7


def test_names_are_masked_before_they_are_stored(tmp_path: Path) -> None:
    clock, secret = Clock(), "postgres://u:hunter2secret@db/x"
    keeper = kept(tmp_path, clock)
    keeper.take(at(clock, readings(metrics=(metric(secret),))))
    clock.now += 60
    keeper.take(readings())
    keeper.turn()
    assert "hunter2secret" not in (place(tmp_path) / "series.json").read_text()
    keeper.close()


def test_a_keeper_that_may_not_write_reads_and_takes_over_when_the_other_ends(tmp_path: Path) -> None:
    clock = Clock()
    seen: list[tuple[int, bool]] = []
    first = kept(tmp_path, clock)
    second = kept(tmp_path, clock, look=lambda recall, writing: seen.append((len(recall(1e9).series), writing)))
    for keeper in (first, second):
        keeper.take(at(clock, readings()))
    clock.now += 60
    for keeper in (first, second):
        keeper.take(at(clock, readings()))
        keeper.turn()
    assert (first.writing, second.writing) == (True, False)
    assert seen[-1][0] > 5 and not seen[-1][1]
    first.start()  # its thread lets go of the lock
    first.close()
    clock.now += 60
    second.take(at(clock, readings()))
    second.turn()
    assert second.writing and seen[-1][1]
    second.close()


def test_where_nothing_can_be_written_it_is_said_and_nothing_breaks(tmp_path: Path) -> None:
    (tmp_path / "history").write_text("not a directory")
    clock = Clock()
    keeper = kept(tmp_path, clock)
    keeper.take(at(clock, readings()))
    clock.now += 60
    keeper.take(at(clock, readings()))
    keeper.turn()
    assert keeper.note.startswith("no history is kept") and "Not a directory" in keeper.note
    (tmp_path / "history").unlink()
    clock.now += 60
    keeper.take(at(clock, readings()))
    keeper.turn()
    assert (keeper.note, keeper.writing) == ("", True)
    keeper.close()


def test_a_disk_without_room_for_it_is_left_alone(tmp_path: Path) -> None:
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE // 2, limit[1]))
    try:
        keeper = kept(tmp_path, Clock())
        keeper.turn()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert keeper.note.startswith("no history is kept")
    assert [path.name for path in place(tmp_path).iterdir()] == ["lock"]


def test_readings_that_stop_and_a_clock_that_steps_back_do_not_stop_it(tmp_path: Path) -> None:
    clock = Clock()
    keeper = kept(tmp_path, clock)
    for step in (0, 60, -7200, 60, 60):
        clock.now += step
        keeper.take(at(clock, readings()))
    keeper.turn()
    clock.now += 7200
    found = load(place(tmp_path), clock.now).series["host", "", "load"].minutes.known
    assert len(found) == 4
    keeper.close()


# -- who fills it


class Given:
    """A source that has one value."""

    every, deadline = 1.0, 1.0

    def __init__(self, name: str, value: Any) -> None:
        self.name, self._value = name, value

    async def read(self) -> Any:
        return self._value

    async def changed(self) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None:
        pass


async def test_a_run_of_the_monitor_leaves_it_filled(tmp_path: Path) -> None:
    clock, given, done = Clock(), readings(), asyncio.Event()
    keeper = kept(tmp_path, clock)
    asked = 0

    def probed() -> Reading[ProbesReading]:
        assert given.probes.value is not None
        return Reading(ProbesReading(tuple(replace(p, at=clock.now) for p in given.probes.value.probes)), clock.now)

    async def pause(seconds: float) -> None:
        """Five seconds pass at once, as soon as it writes; it lets go of the loop, so that sources may answer."""
        nonlocal asked
        await asyncio.sleep(0.001)
        if keeper.writing:
            clock.now += seconds
            asked += 1
        if asked > 28:
            done.set()
            await asyncio.Event().wait()

    sources = (Given("host", given.host.value), Given("containers", given.containers.value))
    filling = Filling(
        Config(), tmp_path, probed, pytest.fail, sources=lambda config: sources, keeper=keeper, pause=pause, clock=clock
    )
    task = asyncio.ensure_future(filling.live())
    await asyncio.wait_for(done.wait(), 20)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    found = load(place(tmp_path), clock.now).series
    assert len(found["host", "", "load"].minutes.known) >= 2
    assert {("service", "app", "memory"), ("probe", "webhook", "latency"), ("disk", "/", "free")} <= found.keys()


def test_a_ring_of_another_form_is_refused(tmp_path: Path) -> None:
    ring = Ring.create(tmp_path / "ring")
    ring.close()
    data = bytearray((tmp_path / "ring").read_bytes())
    data[8] = 9  # version
    (tmp_path / "ring").write_bytes(data)
    with pytest.raises(ValueError, match="damaged"):
        Ring.open(tmp_path / "ring")
