"""A run against the project's twin: steps, doubt, putting back, cancelling, and going on after any interruption."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from console.actions import recovery, runner, runs
from console.actions.action import PLAN_TTL, Plan
from console.actions.lock import LockedError, ProjectLock
from console.actions.run import Run
from console.actions.runs import Request, RunView
from console.actions.strangers import Strangers
from console.config import Config
from console.errors import RecordError, RefusedError, UsageError
from console.incident.events import Actor, Event
from console.incident.journal import Journal
from console.incident.store import IncidentStore
from tests.unit.project_twin import QUICK, ProjectTwin, config

ANA = Actor("ana", host="h", via="cli")


class KilledError(BaseException):
    """As a SIGKILL: nothing of the run's own code handles it."""


class Mortal(Journal):
    """A journal that kills its process at the n-th append: before it is written, or right after."""

    countdown = -1
    written = False
    appended = 0

    def __init__(self, directory: Path, actor: Actor) -> None:
        super().__init__(directory, actor)
        self.observing = asyncio.Event()

    def append(self, kind: str, data: Mapping[str, Any], **more: Any) -> Event:
        self.appended += 1
        if self.countdown == self.appended and not self.written:
            raise KilledError
        event = super().append(kind, data, **more)
        if kind == "recovery.observation":
            self.observing.set()
        if self.countdown == self.appended:
            raise KilledError
        return event


class Setting:
    """A data directory, a twin, and runs of plans made for it."""

    def __init__(self, data_dir: Path, settings: Config | None = None) -> None:
        self.data_dir = data_dir
        data_dir.mkdir(exist_ok=True)
        self.twin = ProjectTwin(data_dir / "twin.json")
        self.config = settings or config()
        self.run_id = ""
        self.journal: Mortal | None = None

    def plan(self, level: int = 1, service: str = "") -> Plan:
        return recovery.plan(level, service, self.twin.facts(), self.config)

    def make(self, plan: Plan, incident: str = "") -> str:
        self.run_id = runs.new_id(plan, plan.created_at)
        runs.create(self.data_dir, plan, Request(self.run_id, ANA, plan.confirm, plan.created_at, incident))
        return self.run_id

    def run(self, *, die_at: int = -1, written: bool = False) -> Run:
        def open_journal(data_dir: Path, request: Request, actor: Actor) -> Journal:
            plain = runs.journal(data_dir, request, actor)
            self.journal = Mortal(plain.directory, actor)
            self.journal.countdown, self.journal.written = die_at, written
            return self.journal

        return Run(
            self.data_dir,
            self.run_id,
            self.config,
            self.twin,
            run_probe=self.twin.run_probe,
            pace=QUICK,
            open_journal=open_journal,
        )

    async def go(self, level: int = 1, service: str = "") -> RunView:
        self.make(self.plan(level, service))
        return await self.run().run()

    def status(self) -> RunView:
        view = runs.status(self.data_dir, self.run_id)
        assert view is not None
        return view


@pytest.fixture
def shop(tmp_path: Path) -> Setting:
    return Setting(tmp_path)


def states(view: RunView) -> dict[str, str]:
    return {s.step.id: s.state for s in view.steps}


async def test_level_1_mends_a_hung_app_and_says_what_got_better(shop: Setting) -> None:
    shop.twin.hung.add("app")
    view = await shop.go()
    assert (view.outcome, view.state) == ("ok", "closed")
    assert shop.twin.calls == ["restart app"]
    assert states(view) == {
        "evidence": "ok",
        "restart-shop-app-1": "ok",
        "healthy-shop-app-1": "ok",
        "reload-shop-edge-1": "skipped",
    }
    assert view.validation is not None
    assert (view.validation.ok, view.validation.verdict) == (True, "better")
    assert view.observation is not None
    assert view.observation.state == "stable"
    assert view.downtime is not None
    assert shop.status() == view
    assert shop.twin.closed


async def test_level_2_restarts_everything_in_order(shop: Setting) -> None:
    view = await shop.go(2)
    assert view.outcome == "ok"
    down = ["stop edge", "stop app", "stop redis", "stop postgres"]
    up = ["start postgres", "start redis", "start app", "start edge"]
    assert shop.twin.calls == ["exec edge nginx", "exec postgres sh", *down, *up]


async def test_evidence_is_kept_with_its_secrets_masked(shop: Setting) -> None:
    view = await shop.go()
    digest = view.steps[0].detail.rsplit(" ", 1)[1]
    place = runs.directory(shop.data_dir, shop.run_id)
    kept = Journal(place, ANA).blob(digest).decode()
    assert "shop-app-1" in kept
    assert "hunter2" not in kept
    everything = b"".join(p.read_bytes() for p in place.rglob("*") if p.is_file())
    assert b"hunter2" not in everything


async def test_every_step_is_recorded_before_it_is_done(shop: Setting) -> None:
    await shop.go()
    events = Journal(runs.directory(shop.data_dir, shop.run_id), ANA).events()
    told = [(e.data["step"], e.data["state"]) for e in events if e.kind == "recovery.step"]
    assert told[2:4] == [("restart-shop-app-1", "intent"), ("restart-shop-app-1", "ok")]
    intent = next(e for e in events if e.data.get("state") == "intent" and e.data["step"] == "restart-shop-app-1")
    assert intent.data["command"] == "docker restart -t 10 shop-app-1"
    assert intent.data["before"] == {"state": "running, healthy", "started_at": "2026-01-01T10:00:00.5Z"}
    done = next(e for e in events if e.data.get("state") == "ok" and e.data.get("step") == "restart-shop-app-1")
    assert done.data["after"]["started_at"] == "2026-01-01T10:00:01.5Z"
    assert {e.actor.name for e in events} == {"ana"}
    assert not any(e.actor.human for e in events)


async def test_a_run_for_an_incident_is_in_its_timeline(shop: Setting) -> None:
    incident = IncidentStore(shop.data_dir, ANA).create("down", 1).directory.name
    shop.make(shop.plan(), incident)
    view = await shop.run().run()
    assert view.outcome == "ok"
    kinds = [e.kind for e in IncidentStore(shop.data_dir, ANA).open(incident).events()]
    assert kinds.count("recovery.step") == 8
    assert kinds[-1] == "recovery.run"
    found = IncidentStore(shop.data_dir, ANA).incident(incident)
    assert [(r.level, r.state) for r in found.recoveries] == [(1, "ok")]


async def test_the_world_changed_since_the_plan_so_nothing_is_touched(shop: Setting) -> None:
    shop.make(shop.plan())
    shop.twin.set("app", started=5)
    view = await shop.run().run()
    assert (view.outcome, view.cancelled) == ("failed", True)
    assert "started anew by somebody else" in view.reason
    assert shop.twin.calls == []
    assert runs.past(shop.data_dir, "shop") == ()  # it does not count against the budget


async def test_what_never_gets_well_fails_and_is_put_back(shop: Setting) -> None:
    shop.twin.sick.add("app")
    settings = shop.plan(2)
    short = tuple(replace(s, timeout=0.05) if s.call["op"] == "healthy" else s for s in settings.steps)
    shop.make(replace(settings, steps=short).sealed(settings.created_at))
    view = await shop.run().run()
    assert view.outcome == "rolled_back"
    assert "not well within" in view.reason
    assert "what was before is back" in view.reason
    assert view.frozen  # the app answered before and does not now
    assert {s.step.target: s.state for s in view.compensation}["edge"] == "ok"
    assert shop.twin.state("edge") == "running"


async def test_level_1_that_fails_has_nothing_to_put_back_and_says_when_it_is_worse(shop: Setting) -> None:
    shop.twin.faults["restart:app"] = "refused"
    view = await shop.go()
    assert (view.outcome, view.frozen) == ("failed", False)
    assert "port is already allocated" in view.reason


async def test_a_container_that_dies_again_after_its_restart_fails_the_gate_at_once(shop: Setting) -> None:
    plan = shop.plan()
    shop.make(plan)

    class Dying(ProjectTwin):
        def _do(self, verb: str, container: str) -> None:
            super()._do(verb, container)
            self.set(container, status="exited", health="", exit_code=1)

    shop.twin = Dying()
    view = await shop.run().run()
    assert view.outcome == "failed"
    assert "did not stay up: exited (1)" in view.reason


async def test_a_business_probe_that_still_fails_is_not_validated(shop: Setting) -> None:
    shop.twin.webhook_broken = True
    view = await shop.go()
    assert view.outcome == "failed"
    assert view.reason.startswith("not validated: webhook: 502")
    assert view.validation is not None
    assert view.validation.ok is False


async def test_a_failure_is_told_once_however_its_words_vary(shop: Setting) -> None:
    class Chatty(ProjectTwin):
        asked = 0

        async def run_probe(self, probe: Any) -> Any:
            self.asked += 1
            return replace(await super().run_probe(probe), detail=f"500 in {self.asked} ms")

    shop.twin = Chatty()
    shop.twin.webhook_broken = True
    await shop.go()
    events = Journal(runs.directory(shop.data_dir, shop.run_id), ANA).events()
    assert [e.data["ok"] for e in events if e.kind == "recovery.validation"] == [None, False]


async def test_a_probe_that_failed_when_planned_need_not_be_waited_for_to_be_won(shop: Setting) -> None:
    class Hanging(ProjectTwin):
        async def run_probe(self, probe: Any) -> Any:
            if "app" in self.hung:
                await asyncio.sleep(5)  # longer than the look before waits
            return await super().run_probe(probe)

    shop.twin = Hanging()
    shop.twin.hung.add("app")
    view = await shop.go()
    assert view.plan.failing == ("webhook", "edge", "app direct")
    assert view.validation is not None
    assert (view.outcome, view.validation.verdict) == ("ok", "better")
    assert view.validation.detail.endswith("won: app direct, edge, webhook")


# --- doubt -----------------------------------------------------------------------------------------------------------


async def test_a_lost_answer_is_settled_by_a_look_and_never_asked_again(shop: Setting) -> None:
    shop.twin.faults["restart:app"] = "lost"
    view = await shop.go()
    assert view.outcome == "ok"
    assert shop.twin.calls == ["restart app"]
    assert "a look shows that it was done" in view.steps[1].detail


async def test_stopped_and_never_started_is_only_started(shop: Setting) -> None:
    shop.twin.faults["restart:app"] = "half"
    view = await shop.go()
    assert view.outcome == "ok"
    assert shop.twin.calls == ["restart app", "start app"]


async def test_no_answer_and_no_effect_is_unknown_and_not_repeated(shop: Setting) -> None:
    shop.twin.faults["restart:app"] = "ignored"
    plan = shop.plan()
    steps = tuple(replace(s, timeout=0.05) for s in plan.steps)
    shop.make(replace(plan, steps=steps).sealed(plan.created_at))
    view = await shop.run().run()
    assert (view.outcome, view.frozen, view.resumable) == ("unknown", True, True)
    assert shop.twin.calls == []
    assert states(view)["restart-shop-app-1"] == "unknown"


async def test_a_frozen_engine_is_unknown_and_resuming_looks_first(shop: Setting) -> None:
    shop.twin.faults["restart:app"] = "frozen"
    view = await shop.go()
    assert view.outcome == "unknown"
    shop.twin.frozen = False
    shop.twin._do("restart", "app")  # the engine did it when it woke up
    view = await shop.run().run()
    assert view.outcome == "ok"
    assert shop.twin.calls == []  # found done, not asked for again
    assert view.steps[1].detail == "found done after the interruption"


async def test_level_2_that_loses_the_engine_half_way_waits_and_then_says_unknown(shop: Setting) -> None:
    shop.twin.faults["stop:redis"] = "frozen"
    view = await shop.go(2)
    assert view.outcome == "unknown"
    assert "Look before you repeat it" in view.reason
    shop.twin.frozen = False
    assert (await shop.run().run()).outcome == "ok"


async def test_an_engine_that_comes_back_during_a_wait_is_waited_for(shop: Setting) -> None:
    shop.make(shop.plan())

    class Napping(ProjectTwin):
        naps = 4

        def _look(self) -> None:
            if self.calls and self.naps:
                self.naps -= 1
                self.frozen = self.naps > 0
            super()._look()

    shop.twin = Napping()
    view = await shop.run().run()
    assert view.outcome == "ok"
    assert shop.twin.calls == ["restart app"]


# --- ends by people ---------------------------------------------------------------------------------------------------


class Interrupting(ProjectTwin):
    """Calls `then` after a change of that name."""

    def __init__(self, after: str, then: Any) -> None:
        super().__init__()
        self._after, self._then = after, then

    def _do(self, verb: str, container: str) -> None:
        super()._do(verb, container)
        if f"{verb} {container}" == self._after:
            self._then()


async def test_cancelling_level_2_brings_up_what_was_running(shop: Setting) -> None:
    run_id = shop.make(shop.plan(2))
    shop.twin = Interrupting("stop app", lambda: runs.cancel(shop.data_dir, run_id, Actor("bo")))
    view = await shop.run().run()
    assert (view.outcome, view.cancelled) == ("failed", True)
    assert view.reason == "cancelled by bo; what was before is back"
    assert {s: shop.twin.state(s) for s in ("postgres", "redis", "app", "edge")} == dict.fromkeys(
        ("postgres", "redis", "app", "edge"), "running"
    )
    assert "stop redis" not in shop.twin.calls


async def test_the_hold_file_ends_a_run_before_its_next_step(shop: Setting) -> None:
    shop.make(shop.plan(2))
    shop.twin = Interrupting("stop app", lambda: (shop.data_dir / "hold").write_text("wait"))
    view = await shop.run().run()
    assert view.reason.startswith("on hold: wait")
    assert shop.twin.state("edge") == "running"


async def test_an_observation_can_be_cut_short(tmp_path: Path) -> None:
    shop = Setting(tmp_path, config(observation=30.0))
    shop.make(shop.plan())
    task = asyncio.create_task(shop.run().run())
    assert shop.journal is not None
    await shop.journal.observing.wait()
    runs.cancel(shop.data_dir, shop.run_id, Actor("bo"))
    view = await asyncio.wait_for(task, 10)
    assert view.outcome == "ok"
    assert view.observation is not None
    assert (view.observation.state, view.observation.detail) == ("cut", "cancelled by bo")


async def test_a_restart_during_the_observation_is_no_stability(tmp_path: Path) -> None:
    shop = Setting(tmp_path, config(observation=30.0))
    shop.make(shop.plan())
    task = asyncio.create_task(shop.run().run())
    assert shop.journal is not None
    await shop.journal.observing.wait()
    shop.twin.set("app", started=40)
    view = await asyncio.wait_for(task, 15)
    assert view.outcome == "failed"
    assert "shop-app-1 started anew, and not by this run" in view.reason


async def test_what_comes_back_ill_is_unstable_and_one_bad_sample_is_not(tmp_path: Path) -> None:
    shop = Setting(tmp_path, config(observation=0.6))

    class Blinking(ProjectTwin):
        asked = 0
        bad = range(0)

        async def run_probe(self, probe: Any) -> Any:
            self.asked += 1
            result = await super().run_probe(probe)
            return replace(result, ok=False, detail="502") if self.asked // 3 in self.bad else result

    shop.twin = twin = Blinking()
    twin.bad = range(4, 5)
    assert (await shop.go()).outcome == "ok"
    shop.twin = twin = Blinking()
    twin.bad = range(4, 99)
    view = await shop.go()
    assert view.outcome == "failed"
    assert view.reason.startswith("it did not hold: ")
    assert view.observation is not None
    assert (view.observation.state, view.observation.failures) == ("unstable", 3)


async def test_a_record_that_cannot_be_written_stops_the_run_and_brings_services_up(shop: Setting) -> None:
    shop.make(shop.plan(2))
    run = shop.run()
    journal = shop.journal
    assert journal is not None
    plain = journal.append

    def full(kind: str, data: Mapping[str, Any], **more: Any) -> Event:
        if "stop redis" in shop.twin.calls:
            raise RecordError("no space left")
        return plain(kind, data, **more)

    journal.append = full  # type: ignore[method-assign]
    view = await run.run()
    assert not view.over
    assert shop.twin.state("edge") == shop.twin.state("app") == "running"
    assert "stop postgres" not in shop.twin.calls


# --- somebody else ----------------------------------------------------------------------------------------------------


async def test_a_stranger_who_changes_the_stack_is_waited_out(shop: Setting) -> None:
    run_it = shop.run
    shop.make(shop.plan(2))
    run = run_it()
    stop = shop.twin.stop

    async def meddled(container: str, t: int) -> None:
        await stop(container, t)
        if container == "app":
            shop.twin.happened("restart", "redis")

    shop.twin.stop = meddled  # type: ignore[method-assign]
    view = await run.run()
    assert view.outcome == "ok", view.reason
    assert [n for n in view.notes if "paused" in n] == [
        "paused: somebody else changes the stack (shop-redis-1: restart)"
    ]


async def test_a_stranger_who_does_not_end_ends_the_run_and_everything_is_put_back(shop: Setting) -> None:
    shop.make(shop.plan(2))
    run = shop.run()
    events = shop.twin.events

    async def restless(project: str, since: float, until: float) -> list[dict[str, Any]]:
        if shop.twin.state("app") == "exited":
            shop.twin.happened("pause", "redis")
        return await events(project, since, until)

    shop.twin.events = restless  # type: ignore[method-assign]
    view = await run.run()
    assert view.outcome == "rolled_back"
    assert "somebody else keeps changing the stack (shop-redis-1: pause)" in view.reason
    assert all(shop.twin.state(s) == "running" for s in ("postgres", "redis", "app", "edge"))


async def test_the_engines_own_restart_of_a_crashed_container_is_no_stranger(shop: Setting) -> None:
    shop.make(shop.plan(2))
    run = shop.run()
    shop.twin.happened("die", "app")
    shop.twin.happened("start", "app")
    view = await run.run()
    assert (view.outcome, view.notes) == ("ok", ())


async def test_a_start_that_the_engine_put_off_is_its_own_and_one_after_a_stop_is_a_persons() -> None:
    twin = ProjectTwin()
    twin.happened("die", "app")
    twin._state["events"][-1]["timeNano"] -= 40 * 10**9  # it waits up to a minute between two tries
    strangers = Strangers(twin, "shop", time.time())
    assert await strangers.seen() == ""
    for _ in range(2):
        twin.happened("start", "app")
        assert await strangers.seen() == ""
        twin.happened("die", "app")
    for action in ("die", "stop"):
        twin.happened(action, "redis")
    assert await strangers.seen() == "shop-redis-1: stop"
    twin.happened("start", "redis")
    assert await strangers.seen() == "shop-redis-1: start"


# --- going on after a kill ----------------------------------------------------------------------------------------------


async def boundaries(data_dir: Path, level: int) -> int:
    shop = Setting(data_dir)
    await shop.go(level)
    assert shop.journal is not None
    return shop.journal.appended


CHANGES = {1: 1, 2: 8, 3: 5}


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("written", [False, True], ids=["before", "after"])
async def test_a_kill_at_any_boundary_is_resumed_and_no_change_is_made_twice(
    tmp_path: Path, level: int, written: bool
) -> None:
    total = await boundaries(tmp_path / "whole", level)
    assert total > 10
    for n in range(1, total + 1):
        shop = Setting(tmp_path / f"{n}")
        shop.make(shop.plan(level))
        try:
            await shop.run(die_at=n, written=written).run()
        except KilledError:
            pass
        else:
            pytest.fail(f"boundary {n} was not reached")
        view = shop.status()
        assert view.state == "interrupted" or view.over
        if not view.over:
            view = await shop.run().run()
        assert view.outcome == "ok", (n, view.reason)
        changes = [c for c in shop.twin.calls if not c.startswith("exec")]
        assert len(changes) == len(set(changes)) == CHANGES[level], (n, changes)


@pytest.mark.parametrize(("level", "fault"), [(2, "start:app"), (3, "up:app")])
async def test_a_kill_while_putting_back_goes_on_putting_back(tmp_path: Path, level: int, fault: str) -> None:
    reached = 0
    for n in range(5, 60):
        shop = Setting(tmp_path / f"{n}")
        plan = shop.plan(level)
        shop.twin.faults[fault] = "refused"
        shop.make(plan)
        try:
            view = await shop.run(die_at=n).run()
        except KilledError:
            view = await shop.run().run()
            reached += 1
        else:
            assert view.outcome == "rolled_back"
            break
        assert view.outcome in ("rolled_back", "ok"), (n, view.reason)
        assert all(shop.twin.state(s) == "running" for s in ("postgres", "redis", "app", "edge"))
    assert reached > 10


# --- starting ----------------------------------------------------------------------------------------------------------


def start(shop: Setting, plan: Plan, confirm: str | None = None, **more: Any) -> str:
    words = plan.confirm if confirm is None else confirm
    return runner.start(plan, words, shop.config, shop.data_dir, ANA, **more)


@pytest.mark.parametrize("words", ["", "y", "yes", "restart", "restart App", "restart app now"])
def test_nothing_but_the_words_of_the_plan_confirms_it(shop: Setting, words: str) -> None:
    with pytest.raises(RefusedError, match="not confirmed"):
        start(shop, shop.plan(), words)
    assert runs.ids(shop.data_dir) == []


def test_old_edited_refused_and_held_plans_do_not_start(shop: Setting) -> None:
    plan = shop.plan()
    with pytest.raises(RefusedError, match="older than 2 minutes"):
        start(shop, plan, now=plan.created_at + PLAN_TTL + 1)
    with pytest.raises(RefusedError, match="changed after it was made"):
        start(shop, replace(plan, steps=plan.steps[:1]))
    (shop.data_dir / "hold").write_text("moving", encoding="utf-8")
    with pytest.raises(RefusedError, match="on hold: moving"):
        start(shop, plan)
    (shop.data_dir / "hold").unlink()
    shop.twin.set("postgres", status="exited", health="")
    with pytest.raises(RefusedError, match="app needs postgres"):
        start(shop, shop.plan())
    with pytest.raises(UsageError, match="no incident"):
        start(shop, plan, incident="../../etc")
    assert runs.ids(shop.data_dir) == []


def test_what_cannot_be_recorded_is_not_done(shop: Setting) -> None:
    (shop.data_dir / "runs").write_text("not a directory")
    with pytest.raises(RefusedError, match="cannot be recorded"):
        start(shop, shop.plan())
    shop.data_dir = shop.data_dir / "runs"
    with pytest.raises(RefusedError, match="cannot be recorded"):
        start(shop, shop.plan())


def test_a_second_run_is_refused_with_the_first_ones_holder(shop: Setting) -> None:
    from console.actions.facts import Holder

    lock = ProjectLock.acquire(shop.data_dir, "shop", Holder("R1", "bo", 0.0, 2, "restart 4 services"))
    lock.update(step="stop shop-app-1")
    with pytest.raises(LockedError, match="bo is recovering shop: level 2") as caught:
        start(shop, shop.plan())
    assert caught.value.exit_code == 3
    assert 'at step "stop shop-app-1"' in str(caught.value)
    lock.release()


def test_a_plan_over_budget_starts_only_with_a_reason(shop: Setting) -> None:
    plan = replace(shop.plan(), refused="ran 3 of 3", over_budget=True, help="x")
    with pytest.raises(RefusedError, match="ran 3 of 3"):
        start(shop, plan.sealed(plan.created_at))


async def test_a_finished_run_is_not_resumed(shop: Setting) -> None:
    await shop.go()
    with pytest.raises(RefusedError, match="is over: ok"):
        runner.resume(shop.data_dir, shop.run_id, shop.config, ANA)


def test_damaged_and_foreign_run_ids_are_plain_refusals(shop: Setting) -> None:
    assert runs.status(shop.data_dir) is None
    for bad in ("../x", "", ".hidden", "nope"):
        with pytest.raises(UsageError):
            runs.load(shop.data_dir, bad)
    run_id = shop.make(shop.plan())
    (runs.directory(shop.data_dir, run_id) / "request.json").write_text("[]")
    with pytest.raises(UsageError, match="cannot be read"):
        runs.load(shop.data_dir, run_id)


def test_a_run_is_seen_only_when_its_files_are_whole(shop: Setting) -> None:
    (shop.data_dir / "runs" / ".20260101-000000-growing").mkdir(parents=True)
    assert runs.ids(shop.data_dir) == []
    assert runs.status(shop.data_dir) is None
    plan = shop.plan()
    run_id = shop.make(plan)
    assert runs.ids(shop.data_dir) == [run_id]
    with pytest.raises(FileExistsError):
        runs.create(shop.data_dir, plan, Request(run_id, ANA, "x", 0.0))


async def test_past_runs_are_what_budgets_and_expectations_rest_on(shop: Setting) -> None:
    view = await shop.go()
    found = runs.past(shop.data_dir, "shop")
    assert [(p.level, p.service, p.outcome) for p in found] == [(1, "app", "ok")]
    assert found[0].downtime == view.downtime
    assert runs.past(shop.data_dir, "other") == ()
    plan = json.loads((runs.directory(shop.data_dir, shop.run_id) / "plan.json").read_text())
    assert Plan.from_json(plan) == view.plan
