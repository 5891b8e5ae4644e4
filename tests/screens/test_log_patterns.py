"""Patterns on the logs screen: listed beside the lines, jumped between, and shown alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from console.config import LogConfig
from console.watch.logs import LogHub, LogStats
from console.watch.mining.live import LogPatterns
from console.watch.readings import Readings
from console.watch.source import Reading
from screens.base import ConsoleScreen
from screens.logs import LogsScreen
from tests.screens.stage import on_stage, shows, text, until
from widgets.log_pattern import PatternList
from widgets.log_view import LogView

WIDE, NARROW = (120, 30), (80, 24)


class Written:
    """A hub that learns patterns, and what a test has written to it."""

    def __init__(self) -> None:
        self.patterns = LogPatterns()
        self.patterns.open()
        self.hub = LogHub((), patterns=self.patterns)
        self._second = 0

    def say(self, level: str, message: str, source: str = "app") -> None:
        self._second += 1
        stamp = f"2026-11-22 03:{self._second // 60:02d}:{self._second % 60:02d}"
        self.hub.feed(source, f"{stamp} {level} {message}\n".encode())

    def stats(self) -> LogStats:
        self.patterns.sum_up()
        return self.hub.stats()

    def tell(self, screen: ConsoleScreen) -> None:
        screen.readings = Readings(logs=Reading(self.stats(), 0.0))


@pytest.fixture
def written() -> Written:
    made = Written()
    for number in range(12):
        made.say("INFO", f"order {1000 + number} was paid with card {number}")
        if number % 4 == 1:
            made.say("ERROR", f"pool exhausted, waiting {number} s")
    return made


def marked(pilot: Pilot[None]) -> str:
    """The message of the line under the cursor."""
    selected = pilot.app.screen.query_one(LogView).selected
    return selected[0].message if len(selected) == 1 else ""


async def test_patterns_stand_beside_the_lines_the_worst_first(written: Written) -> None:
    async with on_stage(LogsScreen(written.hub), WIDE, written.tell) as pilot:
        await shows(pilot, "2 of the last hour")
        rows = [row[76:].strip() for row in text(pilot) if "<*>" in row[76:]]
        assert rows[0].startswith("✖      3 pool exhausted waiting <*>"), rows
        assert rows[1].startswith("12 order <*> was paid with card <*>"), rows


async def test_enter_on_a_pattern_goes_to_its_newest_line_and_n_to_the_ones_before(written: Written) -> None:
    async with on_stage(LogsScreen(written.hub), WIDE, written.tell) as pilot:
        await shows(pilot, "2 of the last hour")
        await pilot.press("tab")
        assert isinstance(pilot.app.focused, PatternList)
        await pilot.press("enter")
        await until(pilot, lambda: marked(pilot).startswith("pool exhausted, waiting 9 s"))
        assert "order 1008" in "\n".join(text(pilot)), "what stands around it stays"
        await pilot.press("n")
        await until(pilot, lambda: marked(pilot).startswith("pool exhausted, waiting 5 s"))
        await pilot.press("n", "N")
        await until(pilot, lambda: marked(pilot).startswith("pool exhausted, waiting 5 s"))
        await pilot.press("n", "n")
        await shows(pilot, "no older line of this pattern")


async def test_only_the_lines_of_one_pattern_and_all_again(written: Written) -> None:
    async with on_stage(LogsScreen(written.hub), WIDE, written.tell) as pilot:
        await shows(pilot, "2 of the last hour")
        await pilot.press("tab", "x")
        await shows(pilot, "only “pool exhausted")
        view = pilot.app.screen.query_one(LogView)
        assert [record.message for record in view.selected] == [
            f"pool exhausted, waiting {number} s" for number in (1, 5, 9)
        ]
        written.say("ERROR", "pool exhausted, waiting 77 s")
        await shows(pilot, "waiting 77 s")
        await pilot.press("x")
        await shows(pilot, "order 1011 was paid")
        await pilot.press("shift+tab", "up", "x")
        await until(pilot, lambda: bool(view.pattern))
        assert {record.message.split()[0] for record in view.selected} == {marked(pilot).split()[0]}


async def test_on_a_narrow_screen_they_come_at_a_key_and_go(written: Written) -> None:
    async with on_stage(LogsScreen(written.hub), NARROW, written.tell) as pilot:
        await shows(pilot, "order 1011")
        assert "Patterns" not in "\n".join(text(pilot))
        await pilot.press("P")
        await shows(pilot, "2 of the last hour")
        await pilot.press("enter")
        await until(pilot, lambda: marked(pilot).startswith("pool exhausted"))
        await pilot.press("P")
        await until(pilot, lambda: "Patterns" not in "\n".join(text(pilot)))
        assert isinstance(pilot.app.focused, LogView)


async def test_a_pattern_is_found_back_in_the_file_where_memory_ends(tmp_path: Path) -> None:
    log, stamp = tmp_path / "app.log", "2026-11-22 03:12:01"
    lines = [f"{stamp} ERROR the disk of node {n} failed" for n in range(3)]
    lines += [f"{stamp} INFO request {n} took {n} ms and was well served" for n in range(20_000)]
    log.write_text("\n".join(lines) + "\n")
    patterns = LogPatterns()
    hub = LogHub((LogConfig("app", path=str(log)),), patterns=patterns)

    def tell(screen: ConsoleScreen) -> None:
        patterns.sum_up()
        screen.readings = Readings(logs=Reading(hub.stats(), 0.0))

    screen = LogsScreen(hub, source="app")
    hub.start()
    try:
        async with on_stage(screen, WIDE, tell) as pilot:
            await until(pilot, lambda: patterns.ready)
            with log.open("a") as file:
                file.writelines(f"{stamp} ERROR the disk of node {n} failed\n" for n in (7, 8, 9))

            def learnt() -> bool:
                tell(screen)
                return bool(patterns.summary.patterns)

            await until(pilot, learnt)
            await shows(pilot, "the disk of node <*> failed")
            await pilot.press("tab", "enter")
            seen = []
            for _ in range(40):
                seen.append(marked(pilot))
                if seen[-1] == "the disk of node 0 failed":
                    break
                await pilot.press("n")
            assert list(dict.fromkeys(seen)) == [f"the disk of node {n} failed" for n in (9, 8, 7, 2, 1, 0)]
    finally:
        hub.close()
