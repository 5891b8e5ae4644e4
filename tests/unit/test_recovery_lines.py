"""A run in lines: what it came to stands first, the step under way is in sight, the way back is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from console.actions import recovery
from console.actions.runview import Observation, RunView, StepView, Validation
from screens.recovery_lines import run_lines, run_title
from tests.unit.project_twin import ProjectTwin, config

PLAN = recovery.plan(2, "", ProjectTwin().facts(), config())


def a_run(done: int, **more: Any) -> RunView:
    """Level 2 with `done` steps behind it and one under way."""
    states = ["ok"] * done + ["running"] + ["pending"] * len(PLAN.steps)
    steps = tuple(StepView(step, state) for step, state in zip(PLAN.steps, states, strict=False))
    back = tuple(StepView(step) for step in PLAN.compensation)
    return replace(RunView("r1", PLAN, "ana", 100.0, state="running", steps=steps, compensation=back), **more)


def words(run: RunView, width: int = 78) -> list[str]:
    return ["".join(span.text for span in found) for found in run_lines(run, 130.0, width).lines]


def test_the_title_says_what_runs_how_far_it_is_and_who_asked() -> None:
    count = len(PLAN.steps)
    assert run_title(a_run(3), 130.0) == f"Run: level 2, restart 4 services · step 4 of {count} · 00:00:30 · by ana"
    over = a_run(count, state="closed", outcome="rolled_back", ended_at=142.0)
    assert run_title(over, 999.0) == "Run: level 2, restart 4 services · rolled_back · 00:00:42 · by ana"


def test_the_line_of_the_step_under_way_is_known_and_nothing_of_the_way_back_is_told_before_its_time() -> None:
    shown = run_lines(a_run(9), 130.0, 78)
    assert "".join(span.text for span in shown.lines[shown.at]).startswith(" ▶ ")
    assert not any("putting back" in text for text in words(a_run(9)))


def test_what_it_came_to_stands_before_its_steps() -> None:
    well = Validation(True, (), "better", "6/6 well, better")
    over = a_run(
        len(PLAN.steps), state="closed", outcome="ok", reason="validated and stable for 60 s", validation=well,
        observation=Observation(60.0, 100.0, "stable", 12, 0, ended_at=160.0),
    )  # fmt: skip
    told = words(over)
    assert told[0] == "outcome: ok. validated and stable for 60 s"
    assert told[1].endswith("validation: 6/6 well, better")
    assert told[2].endswith("observed 60/60 s  12 looks, 0 failed: stable")
    assert told[3].startswith(" ✔ capture evidence")
    assert run_lines(over, 130.0, 78).at == 0


def test_the_way_back_is_seen_while_it_is_gone() -> None:
    run = a_run(9, state="compensating", reason="wait until shop-app-1 is healthy: it did not stay up")
    failed = tuple(replace(v, state="failed") if v.state == "running" else v for v in run.steps)
    back = (replace(run.compensation[0], state="running"), *run.compensation[1:])
    run = replace(run, steps=failed, compensation=back)
    told = words(run)
    assert told[0] == run.reason
    assert told[told.index("putting back what was before:") + 1].startswith(" ▶ start shop-postgres-1")
    assert "putting back" in run_title(run, 130.0)
