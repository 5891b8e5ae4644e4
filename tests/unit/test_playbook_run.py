"""Following a playbook: intent before effect, result after it, evidence over opinion, and any console can go on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from console.errors import RecordError, RefusedError, UsageError
from console.guide.bindings import Bindings, Host, bind, preview
from console.guide.execution import Output, run_blocking
from console.guide.loader import parse_playbook
from console.guide.run import PlaybookRun
from console.guide.schema import Playbook
from console.incident.events import Actor
from console.incident.journal import Journal
from console.incident.records import StepState
from console.incident.state import fold

ANA = Actor("ana", host="prod-1", via="console")
BOB = Actor("bob", host="prod-1", via="console")

BOOK = """\
schema: sevdeck.playbook/v1
id: story
version: 2
title: {en: Story, pt: História}
owner: ops
vars:
  db: {from: compose.service, role: database}
  db_container: {from: compose.container, role: database}
  pid: {type: string, pattern: '^[0-9]{1,7}$'}
phases:
  - {id: now, title: {en: Now, pt: Agora}, within: 5m}
  - {id: then, title: {en: Then, pt: Depois}}
steps:
  - {id: tell, type: notify, audience: external, phase: now, title: {en: Tell users, pt: Avise}}
  - {id: must, type: instruction, phase: now, skip: never, due: 1m, title: Must}
  - {id: well, type: check, phase: now, title: Well, verify: {probe: edge, stable_for: 30s}}
  - id: cancel
    type: command
    risk: disruptive
    phase: now
    title: Cancel it
    run: {exec_in: "{{db}}", argv: [psql, -c, "SELECT pg_cancel_backend({{pid}})"]}
    confirm: {kind: type, text: "{{pid}}"}
    expect: 1s
    timeout: 5s
    expect_result: {exit: 0, contains: ok}
    verify: {role: database, within: 60s, stable_for: 10s}
  - id: which
    type: decision
    phase: now
    ask: Which way?
    options: [{label: Left, goto: left}, {label: Right, goto: right}, {label: Other, playbook: data-loss}]
    deadline: {after: 3m, then: {goto: right}}
  - {id: left, type: instruction, phase: then, title: Left, on_success: {goto: end}, on_failure: {goto: right}}
  - {id: right, type: wait, phase: then, title: Wait, for: 60s, until: {probe: edge}}
  - {id: end, type: instruction, phase: then, title: End, terminal: true}
"""


class World:
    """A run, its clock, and commands that answer what they are told."""

    def __init__(self, directory: Path) -> None:
        self.now = 1_795_317_172.0
        directory.mkdir()
        self.journal = Journal(directory, ANA, wall=self.wall)
        self.journal.append("declared", {"title": "x", "severity": 1})
        playbook, problems = parse_playbook(BOOK.encode(), "story.yaml")
        assert playbook is not None, problems
        self.playbook: Playbook = playbook
        self.run = PlaybookRun.start(self.journal, playbook, wall=self.wall)
        self.asked: list[tuple[tuple[str, ...], float]] = []
        self.answer: Callable[[], Output] = lambda: Output(0, "ok", 0.1)
        self.bindings: Bindings = bind(
            playbook,
            Host("shop", roles={"database": ["postgres"]}, containers={"postgres": ["shop-postgres-1"]}),
            {"pid": "4711"},
        )

    def wall(self) -> float:
        return self.now

    def execute(self, argv: tuple[str, ...], timeout: float) -> Output:
        self.asked.append((argv, timeout))
        return self.answer()

    def step(self, id: str) -> StepState:
        found = self.run.state().step(id)
        assert found is not None
        return found

    def cancel(self, **more: Any) -> None:
        self.run.execute("cancel", self.bindings, self.execute, **({"confirmed": "4711"} | more))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "INC-2026-0001")


def test_starting_pins_the_file_and_its_deadlines(world: World) -> None:
    state = world.run.state()
    assert (state.playbook, state.version, state.sha256) == ("story", 2, world.playbook.sha256)
    assert world.journal.blob(state.sha256) == BOOK.encode()
    assert state.phases == (("now", "Now"), ("then", "Then"))
    due = {step.id: None if step.due_at is None else round(step.due_at - state.started_at) for step in state.steps}
    assert due == {"tell": 300, "must": 60, "well": 300, "cancel": 300, "which": 300, "left": None, "right": None,
                   "end": None}  # fmt: skip


def test_another_console_goes_on_with_the_playbook_as_it_was_started(world: World, tmp_path: Path) -> None:
    other = Journal(tmp_path / "INC-2026-0001", BOB, wall=world.wall)
    run = PlaybookRun.resume(other, fold(other.events()).runs[0], wall=world.wall)
    run.tick("must", text="I did it")
    assert world.step("must").by == "bob" and world.step("must").notes == ("I did it",)
    with pytest.raises(RefusedError, match="done already"):
        world.run.tick("must")
    (tmp_path / "INC-2026-0001" / "blobs" / world.playbook.sha256).write_bytes(b"tampered")
    with pytest.raises(RecordError, match="damaged"):
        PlaybookRun.resume(other, fold(other.events()).runs[0])


def test_what_is_open_follows_the_way_that_was_taken(world: World) -> None:
    progress = world.run.progress()
    assert progress.path == ("tell", "must", "well", "cancel", "which") == progress.open
    world.run.decide("which", 0)
    assert world.run.progress().path[-1] == "left" and not world.run.progress().on_path("right")
    world.run.fail("left", "did not work")
    assert world.run.progress().path[-2:] == ("right", "end") and "left" not in world.run.progress().open
    for step in world.run.progress().open:
        if step != "must":
            world.run.skip(step, "in this test")
    assert not world.run.progress().ended
    world.run.tick("must")
    assert world.run.progress().ended and world.run.progress().open == ()


def test_a_decision_can_hand_over_to_another_playbook(world: World) -> None:
    world.run.decide("which", 2, reason="rows are gone")
    assert world.run.progress().onward == "data-loss" and not world.run.progress().on_path("left")
    with pytest.raises(UsageError):
        world.run.decide("must", 0)


def test_skipping_and_failing_and_reopening_need_a_reason(world: World) -> None:
    for act in (world.run.skip, world.run.fail, world.run.reopen):
        with pytest.raises(RefusedError, match="reason"):
            act("tell", "  ")
    with pytest.raises(RefusedError, match="may not be skipped"):
        world.run.skip("must", "no time")
    world.run.skip("tell", "nobody notices")
    assert (world.step("tell").state, world.step("tell").reason) == ("skipped", "nobody notices")
    world.run.reopen("tell", "they do")
    assert world.step("tell").state == "ready" and "tell" in world.run.progress().open
    with pytest.raises(UsageError, match="no step"):
        world.run.tick("no-such")


def test_a_notice_that_was_sent_sets_the_next_one(world: World) -> None:
    world.run.tick("tell", text="We are looking into it")
    (update,) = world.run.incident().updates
    assert (update.audience, update.text, update.next_at) == ("external", "We are looking into it", world.now + 1200)


def test_claims(world: World) -> None:
    world.run.claim("must", "ana")
    with pytest.raises(RefusedError, match="ana is on it"):
        world.run.claim("must", "bob")
    world.run.claim("must", "bob", take=True)
    assert world.step("must").claimed_by == "bob"
    world.run.note("must", "half done")
    assert world.step("must").notes == ("half done",)


def test_evidence_ticks_a_check_only_when_it_stays_good(world: World) -> None:
    well = {"probe:edge": True}
    assert world.run.observe(well) == []
    world.now += 29
    assert world.run.observe(well) == []
    assert world.run.observe({"probe:edge": None}) == []  # unknown is not good: it begins anew
    world.now += 5
    assert world.run.observe(well) == [] and world.step("well").state == "pending"
    world.now += 30
    (event,) = world.run.observe(well)
    assert world.step("well").state == "done" and event.data["evidence"] == "probe:edge well"
    assert world.run.observe(well) == []


def test_a_person_cannot_tick_against_the_evidence_without_saying_why(world: World) -> None:
    with pytest.raises(RefusedError, match="the evidence says otherwise: probe:edge not well"):
        world.run.tick("well", evidence={"probe:edge": False})
    world.run.tick("well", evidence={"probe:edge": False}, reason="the probe is wrong")
    assert world.step("well").reason == "the probe is wrong"


@pytest.mark.parametrize("confirmed", [None, "", "yes", "471"])
def test_a_command_runs_only_when_the_very_text_was_typed(world: World, confirmed: str | None) -> None:
    before = len(world.journal.events())
    assert world.run.confirmation("cancel", world.bindings) == "4711"
    with pytest.raises(RefusedError, match="not confirmed"):
        world.cancel(confirmed=confirmed)
    assert world.asked == [] and len(world.journal.events()) == before


def test_intent_is_on_disk_before_the_command_and_its_result_after(world: World, tmp_path: Path) -> None:
    seen: list[str] = []

    def answer() -> Output:
        other = fold(Journal(tmp_path / "INC-2026-0001", BOB).events())
        seen.append(next(step.state for step in other.runs[0].steps if step.id == "cancel"))
        return Output(0, "ok\npassword=hunter22secret", 0.25)

    world.answer = answer
    world.cancel()
    assert seen == ["running"]
    argv = ("docker", "exec", "shop-postgres-1", "timeout", "-k", "1", "5", "psql", "-c",
            "SELECT pg_cancel_backend(4711)")  # fmt: skip
    assert world.asked == [(argv, 5.0)]
    step = world.step("cancel")
    assert step.state == "verifying" and step.result is not None
    assert step.result["exit"] == 0 and step.result["argv"] == list(argv) and step.result["took"] == 0.25
    assert "hunter22" not in step.result["output"]


def test_exit_0_is_not_success_until_it_is_verified(world: World) -> None:
    world.cancel()
    assert world.run.observe({"role:database": True}) == []
    world.now += 10
    assert [event.data["state"] for event in world.run.observe({"role:database": True})] == ["done"]


def test_verification_that_does_not_come_is_failure(world: World) -> None:
    world.cancel()
    world.now += 61
    (event,) = world.run.observe({"role:database": False})
    assert event.data["state"] == "failed" and "not well" in event.data["reason"]


@pytest.mark.parametrize(
    ("output", "state"),
    [(Output(1, "ok", 0.1), "failed"), (Output(0, "no", 0.1), "failed"), (Output(None, "", 5), "unknown")],
)
def test_outcomes(world: World, output: Output, state: str) -> None:
    world.answer = lambda: output
    world.cancel()
    assert world.step("cancel").state == state
    if state == "unknown":
        with pytest.raises(RefusedError, match="outcome is unknown"):
            world.cancel()
        world.run.reopen("cancel", "looked: it did nothing")
    world.answer = lambda: Output(0, "ok", 0.1)
    world.cancel()
    assert world.step("cancel").state == "verifying" and len(world.asked) == 2


def test_a_crash_between_intent_and_result_shows_as_unknown_outcome(world: World) -> None:
    def crash() -> Output:
        raise KeyboardInterrupt

    world.answer = crash
    with pytest.raises(KeyboardInterrupt):
        world.cancel()
    with pytest.raises(RefusedError, match="started by ana and its outcome is unknown"):
        world.cancel()


def test_long_output_is_kept_whole_beside_the_record(world: World) -> None:
    world.answer = lambda: Output(0, "ok\n" + "line of output\n" * 5000 + "the end", 1.0)
    world.cancel()
    result = world.step("cancel").result
    assert result is not None
    assert len(result["output"].encode()) < 9000 and result["output"].startswith("ok\n")
    assert result["output"].endswith("the end") and "left out" in result["output"]
    assert world.journal.blob(result["sha256"]).count(b"line of output") == 5000


def test_a_decision_nobody_takes_goes_the_way_the_playbook_says(world: World) -> None:
    world.now += 170
    assert world.run.observe({}) == []
    world.now += 11
    (event,) = world.run.observe({})
    assert event.data["step"] == "which" and world.step("which").state == "expired"
    assert world.run.progress().on_path("right") and not world.run.progress().on_path("left")


def test_a_wait_ends_when_time_and_evidence_agree(world: World) -> None:
    world.run.decide("which", 1)
    world.run.tick("right")
    assert world.step("right").state == "running"
    world.now += 61
    assert world.run.observe({"probe:edge": False}) == []
    (event,) = world.run.observe({"probe:edge": True})
    assert event.data["step"] == "right" and event.data["state"] == "done"


def test_vars_without_a_value_are_refused_by_name(world: World) -> None:
    nothing = bind(world.playbook, Host(), {"pid": "1; DROP TABLE users"})
    step = world.playbook.step("cancel")
    assert step is not None
    assert "does not match" in nothing.missing["pid"] and "role database" in nothing.missing["db"]
    with pytest.raises(RefusedError, match="pid"):
        world.run.execute("cancel", nothing, world.execute, confirmed="1; DROP TABLE users")
    assert "{{pid}}" in preview(step, nothing)
    assert preview(step, world.bindings).endswith("psql -c 'SELECT pg_cancel_backend(4711)'")
    stopped = bind(world.playbook, Host(roles={"database": ["postgres"]}), {"pid": "5"})
    with pytest.raises(RefusedError, match="no running container of postgres"):
        world.run.execute("cancel", stopped, world.execute, confirmed="5")
    assert world.asked == []


def test_recoveries_are_recorded_by_whoever_ran_them(world: World) -> None:
    world.run.record("left", "running", text="run 7f3a")
    world.run.record("left", "done", text="validated 6/6", result={"run": "7f3a"})
    step = world.step("left")
    assert step.state == "done" and step.notes == ("run 7f3a", "validated 6/6") and step.result == {"run": "7f3a"}


def test_real_programs_with_a_deadline() -> None:
    both = run_blocking(("sh", "-c", "echo out; echo err >&2; echo end; exit 3"), 5)
    assert (both.exit, both.text) == (3, "out\nerr\nend") and both.took < 5
    assert run_blocking(("no-such-program",), 1).exit == 127
    assert run_blocking(("cat",), 5).exit == 0, "a program that reads waits for nobody"
    late = run_blocking(("sh", "-c", "echo began; sleep 30"), 0.3)
    assert late.exit is None and late.text == "began" and late.took < 3
    stubborn = run_blocking(("sh", "-c", "trap '' TERM; sleep 30 & sleep 30"), 0.2)
    assert stubborn.exit is None and stubborn.took < 5
    hidden = run_blocking(("sh", "-c", "exec >/dev/null 2>&1; sleep 30"), 0.3)
    assert hidden.exit is None and hidden.took < 3
    flood = run_blocking(("head", "-c", "9000000", "/dev/zero"), 20)
    assert flood.exit == 0 and len(flood.text) <= 4 << 20


GUARDED = """\
schema: sevdeck.playbook/v1
id: guarded
version: 1
title: Guarded
owner: ops
steps:
  - {id: look, type: instruction, title: Look}
  - {id: logs, type: command, risk: read, title: Logs, run: {argv: [docker, logs, app]}, timeout: 5s}
  - id: restart
    type: recovery
    level: 1
    title: Restart
    requires: ["step:look", "evidence:logs", "lease:recovery", "gate:no_backup_running"]
    budget: {max: 2, per: 30m}
    confirm: {kind: key}
    expect: 1m
    timeout: 5m
    verify: {probe: edge}
"""


@pytest.fixture
def guarded(world: World) -> World:
    playbook, problems = parse_playbook(GUARDED.encode(), "guarded.yaml")
    assert playbook is not None, problems
    world.run = PlaybookRun.start(world.journal, playbook, wall=world.wall)
    return world


def test_a_step_waits_for_the_step_and_the_output_that_it_requires(guarded: World) -> None:
    run = guarded.run
    with pytest.raises(RefusedError, match="restart needs look first, which is pending"):
        run.tick("restart", reason="no time")
    run.skip("look", "no time")
    with pytest.raises(RefusedError, match="look first, which is skipped"):
        run.tick("restart")
    run.reopen("look", "there is")
    run.tick("look")
    run.tick("logs")
    with pytest.raises(RefusedError, match="logs was ticked without being run") as refused:
        run.tick("restart")
    assert "evidence" not in str(refused.value), "the screen offers to go against evidence, not against this"
    run.reopen("logs", "to run it")
    run.execute("logs", guarded.bindings, guarded.execute, confirmed="")
    run.tick("restart")
    assert guarded.step("restart").state == "done"


def test_a_step_waits_for_a_recovery_that_is_under_way(guarded: World) -> None:
    guarded.run.tick("look")
    guarded.run.execute("logs", guarded.bindings, guarded.execute, confirmed="")
    said = {"run": "R1", "title": "restart app", "level": 1}
    guarded.journal.append("recovery.run", {**said, "state": "started"})
    with pytest.raises(RefusedError, match=r"restart app is under way \(run R1\)"):
        guarded.run.tick("restart")
    guarded.journal.append("recovery.run", {**said, "state": "ok"})
    guarded.run.tick("restart")


def test_a_budget_counts_the_tries_of_its_own_checklist_and_gives_them_back_with_time(guarded: World) -> None:
    run = guarded.run
    run.tick("look")
    run.execute("logs", guarded.bindings, guarded.execute, confirmed="")
    run.record("restart", "running", text="run 7f3a")
    run.tick("restart")  # the end of the first try
    run.reopen("restart", "it came back")
    guarded.now += 60
    run.fail("restart", "did not start")
    run.reopen("restart", "once more")
    with pytest.raises(RefusedError, match="done 2 of 2 times in 30 min"):
        run.tick("restart")
    guarded.now += 1741  # the first try is 30 minutes old
    run.tick("restart")
    other = PlaybookRun.start(guarded.journal, run.playbook, wall=guarded.wall)
    other.tick("look")
    other.execute("logs", guarded.bindings, guarded.execute, confirmed="")
    other.tick("restart")


def test_a_command_that_only_reads_is_confirmed_like_any_other(guarded: World) -> None:
    assert guarded.run.confirmation("logs", guarded.bindings) == ""
    with pytest.raises(RefusedError, match="not confirmed"):
        guarded.run.execute("logs", guarded.bindings, guarded.execute)
    assert guarded.asked == []
    assert guarded.run.confirmation("look", guarded.bindings) is None
