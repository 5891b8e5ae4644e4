"""The diagnosis screen: what is known at once, checks as they end, one group again, and where a suggestion leads."""

from __future__ import annotations

import io
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from console.app import Sevdeck
from console.checks.change import Change
from console.checks.check import Finding, Status, Suggestion
from console.checks.history import History
from console.config import DockerConfig
from console.errors import SourceError
from console.incident.records import Incident
from console.watch.live import LiveSources
from screens.base import ConsoleScreen
from screens.containment import ContainmentScreen, Rows
from screens.dashboard import Dashboard
from screens.diagnosis import DiagnosisScreen
from screens.dialogs import Choose, Read
from screens.incident import IncidentScreen
from screens.recovery import Levels, Recovery
from tests.screens import story
from tests.screens.checks_made import NOWHERE, Held, Stage, found
from tests.screens.stage import SIZES, on_stage, said, shows, text, until
from tests.unit.readings_made import NOW, readings

SIZE = (120, 40)


def asked(pilot: Pilot[None]) -> list[str]:
    return list(getattr(pilot.app, "asked", []))


def left(pilot: Pilot[None], words: str) -> str:
    """The first row in the list of causes that contains these words."""
    return next((row[:83].rstrip() for row in text(pilot) if words in row[:83]), "")


def group(pilot: Pilot[None], name: str) -> str:
    return next((" ".join(row[83:].split()) for row in text(pilot) if name in row[83:]), "")


def checks() -> tuple[Held, Held, Held]:
    return (
        Held("quick.clock", "the clock is right"),
        Held("logs.new", "nothing new is logged"),
        Held("logs.size", "no log file is too large"),
    )


NEW = found("logs.new", "app logs something new: pool exhausted", Status.WARN, "shop/log", "38 times a minute")


@pytest.mark.parametrize("size", SIZES)
async def test_live_findings_are_told_at_once_while_nothing_of_the_checks_is_known(size: tuple[int, int]) -> None:
    made = checks()
    stage = Stage(made, story.hung())
    async with on_stage(stage.screen, size, stage.tell) as pilot:
        await shows(pilot, "0 of 3 ended")
        rows = text(pilot)
        assert rows[1] == "✖ app is hung: /readyz no answer in 3 s since 14:11:20; edge 504"
        assert rows[2] == "  why  app runs but does not answer; its dependencies are well."
        assert rows[3] == "  → restart app (level 1)"
        assert rows[4].startswith("    a opens Recovery at level 1 for app · 80% sure · costs: app is away for some")


@pytest.mark.parametrize("size", [(80, 24), (80, 18)])
async def test_the_sentence_is_whole_on_a_small_terminal_however_long_it_is(size: tuple[int, int]) -> None:
    stage = Stage((), readings())
    advice = Suggestion(
        "reconnect app to shop_back with its aliases app and shop-app-1, because it left that network at 14:05",
        "the database answers from everywhere else, " * 6,
        "none",
        0.8,
        cost="nothing is away meanwhile, and no connection is cut",
    )
    ill = Finding(
        "connectivity.pairs",
        "connectivity",
        Status.FAIL,
        "app cannot reach postgres at 172.18.0.3:5432 since it was taken off the network shop_back at 14:05; edge 502",
        suggestions=(advice,),
    )
    async with on_stage(stage.screen, size, lambda screen: setattr(screen, "findings", [ill])) as pilot:
        await shows(pilot, "app cannot reach")
        top = " ".join(" ".join(text(pilot)[1:8]).split())
        assert ill.summary in top
        assert advice.title in top
        assert advice.cost in top
        assert "80% sure" in top
        assert "Checks" in "\n".join(text(pilot))


async def test_groups_fill_in_as_their_checks_end_and_findings_join_the_causes() -> None:
    clock, new, size = made = checks()
    stage = Stage(made, story.hung())
    async with on_stage(stage.screen, SIZE, stage.tell) as pilot:
        await until(pilot, lambda: all(held.asked for held in made))
        stage.screen.now = NOW + 7
        await until(pilot, lambda: group(pilot, "logs") == "… logs 0 of 2 7 s …")
        new.end(found("logs.size", "the log of app is 3.1 GiB", Status.WARN, "app"))
        await until(pilot, lambda: group(pilot, "logs") == "… logs 1 of 2 7 s …")
        assert left(pilot, "the log of app").startswith("▲ ")
        clock.end(cleared="the clock is right to 0.02 s")
        await until(pilot, lambda: group(pilot, "quick").startswith("● quick well"))
        await shows(pilot, "2 of 3 ended")
        size.end()
        await until(pilot, lambda: group(pilot, "logs").startswith("▲ logs warn 1"))
        await shows(pilot, "Checks · all 3 in ")
        await shows(pilot, "● 1 well: the clock is right to 0.02 s")


async def test_a_check_that_hangs_is_seen_to_be_waited_for_and_is_unknown_after_its_deadline() -> None:
    hung, short = Held("database.answers", "the database answers"), Held("security.keys", "no key is open", 0.05)
    stage = Stage((hung, short), readings())
    async with on_stage(stage.screen, SIZE, stage.tell) as pilot:
        await until(pilot, lambda: group(pilot, "security").startswith("○ security unknown 1"))
        assert text(pilot)[1] == "○ not known whether no key is open: no answer in 0.05 s"
        await pilot.press("tab", "down", "down", "down", "down")
        await shows(pilot, "… the database answers")
        assert any("waiting" in row and "0 s of 60 s" in row for row in text(pilot))
        await shows(pilot, "1 of 2 ended")


async def test_r_runs_the_selected_group_alone_and_old_results_say_how_old_they_are() -> None:
    clock, new, size = made = checks()
    stage = Stage(made, story.hung())
    async with on_stage(stage.screen, SIZE, stage.tell) as pilot:
        await until(pilot, lambda: all(held.asked for held in made))
        await pilot.press("tab", "r")
        assert said(pilot) == ["One run at a time: 3 checks have not ended yet."]
        clock.end()
        new.end(NEW)
        size.end()
        await shows(pilot, "Checks · all 3")
        stage.clock.now = stage.screen.now = NOW + 300
        await until(pilot, lambda: group(pilot, "quick") == "● quick well 5m old")
        assert left(pilot, "app logs something new").endswith("5m old")
        await pilot.press("r")
        await until(pilot, lambda: clock.asked == 2)
        await until(pilot, lambda: group(pilot, "quick") == "… quick 0 of 1 0 s …")
        clock.end()
        await until(pilot, lambda: group(pilot, "quick").endswith(" s"))
        assert (new.asked, size.asked) == (1, 1)
        assert group(pilot, "logs") == "▲ logs warn 1 5m old"
        await until(pilot, lambda: not stage.diagnosing.running)
        await pilot.press("A")
        await until(pilot, lambda: [held.asked for held in made] == [3, 2, 2])


async def test_leaving_ends_the_run_and_coming_back_begins_with_what_was_known() -> None:
    clock, new, _ = made = checks()
    stage = Stage(made, story.hung())
    async with on_stage(stage.screen, SIZE, stage.tell) as pilot:
        await until(pilot, lambda: all(held.asked for held in made))
        new.end(NEW)
        await until(pilot, lambda: bool(left(pilot, "app logs something new")))
        pilot.app.pop_screen()
        await until(pilot, lambda: not stage.diagnosing.running)
        again = DiagnosisScreen(story.seat(NOWHERE), stage.diagnosing, stage.judged)
        await pilot.app.push_screen(again)
        stage.tell(again)
        await until(pilot, lambda: bool(left(pilot, "app logs something new")))
        await until(pilot, lambda: clock.asked == 2)


async def test_nothing_found_lists_what_was_cleared() -> None:
    clock, new, size = made = checks()
    stage = Stage(made, readings())
    async with on_stage(stage.screen, SIZE, stage.tell) as pilot:
        await until(pilot, lambda: all(held.asked for held in made))
        clock.end(cleared="the clock is right to 0.02 s")
        new.end(cleared="nothing new in 2,000 lines of 4 services")
        await shows(pilot, "○ nothing wrong so far; 2 of 3 checks have ended")
        size.end()
        await shows(pilot, "● nothing wrong was found by what is watched and by 3 checks")
        assert left(pilot, "the clock is right to") == "● the clock is right to 0.02 s"
        assert left(pilot, "nothing new in") == "● nothing new in 2,000 lines of 4 services"
        await pilot.press("a")
        assert said(pilot) == ["There is nothing to do about what is known."]
        await until(pilot, lambda: not stage.diagnosing.running)
        await pilot.press("down", "r")
        await until(pilot, lambda: [held.asked for held in made] == [1, 2, 2])


async def test_what_could_not_be_known_is_not_called_well() -> None:
    clock, new, size = made = checks()
    stage = Stage(made, readings())
    async with on_stage(stage.screen, SIZE, stage.tell) as pilot:
        await until(pilot, lambda: all(held.asked for held in made))
        clock.breaks(SourceError("the clock cannot be read", remedy="look at chronyd"))
        new.end(cleared="nothing new")
        size.end(cleared="all are small")
        await shows(pilot, "○ not known whether the clock is right: the clock cannot be read")
        assert "nothing wrong" not in "\n".join(text(pilot))


async def test_evidence_is_opened_and_an_action_leads_on() -> None:
    made = checks()
    stage = Stage(made, story.hung())
    async with on_stage(stage.screen, SIZE, stage.tell) as pilot:
        await shows(pilot, "health check said")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, Read))
        await shows(pilot, "health check said: no answer from /healthz")
        await pilot.press("escape", "a")
        await until(pilot, lambda: asked(pilot) == ["recovery.open 1:app"])
        await pilot.press("down", "enter")
        await until(pilot, lambda: asked(pilot) == ["recovery.open 1:app"] * 2)
        await pilot.press("end")
        await shows(pilot, "no level or measure of sevdeck does this")
        await pilot.press("enter")
        await until(pilot, lambda: bool(said(pilot)))
        assert said(pilot)[0].startswith("No level or measure of sevdeck does this: tell whoever runs watching/grafana")


async def test_what_has_changed_stands_first_and_is_absent_when_nothing_has() -> None:
    stage = Stage((), story.hung())
    async with on_stage(stage.screen, SIZE, stage.tell) as pilot:
        await shows(pilot, "app is hung")
        assert not any("changed since" in row for row in text(pilot))
        image = Change("image", "app", "app: shop/app:1.4 became shop/app:1.5", NOW - 600)
        file = Change("file", "compose.yaml", "compose.yaml was changed", NOW - 660)
        stage.diagnosing.history = History(since_good=(image, file), good_at=NOW - 9000)
        stage.diagnosing.heard()
        await shows(pilot, "▲ changed since the last good run: app: shop/app:1.4")
        await pilot.press("up")
        await shows(pilot, "· compose.yaml was changed, 11 min ago")


async def test_the_console_leads_from_the_diagnosis_to_a_level_and_back(tmp_path: Path) -> None:
    settings = replace(story.SETTINGS, docker=DockerConfig(host=f"unix://{tmp_path}/none.sock"))
    app = Sevdeck(settings, tmp_path, LiveSources(settings), "sevdeck-dark")
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("G")
        await shows(pilot, "── Checks")
        await shows(pilot, "the Docker engine is out of reach")
        app.screen.post_message(ConsoleScreen.Asked("recovery.open", "2:"))
        await until(pilot, lambda: isinstance(app.screen, Recovery))
        await pilot.press("i")
        await until(pilot, lambda: isinstance(app.screen, DiagnosisScreen))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Dashboard))


async def test_recovery_opens_at_the_level_it_was_led_to(tmp_path: Path) -> None:
    screen = Recovery(story.seat(tmp_path), "", story.Looks(story.sick_app()), "2")
    async with on_stage(screen, SIZE, story.teller()) as pilot:
        await shows(pilot, "touches 4 containers")
        assert screen.query_one(Levels).selected == "2:"


async def test_containment_opens_at_the_measure_it_was_led_to(tmp_path: Path) -> None:
    screen = ContainmentScreen(story.seat(tmp_path), "app", "pause")
    async with on_stage(screen, SIZE, story.teller()) as pilot:
        await until(pilot, lambda: screen.query_one(Rows).selected == "measure:pause")


@pytest.mark.parametrize("declared", [True, False])
async def test_a_playbook_is_proposed_where_an_incident_is_open(declared: bool, tmp_path: Path) -> None:
    incident: Incident | None = story.written(tmp_path / "INC-2026-0007") if declared else None
    screen = IncidentScreen(story.seat(tmp_path), "data-loss")
    async with on_stage(screen, SIZE, None) as pilot:
        if incident is None:
            await until(pilot, lambda: said(pilot) == ["A checklist belongs to an incident: D declares one."])
            return
    screen = IncidentScreen(story.seat(tmp_path), "data-loss")
    screen.set_reactive(IncidentScreen.incident, replace(incident))
    async with on_stage(screen, SIZE, None) as pilot:
        await until(pilot, lambda: isinstance(pilot.app.screen, Choose))
        await shows(pilot, "data-loss")


async def test_the_evidence_of_a_diagnosis_is_attached_with_what_the_checks_said(tmp_path: Path) -> None:
    usual = story.seat(tmp_path)
    nowhere = replace(usual.config, docker=DockerConfig(host=f"unix://{tmp_path}/none.sock"))
    seat = replace(usual, config=nowhere)
    incident = await seat.desk.declare("checkout fails", 2)
    held = checks()
    stage = Stage(held, story.hung())
    screen = DiagnosisScreen(seat, stage.diagnosing, stage.judged)
    screen.set_reactive(ConsoleScreen.incident, incident)

    def tell(to: ConsoleScreen) -> None:
        stage.tell(to)
        to.incident = incident

    async with on_stage(screen, SIZE, tell) as pilot:
        await shows(pilot, "0 of 3 ended")
        held[0].end(found("logs.new", "app logs something new: zebra", Status.WARN, "app"))
        await shows(pilot, "1 of 3 ended")
        await pilot.press("B")
        await until(pilot, lambda: "Attach this bundle to" in "\n".join(text(pilot)), seconds=60)
        await until(pilot, lambda: getattr(pilot.app.screen, "_armed_at", 0.0) <= time.monotonic())
        await pilot.press("y")
        await until(pilot, lambda: any("Attached sevdeck-bundle-" in words for words in said(pilot)))
    journal = seat.desk.journal
    assert journal is not None
    (told,) = [event.data for event in journal.events() if event.kind == "attach"]
    content = (seat.desk.store.directory(incident.id) / "blobs" / str(told["sha256"])).read_bytes()
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        (name,) = [name for name in tar.getnames() if name.endswith("/diagnosis.json")]
        file = tar.extractfile(name)
        assert file is not None and b"zebra" in file.read()
    await seat.desk.drain()
