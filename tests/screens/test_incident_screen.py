"""The incident's screen when it opens: with all that is known, and modest while the record is still verified."""

from __future__ import annotations

import dataclasses
import io
import tarfile
import time
from pathlib import Path
from typing import Any

from console.config import DockerConfig
from screens.base import ConsoleScreen
from screens.incident import IncidentScreen
from tests.screens import story
from tests.screens.stage import on_stage, said, shows, text, until

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


async def test_a_bundle_is_counted_and_attached_only_after_a_yes(tmp_path: Path) -> None:
    usual = story.seat(tmp_path)
    nowhere = dataclasses.replace(usual.config, docker=DockerConfig(host=f"unix://{tmp_path}/none.sock"))
    seat = dataclasses.replace(usual, config=nowhere)
    incident = await seat.desk.declare("checkout fails", 2)
    screen = IncidentScreen(seat)
    screen.set_reactive(ConsoleScreen.incident, incident)
    async with on_stage(screen, SIZE, story.teller(incident)) as pilot:

        async def asked() -> None:
            await pilot.press("B")
            await until(pilot, lambda: "Attach this bundle to" in "\n".join(text(pilot)), seconds=60)

        def attached() -> list[dict[str, Any]]:
            journal = seat.desk.journal
            assert journal is not None
            return [dict(event.data) for event in journal.events() if event.kind == "attach"]

        await asked()
        for words in ("secrets masked by rule", "failed: Docker is not installed"):
            await shows(pilot, words)
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen is screen)
        assert attached() == []
        await asked()
        await until(pilot, lambda: getattr(pilot.app.screen, "_armed_at", 0.0) <= time.monotonic())
        await pilot.press("y")
        await until(pilot, lambda: any("Attached sevdeck-bundle-" in words for words in said(pilot)))
        (told,) = attached()
        content = (seat.desk.store.directory(incident.id) / "blobs" / told["sha256"]).read_bytes()
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            assert any(name.endswith("/incident/journal.jsonl") for name in tar.getnames())
        assert (told["size"], told["masked"], told["name"][-7:]) == (len(content), True, ".tar.gz")
    await seat.desk.drain()
