"""The incident's screen when it opens: with all that is known, and modest while the record is still verified."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from screens.base import ConsoleScreen
from screens.incident import IncidentScreen
from tests.screens import story
from tests.screens.stage import on_stage, said, text, until

SIZE = (120, 40)


async def test_it_shows_what_it_was_given_before_its_first_frame(tmp_path: Path) -> None:
    incident = story.written(tmp_path / "INC-2026-0007")
    screen = IncidentScreen(story.seat(tmp_path))
    screen.set_reactive(ConsoleScreen.incident, incident)
    async with on_stage(screen, SIZE) as pilot:
        last = incident.timeline[-1].summary[:20]
        await until(pilot, lambda: last in "\n".join(text(pilot)))


async def test_while_the_record_is_verified_it_says_so_and_changes_nothing(tmp_path: Path) -> None:
    whole = story.written(tmp_path / "INC-2026-0007")
    incident = dataclasses.replace(whole, loading=True, runs=(), roles={}, timeline=whole.timeline[-3:])
    async with on_stage(IncidentScreen(story.seat(tmp_path)), SIZE, story.teller(incident)) as pilot:
        await until(pilot, lambda: "verifying the record" in text(pilot)[0])
        shown = "\n".join(text(pilot))
        assert whole.timeline[-1].summary[:20] in shown and "no commander" not in shown
        await pilot.press("V")
        await until(pilot, lambda: said(pilot) != [])
        assert "still being verified" in said(pilot)[0]
