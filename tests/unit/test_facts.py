"""Automatic facts: what changed between two looks, once, whoever looks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from console.checks.evidence import evidence
from console.checks.facts import Fact, FactStream, backlog, facts, unsaid
from console.config import DockerConfig
from console.incident.events import Actor
from console.incident.journal import Journal
from console.incident.severity import decide, suggested_answers
from console.incident.state import fold
from console.watch.containers import Container, EngineEvent
from console.watch.metrics import MetricsReading
from console.watch.probes import ProbeResult
from console.watch.readings import Readings
from tests.unit.readings_made import (
    CONFIG,
    NOW,
    PROBES,
    broken,
    container,
    disk,
    errors,
    event,
    failing,
    fresh,
    host,
    metric,
    readings,
    stopped,
)

WELL = readings()


def after(*events: EngineEvent, containers: tuple[Container, ...] = ()) -> Readings:
    return readings(containers, (), events)


def kinds(found: list[Fact]) -> list[str]:
    return [fact.kind for fact in found]


def probed(*probes: ProbeResult) -> Readings:
    return readings((), probes)


def test_a_death_is_told_with_its_exit_code_and_the_engines_own_time() -> None:
    die = event("app", "die", 3.25, "exit 137")
    [fact] = facts(WELL, after(die), CONFIG)
    assert (fact.kind, fact.subject, fact.at, fact.bad) == ("container.die", "app", die.at, True)
    assert fact.summary == "app died (exited 137, killed)"


def test_two_consoles_give_the_same_death_the_same_id_and_two_deaths_two() -> None:
    first, second = event("app", "die", 60, "exit 1"), event("app", "die", 30, "exit 1")
    here = facts(WELL, after(first, second), CONFIG)
    there = facts(after(first), after(first, second), CONFIG)
    assert [f.id for f in here][1:] == [f.id for f in there]
    assert len({f.id for f in here}) == 2


def test_nothing_changed_nothing_said() -> None:
    now = after(event("app", "die", 3, "exit 1"))
    assert facts(now, now, CONFIG) == []
    assert facts(Readings(), now, CONFIG) == []


def test_health_oom_pause_and_network() -> None:
    told = facts(
        WELL,
        after(
            event("app", "oom", 50),
            event("app", "health_status", 40, "unhealthy"),
            event("app", "health_status", 30, "healthy"),
            event("redis", "pause", 20),
            event("app", "network disconnect", 10, "shop_back"),
        ),
        CONFIG,
    )
    assert [(f.kind, f.bad) for f in told] == [
        ("container.oom", True),
        ("container.unhealthy", True),
        ("container.healthy", False),
        ("container.pause", True),
        ("container.disconnect", None),
    ]
    assert told[-1].summary == "app was disconnected from shop_back"


def test_a_restart_is_a_death_and_a_restart_not_six_events() -> None:
    told = facts(
        WELL,
        after(
            event("app", "kill", 9, "signal 15"),
            event("app", "network disconnect", 8.6, "shop_front"),
            event("app", "die", 8.5, "exit 143"),
            event("app", "stop", 8.4),
            event("app", "network connect", 8.2, "shop_front"),
            event("app", "start", 8.1),
            event("app", "restart", 8.0),
        ),
        CONFIG,
    )
    assert kinds(told) == ["container.die", "container.restart"]


def test_a_crash_loop_is_told_once() -> None:
    deaths = [
        e for n in range(8) for e in (event("app", "die", 100 - 10 * n, "exit 1"), event("app", "start", 99 - 10 * n))
    ]
    told = kinds(facts(WELL, after(*deaths), CONFIG))
    assert told.count("container.loop") == 1
    assert told.count("container.die") == 2
    assert len(told) <= 6


def test_what_a_later_event_may_swallow_is_told_a_little_later_and_once() -> None:
    gone = event("app", "network disconnect", 2, "shop_back")

    def at(later: float) -> Readings:
        given = after(gone, replace(gone, at=gone.at + 0.004))
        return replace(given, containers=replace(given.containers, taken_at=NOW + later))

    stream = FactStream(CONFIG)
    stream.step(WELL)
    told = [kinds(stream.step(at(later))) for later in (0, 0.5, 1.5, 2.5)]
    assert told == [[], [], ["container.disconnect"], []]


def test_three_restarts_by_hand_are_no_crash_loop() -> None:
    acts = [
        each
        for n in (90, 60, 30)
        for each in (
            event("app", "die", n, "exit 143"),
            event("app", "stop", n - 0.1),
            event("app", "start", n - 0.9),
            event("app", "restart", n - 1),
        )
    ]
    told = kinds(facts(WELL, after(*acts), CONFIG))
    assert told == ["container.die", "container.restart"] * 3


def test_a_start_that_dies_at_once_is_a_death_of_its_own() -> None:
    acts = [event("pg", "die", 10, "exit 0"), event("pg", "stop", 9.9), event("pg", "start", 9.5)]
    acts += [event("pg", "die", 9.0 - n, "exit 1") for n in (0, 1, 2)]
    told = kinds(facts(WELL, after(*acts), CONFIG))
    assert told.count("container.loop") == 1


def test_foreign_containers_are_not_in_the_timeline() -> None:
    foreign = replace(event("x", "die", 3, "exit 1"), project="", service="", container="f" * 64)
    assert facts(WELL, after(foreign), CONFIG) == []
    config = replace(CONFIG, docker=DockerConfig(project="shop"))
    staging = replace(event("app", "die", 3, "exit 1"), project="staging", container="e" * 64)
    assert facts(WELL, after(staging), config) == []


def test_a_probe_is_down_after_two_failures_since_the_first_and_up_at_once() -> None:
    once = probed(failing("edge", "502", 20, history=(True, False)))
    twice = probed(failing("edge", "502", 20, history=(True, False, False)))
    well = probed(replace(PROBES["edge"], since=NOW - 2, history=(False, False, True)))
    assert facts(WELL, once, CONFIG) == []
    [down] = facts(once, twice, CONFIG)
    assert (down.kind, down.at, down.subject, down.bad) == ("probe.down", NOW - 20, "edge", True)
    assert facts(twice, twice, CONFIG) == []
    [up] = facts(twice, well, CONFIG)
    assert (up.kind, up.at, up.bad) == ("probe.up", NOW - 2, False)
    assert facts(once, well, CONFIG) == []  # a hiccup was never told


def test_thresholds_have_hysteresis() -> None:
    def at(percent: float) -> Readings:
        return readings(host=host(disks=(disk("/", percent),)))

    stream = FactStream(CONFIG)
    told = [kinds(stream.step(at(percent))) for percent in (80, 86, 84, 86, 84, 79, 86)]
    assert told == [[], ["threshold.crossed"], [], [], [], ["threshold.cleared"], ["threshold.crossed"]]


def test_a_metric_and_an_error_burst_begin_and_end() -> None:
    stream = FactStream(CONFIG)
    stream.step(WELL)
    low = fresh(MetricsReading((metric("bookings", "crit", value=1.0, limit="< 10"),)))
    burst = replace(WELL, metrics=low, logs=fresh(errors("app", per_minute=50.0)))
    assert sorted(kinds(stream.step(burst))) == ["log.burst", "threshold.crossed"]
    assert kinds(stream.step(replace(burst, logs=fresh(errors("app", per_minute=15.0))))) == []
    assert sorted(kinds(stream.step(WELL))) == ["log.calm", "threshold.cleared"]


def test_the_engine_goes_and_comes_back() -> None:
    away = replace(WELL, containers=broken(WELL.containers, "no answer in 2 s", ago=5))
    [gone] = facts(WELL, away, CONFIG)
    assert (gone.kind, gone.at) == ("engine.away", NOW - 5)
    assert kinds(facts(away, WELL, CONFIG)) == ["engine.back"]


def test_backlog_tells_what_was_bad_before_the_declaration() -> None:
    die = event("postgres", "die", 300, "exit 137")
    old = event("app", "die", 4000, "exit 1")
    now = readings((stopped("postgres", 137),), (failing("edge", "502", 280),), (old, die))
    told = backlog(now, CONFIG, NOW)
    assert [(f.kind, f.at) for f in told] == [("container.die", NOW - 300), ("probe.down", NOW - 280)]


def journal(tmp_path: Path) -> Journal:
    directory = tmp_path / "INC-2026-0001"
    directory.mkdir()
    made = Journal(directory, Actor("ana", host="h"))
    made.append("declared", {"title": "t", "severity": 1})
    return made


def write(made: Journal, found: list[Fact]) -> list[Fact]:
    new = unsaid(found, fold(made.events()))
    for fact in new:
        made.append("fact", fact.event(NOW), id=fact.id, at=fact.at)
    return new


def test_consoles_that_look_for_themselves_write_one_fact(tmp_path: Path) -> None:
    made = journal(tmp_path)
    here = probed(failing("edge", "502", 20, history=(True, False, False)))
    there = probed(failing("edge", "504", 14, history=(True, False, False)))
    assert len(write(made, facts(WELL, here, CONFIG))) == 1
    assert write(made, facts(WELL, there, CONFIG)) == []
    incident = fold(made.events())
    assert incident.moments["t0"].at == NOW - 20
    assert [e.summary for e in incident.timeline if e.kind == "fact"] == ["probe edge fails: 502"]


def test_a_second_failure_in_the_same_minute_is_told_too(tmp_path: Path) -> None:
    made = journal(tmp_path)
    down = probed(failing("edge", "502", 20, history=(True, False, False)))
    up = probed(replace(PROBES["edge"], since=NOW - 15, history=(False, False, True)))
    again = probed(failing("edge", "502", 8, history=(True, False, False)))
    for before, now in ((WELL, down), (down, up), (up, again)):
        write(made, facts(before, now, CONFIG))
    entries = [e for e in fold(made.events()).timeline if e.kind == "fact"]
    assert [e.data["state"] for e in entries] == ["down", "well", "down"]
    assert len({e.id for e in entries}) == 3


def test_evidence_proposes_the_worst_severity_for_a_dead_path() -> None:
    down: dict[str, Any] = {"history": (False,) * 20}
    now = readings(
        (stopped("postgres", 137), container("app", health="unhealthy")),
        (
            failing("edge", "502", 400, **down),
            failing("webhook", "502", 400, **down),
            failing("postgres", "refused", 400),
        ),
    )
    found = evidence(now, CONFIG, NOW)
    assert (found.edge_failing, found.business_ok, found.database_ok) == (1.0, False, False)
    assert found.edge_failing_for == 400
    assert found.down == ("postgres",)
    assert decide(suggested_answers(found), found).severity == 1


def test_evidence_of_a_well_stack_says_well_and_of_nothing_says_nothing() -> None:
    found = evidence(WELL, CONFIG, NOW)
    assert (found.edge_failing, found.business_ok, found.database_ok, found.down) == (0.0, True, True, ())
    empty = evidence(Readings(), CONFIG, NOW)
    assert (empty.edge_failing, empty.business_ok, empty.database_ok, empty.disk_percent) == (None, None, None, None)
