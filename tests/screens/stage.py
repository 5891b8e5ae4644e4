"""A stage for one screen: an application that shows it what a test says, at a clock that stands still."""

from __future__ import annotations

import asyncio
import difflib
import io
import os
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from textual.app import App
from textual.pilot import Pilot
from textual.screen import Screen

from screens.base import ConsoleScreen
from screens.themes import OWN_THEMES, THEMES

GOLDEN = Path(__file__).parent / "golden"
RENEW = "SEVDECK_TEST_RENEW"  # set: golden files are written, not compared
SIZES = ((80, 24), (120, 40))
_PATIENCE = 5.0  # seconds for a screen to become what it should be
_RENEW_AFTER = 1.3  # seconds after which nothing of a screen changes any more: the log pane draws once a second
_PLAN = re.compile(r"Plan [0-9a-f]{4}\b")


class Stage(App[None]):
    """Shows one screen; remembers what it asked of the application, and what it told the person."""

    def __init__(self, screen: Screen[Any], told: Callable[[ConsoleScreen], None] | None = None) -> None:
        super().__init__()
        for own in OWN_THEMES:
            self.register_theme(own)
        self.theme = THEMES[0]
        self._shown = screen
        self._told = told
        self.asked: list[str] = []
        self.said: list[str] = []

    async def on_mount(self) -> None:
        await self.push_screen(self._shown)
        if self._told is not None and isinstance(self._shown, ConsoleScreen):
            self._told(self._shown)

    def on_console_screen_asked(self, message: ConsoleScreen.Asked) -> None:
        self.asked.append(f"{message.command} {message.subject}".rstrip())

    def notify(self, message: str, **how: Any) -> None:
        """Keep it instead of showing it: a toast would lie over the text for as long as the machine is slow."""
        self.said.append(message)


@asynccontextmanager
async def on_stage(
    screen: Screen[Any], size: tuple[int, int], told: Callable[[ConsoleScreen], None] | None = None
) -> AsyncIterator[Pilot[None]]:
    async with Stage(screen, told).run_test(size=size) as pilot:
        await pilot.pause()
        yield pilot


def said(pilot: Pilot[None]) -> list[str]:
    assert isinstance(pilot.app, Stage)
    return pilot.app.said


def text(pilot: Pilot[Any]) -> list[str]:
    """The lines of the screen as a terminal shows them, trailing blanks taken away."""
    width, height = pilot.app.size
    console = Console(
        width=width, height=height, file=io.StringIO(), force_terminal=True, color_system="truecolor", record=True
    )
    console.print(pilot.app.screen._compositor.render_update(full=True))
    lines = [row.rstrip() for row in console.export_text(styles=False).split("\n")]
    return lines[:height]


async def until(pilot: Pilot[Any], what: Callable[[], bool], seconds: float = _PATIENCE) -> None:
    """Wait until it is so; fails with the screen after some seconds."""
    for _ in range(int(seconds * 100)):
        if what():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never became so:\n" + "\n".join(text(pilot)))


async def shows(pilot: Pilot[Any], words: str) -> None:
    await until(pilot, lambda: any(words in row for row in text(pilot)))


async def compare(pilot: Pilot[None], name: str) -> None:
    """The screen must come to show what its golden file says, and stay so."""
    width, height = pilot.app.size
    file = GOLDEN / f"{name}-{width}x{height}.txt"
    if os.environ.get(RENEW):
        await asyncio.sleep(_RENEW_AFTER)
        file.write_text("\n".join(_masked(pilot)) + "\n", encoding="utf-8")
        return
    wanted = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    until = time.monotonic() + _PATIENCE
    same = 0
    while same < 2:
        await pilot.pause()
        drawn = _masked(pilot)
        same = same + 1 if drawn == wanted else 0
        if time.monotonic() > until and not same:
            diff = difflib.unified_diff(wanted, drawn, str(file), "drawn", lineterm="", n=1)
            raise AssertionError("\n".join([*diff, f"meant so? {RENEW}=1 renews the files: read golden/README.md"]))
        await asyncio.sleep(0.02)


def _masked(pilot: Pilot[None]) -> list[str]:
    """The id of a plan is a hash of all that is in it, also of what no screen shows."""
    return [_PLAN.sub("Plan 0123", row) for row in text(pilot)]
