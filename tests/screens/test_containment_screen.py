"""The containment screen and its bar: a measure chosen, shown, typed, in force, overdue, undone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from console.actions.containment import ledger
from console.actions.containment.reminder import Contained
from screens.containment import ContainmentScreen
from screens.dashboard import Dashboard
from screens.dialogs import Choose, Confirm
from tests.screens import story
from tests.screens.stage import SIZES, on_stage, said, shows, text, until
from tests.unit.readings_made import NOW
from tests.unit.test_containment import Shop

each_size = pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")


def screen(shop: Shop) -> ContainmentScreen:
    return ContainmentScreen(story.seat(shop.room.data_dir), make=lambda seat: shop.room)


@each_size
async def test_a_service_is_isolated_by_typing_its_words_and_comes_back(tmp_path: Path, size: tuple[int, int]) -> None:
    shop = Shop(tmp_path)
    async with on_stage(screen(shop), size) as pilot:
        await shows(pilot, "Nothing is contained")
        assert any("take a service off its networks" in row for row in text(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, Choose))
        await shows(pilot, "app, only from shop_back")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, ContainmentScreen))
        assert shop.twin.calls == []
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, Choose))
        await pilot.press("home", "down", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        await shows(pilot, "docker network disconnect shop_back shop-app-1")
        await shows(pilot, "undo: docker network connect --alias")
        await shows(pilot, "type isolate app to run it")
        await pilot.press(*"isolate ap", "enter")
        await shows(pilot, "nothing was done")
        assert shop.networks()
        await pilot.press(*"isolate app", "enter")
        await until(pilot, lambda: shop.networks() == {})
        await shows(pilot, "isolate app")
        await shows(pilot, "30 min left")
        await shows(pilot, "In force")
        await pilot.press("u")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        await asyncio.sleep(0.7)  # a key still held down does not confirm
        await pilot.press("u")
        await until(pilot, lambda: len(shop.networks()) == 2)
        await shows(pilot, "Nothing is contained")
        assert any("isolate app: undone" in words for words in said(pilot))


async def test_a_refusal_says_why_and_nothing_is_asked(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    async with on_stage(screen(shop), SIZES[0], story.teller()) as pilot:
        await shows(pilot, "Nothing is contained")
        await pilot.press(*["down"] * 6)
        await shows(pilot, "── safe-mode ──")
        await pilot.press("enter")
        await until(pilot, lambda: bool(said(pilot)))
        assert said(pilot)[0].startswith("Refused: no safe mode is configured. set [containment] safe_mode_env")
        assert ledger.read(tmp_path).entries == ()


async def test_an_overdue_and_a_lost_one_stand_out_with_what_is_wrong(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    await shop.apply("pause", "app", seconds=0.01)
    await shop.apply("no-restart", "redis")
    shop.twin.set("redis", policy="always")  # somebody set it back by hand
    async with on_stage(screen(shop), SIZES[0]) as pilot:  # at the time it is: entries are as old as they are
        await shows(pilot, "OVERDUE")
        await shows(pilot, "NOT IN FORCE")
        await pilot.press("home", "down")
        await shows(pilot, "no restart of shop-redis-1 by the engine: not in force")


async def test_the_next_measure_lasts_as_long_as_was_chosen(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    async with on_stage(screen(shop), SIZES[0], story.teller()) as pilot:
        await shows(pilot, "Measures, for 30 min")
        await pilot.press("t")
        await shows(pilot, "Measures, for 60 min")
        await pilot.press("t", "t")
        await shows(pilot, "Measures, for 15 min")


async def test_what_is_contained_stands_on_every_screen_and_nothing_else_does() -> None:
    held = (Contained("isolate-app-3f2a", "isolate app", "active", NOW + 720, ("app",)),)
    dashboard = Dashboard({}, story.hub(), "shop")
    async with on_stage(dashboard, SIZES[0], story.teller()) as pilot:
        before = text(pilot)
        assert "⛨" not in "\n".join(before)
        dashboard.contained = held
        await shows(pilot, "⛨ isolate app · 12 min left  C undoes")
        dashboard.now = NOW + 900
        await shows(pilot, "⛨ isolate app · OVERDUE 3 min")
        dashboard.contained = ()
        dashboard.now = NOW
        await until(pilot, lambda: "⛨" not in "\n".join(text(pilot)))
