"""Lanes and the supervisor: a stuck call costs its own source and nothing else, and recovery is noticed at once."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from console.errors import SourceError, UsageError
from console.watch.lane import QueueLane
from console.watch.source import Lane, Reading, Supervisor

ROOT = Path(__file__).parents[2]


class Made:
    """A source whose reads are a function; it counts them and notices when two overlap."""

    def __init__(self, name: str, read: Callable[[], Any], every: float = 0.02, deadline: float = 0.3) -> None:
        self.name, self.every, self.deadline = name, every, deadline
        self._read = read
        self.reads = 0
        self.overlapped = False
        self.closed = False
        self.event = asyncio.Event()
        self._inside = False

    async def read(self) -> Any:
        self.overlapped |= self._inside
        self._inside = True
        self.reads += 1
        try:
            result = self._read()
            return await result if asyncio.iscoroutine(result) else result
        finally:
            self._inside = False

    async def changed(self) -> None:
        await self.event.wait()
        self.event.clear()

    async def close(self) -> None:
        self.closed = True


class Screen:
    """Keeps what was published and lets a test wait for it."""

    def __init__(self) -> None:
        self.seen: dict[str, list[Reading[Any]]] = {}
        self._news = asyncio.Event()

    def publish(self, name: str, reading: Reading[Any]) -> None:
        self.seen.setdefault(name, []).append(reading)
        self._news.set()

    async def until(self, name: str, wanted: Callable[[Reading[Any]], bool], limit: float = 5.0) -> Reading[Any]:
        async with asyncio.timeout(limit):
            while not (name in self.seen and wanted(self.seen[name][-1])):
                self._news.clear()
                await self._news.wait()
        return self.seen[name][-1]


@asynccontextmanager
async def watching(*sources: Made) -> AsyncIterator[tuple[Supervisor, Screen]]:
    screen = Screen()
    supervisor = Supervisor(sources, screen.publish)
    task = asyncio.create_task(supervisor.run())
    try:
        yield supervisor, screen
    finally:
        await supervisor.close()
        await task


def faulty(reading: Reading[Any]) -> bool:
    return reading.fault is not None


def fresh(reading: Reading[Any]) -> bool:
    return reading.fault is None


async def eventually(lane: Lane, fn: Callable[[], Any]) -> Any:
    """The result of `fn`, asked again while the lane is still returning from the call before."""
    for _ in range(100):
        try:
            return await lane.call(fn)
        except SourceError:
            await asyncio.sleep(0.01)
    raise AssertionError("the lane stays busy")


# --- Lane


async def test_a_lane_returns_results_and_raises_errors() -> None:
    lane = Lane("t")
    assert await lane.call(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await lane.call(divmod, 1, 0)
    with pytest.raises(SourceError):
        await lane.call(next, iter(()))  # StopIteration cannot travel in a future
    assert await lane.call(lambda: threading.current_thread().daemon)
    lane.close()


async def test_a_stuck_call_is_reported_and_not_doubled() -> None:
    lane, release, ended, calls = Lane("t"), threading.Event(), threading.Event(), []

    def stuck() -> str:
        calls.append(1)
        release.wait()
        ended.set()
        return "late"

    with pytest.raises(SourceError, match=r"no answer in 0.05 s"):
        await lane.call(stuck, deadline=0.05)
    with pytest.raises(SourceError, match=r"still waiting for the previous call \(\d+ s\)"):
        await lane.call(stuck)
    assert lane.stuck_for is not None and len(calls) == 1
    release.set()
    assert await asyncio.to_thread(ended.wait, 2)
    assert await eventually(lane, lambda: "well") == "well"
    lane.close()


@pytest.mark.parametrize("turns", range(6))
@pytest.mark.parametrize("kind", [Lane, QueueLane])
async def test_a_cancellation_that_comes_with_the_answer_is_not_lost(kind: type[Lane], turns: int) -> None:
    """Whoever cancels a task and waits for its end would wait for ever. `turns` of the loop after the answer."""
    loop, lane, release = asyncio.get_running_loop(), kind("both"), threading.Event()
    asking = loop.create_task(lane.call(release.wait, deadline=30.0))
    for _ in range(5):  # a queue takes a turn more to begin
        await asyncio.sleep(0)
    assert lane.stuck_for is not None
    taken: list[bool] = []

    def cancel(left: int) -> None:
        if left:
            loop.call_soon(cancel, left - 1)
        else:
            taken.append(asking.cancel())

    thread = next(each for each in threading.enumerate() if each.name == "lane-both")
    lane.close()
    release.set()
    thread.join()  # the loop stands still meanwhile: the answer is in it, and nobody has it yet
    loop.call_soon(cancel, turns)
    await asyncio.wait({asking})
    await asyncio.sleep(0.01)
    assert [asking.cancelled()] == taken


async def test_a_closed_lane_takes_no_calls() -> None:
    lane = Lane("t")
    lane.close()
    with pytest.raises(SourceError, match="closed"):
        await lane.call(len, "x")


def test_a_call_that_returns_after_the_loop_is_closed_is_harmless() -> None:
    lane, release, ended = Lane("t"), threading.Event(), threading.Event()

    def late() -> None:
        release.wait()
        ended.set()

    async def ask() -> None:
        with pytest.raises(SourceError):
            await lane.call(late, deadline=0.01)

    asyncio.run(ask())
    release.set()
    assert ended.wait(2)
    lane.close()


def test_a_stuck_call_does_not_keep_the_process_alive() -> None:
    program = (
        "import asyncio, threading\n"
        "from console.errors import SourceError\n"
        "from console.watch.source import Lane\n"
        "async def ask():\n"
        "    try: await Lane('t').call(threading.Event().wait, deadline=0.05)\n"
        "    except SourceError as error: print(error.message)\n"
        "asyncio.run(ask())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=10)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "no answer in 0.05 s", "")


# --- Supervisor


async def test_values_are_published_with_their_time() -> None:
    source = Made("one", lambda: "value")
    async with watching(source) as (supervisor, screen):
        reading = await screen.until("one", fresh)
        assert reading.value == "value"
        assert abs((reading.taken_at or 0) - time.time()) < 5
        assert supervisor.reading("one").value == "value"
    assert source.closed


async def test_a_frozen_source_delays_no_other() -> None:
    release, lane = threading.Event(), Lane("frozen")
    frozen = Made("frozen", lambda: lane.call(release.wait), deadline=0.1)
    well = Made("well", lambda: "ok", every=0.01)
    async with watching(frozen, well) as (_, screen):
        await screen.until("frozen", faulty)
        before, began = well.reads, time.monotonic()
        await asyncio.sleep(0.5)
        rate = (well.reads - before) / (time.monotonic() - began)
        assert rate > 8  # the ceiling is 20 a second; a shared thread would give none
        assert screen.seen["frozen"][0].fault is not None
        assert screen.seen["frozen"][0].fault.reason == "no answer in 0.1 s"
        release.set()
    lane.close()


async def test_recovery_shows_within_two_seconds() -> None:
    release, lane = threading.Event(), Lane("sick")
    source = Made("sick", lambda: lane.call(release.wait), deadline=0.1)
    async with watching(source) as (_, screen):
        await screen.until("sick", lambda reading: len(screen.seen["sick"]) >= 4, limit=10)
        release.set()
        began = time.monotonic()
        await screen.until("sick", fresh)
        assert time.monotonic() - began < 2.0
    lane.close()


async def test_the_last_value_and_the_beginning_of_a_fault_are_kept() -> None:
    answers = iter(["good"])

    def read() -> str:
        if (value := next(answers, None)) is None:
            raise SourceError("connection refused.", remedy="Start it.")
        return value

    async with watching(Made("one", read)) as (supervisor, screen):
        first = await screen.until("one", faulty)
        supervisor.refresh("one")
        second = await screen.until("one", lambda reading: reading is not first and faulty(reading))
    assert second.value == "good" and second.taken_at == first.taken_at
    assert first.fault is not None and second.fault is not None
    assert (second.fault.reason, second.fault.remedy) == ("connection refused", "Start it")
    assert second.fault.since == first.fault.since


async def test_an_unexpected_exception_becomes_a_sentence_and_a_log_entry(caplog: pytest.LogCaptureFixture) -> None:
    def read() -> None:
        raise KeyError("x\x1b[2J password=hunter22")

    source = Made("odd", read)
    with caplog.at_level(logging.ERROR):
        async with watching(source) as (_, screen):
            await screen.until("odd", lambda reading: len(screen.seen["odd"]) >= 2)
    fault = screen.seen["odd"][-1].fault
    assert fault is not None and fault.reason.startswith("unexpected KeyError")
    assert "\x1b" not in fault.reason and "hunter22" not in fault.reason
    assert "sevdeck.log" in fault.remedy
    assert [record.exc_info is not None for record in caplog.records] == [True]  # once, not at every try


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TimeoutError(), "no answer in time"),
        (FileNotFoundError(2, "No such file or directory", "/run/x"), "/run/x: No such file or directory"),
        (UsageError("the environment variable X is not set", remedy="Set X"), "the environment variable X is not set"),
    ],
)
async def test_known_kinds_of_error_are_told_plainly(error: Exception, reason: str) -> None:
    def read() -> None:
        raise error

    async with watching(Made("one", read)) as (_, screen):
        fault = (await screen.until("one", faulty)).fault
    assert fault is not None and fault.reason == reason


async def test_a_read_past_its_deadline_is_not_started_twice() -> None:
    async def stubborn() -> None:
        while True:  # swallows its cancellation, as a library under it might
            try:
                await asyncio.sleep(0.4)
                return
            except asyncio.CancelledError:
                continue

    source = Made("stubborn", stubborn, deadline=0.05)
    async with watching(source) as (_, screen):
        await screen.until("stubborn", lambda reading: len(screen.seen["stubborn"]) >= 3)
    assert not source.overlapped


async def test_events_wake_a_source_but_not_more_than_twenty_times_a_second() -> None:
    source = Made("busy", lambda: "x", every=60)
    async with watching(source) as (_, screen):
        await screen.until("busy", fresh)
        source.event.set()
        await screen.until("busy", lambda reading: source.reads == 2)
        before, began = source.reads, time.monotonic()
        while time.monotonic() - began < 0.6:
            source.event.set()
            await asyncio.sleep(0.001)
        rate = (source.reads - before) / (time.monotonic() - began)
        assert 5 < rate <= 22


async def test_pause_stops_reads_and_resume_reads_at_once() -> None:
    source = Made("one", lambda: "x", every=0.01)
    async with watching(source) as (supervisor, screen):
        await screen.until("one", fresh)
        supervisor.pause()
        assert supervisor.paused
        await asyncio.sleep(0.15)  # a read under way may still end
        before = source.reads
        source.event.set()
        supervisor.refresh("one")
        await asyncio.sleep(0.3)
        assert source.reads == before
        supervisor.resume()
        await screen.until("one", lambda reading: source.reads > before, limit=1)


async def test_refresh_reads_now_also_while_backing_off() -> None:
    well = False

    def read() -> str:
        if not well:
            raise SourceError("down")
        return "up"

    source = Made("one", read, every=60)
    async with watching(source) as (supervisor, screen):
        await screen.until("one", lambda reading: len(screen.seen["one"]) >= 3)  # the pause is now 1.5 s
        well = True
        supervisor.refresh("one")
        began = time.monotonic()
        await screen.until("one", fresh)
        assert time.monotonic() - began < 0.5
        with pytest.raises(KeyError):
            supervisor.refresh("nobody")


async def test_the_rhythm_can_be_changed_but_slow_sources_keep_theirs() -> None:
    quick, slow = Made("quick", lambda: "x", every=5), Made("slow", lambda: "x", every=60)
    async with watching(quick, slow) as (supervisor, screen):
        await screen.until("quick", fresh)
        await screen.until("slow", fresh)
        supervisor.set_every(0.06)
        await screen.until("quick", lambda reading: quick.reads >= 5, limit=3)
        assert slow.reads <= 2


async def test_a_publisher_that_fails_stops_nothing() -> None:
    third = asyncio.Event()

    def read() -> None:
        if source.reads == 3:
            third.set()

    source = Made("one", read)

    def publish(name: str, reading: Reading[Any]) -> None:
        raise RuntimeError("the screen is gone")

    supervisor = Supervisor([source], publish)
    task = asyncio.create_task(supervisor.run())
    await asyncio.wait_for(third.wait(), 3)
    await supervisor.close()
    await task


async def test_close_ends_soon_with_a_source_that_is_stuck() -> None:
    class Stuck(Made):
        async def close(self) -> None:
            await asyncio.Event().wait()

    release, lane = threading.Event(), Lane("stuck")
    source = Stuck("stuck", lambda: lane.call(release.wait), deadline=60)
    screen = Screen()
    supervisor = Supervisor([source], screen.publish)
    task = asyncio.create_task(supervisor.run())
    await asyncio.sleep(0.05)
    began = time.monotonic()
    await supervisor.close()
    await task
    assert time.monotonic() - began < 2.0
    release.set()
    lane.close()


def test_age_of_a_reading() -> None:
    assert Reading().age(10.0) is None
    assert Reading(1, 8.0).age(10.0) == 2.0
    assert Reading(1, 12.0).age(10.0) == 0.0  # a clock that was set back


async def test_a_queue_lane_takes_callers_in_turn_and_survives_a_cancelled_one() -> None:
    lane = QueueLane("queue")
    release = threading.Event()
    first = asyncio.create_task(lane.call(release.wait, 5))
    second = asyncio.create_task(lane.call(lambda: "second"))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert not second.done()
    release.set()
    assert await asyncio.wait_for(second, 5) == "second"
    lane.close()
