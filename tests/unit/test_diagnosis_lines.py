"""What the diagnosis screen says, in lines: nothing that matters is cut, unknown and old are said in words."""

from __future__ import annotations

import doctest
from dataclasses import replace

import pytest

from console.checks.check import Finding, Status, Suggestion
from console.checks.diagnose import CheckState, GroupState
from console.checks.diagnosis import Check, CheckResult, Looked
from console.checks.scene import Scene
from screens import diagnosis_checks, diagnosis_lines
from screens.diagnosis_checks import checks_title, group_lines, group_rows
from screens.diagnosis_lines import CHANGES, cause_rows, finding_lines, led_to, sentence_lines, suggestion_lines
from widgets.lines import Line, width_of

NOW = 1000.0
RESTART = Suggestion(
    "restart app (level 1)", "app does not answer", "recover:1:app", 0.8,
    cost="app is away for about 4 s", falsified_by="app answers directly and stays slow",
)  # fmt: skip
HUNG = Finding("containers.health", "quick", Status.FAIL, "app is hung", ("4 failures in a row",), (RESTART,), "app")
EDGE = Finding("probes.fail", "connectivity", Status.FAIL, "edge: 504", subject="edge", cause=HUNG.key)
DISK = Finding("host.disk", "quick", Status.WARN, "disk / is 88 % full", subject="/")


def live(key: str) -> float | None:
    return None


def words(lines: list[Line]) -> list[str]:
    return ["".join(span.text for span in spans).rstrip() for spans in lines]


async def _look(scene: Scene) -> Looked:
    return Looked()


def state(name: str, *findings: Finding, cleared: str = "", ago: float = 0.0, status: Status = Status.OK) -> CheckState:
    result = CheckResult(name, name.partition(".")[0], f"{name} is well", status, 0.3, findings, cleared)
    return CheckState(Check(name, f"{name} is well", _look), result, NOW - ago)


def waiting(name: str, seconds: float) -> CheckState:
    return CheckState(Check(name, f"{name} is well", _look), since=NOW - seconds)


def test_examples() -> None:
    for module in (diagnosis_checks, diagnosis_lines):
        found = doctest.testmod(module)
        assert found.attempted and not found.failed


def test_the_sentence_says_what_is_broken_why_and_what_to_do() -> None:
    assert words(sentence_lines([HUNG, DISK, EDGE], (), False, 100, 7)) == [
        "✖ app is hung",
        "  why  app does not answer.",
        "  → restart app (level 1)",
        "    a opens Recovery at level 1 for app · 80% sure · costs: app is away for about 4 s",
    ]
    nothing = replace(RESTART, action="none", cost="")
    told = words(sentence_lines([replace(HUNG, suggestions=(nothing,))], (), False, 100, 7))
    assert told[-1] == "    no level or measure of sevdeck does this · 80% sure"


@pytest.mark.parametrize("height", [4, 5, 6])
def test_the_reason_gives_way_before_the_cause_and_the_advice(height: int) -> None:
    long = replace(RESTART, why="one reason after the other, " * 12, cost="")
    lines = sentence_lines([replace(HUNG, summary="app is hung " * 10, suggestions=(long,))], (), False, 78, height)
    told = " ".join(" ".join(words(lines)).split())
    assert len(lines) <= height
    assert ("app is hung " * 10).strip() in told
    assert "restart app (level 1) a opens Recovery" in told
    assert told.count("one reason") < 12
    assert max(width_of(spans) for spans in lines) <= 78
    assert ("why" in told) == (height > 4)
    assert ("…" in told) == (height > 4), "a reason that is cut says so"


def test_nothing_found_is_said_only_when_all_has_ended() -> None:
    groups = (GroupState("quick", (state("quick.clock"), waiting("quick.kernel", 3))),)
    assert words(sentence_lines(None, groups, True, 80, 7)) == ["○ looking …"]
    assert words(sentence_lines([], (), False, 80, 7)) == ["○ nothing wrong so far"]
    assert words(sentence_lines([], groups, True, 80, 7)) == ["○ nothing wrong so far; 1 of 2 checks have ended"]
    over = (GroupState("quick", (state("quick.clock"), state("quick.kernel"))),)
    assert words(sentence_lines([], over, False, 80, 7)) == [
        "● nothing wrong was found by what is watched and by 2 checks"
    ]


def test_symptoms_fold_before_a_cause_is_out_of_sight_and_changes_stand_first() -> None:
    other = replace(EDGE, subject="webhook", summary="webhook: 504")
    found = [HUNG, DISK, EDGE, other]
    whole = cause_rows(found, 60, 5, NOW, live)
    assert [row.key.partition(":")[0] for row in whole] == ["f", "s0", "f", "f", "f"]
    folded = cause_rows(found, 60, 4, NOW, live, "since the last good run", ["app 1.4 became 1.5"])
    assert words([row.spans for row in folded]) == [
        "▲ changed since the last good run: app 1.4 became 1.5",
        "✖ app is hung",
        "  → restart app (level 1)" + " " * 27 + "80% sure",
        "     2 follow: edge: 504; webhook: 504",
        "▲ disk / is 88 % full",
    ]
    assert folded[0].key == CHANGES


def test_a_finding_in_full_has_its_evidence_its_advice_and_what_follows() -> None:
    cause = replace(HUNG, evidence=(*HUNG.evidence, f"explains: {EDGE.summary}"))
    assert words(finding_lines(cause, (EDGE,), NOW, 80, live)) == [
        "✖ app is hung",
        "  live · containers.health",
        "  · 4 failures in a row",
        "→ restart app (level 1)",
        "  sure   80%",
        "  why    app does not answer.",
        "  costs  app is away for about 4 s",
        "  wrong  if app answers directly and stays slow",
        "  next   opens Recovery at level 1 for app",
        "  from this follows",
        "    ✖ edge: 504",
    ]
    told = words(finding_lines(DISK, (), NOW, 80, lambda key: NOW - 130))
    assert told[1] == "  found 2m ago by the checks of quick · host.disk"


def test_a_group_says_its_state_in_words_and_how_old_it_is() -> None:
    warned = state("logs.new", replace(DISK, status=Status.WARN), status=Status.WARN, ago=400)
    lost = state("database.answers", replace(DISK, status=Status.UNKNOWN), status=Status.UNKNOWN)
    groups = (
        GroupState("quick", (state("quick.clock"), waiting("quick.kernel", 9))),
        GroupState("logs", (warned, state("logs.size"))),
        GroupState("database", (lost,)),
        GroupState("security"),
    )
    told = [" ".join(text.split()) for text in words([row.spans for row in group_rows(groups, NOW)])]
    assert told == ["… quick 1 of 2 9 s …", "▲ logs warn 1 6m old", "○ database unknown 1 0.3 s", "security no checks"]
    assert checks_title(groups, True) == "Checks · 4 of 5 ended"
    assert checks_title(groups[1:], False) == "Checks · all 3 in 0.3 s"
    never = (GroupState("quick", (CheckState(groups[0].checks[0].check),)),)
    assert checks_title(never, False) == "Checks · 0 of 1 ended"
    assert "not run" in words([row.spans for row in group_rows(never, NOW)])[0]


def test_the_checks_of_a_group_show_what_is_waited_for_first_then_what_is_bad() -> None:
    lost = state("quick.kernel", replace(DISK, summary="not known", status=Status.UNKNOWN), status=Status.UNKNOWN)
    bad = state("quick.disk", replace(DISK, status=Status.FAIL), status=Status.FAIL, ago=400)
    group = GroupState("quick", (state("quick.clock", cleared="right to 0.02 s"), lost, bad, waiting("quick.late", 4)))
    told = [" ".join(text.split()) for text in words(group_lines(group, NOW, 80))]
    assert told == [
        "… quick.late is well waiting 4 s of 5 s",
        "✖ quick.disk is well fail 0.3 s 6m old",
        "✖ disk / is 88 % full",
        "○ quick.kernel is well unknown 0.3 s",
        "○ not known",
        "● quick.clock is well well 0.3 s",
        "right to 0.02 s",
    ]


@pytest.mark.parametrize(
    "action", ["recover:1:app", "recover:2:", "recover::", "playbook:data-loss", "contain:pause:app"]
)
def test_every_action_leads_to_a_screen_and_says_which(action: str) -> None:
    led = led_to(action)
    assert led is not None
    assert led[0] in ("recovery.open", "incident.open", "containment.open")
    told = words(suggestion_lines(replace(RESTART, action=action), 80))
    assert told[-1].startswith("  next   opens ")
