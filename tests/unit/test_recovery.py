"""The router and what it rests on: causes before the ladder, facts from a live driver, validation and comparison."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from console.actions import gather, inspecting, recovery, router, validation
from console.actions.action import LevelView
from console.actions.facts import CRASH_WINDOW, Facts, PastRun, ProbeFacts
from console.actions.lock import hold_text
from console.actions.roles import place, roles
from console.actions.validation import Look, compare, findings, passed
from console.checks.check import Status
from console.config import Config, DockerConfig, ProbeConfig, RolesConfig
from console.errors import SourceError
from console.programs import compose
from console.programs.blueprint import ComposeProject
from console.watch.containers import EngineEvent
from console.watch.engine_api import EngineError, EngineSilentError
from tests.unit.project_twin import DEPENDS, ProjectTwin, config


def views(facts: Facts) -> dict[int, LevelView]:
    return {v.level: v for v in recovery.overview(facts, config())}


def verdicts(facts: Facts) -> tuple[str, str]:
    rows = views(facts)
    return rows[1].verdict, rows[2].verdict


def past(facts: Facts, level: int, service: str, outcome: str, age: float = 60.0) -> Facts:
    return replace(facts, past=(*facts.past, PastRun("r", level, service, facts.taken_at - age, outcome)))


def test_a_well_stack_needs_nothing() -> None:
    facts = ProjectTwin().facts()
    assert verdicts(facts) == ("unneeded", "unneeded")
    assert views(facts)[1].title == "restart app"


def test_a_hung_app_gets_level_1_and_level_2_is_named_as_dearer() -> None:
    twin = ProjectTwin()
    twin.hung.add("app")
    twin.set("app", health="unhealthy")
    rows = views(twin.facts())
    assert (rows[1].verdict, rows[1].service) == ("recommended", "app")
    assert rows[1].why == "app is running, unhealthy; edge needs it"
    assert (rows[2].verdict, rows[2].why) == ("possible", "would also help; level 1 costs less")


def test_a_hang_that_docker_has_not_noticed_yet_is_still_seen_by_the_probes() -> None:
    twin = ProjectTwin()
    twin.hung.add("app")
    found = router.route(twin.facts(), config())
    assert (found.level, found.service) == (1, "app")
    assert "every container looks well" in found.why


def test_the_root_of_several_sick_services_is_treated_not_its_victims() -> None:
    twin = ProjectTwin()
    twin.set("postgres", status="exited", health="", exit_code=137)
    twin.set("app", health="unhealthy")
    row = views(twin.facts())[1]
    assert (row.verdict, row.title, row.service) == ("recommended", "start postgres", "postgres")
    assert "app, edge need it" in row.why
    assert "stopped, not crashed: ask who" in row.why


def test_sick_services_that_do_not_explain_each_other_get_level_2() -> None:
    twin = ProjectTwin()
    twin.set("redis", health="unhealthy")
    twin.set("postgres", health="unhealthy")
    assert verdicts(twin.facts()) == ("refused", "recommended")  # the app would have to wait for both


def test_level_1_that_failed_a_moment_ago_gives_way_to_level_2_and_that_to_a_person() -> None:
    twin = ProjectTwin()
    twin.set("app", health="unhealthy")
    facts = past(twin.facts(), 1, "app", "failed")
    assert verdicts(facts) == ("possible", "recommended")
    assert verdicts(past(twin.facts(), 1, "app", "ok")) == ("recommended", "possible")  # once was not in vain
    facts = past(facts, 2, "", "failed")
    assert router.route(facts, config()).level == 3
    facts = past(facts, 3, "", "failed")
    found = router.route(facts, config())
    assert (found.level, found.help) == (None, "call the owner of the service")


def test_a_crash_loop_and_damaged_data_get_no_level_at_all() -> None:
    facts = ProjectTwin().facts()
    looping = tuple(replace(c, deaths=4, uptime=None) if c.service == "app" else c for c in facts.containers)
    assert verdicts(replace(facts, containers=looping)) == ("refused", "refused")
    assert router.route(replace(facts, containers=looping), config()).level is None
    twin = ProjectTwin()
    twin.set("postgres", status="restarting", health="unhealthy")
    damaged = replace(twin.facts(), corruption=("PANIC: could not locate a valid checkpoint record",))
    rows = views(damaged)
    assert (rows[1].verdict, rows[2].verdict) == ("refused", "refused")
    assert "could not locate a valid checkpoint" in rows[1].why


def edge_fails(twin: ProjectTwin, direct: bool | None) -> Facts:
    facts = twin.facts()
    probes = tuple(replace(p, ok=direct) if p.direct else replace(p, ok=False, detail="502") for p in facts.probes)
    return replace(facts, probes=tuple(p for p in probes if p.ok is not None))


def test_when_only_the_edge_fails_it_is_reloaded_and_the_app_left_alone() -> None:
    facts = edge_fails(ProjectTwin(), direct=True)
    row = views(facts)[1]
    assert (row.verdict, row.title, row.outage) == ("recommended", "reload edge", "no outage")
    assert [s.call["op"] for s in row.plan.steps] == ["evidence", "reload"]
    refused = recovery.plan(1, "app", facts, config())
    assert refused.refused == "app answers directly; only edge fails to reach it"


def test_without_a_direct_answer_of_just_now_the_edge_is_never_blamed() -> None:
    row = views(edge_fails(ProjectTwin(), direct=None))[1]
    assert (row.verdict, row.service) == ("recommended", "app")


def test_a_reload_that_did_not_help_is_followed_by_a_restart_of_the_edge() -> None:
    facts = past(edge_fails(ProjectTwin(), direct=True), 1, "edge", "failed")
    assert recovery.plan(1, "edge", facts, config()).confirm == "restart edge"


def test_health_ok_and_business_failing_gets_level_1_once_and_then_a_person() -> None:
    twin = ProjectTwin()
    twin.webhook_broken = True
    facts = twin.facts()
    assert views(facts)[1].verdict == "recommended"
    found = router.route(past(facts, 1, "app", "failed"), config())
    assert found.level is None
    assert "roll back app" in found.help


def test_out_of_memory_is_level_1_with_advice() -> None:
    twin = ProjectTwin()
    twin.set("app", status="exited", health="", exit_code=137, oom=True)
    row = views(twin.facts())[1]
    assert (row.verdict, row.title) == ("recommended", "start app")
    assert any("raise its limit" in a for a in row.plan.advice)


def test_a_container_that_stays_up_has_left_its_crash_loop_behind() -> None:
    app = replace(ProjectTwin().facts().of("app")[0], deaths=5)
    assert replace(app, uptime=30.0).crash_looping
    assert not replace(app, uptime=50.0).crash_looping


def test_a_dependency_that_does_not_answer_its_own_probe_is_the_cause_also_when_it_looks_healthy() -> None:
    facts = edge_fails(ProjectTwin(), direct=True)
    frozen = ProbeFacts("redis", False, "no answer in 2 s", service="redis", direct=True, kind="redis")
    row = views(replace(facts, probes=(*facts.probes, frozen)))[1]
    assert (row.verdict, row.title, row.why) == (
        "recommended",
        "restart redis",
        "redis: no answer in 2 s; app needs it",
    )


@pytest.mark.parametrize(
    ("change", "reason", "command"),
    [
        ({"networks": ("front",)}, "is not on network shop_back", "docker network connect --alias app shop_back"),
        ({"nameless": ("shop_back",)}, "without the name app", "docker network disconnect shop_back shop-app-1 && "),
    ],
)
def test_a_lost_network_is_no_case_for_a_restart(change: dict[str, Any], reason: str, command: str) -> None:
    twin = ProjectTwin()
    twin.set("app", health="unhealthy")
    facts = twin.facts()
    whole = tuple(replace(c, networks=("shop_back",), nameless=()) for c in facts.containers)
    facts = replace(facts, networks={"app": ("shop_back",)}, containers=whole)
    assert views(facts)[1].verdict == "recommended"
    broken = tuple(replace(c, **change) if c.service == "app" else c for c in whole)
    row = views(replace(facts, containers=broken))[1]
    assert (row.verdict, router.route(replace(facts, containers=broken), config()).level) == ("refused", None)
    assert reason in row.why
    assert command in row.help


def test_a_half_created_stack_is_completed_and_nothing_taken_down() -> None:
    twin = ProjectTwin()
    twin.remove("edge")
    assert router.route(twin.facts(), config()) == router.Route(3, why="no container of edge exists")
    plan = recovery.plan(3, "", twin.facts(), config())
    assert (plan.title, plan.confirm, plan.refused) == ("create edge", "shop", None)
    assert [s.id for s in plan.steps] == ["evidence", "keep", "up-data", "up-app", "up-edge"]
    assert plan.compensation == ()


def test_a_bad_certificate_recommends_no_restart() -> None:
    facts = ProjectTwin().facts()
    expired = ProbeFacts("tls", False, "certificate ended 2 days ago", kind="tls")
    facts = replace(facts, probes=(*facts.probes, expired))
    assert verdicts(facts) == ("unneeded", "unneeded")
    assert any("no restart mends a certificate" in a for a in views(facts)[1].plan.advice)


# --- what facts are made of ------------------------------------------------------------------------------------------


def test_deaths_by_hand_are_no_crashes_and_old_ones_are_forgotten() -> None:
    by_itself = [(100.0 + i, "die", "a") for i in range(3)]
    assert inspecting.deaths(by_itself, 110) == {"a": 3}
    assert inspecting.deaths(by_itself, 103 + CRASH_WINDOW) == {}
    restarts = [(float(t), w, "a") for i in range(3) for t, w in ((i, "kill"), (i + 0.1, "die"), (i + 0.2, "start"))]
    assert inspecting.deaths(restarts, 10) == {}


def test_the_engines_own_counter_shows_a_crash_loop_only_while_it_goes_on() -> None:
    twin = ProjectTwin()
    twin.set("app", restarts=7)
    container = twin.facts().of("app")[0]
    assert not container.crash_looping  # up for longer than the back-off is remembered
    assert replace(container, uptime=2.0).crash_looping
    assert replace(container, status="restarting", uptime=None).crash_looping


def test_an_inspect_without_any_field_is_an_unknown_container_and_no_error() -> None:
    container = inspecting.container({}, 0.0)
    assert (container.status, container.service, container.stop_timeout, container.check) == ("unknown", "", 10, None)


def test_control_sequences_in_names_are_made_visible() -> None:
    container = inspecting.container({"Name": "/a\x1b]0;x\x07", "State": {"Status": "running"}}, 0.0)
    assert container.name == "a\\x1b]0;x\\x07"


def test_probes_are_placed_by_the_port_they_knock_on() -> None:
    containers = ProjectTwin().facts().containers

    def where(kind: str, target: str) -> tuple[str, bool]:
        return place(ProbeConfig("p", kind, target), containers, config())

    assert where("http", "http://127.0.0.1:8080/x") == ("edge", False)
    assert where("http", "http://localhost:8000/x") == ("app", True)
    assert where("tcp", "127.0.0.1:8000") == ("app", True)
    assert where("http", "https://shop.example/") == ("", False)
    assert where("postgres", "env:DSN") == ("postgres", True)
    assert where("redis", "redis://10.0.0.9:6379") == ("redis", True)
    assert where("command", "true") == ("", True)
    assert where("http", "http://[broken") == ("", False)


def test_roles_are_guessed_where_nobody_said() -> None:
    guessed = roles(ProjectTwin().facts(), Config())
    assert (guessed.edge, guessed.app) == (("edge",), ("app",))
    assert (guessed.database, guessed.cache) == (("postgres",), ("redis",))
    said = replace(Config(), roles=RolesConfig(app=("redis", "gone")))
    assert roles(ProjectTwin().facts(), said).app == ("redis",)


async def test_gather_reads_everything_from_a_driver(tmp_path: Path) -> None:
    twin = ProjectTwin()
    (tmp_path / "hold").write_text("moving house\x1b[2J", encoding="utf-8")
    facts = await gather.gather(config(), tmp_path, driver=twin, run_probe=twin.run_probe)
    assert {c.service for c in facts.containers} == set(DEPENDS)
    assert facts.engine.up
    assert [(p.name, p.ok) for p in facts.probes] == [("webhook", True), ("edge", True), ("app direct", True)]
    assert facts.hold == hold_text(tmp_path) == "moving house\\x1b[2J"
    assert not twin.closed  # whoever gave a driver keeps it


async def test_gather_counts_deaths_that_only_the_console_remembers(tmp_path: Path) -> None:
    twin = ProjectTwin()
    twin.set("app", status="restarting")
    now = twin.facts().taken_at
    seen = tuple(EngineEvent(now - 30 - i, "die", "app", "shop-app-1", "app", "shop", "exit 1") for i in range(3))
    facts = await gather.gather(
        config(), tmp_path, seen=gather.Seen(events=seen), driver=twin, run_probe=twin.run_probe
    )
    assert facts.of("app")[0].crash_looping


async def test_gather_asks_the_app_itself_where_only_users_fail(tmp_path: Path) -> None:
    twin = ProjectTwin()
    twin.set("edge", status="running")
    twin.hung.add("edge")
    without_direct = replace(config(), probes=config().probes[:2])
    facts = await gather.gather(without_direct, tmp_path, driver=twin, run_probe=twin.run_probe)
    own = facts.probes[-1]
    assert (own.name, own.ok, own.direct, own.service) == ("shop-app-1 itself", True, True, "app")
    assert router.route(facts, without_direct).service == "edge"


class Failing(ProjectTwin):
    def __init__(self, error: SourceError) -> None:
        super().__init__()
        self.error = error

    async def listing(self) -> list[dict[str, object]]:
        raise self.error


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (EngineSilentError("no answer"), "frozen"),
        (EngineError("nothing listens"), "down"),
        (EngineError("no permission to use the socket"), "denied"),
    ],
)
async def test_an_engine_that_cannot_be_used_is_a_fact_and_no_exception(
    tmp_path: Path, error: SourceError, state: str
) -> None:
    facts = await gather.gather(config(), tmp_path, driver=Failing(error))
    assert facts.engine.state == state
    rows = views(facts)
    assert (rows[1].verdict, rows[2].verdict) == ("refused", "refused")
    found = await validation.validate(config(), facts, ProjectTwin().run_probe)
    assert found[0].status is Status.UNKNOWN
    assert not passed(found)


async def test_one_project_is_found_without_configuration(tmp_path: Path) -> None:
    twin = ProjectTwin()
    facts = await gather.gather(
        replace(config(), docker=DockerConfig()), tmp_path, driver=twin, run_probe=twin.run_probe
    )
    assert facts.project == "shop"


# --- validation ------------------------------------------------------------------------------------------------------


def look(twin: ProjectTwin) -> Look:
    facts = twin.facts()
    return Look(facts.taken_at, facts.containers, facts.probes)


def test_validation_passes_only_when_targets_edge_and_business_are_well() -> None:
    twin = ProjectTwin()
    assert passed(findings(look(twin)))
    twin.webhook_broken = True
    found = findings(look(twin))
    assert [f.summary for f in found if f.status is Status.FAIL] == ["webhook: 502"]
    assert not passed(found)


def test_without_probes_validation_says_that_nobody_asked_what_users_see() -> None:
    found = findings(replace(look(ProjectTwin()), probes=()))
    assert any(f.check == "validate.probes" and f.status is Status.WARN for f in found)


def test_a_stranger_that_failed_before_is_a_warning_and_one_that_fails_since_is_a_failure() -> None:
    base = look(ProjectTwin())
    certificate = ProbeFacts("tls", False, "ended", kind="tls")
    sick = replace(base, probes=(*base.probes, certificate))
    assert passed(findings(sick, {"app"}, sick))
    assert not passed(findings(sick, {"app"}, base))


def test_what_was_lost_makes_it_worse_even_when_more_was_won() -> None:
    ill, well = ProjectTwin(), ProjectTwin()
    ill.hung.add("app")
    assert compare(look(ill), look(well)).verdict == "better"
    assert compare(look(well), look(well)).verdict == "same"
    worse = compare(look(well), look(ill))
    assert (worse.verdict, worse.detail) == ("worse", "lost: app direct, edge, webhook")
    assert compare(look(well), replace(look(well), reachable=False)).verdict == "worse"


def test_who_had_not_answered_yet_is_no_success_when_it_answers() -> None:
    well = look(ProjectTwin())
    hasty = replace(well, probes=tuple(replace(p, ok=None) for p in well.probes))
    assert compare(hasty, well).verdict == "same"


def test_slower_is_said_and_is_not_worse_by_itself() -> None:
    before = look(ProjectTwin())
    slow = replace(before, probes=tuple(replace(p, latency=2.0) for p in before.probes))
    assert compare(before, slow) == validation.Comparison("same", "slower: 0.01 s -> 2.00 s")


def test_volumes_that_only_root_may_look_into_are_measured_by_the_directory_above(tmp_path: Path) -> None:
    closed = tmp_path / "volumes"
    inside = closed / "pgdata" / "_data"
    inside.mkdir(parents=True)
    (inside / "compose.yaml").touch()
    closed.chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        found = gather._file_systems([str(inside)])
        present = compose.present(ComposeProject("shop", (str(inside / "compose.yaml"),)))
    finally:
        if root:
            os.seteuid(0)
        closed.chmod(0o700)
    assert len(found) == 1
    assert found[0].total > 0
    assert not present
