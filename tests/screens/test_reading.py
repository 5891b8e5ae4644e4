"""Text that people act on is read whole: wrapped, scrolled with a sign, and drawn on every terminal."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from console.checks.check import Finding, Status, Suggestion
from console.checks.judge import judge
from console.commands import SCREENS
from console.guide.schema import Step, Text
from console.incident.records import StepState
from console.incident.severity import Evidence, questions
from screens.declare import Declare
from screens.diagnosis_lines import cause_rows, finding_lines, sentence_lines, trees
from screens.dialogs import Choose, Confirm, Read
from screens.help import help_lines
from screens.incident import IncidentScreen
from screens.steps import step_lines
from tests.screens import story
from tests.screens.stage import SIZES, on_stage, shows, text, until
from tests.unit.readings_made import NOW
from widgets.bars import finding_line
from widgets.business_pane import metric_line, probe_line
from widgets.lines import ASCII_MARKS, Line, LinePane, line, width_of
from widgets.prompt import Prompt

ROOT = Path(__file__).parents[2]


def words(lines: list[Line]) -> list[str]:
    return ["".join(span.text for span in spans).rstrip() for spans in lines]


def finding(key: str, status: Status = Status.FAIL, **more: Any) -> Finding:
    return replace(Finding("a", "quick", status, f"{key} is ill", subject=key), **more)


@pytest.mark.parametrize("size", SIZES)
async def test_a_choice_shows_its_question_and_every_option_whichever_is_chosen(size: tuple[int, int]) -> None:
    question = "ana hands over to you: " + " ".join(f"word{n}" for n in range(40))
    options = [("yes", line("I take the command")), ("no", line("I decline"))]
    async with on_stage(Choose(question, options, "no"), size) as pilot:
        await shows(pilot, "I decline")
        shown = "\n".join(text(pilot))
        assert "word0 " in shown and "word39" in shown and "I take the command" in shown


async def test_the_timeline_opens_with_the_filter_it_was_left_with(tmp_path: Path) -> None:
    seat, incident = story.seat(tmp_path), story.written(tmp_path / "INC-2026-0007")
    async with on_stage(IncidentScreen(seat), SIZES[1], story.teller(incident)) as pilot:
        await shows(pilot, "Timeline all")
        await pilot.press("tab", "f", "f")
        await shows(pilot, "Timeline automatic")
        await until(pilot, lambda: seat.desk.store.setting("timeline filter of ana") == "automatic")
    async with on_stage(IncidentScreen(seat), SIZES[1], story.teller(incident)) as pilot:
        await shows(pilot, "Timeline automatic")


# -- findings


def test_each_symptom_stands_under_its_own_cause_and_an_orphan_by_itself() -> None:
    first, second = finding("first"), finding("second", Status.WARN)
    orphan = finding("orphan", cause="not:listed")
    found = [first, orphan, second, finding("of-second", cause=second.key), finding("of-first", cause=first.key)]
    told = words([row.spans for row in cause_rows(found, 76, 20, NOW, lambda key: None)])
    assert told == ["✖ first is ill", "    ✖ of-first is ill", "✖ orphan is ill", "▲ second is ill",
                    "    ✖ of-second is ill"]  # fmt: skip
    follow = finding("again", cause=first.key)
    folded = words([row.spans for row in cause_rows([*found, follow], 76, 5, NOW, lambda key: None)])
    assert folded == ["✖ first is ill", "     2 follow: of-first is ill; again is ill", "✖ orphan is ill",
                      "▲ second is ill", "    ✖ of-second is ill"]  # fmt: skip


@pytest.mark.parametrize("width", [76, 106])
def test_nothing_of_the_findings_and_of_the_help_is_wider_than_its_dialog(width: int) -> None:
    cost, wrong = "minutes in which nothing is served, " * 5, "the disk has room, " * 9
    title = "free space on the disk that holds the images, " * 4
    long = Suggestion(title, "because", "none", 0.9, cost=cost, falsified_by=wrong)
    found = [*judge(story.hung(), story.SETTINGS, NOW), finding("long", suggestions=(long,))]
    lines = [spans for t in trees(found) for spans in finding_lines(t.cause, t.symptoms, NOW, width, lambda key: None)]
    lines += sentence_lines(found[-1:], (), False, width, 40)
    lines += [row.spans for row in cause_rows(found, width, 99, NOW, lambda key: None) if row.key.startswith("s")]
    for name in SCREENS:
        lines += help_lines(name, {"app.quit": "ctrl+shift+f12"}, width)
    assert max(width_of(spans) for spans in lines) <= width


# -- dialogs


def numbered(pilot: Pilot[None]) -> list[int]:
    """The numbers of the lines in sight."""
    rows = [row.strip(" │") for row in text(pilot)]
    return [int(row.split()[1]) for row in rows if row.startswith("row ")]


ROWS = [line(f"row {n}") for n in range(60)]


@pytest.mark.parametrize("size", SIZES)
async def test_what_is_read_tells_what_is_out_of_sight_and_scrolls_to_its_last_line(size: tuple[int, int]) -> None:
    async with on_stage(Read(ROWS), size) as pilot:
        fits = size[1] - 3  # border and sign
        await shows(pilot, f"… {60 - fits} more lines: ↓")
        assert numbered(pilot) == list(range(fits))
        await pilot.press("down", "down", "down")
        await shows(pilot, f"… {57 - fits} more lines: ↓  3 above: ↑")
        await pilot.press("pagedown", "pagedown", "pagedown", "pagedown")
        await shows(pilot, f"… {60 - fits} more lines: ↑")
        assert numbered(pilot)[-1] == 59
        await pilot.press("pageup", "pageup", "pageup", "pageup")
        await shows(pilot, f"… {60 - fits} more lines: ↓")


@pytest.mark.parametrize("size", [(80, 16), *SIZES])
async def test_a_confirmation_scrolls_while_its_word_is_typed(size: tuple[int, int]) -> None:
    async with on_stage(Confirm(ROWS, word="restart app"), size) as pilot:
        fits = size[1] - 9
        await shows(pilot, f"… {60 - fits} more lines: ↓")
        assert any("type restart app to run it" in row for row in text(pilot))
        await pilot.press("r", "down", "e", "down", "s")
        await shows(pilot, f"… {58 - fits} more lines: ↓  2 above: ↑")
        assert pilot.app.screen.query_one(Prompt).value == "res"
        assert pilot.app.screen.query_one(Prompt).has_focus
        await pilot.press(*["pagedown"] * 9)
        await shows(pilot, f"… {60 - fits} more lines: ↑")
        assert numbered(pilot)[-1] == 59
        await pilot.press("up")
        await shows(pilot, "… 1 more line: ↓")


async def test_a_confirmation_by_one_key_scrolls_too(tmp_path: Path) -> None:
    async with on_stage(Confirm(ROWS, key="r"), SIZES[0]) as pilot:
        await shows(pilot, "press r to run it")
        await pilot.press("down", "pagedown")
        await shows(pilot, "above: ↑")
        await pilot.press(*["pagedown"] * 6)
        assert numbered(pilot)[-1] == 59


def test_a_step_shows_its_command_and_what_was_said_whole() -> None:
    step = Step("s", "command", Text({"en": "Look"}), text=Text({"en": "Read it all, to its very end. " * 6}))
    output = "a row of output that goes on and on " * 5
    state = StepState(
        "s",
        "Look",
        "command",
        "",
        (),
        "failed",
        None,
        None,
        notes=("seen " * 40,),
        result={"exit": 1, "output": output},
    )
    command = (
        "docker run --rm --env-file /etc/shop/very-long-name.env shop/app:1.4 python -m shop.check --all-tenants  x"
    )
    lines = step_lines(step, state, command, 60)
    assert max(width_of(spans) for spans in lines) <= 60
    assert command in "".join("".join(s.text for s in spans if s.tone != "key") for spans in lines)
    assert output in "".join("".join(s.text for s in spans) for spans in lines)


# -- the declaration


@pytest.mark.parametrize("size", SIZES)
async def test_a_declaration_shows_every_question_whole(size: tuple[int, int]) -> None:
    evidence = Evidence(business_ok=False, business_failing_for=117.0, edge_failing=0.42, database_ok=True)
    async with on_stage(Declare(evidence, "app is hung", "ana"), size) as pilot:
        await shows(pilot, "Commander")
        rows = [row.strip(" │") for row in text(pilot)]
        shown = " ".join(" ".join(rows).split())
        assert "…" not in shown
        for question in questions(evidence):
            for word in question.text.split():
                assert word in shown
        answers = [row.index(f"  {word}") for row in text(pilot) for word in ("not sure", "ana ") if f"  {word}" in row]
        assert len(answers) >= 4
        assert len(set(answers)) == 1


async def test_a_declaration_on_a_small_terminal_says_that_it_goes_on() -> None:
    async with on_stage(Declare(Evidence(), "app is hung", "ana"), (80, 16)) as pilot:
        await shows(pilot, "more lines: ↓")
        await pilot.press("enter", *["down"] * 8)
        await shows(pilot, "more lines: ↑")
        assert any("Declare SEV-" in row for row in text(pilot))
        assert any("Enter next answer" in row for row in text(pilot))


# -- one line


def test_the_cause_keeps_most_of_the_finding_bar_and_the_advice_is_cut_first() -> None:
    cause = "the Docker engine is out of reach since 14:13:00: it accepts connections and does not answer"
    advice = Suggestion("Look at dockerd: journalctl -u docker", "", "none", 0.9)
    found = [finding("engine", summary=cause, suggestions=(advice,)), finding("other")]
    for width in (40, 60, 80, 100, 120, 160):
        (shown,) = words([finding_line(found, width)])
        assert width_of(finding_line(found, width)) <= width
        assert shown.endswith("+1 [i]")
        told, _, adviced = shown.removesuffix("  +1 [i]").partition("  → ")
        assert len(told) >= 3 * len(adviced) / 2 or told.endswith("answer")
        assert not (told.endswith("…") and adviced == advice.title and width <= 80)


@pytest.mark.parametrize("width", [48, 54, 66, 80])
def test_a_business_line_never_ends_in_the_middle_of_a_word(width: int) -> None:
    found = story.hung()
    assert found.probes.value is not None
    assert found.metrics.value is not None
    rows = [probe_line(p, 17, width, NOW) for p in found.probes.value.probes]
    rows += [metric_line(m, 17, 2, width) for m in found.metrics.value.metrics]
    assert max(width_of(row) for row in rows) <= width


def test_a_change_is_said_as_the_findings_say_it() -> None:
    found = story.hung()
    assert found.metrics.value is not None
    summaries = [f.summary for f in judge(found, story.SETTINGS, NOW)]
    for metric, change in zip(found.metrics.value.metrics, ("-97 %", "+9900 %"), strict=False):
        assert any(f.startswith(metric.name) and f.endswith(f", {change}") for f in summaries)
        assert f" {change}" in words([metric_line(metric, 17, 2, 80)])[0]


# -- marks


def test_every_mark_that_is_printed_has_its_ascii_twin() -> None:
    printed: set[str] = set()
    for file in (f for part in ("screens", "widgets", "console") for f in (ROOT / part).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                printed |= {char for char in node.value if ord(char) > 126 and not char.isalpha()}
    assert {char for char in printed if ord(char) not in ASCII_MARKS} == set()
    assert all(twin < 127 for twin in ASCII_MARKS.values())


async def test_a_hint_in_a_prompt_is_ascii_too_on_a_plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LinePane, "plain", True)
    async with on_stage(Confirm(ROWS, word="x"), SIZES[0]) as pilot:
        await shows(pilot, "more lines: v")
        await pilot.press("y", "enter")
        await shows(pilot, 'that was not "x": nothing was done')
