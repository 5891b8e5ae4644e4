"""Plans: what a level would do, what it refuses, what binds a confirmation to it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from console.actions import recovery, router
from console.actions.action import PLAN_TTL, Plan
from console.actions.budget import budget, parse
from console.actions.facts import DiskFacts, EngineState, Facts, Holder, PastRun
from console.config import RecoveryConfig
from console.errors import UsageError
from console.programs import compose
from tests.unit.project_twin import ProjectTwin, config


def made(level: int, facts: Facts, service: str = "", **changes: object) -> Plan:
    return recovery.plan(level, service, facts, replace(config(), **changes))  # type: ignore[arg-type]


def test_level_1_restarts_the_app_with_its_own_stop_timeout_and_then_asks_through_the_edge() -> None:
    twin = ProjectTwin()
    twin.set("app", stop_timeout=3)
    plan = made(1, twin.facts())
    assert [s.id for s in plan.steps] == ["evidence", "restart-shop-app-1", "healthy-shop-app-1", "reload-shop-edge-1"]
    assert plan.steps[1].command == "docker restart -t 3 shop-app-1"
    assert plan.steps[1].call["t"] == 3
    assert plan.steps[1].timeout == 18  # t + 15
    assert (plan.refused, plan.confirm, plan.targets) == (None, "restart app", ("app",))
    assert plan.blast.text == "1 container, 0 volumes, writes lost: none"


def test_level_2_stops_in_reverse_order_and_starts_each_only_when_what_it_needs_is_healthy() -> None:
    plan = made(2, ProjectTwin().facts())
    order = [s.id.removeprefix("stop-shop-").removesuffix("-1") for s in plan.steps if s.id.startswith("stop-")]
    assert order == ["edge", "app", "redis", "postgres"]
    ups = [s.id for s in plan.steps if s.id.startswith(("start-", "healthy-"))]
    tiers = (("postgres", "redis"), ("app",), ("edge",))  # who needs nothing of each other is waited for together
    assert ups == [f"{w}-shop-{s}-1" for tier in tiers for w in ("start", "healthy") for s in tier]
    assert [s.id for s in plan.steps[:3]] == ["evidence", "page", "checkpoint-shop-postgres-1"]
    assert all(s.optional for s in plan.steps[:3])
    assert [s.call["id"] for s in plan.compensation[:-1]] == ["postgres", "redis", "app", "edge"]
    assert plan.compensation[-1].call == {"op": "stand_in", "services": ["edge"], "own": ""}
    assert plan.confirm == "restart 4 services"


def test_where_no_dependency_is_known_one_service_is_waited_for_after_the_other() -> None:
    plan = made(2, replace(ProjectTwin().facts(), depends={}))
    ups = [s.id.partition("-shop-")[0] for s in plan.steps if s.id.startswith(("start-", "healthy-"))]
    assert ups == ["start", "healthy"] * 4


def test_a_paused_container_is_unpaused_first_and_a_stopped_one_is_started() -> None:
    twin = ProjectTwin()
    twin.set("app", status="paused")
    assert made(1, twin.facts()).steps[1].id == "unpause-shop-app-1"
    twin.set("app", status="exited", health="", policy="no", exit_code=1)
    plan = made(1, twin.facts())
    assert (plan.confirm, plan.steps[1].title) == ("start app", "start shop-app-1")


def test_a_plan_survives_its_json_and_an_edited_one_is_not_genuine() -> None:
    plan = made(2, ProjectTwin().facts())
    text = json.dumps(plan.to_json())
    again = Plan.from_json(json.loads(text))
    assert again == plan
    assert again.genuine
    assert not Plan.from_json(json.loads(text.replace("docker stop -t 10", "docker stop -t 99"))).genuine


def test_a_plan_expires_and_ends_with_its_facts() -> None:
    twin = ProjectTwin()
    plan = made(1, twin.facts())
    assert not plan.expired(plan.created_at + PLAN_TTL - 1)
    assert plan.expired(plan.created_at + PLAN_TTL + 1)
    assert plan.changes(twin.facts().snapshots) == ""
    twin.set("app", health="unhealthy")
    assert plan.changes(twin.facts().snapshots) == ""  # what it is for
    twin.set("app", started=7)
    assert "started anew by somebody else" in plan.changes(twin.facts().snapshots)
    twin.remove("app")
    assert plan.changes(twin.facts().snapshots) == "container shop-app-1 is gone"


def test_an_unknown_level_and_an_unknown_service_are_said() -> None:
    with pytest.raises(UsageError):
        made(7, ProjectTwin().facts())
    plan = made(1, ProjectTwin().facts(), "billing")
    assert plan.refused == "there is no container of service billing"
    assert "postgres, redis, app, edge" in plan.help
    assert plan.steps == ()


def test_names_from_outside_cannot_leave_their_word_in_a_command() -> None:
    twin = ProjectTwin()
    facts = twin.facts()
    hostile = tuple(replace(c, name="a; rm -rf /") if c.service == "app" else c for c in facts.containers)
    assert made(1, replace(facts, containers=hostile)).steps[1].command == "docker restart -t 10 'a; rm -rf /'"


@pytest.mark.parametrize(
    ("changes", "reason", "help_"),
    [
        ({"engine": EngineState("frozen", "x")}, "accepts calls and does not answer", "do not restart it lightly"),
        ({"engine": EngineState("down", "nothing listens")}, "nothing listens", "no level helps"),
        ({"hold": "database move"}, "on hold: database move", "remove the file"),
        ({"holder": Holder("R1", "ana", 0.0, 2, "restart 4 services")}, "ana is recovering shop: level 2", "attach R1"),
        ({"disks": (DiskFacts("/var", 100, 4),)}, "/var is 96 % full", "free space"),
        ({"no_space": ("No space left on device",)}, "cannot write", "free space"),
        ({"corruption": ("PANIC: could not locate",)}, "reports damage", "recover plan 4"),
    ],
)
def test_what_stops_both_levels_is_said_with_what_would_help(
    changes: dict[str, object], reason: str, help_: str
) -> None:
    twin = ProjectTwin()
    if "corruption" in changes:
        twin.set("postgres", health="unhealthy")
    facts = replace(twin.facts(), **changes)  # type: ignore[arg-type]
    for level, service in ((1, "postgres"), (2, "")):
        plan = made(level, facts, service)
        assert plan.refused is not None
        assert reason in plan.refused
        assert help_ in plan.help


def test_a_disk_below_the_limit_refuses_nothing() -> None:
    assert made(1, replace(ProjectTwin().facts(), disks=(DiskFacts("/var", 100, 6),))).refused is None


def test_damage_in_the_log_of_a_well_database_stops_level_2_but_not_a_restart_of_the_app() -> None:
    facts = replace(ProjectTwin().facts(), corruption=("ERROR: invalid page in block 7",))
    assert made(1, facts).refused is None
    assert "reports damage" in str(made(2, facts).refused)


def test_a_crash_loop_is_refused_and_counted_by_deaths_not_by_the_engines_counter() -> None:
    facts = ProjectTwin().facts()
    looping = tuple(replace(c, deaths=3, uptime=2.0) if c.service == "app" else c for c in facts.containers)
    facts = replace(facts, containers=looping)
    for level in (1, 2):
        plan = made(level, facts)
        assert "crash-looping (3 deaths)" in str(plan.refused)
        assert "last good image or configuration" in plan.help


def test_a_broken_dependency_sends_the_responder_there() -> None:
    twin = ProjectTwin()
    twin.set("postgres", status="exited", health="", exit_code=0)
    plan = made(1, twin.facts())
    assert plan.refused == "app needs postgres: postgres is exited (0)"
    assert plan.help == "start postgres first: sevdeck recover run 1 --service postgres"
    assert made(1, twin.facts(), "postgres").refused is None


def test_level_2_leaves_alone_what_was_stopped_on_purpose_and_nothing_needs() -> None:
    twin = ProjectTwin()
    twin.set("edge", status="exited", health="")
    plan = made(2, twin.facts())
    assert plan.targets == ("postgres", "redis", "app")
    assert plan.confirm == "restart 3 services"


def test_nobody_unattended_starts_what_was_stopped_on_purpose() -> None:
    twin = ProjectTwin()
    twin.set("edge", status="exited", health="")
    facts = twin.facts()
    assert recovery.plan(1, "edge", facts, config()).refused is None
    assert recovery.plan(1, "edge", facts, config(), unattended=True).refused == "edge was stopped on purpose"


def test_containment_is_never_undone_silently() -> None:
    facts = replace(ProjectTwin().facts(), contained=("app",))
    assert "deliberate containment" in str(made(1, facts).refused)
    assert "deliberate containment" in str(made(2, facts).refused)


def test_level_2_needs_every_container() -> None:
    facts = replace(ProjectTwin().facts(), missing=("worker",))
    assert made(2, facts).refused == "no container of worker exists"
    assert made(1, facts).refused is None


def runs_before(*ages: float, level: int = 1, service: str = "app", outcome: str = "ok") -> tuple[PastRun, ...]:
    now = ProjectTwin().facts().taken_at
    return tuple(PastRun(f"r{a}", level, service, now - a, outcome, 2.0) for a in ages)


def test_budgets_count_each_service_in_its_window_and_can_only_be_overridden() -> None:
    facts = replace(ProjectTwin().facts(), past=runs_before(800, 400, 10))
    plan = made(1, facts)
    assert plan.over_budget
    assert "ran 3 of 3 in 15 min already" in str(plan.refused)
    assert made(1, facts, "redis").refused is None
    assert made(1, replace(facts, past=runs_before(1000, 400, 10))).refused is None
    strict = RecoveryConfig(budgets={"level1": "1/1h"})
    assert made(1, replace(facts, past=runs_before(1000)), recovery=strict).over_budget
    assert made(2, replace(facts, past=runs_before(10, 20, level=2, service=""))).over_budget


def test_a_refusal_by_the_facts_cannot_be_overridden_as_a_budget() -> None:
    facts = replace(ProjectTwin().facts(), past=runs_before(800, 400, 10), hold="x")
    assert not made(1, facts).over_budget


def test_budgets_are_read_from_words_and_a_wrong_word_leaves_the_default() -> None:
    assert parse("2/30s") == (2, 30.0)
    with pytest.raises(ValueError, match="write it as 3/15m"):
        parse("often")
    assert budget(1, "app", (), {"level1": "often"}, 0.0).limit == 3


def test_expected_downtime_is_this_hosts_own_history() -> None:
    assert made(1, ProjectTwin().facts()).expected_downtime == 1.0
    facts = replace(ProjectTwin().facts(), past=runs_before(2000, 3000))
    assert made(1, facts).expected_downtime == 2.0


def test_the_observation_is_never_shorter_than_twice_what_health_checks_need() -> None:
    facts = ProjectTwin().facts()
    slow = replace(facts.containers[0], check=replace(facts.containers[0].check, interval=30.0, retries=3))  # type: ignore[type-var]
    plain = replace(config(), recovery=RecoveryConfig())
    assert recovery.observation(1, facts.containers, plain) == 60.0
    assert recovery.observation(1, (slow,), plain) == pytest.approx(2 * 3 * 30.01, abs=0.1)


def test_start_order_survives_cycles_and_strangers() -> None:
    assert compose.start_order({"a": ["b"], "b": ["a"], "c": ["nobody"]}) == ("c", "a", "b")


def test_preconditions_say_what_was_looked_at_also_where_all_is_well() -> None:
    names = {p.name: p.ok for p in made(1, ProjectTwin().facts()).preconditions}
    assert names == {
        "engine answers": True,
        "no other run": True,
        "not on hold": True,
        "app not crash-looping": True,
        "postgres works": True,
        "redis works": True,
        "database undamaged": True,
        "within budget": True,
    }


def test_services_are_offered_in_the_order_they_start() -> None:
    assert router.services(ProjectTwin().facts()) == ("postgres", "redis", "app", "edge")


def test_without_a_project_the_refusal_says_how_to_name_one() -> None:
    nothing = Facts(0.0, "")
    for level in (1, 2):
        plan = made(level, nothing)
        assert "no Compose project" in str(plan.refused) and "[docker] project" in plan.help


def test_level_3_is_for_a_crash_loop_only_where_it_would_make_something_else() -> None:
    twin = ProjectTwin()
    twin.set("app", status="restarting", restarts=5)
    assert "crash-looping" in str(made(3, twin.facts()).refused)
    twin.set("app", hash="of the bad release")
    plan = made(3, twin.facts())
    assert (plan.refused, plan.confirm) == (None, "shop with changes to app")
    assert "shop-app-1" not in [was.name for was in plan.facts]  # its next start is no change of the world
    assert "crash-looping" in str(made(2, twin.facts()).refused)


def test_level_3_names_what_would_change_and_nobody_unattended_agrees_to_that() -> None:
    twin = ProjectTwin()
    assert made(3, twin.facts()).confirm == "shop"
    assert recovery.plan(3, "", twin.facts(), config(), unattended=True).refused is None
    twin.set("app", hash="of before")
    plan = made(3, twin.facts())
    assert (plan.confirm, plan.refused) == ("shop with changes to app", None)
    assert "nobody is there to agree" in str(recovery.plan(3, "", twin.facts(), config(), unattended=True).refused)


def test_level_3_backs_the_database_up_first_or_says_that_it_cannot() -> None:
    facts = replace(ProjectTwin().facts(), store="postgres", backups="/b")
    dump = made(3, facts).step("safety")
    assert dump is not None and not dump.optional
    dump = made(3, replace(facts, backed_up=True)).step("safety")
    assert dump is not None and dump.optional  # a verified backup is there: a slow dump keeps nobody waiting
    twin = ProjectTwin()
    twin.set("postgres", health="unhealthy")
    plan = made(3, replace(twin.facts(), store="postgres", backups="/b"))
    assert (plan.step("safety"), plan.confirm) == (None, "shop without dump")
    assert any("does not answer: it cannot be backed up" in text for text in plan.advice)
