"""A console keeps the history while it is open, and shows what was found in it."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from console.app import Sevdeck
from console.config import DockerConfig
from console.watch.history import load, place
from console.watch.history.series import Sample
from console.watch.history.store import Writer
from console.watch.live import LiveSources
from tests.screens import story
from tests.screens.stage import shows, until

SIZE = (120, 40)
GIB = 2**30


def console(tmp_path: Path) -> Sevdeck:
    settings = replace(story.SETTINGS, docker=DockerConfig(host=f"unix://{tmp_path}/none.sock"))
    return Sevdeck(settings, tmp_path, LiveSources(settings), "sevdeck-dark")


async def test_a_run_of_the_console_leaves_it_filled(tmp_path: Path) -> None:
    app = console(tmp_path)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app._keeper is not None and bool(app._keeper._sums), 15)
    found = load(place(tmp_path), time.time())
    assert len(found.series["host", "", "memory"].minutes.known) >= 1
    assert any(key[0] == "disk" for key in found.series)


async def test_what_the_history_says_is_on_the_dashboard(tmp_path: Path) -> None:
    writer = Writer.begin(place(tmp_path))
    assert writer is not None
    last = int(time.time() // 60)
    for minute in range(last - 60 * 60, last + 1):
        free = 6.0 + 0.3 * (last - minute) / 60
        writer.write(minute, [Sample(("disk", "/made", "free"), free * GIB, "B", 900.0 * GIB)])
    writer.close()
    async with console(tmp_path).run_test(size=SIZE) as pilot:
        await pilot.press("G")
        await shows(pilot, "disk /made is full in")
