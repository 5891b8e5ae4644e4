"""Every screen as text, in both sizes, against golden files: how to renew them is told in golden/README.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.checks.evidence import evidence
from console.commands import SCREENS
from screens.base import ConsoleScreen
from screens.container import ContainerScreen
from screens.dashboard import Dashboard
from screens.declare import Declare
from screens.dialogs import Read
from screens.help import help_lines
from screens.incident import IncidentScreen
from screens.logs import LogsScreen
from screens.recovery import Recovery
from tests.screens import story
from tests.screens.checks_made import Stage, Told
from tests.screens.stage import GOLDEN, SIZES, compare, on_stage, shows, until
from tests.unit.readings_made import NOW
from widgets.choice import ChoiceList

pytestmark = pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")

Size = tuple[int, int]
_HELPED = tuple(name for name in SCREENS if name != "help")


async def test_dashboard(size: Size, tmp_path: Path) -> None:
    screen = Dashboard(story.SETTINGS.thresholds, story.hub(), "shop")
    incident = story.written(tmp_path / "INC-2026-0007")
    async with on_stage(screen, size, story.teller(incident)) as pilot:
        await compare(pilot, "dashboard")
        if size[0] < 100:
            for key, pane in (("1", "host"), ("3", "business"), ("4", "logs")):
                await pilot.press(key)
                await compare(pilot, f"dashboard-{pane}")


async def test_dashboard_that_lost_its_engine(size: Size) -> None:
    screen = Dashboard(story.SETTINGS.thresholds, story.hub(), "shop")
    async with on_stage(screen, size, story.without_engine) as pilot:
        await compare(pilot, "dashboard-engine-away")


async def test_dashboard_before_anything_is_known(size: Size) -> None:
    async with on_stage(Dashboard(story.SETTINGS.thresholds, story.hub()), size) as pilot:
        await compare(pilot, "dashboard-empty")


async def test_container(size: Size) -> None:
    screen = ContainerScreen(story.ToldSource(), story.APP)
    async with on_stage(screen, size, story.teller()) as pilot:
        await shows(pilot, "Processes")
        await compare(pilot, "container")


async def test_logs(size: Size) -> None:
    async with on_stage(LogsScreen(story.hub()), size, story.teller()) as pilot:
        await compare(pilot, "logs")
        await pilot.press("up", "up", "up", "enter")
        await shows(pilot, "closes")
        await compare(pilot, "logs-line")


async def test_incident(size: Size, tmp_path: Path) -> None:
    incident = story.written(tmp_path / "INC-2026-0007")
    async with on_stage(IncidentScreen(story.seat(tmp_path)), size, story.teller(incident)) as pilot:
        await compare(pilot, "incident")
        if size[0] < 100:
            await pilot.press("tab")
            await compare(pilot, "incident-timeline")


async def test_incident_of_which_not_all_is_safe(size: Size, tmp_path: Path) -> None:
    incident = story.written(tmp_path / "INC-2026-0007")

    def told(screen: ConsoleScreen) -> None:
        story.tell(screen, incident)
        screen.standing = story.half_safe(incident)
        screen.unsaved = "1 entry NOT SAVED (^W writes elsewhere): the disk is full"

    async with on_stage(IncidentScreen(story.seat(tmp_path)), size, told) as pilot:
        await pilot.press("tab")
        await compare(pilot, "incident-unsafe")


async def test_incident_screen_without_an_incident(size: Size, tmp_path: Path) -> None:
    async with on_stage(IncidentScreen(story.seat(tmp_path)), size, story.teller()) as pilot:
        await compare(pilot, "incident-none")


async def test_recovery(size: Size, tmp_path: Path) -> None:
    screen = Recovery(story.seat(tmp_path), look=story.Looks(story.sick_app()))
    async with on_stage(screen, size, story.teller()) as pilot:
        await shows(pilot, "recommended")
        await compare(pilot, "recovery")
        await pilot.press("down", "enter")
        await shows(pilot, "to run it")
        await compare(pilot, "recovery-confirm")


async def test_recovery_under_way_and_over(size: Size, tmp_path: Path) -> None:
    run = story.ARun(tmp_path)
    screen = Recovery(story.seat(tmp_path), look=story.Looks(story.sick_app(holder=run.holder), story.well()))
    async with on_stage(screen, size, story.teller()) as pilot:
        await shows(pilot, "a run is under way")
        await compare(pilot, "recovery-running")
        run.validates()
        await shows(pilot, "validating")
        await compare(pilot, "recovery-validating")
        run.observes()
        await shows(pilot, "observing")
        run.end()
        run.release()
        await shows(pilot, "unneeded")
        await compare(pilot, "recovery-over")


async def test_recovery_refused(size: Size, tmp_path: Path) -> None:
    screen = Recovery(story.seat(tmp_path), look=story.Looks(story.sick_app(hold="kernel update until 15:00")))
    async with on_stage(screen, size, story.teller()) as pilot:
        await shows(pilot, "refused")
        await compare(pilot, "recovery-refused")


async def test_declare(size: Size) -> None:
    found = evidence(story.hung(), story.SETTINGS, NOW)
    async with on_stage(Declare(found, "app is hung", "ana"), size) as pilot:
        await until(pilot, lambda: bool(pilot.app.screen.query_one(ChoiceList).rows))
        await compare(pilot, "declare")
        await pilot.press("enter", "down", "enter")
        await compare(pilot, "declare-wizard")


async def test_diagnosis(size: Size) -> None:
    stage = Stage((), story.hung(), Told())
    async with on_stage(stage.screen, size, stage.tell) as pilot:
        await compare(pilot, "diagnosis")
        await pilot.press("tab", "down", "down")
        await compare(pilot, "diagnosis-checks")


async def test_help(size: Size) -> None:
    width = min(106, size[0] - 4)  # as the application gives it
    async with on_stage(Read(help_lines(_HELPED[0], {}, width)), size) as pilot:
        await compare(pilot, f"help-{_HELPED[0]}")
        for name in _HELPED[1:]:
            await pilot.app.switch_screen(Read(help_lines(name, {}, width)))
            await compare(pilot, f"help-{name}")


def test_every_golden_file_is_compared_with_something(size: Size) -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    named = [file.stem.rsplit("-", 1)[0] for file in GOLDEN.glob(f"*-{size[0]}x{size[1]}.txt")]
    made = {f"help-{name}" for name in _HELPED} | {f"dashboard-{name}" for name in ("host", "business", "logs")}
    assert [name for name in named if name not in made and f'"{name}"' not in source] == []
