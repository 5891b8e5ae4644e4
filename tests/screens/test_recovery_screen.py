"""The recovery screen and runs: its own, those of others, and what the levels say meanwhile and afterwards."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from textual.pilot import Pilot

from console.actions.facts import Facts, Holder
from console.actions.gather import Seen
from console.actions.lock import ProjectLock
from console.actions.monitor import heartbeat
from console.actions.monitor.heartbeat import Beat, stamp
from console.errors import SourceError
from console.incident.journal import Journal
from console.incident.state import fold
from screens.dialogs import Confirm
from screens.recovery import Recovery
from tests.screens import story
from tests.screens.stage import on_stage, said, shows, text, until
from tests.unit.project_twin import PROJECT
from tests.unit.readings_made import NOW

SIZE = (100, 30)


def upper(pilot: Pilot[None]) -> str:
    rows = text(pilot)
    return "\n".join(rows[: next(n for n, row in enumerate(rows) if row.startswith(("── Plan", "── Run")))])


def lower(pilot: Pilot[None]) -> str:
    return "\n".join(text(pilot)).removeprefix(upper(pilot))


async def test_while_a_run_is_under_way_no_level_is_offered_and_the_run_stays_in_sight(tmp_path: Path) -> None:
    run = story.ARun(tmp_path, who="ben")
    screen = Recovery(story.seat(tmp_path), look=story.Looks(story.sick_app(holder=run.holder)))
    async with on_stage(screen, SIZE, story.teller()) as pilot:
        await shows(pilot, "a run is under way")
        assert upper(pilot).count(f"Run {story.RUN} by ben: level 1, restart app") == 1
        assert "recommended" not in upper(pilot)
        await pilot.press("down", "enter")
        await until(pilot, lambda: bool(said(pilot)))
        assert said(pilot)[0].startswith(f"a run is under way: Run {story.RUN} by ben")
        assert not isinstance(pilot.app.screen, Confirm)
        assert "step 2 of 4" in lower(pilot)
        run.release()


async def test_a_monitor_that_is_silent_or_frozen_is_said_where_people_recover(tmp_path: Path) -> None:
    seat = story.seat(tmp_path)
    beat = Beat(stamp(time.time() - 190), 7, os.uname().nodename, PROJECT, "frozen", frozen="worse than before")
    async with on_stage(Recovery(seat, look=story.Looks(story.well())), SIZE, story.teller()) as pilot:
        await shows(pilot, "What each level would do now")
        assert "monitor" not in upper(pilot), "none ever ran here"
    heartbeat.write(seat.data_dir, beat)
    async with on_stage(Recovery(seat, look=story.Looks(story.well())), SIZE, story.teller()) as pilot:
        await shows(pilot, "monitor: silent for 3 min, its process is gone")
    heartbeat.write(seat.data_dir, replace(beat, time=stamp(time.time())))
    with heartbeat.only_one(seat.data_dir):
        async with on_stage(Recovery(seat, look=story.Looks(story.well())), SIZE, story.teller()) as pilot:
            await shows(pilot, "monitor: frozen: worse than before")
    heartbeat.write(seat.data_dir, replace(beat, state="stopped"))
    async with on_stage(Recovery(seat, look=story.Looks(story.well())), SIZE, story.teller()) as pilot:
        await shows(pilot, "everything looks well")
        assert "monitor" not in upper(pilot), "it was ended on purpose"


async def test_levels_are_judged_anew_once_the_run_has_ended_and_let_go(tmp_path: Path) -> None:
    run = story.ARun(tmp_path)
    busy = story.sick_app(holder=run.holder)
    look = story.Looks(busy, busy, story.well())
    async with on_stage(Recovery(story.seat(tmp_path), look=look), SIZE, story.teller()) as pilot:
        await shows(pilot, "a run is under way")
        await pilot.press("r")
        await until(pilot, lambda: len(look.seen) == 2)
        run.end()
        await shows(pilot, "looking anew")
        assert len(look.seen) == 2  # its record is closed, but it still holds the project
        run.release()
        await shows(pilot, "unneeded")
        assert "under way" not in upper(pilot)
        assert "outcome: ok. validated and stable" in lower(pilot)
        assert len(look.seen) == 3
        assert look.seen[1].probes
        assert not look.seen[-1].probes  # those answers are of before the end of the run: all are asked again
        await pilot.press("down")
        await shows(pilot, "touches 4 containers")


async def test_a_run_that_somebody_starts_meanwhile_is_shown(tmp_path: Path) -> None:
    screen = Recovery(story.seat(tmp_path), look=story.Looks(story.sick_app()))
    async with on_stage(screen, SIZE, story.teller()) as pilot:
        await shows(pilot, "recommended")
        run = story.ARun(tmp_path, who="ben")
        await shows(pilot, "a run is under way")
        await shows(pilot, "by ben")
        assert "step 2 of 4" in lower(pilot)
        run.end("failed", "not validated: app is unhealthy")
        run.release()
        await shows(pilot, "recommended")
        assert "outcome: failed. not validated: app is unhealthy" in lower(pilot)


async def test_a_change_that_left_no_record_is_told_and_its_end_noticed(tmp_path: Path) -> None:
    holder = Holder("", "somebody", NOW, 0, "a change")
    lock = ProjectLock.acquire(tmp_path, PROJECT, holder)
    look = story.Looks(story.sick_app(holder=holder), story.well())
    async with on_stage(Recovery(story.seat(tmp_path), look=look), SIZE, story.teller()) as pilot:
        await shows(pilot, "Somebody is changing the project.")
        assert "recommended" not in "\n".join(text(pilot))
        lock.release()
        await shows(pilot, "unneeded")


async def test_a_run_whose_record_cannot_be_read_is_told_once_by_its_lock(tmp_path: Path) -> None:
    holder = Holder("20260921-141240-gone00", "ben", NOW - 40, 2, "restart 4 services")
    lock = ProjectLock.acquire(tmp_path, PROJECT, holder)
    look = story.Looks(story.sick_app(holder=holder), story.well())
    async with on_stage(Recovery(story.seat(tmp_path), look=look), SIZE, story.teller()) as pilot:
        await shows(pilot, "by ben: level 2, restart 4 services")
        await asyncio.sleep(1.2)  # longer than a look at the lock
        assert len(said(pilot)) == 1
        assert "there is no run 20260921-141240-gone00" in said(pilot)[0]
        lock.release()
        await shows(pilot, "unneeded")


async def test_a_stack_that_cannot_be_looked_at_after_a_run_gets_no_old_verdict(tmp_path: Path) -> None:
    run = story.ARun(tmp_path)
    look = story.Looks(story.sick_app(holder=run.holder), SourceError("the engine is silent"), story.well())
    async with on_stage(Recovery(story.seat(tmp_path), look=look), SIZE, story.teller()) as pilot:
        await shows(pilot, "a run is under way")
        run.end()
        run.release()
        await shows(pilot, "the engine is silent")
        assert "not known" in upper(pilot)
        await pilot.press("r")
        await shows(pilot, "unneeded")


async def test_a_look_that_hangs_leaves_the_keys_alive(tmp_path: Path) -> None:
    never = asyncio.Event()

    async def look(seen: Seen) -> Facts:
        await never.wait()
        return story.well()

    async with on_stage(Recovery(story.seat(tmp_path), look=look), SIZE, story.teller()) as pilot:
        await shows(pilot, "looking at the stack")
        await pilot.press("tab", "x", "h")
        await until(pilot, lambda: bool(said(pilot)))
        assert said(pilot) == ["Nothing is running here."]
        assert getattr(pilot.app, "asked", []) == ["app.dashboard"]
        with suppress(asyncio.CancelledError):
            never.set()


async def test_a_plan_that_is_longer_than_its_half_says_so_and_scrolls_to_its_end(tmp_path: Path) -> None:
    screen = Recovery(story.seat(tmp_path), look=story.Looks(story.sick_app()))
    async with on_stage(screen, (80, 24), story.teller()) as pilot:
        await shows(pilot, "recommended")
        await pilot.press("down")
        await shows(pilot, "more lines: Tab, then ↓")
        await pilot.press("tab")
        await shows(pilot, "more lines: ↓")
        await pilot.press("end")
        await shows(pilot, "Enter asks for confirmation and runs it")
        assert "more lines" not in lower(pilot)


async def test_a_run_on_another_host_is_said_and_holds_nothing_here(tmp_path: Path) -> None:
    directory = tmp_path / "INC-2026-0007"
    incident = story.written(directory)
    ben = Journal(directory, replace(story.RUNNER, host="prod-2", sudo_user="ben"), wall=lambda: NOW)
    ben.append("recovery.run", {"run": "r9", "state": "started", "title": "restart web", "level": 1, "service": "web"})
    shared = fold(ben.events())
    assert len(shared.recoveries) == len(incident.recoveries) + 1
    screen = Recovery(story.seat(tmp_path), look=story.Looks(story.sick_app()))
    async with on_stage(screen, SIZE, story.teller(shared)) as pilot:
        await shows(pilot, "on prod-2: restart web, started by ben")
        await shows(pilot, "recommended")
    screen = Recovery(story.seat(tmp_path), look=story.Looks(story.sick_app()))
    async with on_stage(screen, SIZE, story.teller(incident)) as pilot:
        await shows(pilot, "recommended")
        assert "prod-" not in upper(pilot)


async def test_the_number_of_a_level_chooses_it(tmp_path: Path) -> None:
    async with on_stage(
        Recovery(story.seat(tmp_path), look=story.Looks(story.sick_app())), SIZE, story.teller()
    ) as pilot:
        await shows(pilot, "recommended")
        await pilot.press("2")
        await shows(pilot, "touches 4 containers")
        await pilot.press("1")
        await shows(pilot, "touches 1 container")
