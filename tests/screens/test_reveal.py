"""A masked line is shown whole only after a yes, only once that is written down, and not for long."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from console.config import LogConfig
from console.incident.journal import Journal
from console.watch.logs import LogHub
from screens.dialogs import Confirm
from screens.logs import LineScreen, LogsScreen, RevealedScreen
from screens.seat import Seat
from tests.screens.stage import on_stage, said, shows, text, until
from tests.screens.story import ANA, seat

SECRET = "hunter22secret"


@asynccontextmanager
async def logs(
    seat: Seat | None, line: str = f"ERROR login failed password={SECRET}\x07"
) -> AsyncIterator[Pilot[None]]:
    hub = LogHub([LogConfig("app", path="/nowhere/app.log")])
    hub.feed("app", f"2026-11-22 03:12:01 {line}\n".encode())
    async with on_stage(LogsScreen(hub, seat=seat), (100, 30)) as pilot:
        await shows(pilot, "2026" if "ERROR" not in line else "login failed")
        yield pilot


async def confirm(pilot: Pilot[None], key: str = "u") -> None:
    await pilot.press("u")
    await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
    assert SECRET not in "\n".join(text(pilot))
    confirming = pilot.app.screen
    assert isinstance(confirming, Confirm)
    confirming._armed_at = 0.0  # the person has taken a moment
    await pilot.press(key)


async def test_it_is_shown_after_a_yes_and_written_down_without_the_secret(tmp_path: Path) -> None:
    async with logs(seat(tmp_path)) as pilot:
        await confirm(pilot)
        await shows(pilot, SECRET)
        assert f"{SECRET}\\x07" in "\n".join(text(pilot))
        written = (tmp_path / "reveals.log").read_text()
        entry = json.loads(written)
        assert entry["by"]["login"] == ANA.login and entry["source"] == "app" and "2026-11-22T03:12:01" in entry["line"]
        assert SECRET not in written
        assert (tmp_path / "reveals.log").stat().st_mode & 0o777 == 0o600
        await pilot.press("y")
        assert pilot.app.clipboard == "" and "not copied" in said(pilot)[-1]


async def test_it_goes_away_by_itself(tmp_path: Path) -> None:
    async with logs(None) as pilot:
        record = pilot.app.screen.query_one("#log")._place.records[0]  # type: ignore[attr-defined]
        await pilot.app.push_screen(RevealedScreen(record, seconds=0.3))
        await shows(pilot, SECRET)
        await until(pilot, lambda: isinstance(pilot.app.screen, LogsScreen))
        assert SECRET not in "\n".join(text(pilot))


@pytest.mark.parametrize("key", ["enter", "escape", "y", "space"])
async def test_nothing_but_its_key_says_yes(tmp_path: Path, key: str) -> None:
    async with logs(seat(tmp_path)) as pilot:
        await confirm(pilot, key)
        await pilot.press("escape")
        assert not isinstance(pilot.app.screen, LineScreen)
        assert not (tmp_path / "reveals.log").exists()


async def test_in_an_incident_it_stands_in_the_record(tmp_path: Path) -> None:
    ours = seat(tmp_path)
    await ours.desk.declare("Checkout returns 504", 1)
    try:
        async with logs(ours) as pilot:
            await confirm(pilot)
            await shows(pilot, SECRET)
            assert ours.desk.incident is not None
            directory = ours.desk.store.directory(ours.desk.incident.id)
            events = [event for event in Journal(directory, ANA).events() if event.kind == "reveal"]
            assert len(events) == 1 and events[0].actor.login == ANA.login
            assert events[0].data["source"] == "app" and SECRET not in json.dumps(dict(events[0].data))
            assert not (tmp_path / "reveals.log").exists()
    finally:
        await ours.desk.leave()
        await ours.desk.drain()


async def test_what_cannot_be_written_down_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "reveals.log").mkdir()
    async with logs(seat(tmp_path)) as pilot:
        await confirm(pilot)
        await until(pilot, lambda: bool(said(pilot)))
        assert said(pilot)[-1].startswith("Not shown: ") and "reveals.log cannot be written" in said(pilot)[-1]
        assert SECRET not in "\n".join(text(pilot))


async def test_viewers_and_consoles_without_a_seat_are_refused(tmp_path: Path) -> None:
    ours = seat(tmp_path)
    extra = {**ours.config.extra, "access": {"viewer": (ANA.name,), "responder": (), "commander": ()}}
    for refused, why in ((replace(ours, config=replace(ours.config, extra=extra)), "is a viewer"), (None, "no record")):
        async with logs(refused) as pilot:
            await pilot.press("u")
            await until(pilot, lambda: bool(said(pilot)))
            assert why in said(pilot)[-1]
            assert isinstance(pilot.app.screen, LogsScreen)


async def test_a_line_without_secrets_has_nothing_to_show(tmp_path: Path) -> None:
    async with logs(seat(tmp_path), "ERROR login failed for bob") as pilot:
        await pilot.press("u")
        await until(pilot, lambda: bool(said(pilot)))
        assert said(pilot)[-1] == "Nothing is masked in this line."
