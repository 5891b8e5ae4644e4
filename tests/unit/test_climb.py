"""A climb against the project's twin: what it runs, when it goes on, when it stops, and what it remembers."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.actions import attempts, ceiling, climb, recovery, runs
from console.actions.action import Plan
from console.actions.attempts import Attempts
from console.actions.ceiling import Armed
from console.actions.climb import Climbed, Ways
from console.actions.facts import Facts, Holder, PastRun
from console.actions.monitor import heartbeat
from console.actions.router import Route
from console.actions.run import Run
from console.actions.runs import Request
from console.actions.runview import RunView, StepView, Validation
from console.config import Config, RecoveryConfig
from console.errors import RefusedError
from console.incident.events import Actor
from console.incident.store import IncidentStore
from tests.unit.project_twin import PROJECT, QUICK, ProjectTwin, config

MONITOR = Actor("root", via="monitor")
ANA = Actor("ana", via="cli")


class Ladder:
    """A data directory, a twin and a clock that a pause moves. `before_run` breaks things as a run begins."""

    def __init__(self, data_dir: Path, twin: ProjectTwin | None = None, most: int = 2) -> None:
        self.data_dir, self.twin, self.most = data_dir, twin or ProjectTwin(), most
        self.paused: list[float] = []
        self.said: list[str] = []
        self.changes: dict[str, Any] = {}
        self.before_run: Callable[[], None] = lambda: None
        self.actor = MONITOR
        self.ahead = 0.0

    def wall(self) -> float:
        return time.time() + self.ahead

    async def look(self) -> Facts:
        now = self.wall()
        facts = self.twin.facts(past=runs.past(self.data_dir, PROJECT, now), **self.changes)
        return replace(facts, taken_at=now)

    async def start(self, plan: Plan) -> str:
        run_id = runs.new_id(plan, self.wall())
        # People wait a minute for health.
        plan = replace(plan, steps=tuple(replace(s, timeout=min(s.timeout, 0.2)) for s in plan.steps))
        runs.create(self.data_dir, plan, Request(run_id, self.actor, plan.confirm, self.wall()))
        return run_id

    async def follow(self, run_id: str) -> AsyncIterator[RunView]:
        self.before_run()
        run = Run(self.data_dir, run_id, config(), self.twin, run_probe=self.twin.run_probe, pace=QUICK)
        yield await run.run()

    async def sleep(self, seconds: float) -> None:
        self.paused.append(round(seconds))
        self.ahead += seconds

    @property
    def ways(self) -> Ways:
        def remember(change: Callable[[Attempts], Attempts]) -> Attempts:
            return attempts.update(self.data_dir, PROJECT, change)

        return Ways(
            self.look, self.start, self.follow, lambda: self.most, remember, say=self.said.append,
            sleep=self.sleep, wall=self.wall,
        )  # fmt: skip

    def go(self, settings: Config | None = None, **changes: Any) -> Climbed:
        return asyncio.run(climb.climb(settings or config(), replace(self.ways, **changes)))

    @property
    def memory(self) -> Attempts:
        return attempts.load(self.data_dir, PROJECT)


@pytest.fixture
def ladder(tmp_path: Path) -> Ladder:
    return Ladder(tmp_path)


def rungs(ended: Climbed) -> list[tuple[int, str, str]]:
    return [(r.level, r.service, r.outcome) for r in ended.rungs]


def hang(ladder: Ladder, *services: str) -> None:
    for service in services:
        ladder.twin.hung.add(service)
        ladder.twin.set(service, health="unhealthy")


def never_well(ladder: Ladder, *services: str) -> None:
    for service in services:
        ladder.twin.sick.add(service)
        ladder.twin.set(service, health="unhealthy")


def test_where_all_is_well_nothing_is_run(ladder: Ladder) -> None:
    assert ladder.go().verdict == "well"
    assert ladder.twin.calls == []
    assert runs.ids(ladder.data_dir) == []


def test_the_level_that_mends_the_cause_is_run_and_no_other(ladder: Ladder) -> None:
    hang(ladder, "app")
    ended = ladder.go()
    assert (ended.verdict, ended.page, rungs(ended)) == ("mended", False, [(1, "app", "ok")])
    assert [c for c in ladder.twin.calls if not c.startswith("exec")] == ["restart app"]
    assert ladder.memory.count == 1
    assert ladder.memory.well_at > 0


def test_what_level_1_did_not_mend_is_given_to_level_2_after_the_backoff_and_then_to_a_person(ladder: Ladder) -> None:
    never_well(ladder, "app")
    ended = ladder.go()
    assert rungs(ended) == [(1, "app", "failed"), (2, "", "rolled_back")]
    assert (ended.verdict, ended.page) == ("stopped", True)
    assert ladder.paused == [10]
    assert "level 2 was tried and did not hold" in ended.reason
    assert ladder.memory.frozen == ended.reason
    again = ladder.go()
    assert (again.verdict, again.rungs) == ("stopped", ())


def test_a_run_that_is_over_and_still_holds_the_project_is_nobody_in_the_way(ladder: Ladder) -> None:
    never_well(ladder, "app")
    look, held = ladder.look, [0]

    async def slow_to_let_go() -> Facts:
        facts = await look()
        done = runs.ids(ladder.data_dir)
        if len(done) == 1 and held[0] < 3:
            held[0] += 1
            return replace(facts, holder=Holder(done[0], "watch", time.time(), 1, "restart app"))
        return facts

    ended = ladder.go(look=slow_to_let_go)
    assert held == [3]
    assert rungs(ended) == [(1, "app", "failed"), (2, "", "rolled_back")]


def test_a_frozen_automation_stays_so_over_restarts_until_it_was_well(ladder: Ladder) -> None:
    hang(ladder, "app")
    attempts.update(ladder.data_dir, PROJECT, lambda known: known.froze("worse than before", time.time()))
    assert (ladder.go().verdict, ladder.twin.calls) == ("frozen", [])
    attempts.update(ladder.data_dir, PROJECT, lambda known: known.well(time.time()))
    assert ladder.go().verdict == "mended"


def test_from_unknown_it_never_climbs(ladder: Ladder) -> None:
    hang(ladder, "app")
    ladder.twin.faults["restart:app"] = "frozen"
    ended = ladder.go()
    assert (ended.verdict, ended.page) == ("frozen", True)
    assert rungs(ended) == [(1, "app", "unknown")]
    ladder.twin.frozen = False
    ladder.ahead += 3600
    again = ladder.go()
    assert (again.verdict, again.rungs) == ("frozen", ()), "nobody has looked at it since"
    assert "resume" in again.text or "nobody can tell" in again.text


def test_from_worse_it_never_climbs(ladder: Ladder) -> None:
    never_well(ladder, "app")
    original = ladder.twin._do

    def do(verb: str, container: str) -> None:
        original(verb, container)
        ladder.twin.set("redis", status="exited", health="")

    ladder.twin._do = do  # type: ignore[method-assign]
    ended = ladder.go()
    assert (ended.verdict, rungs(ended)) == ("frozen", [(1, "app", "failed")])
    assert ended.reason.startswith("worse than before")


def test_a_business_failure_gets_one_restart_and_then_a_person(ladder: Ladder) -> None:
    ladder.twin.webhook_broken = True
    ended = ladder.go()
    assert (ended.verdict, rungs(ended)) == ("stopped", [(1, "app", "failed")])
    assert "a restart of app did not help" in ended.reason
    assert "roll back app" in ended.help


def test_a_step_that_the_engine_refused_is_no_reason_to_climb(ladder: Ladder) -> None:
    hang(ladder, "app")
    ladder.twin.faults["restart:app"] = "refused"
    ended = ladder.go()
    assert (ended.verdict, rungs(ended)) == ("stopped", [(1, "app", "failed")])
    assert "could not be carried out" in ended.reason


def test_the_ceiling_ends_the_climb(tmp_path: Path) -> None:
    ladder = Ladder(tmp_path, most=1)
    never_well(ladder, "app")
    ended = ladder.go()
    assert (ended.verdict, rungs(ended)) == ("stopped", [(1, "app", "failed")])
    assert "only level 1 and below may be run unattended" in ended.reason


def test_a_person_who_cancels_is_not_answered_with_the_next_level(ladder: Ladder) -> None:
    never_well(ladder, "app")

    def cancel() -> None:
        runs.cancel(ladder.data_dir, runs.latest(ladder.data_dir), ANA)

    ladder.before_run = cancel
    ended = ladder.go()
    assert (ended.verdict, ended.page, rungs(ended)) == ("cancelled", False, [(1, "app", "cancelled")])


def test_a_world_that_changed_before_the_run_began_is_looked_at_anew(ladder: Ladder) -> None:
    hang(ladder, "app")
    tries = []

    def somebody() -> None:
        tries.append(1)
        if len(tries) == 1:
            ladder.twin.set("app", started=7)

    ladder.before_run = somebody
    ended = ladder.go()
    assert (ended.verdict, rungs(ended)) == ("mended", [(1, "app", "ok")])
    assert len(tries) == 2


@pytest.mark.parametrize(
    "changes",
    [{"hold": "ask ana"}, {"engine": "frozen"}],
)
def test_what_is_in_the_way_for_now_is_waited_for_without_a_page(ladder: Ladder, changes: dict[str, Any]) -> None:
    from console.actions.facts import EngineState

    hang(ladder, "app")
    ladder.changes = {"engine": EngineState("frozen")} if "engine" in changes else changes
    ended = ladder.go()
    assert (ended.verdict, ended.page, ladder.memory.frozen) == ("waiting", False, "")
    stopped = Ladder(ladder.data_dir).go(go_on=lambda: "app held in deliberate containment")
    assert (stopped.verdict, stopped.reason) == ("waiting", "app held in deliberate containment")


def test_without_a_persons_word_nothing_begins(ladder: Ladder) -> None:
    hang(ladder, "app")
    asked: list[str] = []

    def no(plan: Plan, route: Route) -> None:
        asked.append(plan.confirm)
        raise RefusedError("not confirmed")

    with pytest.raises(RefusedError):
        ladder.go(confirm=no)
    assert asked == ["restart app"]
    assert (ladder.twin.calls, runs.ids(ladder.data_dir), ladder.memory.count) == ([], [], 0)


def test_a_person_is_asked_for_the_first_plan_only_and_is_not_stopped_by_a_freeze(ladder: Ladder) -> None:
    never_well(ladder, "app")
    attempts.update(ladder.data_dir, PROJECT, lambda known: known.froze("by the monitor", time.time()))
    asked: list[int] = []
    ended = ladder.go(confirm=lambda plan, route: asked.append(plan.level))
    assert asked == [1]
    assert [r.level for r in ended.rungs] == [1, 2]


def test_who_thinks_for_longer_than_the_plan_lives_is_asked_anew(ladder: Ladder) -> None:
    hang(ladder, "app")
    asked: list[str] = []

    def slow(plan: Plan, route: Route) -> None:
        asked.append(plan.plan_id)
        if len(asked) == 1:
            ladder.ahead += 300

    assert ladder.go(confirm=slow).verdict == "mended"
    assert len(asked) == 2


def test_a_refused_plan_is_not_run(ladder: Ladder) -> None:
    hang(ladder, "app")
    spent = config(recovery=RecoveryConfig(2, 0.02, {"level1": "0/15m"}))
    ended = ladder.go(spent)
    assert (ended.verdict, ended.rungs) == ("stopped", ())
    assert "0 of 0" in ended.reason
    assert ladder.twin.calls == []


def test_an_attempt_that_cannot_be_remembered_is_not_made(ladder: Ladder) -> None:
    hang(ladder, "app")

    def full(change: Callable[[Attempts], Attempts]) -> Attempts:
        if change(Attempts()) != Attempts():
            raise OSError(28, "No space left on device")
        return Attempts()

    with pytest.raises(RefusedError, match="No space left"):
        ladder.go(remember=full)
    assert (ladder.twin.calls, runs.ids(ladder.data_dir)) == ([], [])


def test_two_climbs_at_once_are_refused(tmp_path: Path) -> None:
    with (
        climb.alone(tmp_path, "ana"),
        pytest.raises(RefusedError, match="a climb of ana is under way"),
        climb.alone(tmp_path, "bo"),
    ):
        pass


@pytest.mark.parametrize(
    ("run", "why"),
    [
        (PastRun("R", 1, "app", 100.0, "", None), "cut off"),
        (PastRun("R", 1, "app", 100.0, "unknown", None), "in doubt"),
        (PastRun("R", 1, "app", 100.0, "failed", None, True), "left it worse"),
        (PastRun("R", 1, "app", 100.0, "failed", None), ""),
        (PastRun("R", 1, "app", 100.0, "ok", None), ""),
    ],
)
def test_doubt_about_the_last_run_keeps_automation_away_unless_it_was_well_since(run: PastRun, why: str) -> None:
    facts = Facts(200.0, PROJECT, past=(run,))
    assert (why in climb.in_doubt(facts, Attempts())) and bool(climb.in_doubt(facts, Attempts())) is bool(why)
    assert climb.in_doubt(facts, Attempts(well_at=150.0)) == ""


# -- the ceiling, whatever happens


@settings(max_examples=60, deadline=None)
@given(
    most=st.integers(-1, 4),
    wanted=st.lists(st.sampled_from([1, 2, 3, 4, None]), min_size=1, max_size=12),
    ends=st.lists(st.sampled_from(["ok", "failed", "unknown", "worse", "cancelled"]), min_size=12, max_size=12),
)
def test_nothing_above_the_ceiling_and_never_level_4(
    most: int, wanted: list[int | None], ends: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    started: list[int] = []
    routes, endings = iter(wanted), iter(ends)
    memory = [Attempts()]
    twin = ProjectTwin()

    def remember(change: Callable[[Attempts], Attempts]) -> Attempts:
        memory[0] = change(memory[0])
        return memory[0]

    async def start(plan: Plan) -> str:
        started.append(plan.level)
        return f"R{len(started)}"

    async def follow(run_id: str) -> AsyncIterator[RunView]:
        how = next(endings)
        validated = Validation(how == "ok", verdict="worse" if how == "worse" else "same")
        yield RunView(
            run_id, whole, "monitor", 0.0, "closed", "failed" if how in ("worse", "cancelled") else how,
            steps=(StepView(whole.steps[0], "ok"),), cancelled=how == "cancelled", validation=validated, frozen=how == "worse",
        )  # fmt: skip

    async def look() -> Facts:
        return twin.facts()

    async def sleep(seconds: float) -> None:
        memory[0] = replace(memory[0], last_at=0.0, bad_at=0.0)

    whole = recovery.plan(1, "app", twin.facts(), config())

    def route(facts: Facts, settings: Config) -> Route:
        level = next(routes, None)
        return Route(level, ("app" if level == 1 else ""), "because", "" if level else "a person")

    def plan(level: int, service: str, facts: Facts, settings: Config, *, unattended: bool = False) -> Plan:
        assert unattended
        return replace(whole, level=level, service=service)

    ways = Ways(look, start, follow, lambda: most, remember, sleep=sleep)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("console.actions.router.route", route)
        patch.setattr("console.actions.recovery.plan", plan)
        ended = asyncio.run(climb.climb(config(), ways))
    assert all(level <= min(most, 3) for level in started)
    stops = [place for place, end in enumerate(ends[: len(started)]) if end in ("unknown", "worse", "cancelled")]
    assert not stops or stops == [len(started) - 1], "after such an end nothing more is begun"
    assert len(ended.rungs) == len(started)


def test_level_3_needs_a_person_who_armed_it_for_this_incident_and_level_4_is_never_allowed() -> None:
    armed = Armed(3, "INC-1", "ana", 1000.0, 1000.0 + 3600)
    settings_ = config()
    assert ceiling.ceiling(settings_, None, None, "INC-1", 1000.0) == 2
    assert ceiling.ceiling(settings_, None, armed, "INC-1", 2000.0) == 3
    assert ceiling.ceiling(settings_, None, armed, "INC-2", 2000.0) == 2
    assert ceiling.ceiling(settings_, None, armed, "", 2000.0) == 2
    assert ceiling.ceiling(settings_, None, armed, "INC-1", 4600.0) == 2
    assert ceiling.ceiling(settings_, None, armed, "INC-1", 10.0) == 2, "the clock was set back"
    assert ceiling.ceiling(settings_, 1, armed, "INC-1", 2000.0) == 1
    assert ceiling.ceiling(settings_, 4, replace(armed, level=4), "INC-1", 2000.0) == 3
    wild = config(recovery=RecoveryConfig(unattended_max_level=3))
    assert ceiling.ceiling(wild, None, None, "INC-1", 1000.0) == 2
    none = config(recovery=RecoveryConfig(unattended_max_level=0))
    assert ceiling.ceiling(none, None, armed, "INC-1", 2000.0) == 0


def test_arming_is_recorded_runs_out_and_can_be_taken_back(tmp_path: Path) -> None:
    store = IncidentStore(tmp_path, ANA)
    incident = store.create("down", 2).incident
    now = time.time()
    armed = ceiling.arm(tmp_path, config(), 3, incident, 1800.0, ANA, now)
    assert ceiling.armed_now(tmp_path, now + 1799) == armed
    assert ceiling.armed_now(tmp_path, now + 1801) is None
    assert ceiling.disarm(tmp_path, ANA) == armed
    assert ceiling.armed_now(tmp_path, now) is None
    notes = [e.data["text"] for e in store.open(incident).events() if e.kind == "note"]
    assert notes == ["armed level 3 for unattended recovery, for 30 min", "disarmed level 3"]


@pytest.mark.parametrize(
    ("level", "seconds", "why"),
    [(4, 60, "never run unattended"), (2, 60, "needs no arming"), (3, 3601, "an hour at most"), (3, 0, "hour at most")],
)
def test_what_nobody_may_arm_is_refused(tmp_path: Path, level: int, seconds: float, why: str) -> None:
    incident = IncidentStore(tmp_path, ANA).create("down", 2).incident
    with pytest.raises(RefusedError, match=why):
        ceiling.arm(tmp_path, config(), level, incident, seconds, ANA)
    assert ceiling.armed_now(tmp_path) is None


def test_a_forged_hour_is_an_hour(tmp_path: Path) -> None:
    incident = IncidentStore(tmp_path, ANA).create("down", 2).incident
    now = time.time()
    ceiling.arm(tmp_path, config(), 3, incident, 60, ANA, now)
    file = attempts.directory(tmp_path) / "armed.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "until": now + 10**6}))
    assert ceiling.armed_now(tmp_path, now + 3599) is not None
    assert ceiling.armed_now(tmp_path, now + 3601) is None
    for content in ("", "[]", '{"level": 3}', '{"level": "x"}'):
        file.write_text(content)
        assert ceiling.armed_now(tmp_path, now) is None


# -- what is remembered


def test_backoff_grows_is_capped_and_is_forgotten_after_ten_good_minutes(tmp_path: Path) -> None:
    now, waits = 1000.0, []
    for _ in range(7):
        at = now
        known = attempts.update(tmp_path, PROJECT, lambda known, at=at: known.begun(at))  # type: ignore[misc]
        waits.append(known.wait(now))
        now += waits[-1]
    assert waits == [10, 20, 40, 80, 160, 300, 300]
    assert attempts.load(tmp_path, PROJECT).count == 7
    assert attempts.load(tmp_path, PROJECT).wait(now + 601) == 0
    assert attempts.update(tmp_path, PROJECT, lambda known: known.begun(now + 601)).count == 1


def test_a_damaged_memory_forgets_the_backoff_and_nothing_else_breaks(tmp_path: Path) -> None:
    attempts.update(tmp_path, PROJECT, lambda known: known.begun(5.0))
    file = next(attempts.directory(tmp_path).glob("attempts-*.json"))
    for content in ("", "[]", "{", '{"count": "x", "frozen": 3}'):
        file.write_text(content)
        assert attempts.load(tmp_path, PROJECT) == Attempts()


def test_locks_and_memory_belong_to_the_group_of_a_shared_directory(tmp_path: Path) -> None:
    tmp_path.chmod(0o2770)
    before = os.umask(0o077)
    try:
        attempts.update(tmp_path, PROJECT, lambda known: known.begun(5.0))
        with climb.alone(tmp_path, "ana"), heartbeat.only_one(tmp_path):
            pass
    finally:
        os.umask(before)
    found = {p.name: p.stat().st_mode & 0o777 for p in attempts.directory(tmp_path).iterdir()}
    assert set(found) == {"attempts-shop.json", "attempts-shop.lock", "climb.lock", "watch.lock"}
    assert set(found.values()) == {0o660}


def test_a_project_of_any_name_is_one_plain_file(tmp_path: Path) -> None:
    attempts.update(tmp_path, "../../etc/passwd", lambda known: known.begun(5.0))
    found = [p.name for p in attempts.directory(tmp_path).iterdir() if p.suffix == ".json"]
    assert len(found) == 1
    assert attempts.load(tmp_path, "../../etc/passwd").count == 1
