"""What checks that were asked know, joined with what the live readings say: told once, cause first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from console.checks.check import Finding, Status, Suggestion
from console.checks.judge import judge
from console.watch.containers import Container, EngineEvent
from tests.unit.readings_made import (
    CONFIG,
    NOW,
    PROBES,
    broken,
    container,
    event,
    failing,
    readings,
    stopped,
)
from tests.unit.test_judge import HOOK_502, SICK, UNHEALTHY

END = Suggestion("restart app (level 1)", "a loop does not end by itself", "recover:1:app", 0.6)
SPIN = Finding(
    "performance.spin", "performance", Status.WARN, "app burns cpu: python3 (pid 41) never pauses", (), (END,), "app"
)
KILL = Finding(
    "quick.oom", "quick", Status.WARN, "the kernel killed gunicorn (pid 41) of app", (), (END,), "app", NOW - 60
)
WORDS = Finding("logs.grave", "logs", Status.WARN, "app reports a fatal error", (), (END,), "app", NOW - 60)
HELD = container("app", cpu=97.0, throttled=0.4)


def test_what_both_saw_is_one_finding_with_what_each_knows() -> None:
    fix = Suggestion("docker update --cpus 2 shop-app-1", "it has work for more", "none", 0.4)
    asked = Finding(
        "containers.cpu", "performance", Status.WARN, "other words", ("app (pid 41) uses 97 %",), (fix,), "app"
    )
    (found,) = judge(readings((HELD,)), CONFIG, NOW, [asked])
    assert found.summary.startswith("app uses 97 % of its 1 cpu")
    assert "app (pid 41) uses 97 %" in found.evidence and "container shop-app-1: running, healthy" in found.evidence
    assert found.suggestions[0].title == fix.title


def test_findings_of_one_key_that_only_checks_saw_all_stand() -> None:
    two = [replace(WORDS, summary=f"app cannot reach {what}", check="connectivity.slow") for what in ("a", "b")]
    assert [f.summary for f in judge(readings(), CONFIG, NOW, two)] == [f.summary for f in two]


def test_a_loop_explains_that_its_container_is_held_back_and_slow() -> None:
    slow = replace(PROBES["app"], latency=2.6, detail="200 in 2600 ms")
    top, *rest = judge(readings((HELD,), (slow,)), CONFIG, NOW, [SPIN])
    assert (top.check, top.suggestions[0].action) == ("performance.spin", "recover:1:app")
    assert {f.check: f.cause for f in rest} == {"containers.cpu": top.key, "probes.slow": top.key}


def test_a_loop_explains_a_service_that_does_not_answer_and_what_users_meet() -> None:
    hung = (failing("app", "no answer in 3 s", 60), failing("edge", "504 in 2900 ms", 40), HOOK_502)
    top, *rest = judge(readings((), hung), CONFIG, NOW, [SPIN])
    assert (top.check, top.status) == ("performance.spin", Status.FAIL)
    assert rest and all(f.cause == top.key for f in rest)


def test_a_loop_of_who_waits_for_a_dead_store_follows_from_that() -> None:
    given = readings((stopped("postgres", 137), SICK), (HOOK_502,), (UNHEALTHY,))
    top, *rest = judge(given, CONFIG, NOW, [SPIN])
    assert (top.check, top.subject) == ("containers.exited", "postgres")
    assert next(f for f in rest if f.key == SPIN.key).cause == top.key


@pytest.mark.parametrize(
    ("one", "events", "first"),
    [
        (stopped("app", 137, oom_killed=True), (), "containers.oom"),
        (container("app"), (event("app", "oom", 60),), "quick.oom"),
        (container("app"), (), "quick.oom"),
    ],
)
def test_a_kill_is_told_once(one: Container, events: tuple[EngineEvent, ...], first: str) -> None:
    top, *rest = judge(readings((one,), (), events), CONFIG, NOW, [KILL])
    assert top.check == first
    assert all(f.cause == top.key for f in rest)


def test_what_was_said_stands_behind_what_is() -> None:
    paused = container("worker", status="paused", health="")
    past = [replace(WORDS, since=NOW - 600), replace(KILL, since=NOW - 600)]
    causes = [f.check for f in judge(readings((paused,)), CONFIG, NOW, past) if not f.cause]
    assert causes[0] == "containers.paused" and set(causes[1:]) == {"logs.grave", "quick.oom"}
    now = judge(readings(), CONFIG, NOW, [replace(WORDS, subject="postgres", since=NOW - 600), KILL])
    assert [f.check for f in now] == ["quick.oom", "logs.grave"]
    down = judge(readings((stopped("postgres", 137),)), CONFIG, NOW, [WORDS])
    assert next(f for f in down if f.key == WORDS.key).cause == down[0].key


def test_checks_that_the_dead_engine_left_unknown_follow_from_it() -> None:
    reason = "no socket at /var/run/docker.sock"
    given = replace(readings(), containers=broken(readings().containers, reason))
    unknown = [
        Finding(
            "quick.unknown", "quick", Status.UNKNOWN, f"not known whether {what}: {why}", (), subject=f"quick.{what}"
        )
        for what, why in (("engine", reason), ("kernel", "no answer in 5 s"))
    ]
    found = judge(given, CONFIG, NOW, unknown)
    assert found[0].check == "sources.containers"
    assert [f.subject for f in found if f.check == "quick.unknown" and f.cause] == ["quick.engine"]
