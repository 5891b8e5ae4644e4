"""The judge on hand-made readings: the top finding names the cause and the action that mends it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from console.checks.change import Change
from console.checks.check import Finding, Status
from console.checks.judge import headline, judge
from console.config import Config, DockerConfig
from console.watch.containers import EngineEvent
from console.watch.host import Pressure
from console.watch.metrics.point import NOT_YET
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
    probe,
    readings,
    replace_rate,
    stopped,
    with_container,
)

HUNG = container("app", health="unhealthy", health_detail="curl: (28) Operation timed out", failing_streak=9)
SICK = container("app", health="unhealthy", health_detail="503 database: connection refused", failing_streak=5)
APP_TIMEOUT = failing("app", "no answer in 3 s", 60)
EDGE_502 = failing("edge", "502 in 3 ms", 40)
HOOK_502 = failing("webhook", "502 in 3 ms", 40)
EDGE_504 = failing("edge", "504 in 2900 ms", 40)
PATH_502 = (failing("app", "503 in 8 ms"), EDGE_502, HOOK_502)
UNHEALTHY = event("app", "health_status", 45, "unhealthy")
LOOPING = {"deaths": 4, "status": "restarting", "health": "", "exit_code": 1, "restarts": 4}
NO_SPACE = "could not write /data/spool/17.json: [Errno 28] No space left on device"
FULL_CACHE = "redis.exceptions.ResponseError: OOM command not allowed when used memory > 'maxmemory'."
NO_SLOTS = "FATAL: remaining connection slots are reserved for non-replication superuser connections"
SLOW_APP = replace(PROBES["app"], latency=2.6, detail="200 in 2600 ms")
PANIC = 'PANIC:  could not read file "global/pg_control": read 0 of 296'

# name: (readings, words the top finding must have, its action, words its suggestion must have)
CASES: dict[str, tuple[Readings, tuple[str, ...], str, str]] = {
    "app hung": (
        readings((HUNG,), (APP_TIMEOUT, EDGE_504, HOOK_502), (UNHEALTHY,)),
        ("app is hung: /readyz no answer in 3 s since", "edge 504"),
        "recover:1:app",
        "restart app (level 1)",
    ),
    "app hung before docker notices": (
        readings((), (APP_TIMEOUT, EDGE_504)),
        ("app is hung", "no answer in 3 s"),
        "recover:1:app",
        "restart app",
    ),
    "app hung, no probes configured": (
        readings((HUNG,), (), (UNHEALTHY,), asked=()),
        ("app is hung", "health check gets no answer"),
        "recover:1:app",
        "restart app",
    ),
    "app hung, restarted, still hung": (
        readings((replace(HUNG, started_at=NOW - 120),), (failing("app", "no answer in 3 s", 600),)),
        ("app is hung",),
        "recover:2:",
        "level 2",
    ),
    "postgres killed": (
        readings((stopped("postgres", 137), SICK), PATH_502, (UNHEALTHY,)),
        ("postgres is down (exited 137", "app", "suffer"),
        "recover:1:postgres",
        "start postgres",
    ),
    "postgres stopped by hand": (
        readings((stopped("postgres", 0), SICK), PATH_502),
        ("postgres was stopped", "suffer"),
        "recover:1:postgres",
        "start postgres",
    ),
    "redis paused": (
        readings((container("redis", status="paused"), SICK), PATH_502, (event("redis", "pause", 70),)),
        ("redis is paused", "suffer"),
        "recover:1:redis",
        "unpause redis",
    ),
    "app out of memory": (
        readings((stopped("app", 137, oom_killed=True),), (EDGE_502, HOOK_502)),
        ("app was killed: out of memory at its limit of 256 MiB", "edge 502"),
        "recover:1:app",
        "raise its limit",
    ),
    "app out of memory again and again": (
        readings((container("app", **LOOPING | {"exit_code": 137, "oom_killed": True}),), (EDGE_502,)),
        ("app is in a crash loop", "out of memory"),
        "none",
        "memory limit",
    ),
    "bad release": (
        readings((container("app", **LOOPING, image="shop/app:1.5-bad", created_at=NOW - 420),), (EDGE_502, HOOK_502)),
        ("app is in a crash loop: died 4 times in 2 min, exited 1", "edge 502"),
        "none",
        "roll back",
    ),
    "crash loop because the database is down": (
        readings((container("app", **LOOPING), stopped("postgres", 1)), (EDGE_502,)),
        ("postgres is down",),
        "recover:1:postgres",
        "start postgres",
    ),
    "postgres died and the engine restarts it": (
        readings(
            (container("postgres", status="restarting", health="", exit_code=1, finished_at=NOW - 5),), (EDGE_502,)
        ),
        ("postgres died and is being restarted (exited 1", "edge 502"),
        "none",
        "read the last log lines of postgres",
    ),
    "app crashed and stayed down": (
        readings((stopped("app", 1, restart_policy="no"),), (EDGE_502,)),
        ("app is down (exited 1", "edge 502"),
        "recover:1:app",
        "start app",
    ),
    "postgres corrupt": (
        readings((container("postgres", **LOOPING), SICK), PATH_502, logs=errors("postgres", PANIC)),
        ("postgres is in a crash loop", "its data files are damaged"),
        "none",
        "restore",
    ),
    "connections exhausted": (
        readings((SICK,), (failing("postgres", NO_SLOTS), *PATH_502), logs=errors("app", NO_SLOTS)),
        ("postgres has no free connections",),
        "none",
        "idle sessions",
    ),
    "host disk full": (
        readings((stopped("postgres", 1), SICK), PATH_502, host=host(disks=(disk("/", 60), disk("/data", 99.9)))),
        ("disk /data is 100 % full", "suffer"),
        "none",
        "free space on /data",
    ),
    "small volume full": (
        readings((), (failing("webhook", "500 in 9 ms"),), logs=errors("app", NO_SPACE, per_minute=40)),
        ("app reports a full disk", "webhook 500"),
        "none",
        "free space",
    ),
    "cache full": (
        readings((), (failing("webhook", "500 in 9 ms"),), logs=errors("app", FULL_CACHE, per_minute=40)),
        ("redis is full and refuses writes",),
        "none",
        "make room in redis",
    ),
    "webhooks 500, app healthy": (
        readings((), (failing("webhook", "500 in 9 ms"),)),
        ("webhook fails: 500 since", "though app looks healthy"),
        "recover:1:app",
        "once",
    ),
    "webhooks 500, restarted already": (
        readings((container("app", started_at=NOW - 90),), (failing("webhook", "500 in 9 ms", 600),)),
        ("webhook fails: 500",),
        "none",
        "roll back app or repair its data",
    ),
    "edge holds a stale address": (
        readings((), (EDGE_502, HOOK_502)),
        ("only the edge fails: edge 502 since", "app answers directly"),
        "recover:1:edge",
        "reload edge",
    ),
    "edge on its maintenance page": (
        readings((), (failing("edge", "503 in 2 ms"), failing("webhook", "503 in 2 ms"))),
        ("only the edge fails: edge 503",),
        "none",
        "configuration of edge",
    ),
    "app lost its name": (
        readings((), (EDGE_502, HOOK_502), logs=errors("edge", "app could not be resolved (3: Host not found)")),
        ("only the edge fails: edge 502 since", "app answers directly"),
        "none",
        "alias",
    ),
    "app off the back network": (
        readings((replace(SICK, networks=("shop_front",)),), PATH_502),
        ("app is cut off", "no network with"),
        "none",
        "reconnect app to shop_back",
    ),
    "half created": (
        readings((container("app", status="created", health="", created_at=NOW - 60),), (), drop=("edge",)),
        ("app was created and never started",),
        "none",
        "docker compose up",
    ),
    "redis flapping": (
        readings(
            (),
            (
                failing("redis", "no answer in 3 s", history=(True, False, False) * 5),
                failing("app", "503 in 9 ms", history=(True, False, False) * 5),
            ),
        ),
        ("redis answers on and off",),
        "recover:1:redis",
        "look at redis",
    ),
    "a forgotten lock": (
        readings((), (failing("webhook", "no answer in 3 s"),)),
        ("webhook fails: no answer in 3 s since",),
        "recover:1:app",
        "look for blocked sessions in postgres",
    ),
    "worker stopped": (
        readings((stopped("worker", 143),)),
        ("worker was stopped",),
        "recover:1:worker",
        "start worker",
    ),
    "app slow": (
        readings((), (SLOW_APP, replace(PROBES["edge"], latency=2.7, detail="200 in 2700 ms"))),
        ("app answers slowly: 2.6 s",),
        "recover:1:app",
        "restart app",
    ),
    "app spins and its callers wait": (
        readings((container("app", cpu=99.0, throttled=0.8),), (SLOW_APP,)),
        ("app uses 99 % of its 1 cpu",),
        "recover:1:app",
        "restart app",
    ),
    "certificate expired": (
        readings((), (probe("cert", "127.0.0.1:18443", kind="tls", ok=False, detail="certificate ended 2 days ago"),)),
        ("cert: certificate ended",),
        "none",
        "renew the certificate",
    ),
    "engine frozen": (
        replace(
            readings((), (EDGE_502,)),
            containers=broken(readings().containers, "no answer in 2 s", "look at dockerd on the host"),
        ),
        ("the Docker engine is out of reach since", "no answer in 2 s", "edge 502"),
        "none",
        "look at dockerd",
    ),
    "log flood": (
        readings(logs=replace_rate(errors("app"), 2000.0)),
        ("app writes 2000 log lines a second",),
        "none",
        "log",
    ),
    "provider away": (
        readings((), (probe("meta", "https://graph.facebook.com/", kind="http", ok=False, detail="no answer in 3 s"),)),
        ("meta: no answer in 3 s",),
        "none",
        "provider",
    ),
    "business figure fell": (
        readings(metrics=(metric("bookings", "crit", value=3.0, limit="< 10"),)),
        ("bookings is 3 (< 10)",),
        "none",
        "bookings",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_top_finding_names_the_cause_and_what_mends_it(name: str) -> None:
    given, words, action, title = CASES[name]
    findings = judge(given, CONFIG, NOW)
    top = findings[0]
    for word in words:
        assert word in top.summary
    assert top.suggestions[0].action == action
    assert title in top.suggestions[0].title
    assert not top.cause
    assert top.evidence or top.check == "logs.flood"
    assert all(len(f.summary) < 300 and "\n" not in f.summary for f in findings)


@pytest.mark.parametrize("name", CASES)
def test_one_cause_and_the_rest_are_its_symptoms(name: str) -> None:
    findings = judge(CASES[name][0], CONFIG, NOW)
    alone = [f for f in findings if not f.cause]
    assert len(alone) == 1, [f.summary for f in alone]
    assert {f.cause for f in findings[1:]} <= {alone[0].key}
    assert set(alone[0].suggestions[0].symptoms) == {f.summary for f in findings[1:]}


def test_without_configured_roles_the_cause_is_the_same() -> None:
    for name in ("app hung", "postgres killed", "edge holds a stale address", "webhooks 500, app healthy"):
        given, words, action, _ = CASES[name]
        top = judge(given, Config(), NOW)[0]
        assert words[0] in top.summary
        assert top.suggestions[0].action == action


def test_nothing_wrong_says_nothing() -> None:
    assert judge(readings(), CONFIG, NOW) == []
    assert judge(Readings(), CONFIG, NOW) == []


QUIET: dict[str, Readings] = {
    "busy": readings(
        (container("app", cpu=97.0, throttled=0.4, memory=235 * 2**20),),
        host=host(cpu=99.0, load=(12.0, 9.0, 7.0), pressure=Pressure(85.0, 45.0, 3.0, 2.0, 0.0)),
    ),
    "freshly started": readings(
        tuple(
            container(s, health="starting", started_at=NOW - 5, created_at=NOW - 6)
            for s in ("app", "edge", "postgres", "redis")
        ),
        (
            failing("app", "connection refused", 4, history=(False, False)),
            failing("edge", "502 in 2 ms", 4, history=(False, False)),
            failing("webhook", "502 in 2 ms", 4, history=(False, False)),
        ),
    ),
    "one hiccup": readings((), (failing("edge", "no answer in 3 s", 2, history=(True, True, False)),)),
    "a finished job": readings((stopped("migrate", 0, restart_policy="no"),)),
    "somebody's old experiment": readings(
        (replace(stopped("junk", 1, 5 * 86400, project="", name="junk", restart_policy="no"), service=""),)
    ),
    "no container engine here": Readings(
        host=fresh(host()), containers=broken(readings().containers, "no socket at /var/run/docker.sock")
    ),
}


@pytest.mark.parametrize("name", QUIET)
def test_quiet_things_are_never_above_a_warning(name: str) -> None:
    assert all(f.status is not Status.FAIL for f in judge(QUIET[name], CONFIG, NOW))


def test_a_starting_stack_is_one_warning() -> None:
    findings = judge(QUIET["freshly started"], CONFIG, NOW)
    [cause] = [f for f in findings if not f.cause]
    assert cause.summary.startswith("postgres is starting (5 s), so are app, edge, redis")
    assert cause.suggestions[0].action == "none"
    assert len(cause.suggestions[0].symptoms) == 3


def test_busy_and_well_suggests_no_restart() -> None:
    findings = judge(QUIET["busy"], CONFIG, NOW)
    assert findings
    assert all(s.action == "none" for f in findings for s in f.suggestions)


def test_finished_jobs_and_old_experiments_are_no_finding() -> None:
    assert judge(QUIET["a finished job"], CONFIG, NOW) == []
    assert judge(QUIET["somebody's old experiment"], CONFIG, NOW) == []


def test_a_later_trouble_below_is_not_the_cause_of_an_earlier_one_above() -> None:
    late = stopped("redis", 137, 10)
    turned = event("app", "health_status", 890, "unhealthy")
    findings = judge(
        readings(
            (HUNG, late),
            (failing("app", "no answer in 3 s", 900),),
            (turned,),
        ),
        CONFIG,
        NOW,
    )
    causes = [f.subject for f in findings if not f.cause]
    assert sorted(causes) == ["app", "redis"]


def test_an_old_sentence_in_a_log_is_not_the_reason_of_a_new_failure() -> None:
    said = errors("app", FULL_CACHE)
    old = replace(said, last_errors=tuple(replace(r, at=NOW - 90, arrived=NOW - 90) for r in said.last_errors))
    top = judge(readings((), (failing("webhook", "500 in 9 ms", 20),), logs=old), CONFIG, NOW)[0]
    assert top.check == "probes.business"
    top = judge(readings((), (failing("webhook", "500 in 9 ms", 95),), logs=old), CONFIG, NOW)[0]
    assert top.check == "database.cache_full"


def test_what_a_check_has_just_found_well_is_not_blamed_for_what_a_log_said_before() -> None:
    looked = readings((), (failing("webhook", "500 in 9 ms", 20),), logs=errors("app", FULL_CACHE))
    assert judge(looked, CONFIG, NOW)[0].check == "database.cache_full"
    assert judge(looked, CONFIG, NOW, cleared=["database.cache"])[0].check == "probes.business"


def test_what_this_program_uses_itself_makes_no_host_busy() -> None:
    looked = readings(host=host(cpu=95.0, load=(3.0, 2.0, 1.0)))
    assert [f.check for f in judge(looked, CONFIG, NOW)] == ["host.busy"]
    looked = readings(host=host(cpu=95.0, load=(3.0, 2.0, 1.0), own_cpu=40.0))
    assert judge(looked, CONFIG, NOW) == []


def test_a_disk_that_has_room_again_is_no_reason() -> None:
    looked = readings((), (failing("webhook", "500 in 9 ms", 20),), logs=errors("app", "No space left on device"))
    assert judge(looked, CONFIG, NOW)[0].check == "logs.disk_full"
    room = Finding(
        "logs.was_full", "logs", Status.WARN, "app reports a full disk, and there is room again", subject="app"
    )
    assert judge(looked, CONFIG, NOW, [room])[0].check == "probes.business"


def test_a_full_cache_says_no_at_once_and_hangs_nobody() -> None:
    full = Finding("database.cache_full", "database", Status.FAIL, "redis is full", subject="redis")
    found = judge(readings((HUNG,), (APP_TIMEOUT, EDGE_504)), CONFIG, NOW, [full])
    assert {f.subject for f in found if not f.cause} == {"app", "redis"}


def dying(*ago: float) -> tuple[EngineEvent, ...]:
    return tuple(event("app", "die", at, "exit 1") for at in ago)


def test_a_crash_loop_is_over_when_it_runs_on_and_restarts_by_hand_are_none() -> None:
    well = container("app", deaths=4, started_at=NOW - 40)
    assert judge(readings((well,), (), dying(75, 65, 55, 40)), CONFIG, NOW) == []
    assert judge(readings((well,), (), dying(75, 65, 55, 10)), CONFIG, NOW)[0].check == "containers.loop"
    by_hand = (*dying(30, 20, 10), *(event("app", "stop", at - 0.1) for at in (30, 20, 10)))
    assert judge(readings((container("app", deaths=3),), (), by_hand), CONFIG, NOW) == []


def test_a_busy_host_is_not_blamed_for_one_slow_app_beside_fast_stores() -> None:
    busy = host(cpu=100.0, load=(12.0, 9.0, 7.0))
    top = judge(readings((), (SLOW_APP,), host=busy), CONFIG, NOW)[0]
    assert top.subject == "app"
    slow_stores = tuple(replace(PROBES[name], latency=1.5) for name in ("postgres", "redis"))
    top = judge(readings((), (SLOW_APP, *slow_stores), host=busy), CONFIG, NOW)[0]
    assert top.check == "host.busy"


def test_what_came_back_a_moment_ago_explains_what_it_left_behind() -> None:
    back = replace(PROBES["redis"], since=NOW - 4, history=(True,) * 9 + (False, False, True))
    slow = replace(PROBES["edge"], latency=1.4)
    fallen = (metric("webhook failures", "crit", value=16.0),)
    top = judge(readings((), (back, slow), metrics=fallen), CONFIG, NOW)[0]
    assert top.summary.startswith("redis answers again")
    assert top.suggestions[0].action == "none"
    steady = replace(back, history=(False, False, True, True, True))
    assert judge(readings((), (steady,)), CONFIG, NOW) == []


def test_a_disk_that_hangs_is_unknown_and_a_metric_that_fills_its_window_is_nothing() -> None:
    hung = replace(disk("/mnt", 99), fault="no answer in 2 s")
    assert [f.status for f in judge(readings(host=host(disks=(hung,))), CONFIG, NOW)] == [Status.UNKNOWN]
    for why in ("counting; a full minute is there in 60 s", NOT_YET):
        filling = metric("m", "unknown", value=None, fault=why)
        assert judge(readings(metrics=(filling,)), CONFIG, NOW) == []


def test_a_recent_change_is_named_as_suspect() -> None:
    changed = replace(HUNG, created_at=NOW - 600, started_at=NOW - 600, image="shop/app:1.5")
    top = judge(readings((changed,), (APP_TIMEOUT, EDGE_504)), CONFIG, NOW)[0]
    assert any("shop/app:1.5" in line and "before the trouble" in line for line in top.evidence)
    assert [s.title for s in top.suggestions] == ["restart app (level 1)", "or roll back app"]


def test_of_the_changes_of_the_last_hour_the_likeliest_of_the_service_is_suspected() -> None:
    made = Change("container", "app", "app: container made anew of shop/app:1", NOW - 500, services=("app",))
    image = Change("image", "app", "app: image a -> b", NOW - 600, services=("app",))
    file = Change("file", "/srv/app.conf", "/srv/app.conf was changed", NOW - 550, services=("app", "edge"))
    other = Change("image", "redis", "redis: image c -> d", NOW - 600, services=("redis",))
    late = Change("image", "app", "app: image b -> c", NOW, services=("app",))
    looked = readings((HUNG,), (APP_TIMEOUT, EDGE_504))

    def second(*changes: Change) -> str:
        return judge(looked, CONFIG, NOW, (), changes)[0].suggestions[-1].title

    assert second(made, image, file, other) == "or roll back app"
    assert second(other, file) == "or take back the change of /srv/app.conf"
    assert second(Change("settings", "app", "app: made of other settings", NOW - 500, services=("app",))) == (
        "or take back the settings of app"
    )
    assert second(Change("migration", "t", "migration 0007 (t)", NOW - 500)) == "or look at migration 0007 (t)"
    assert second(other, late) == "restart app (level 1)"
    assert "recent change: app: image a -> b at" in "\n".join(judge(looked, CONFIG, NOW, (), [image])[0].evidence)


def test_a_release_that_dies_at_its_start_is_named_with_its_time() -> None:
    made = container(
        "app", status="restarting", deaths=4, created_at=NOW - 60, started_at=NOW - 2, image="shop/app:1.5"
    )
    top = judge(readings((made,), (APP_TIMEOUT,)), CONFIG, NOW)[0]
    assert top.suggestions[0].title == "roll back release or configuration of app"
    assert "it dies each time; app was created from shop/app:1.5 at " in top.suggestions[0].why


def test_a_database_that_dies_again_and_again_is_not_rolled_back_because_it_was_made_anew() -> None:
    dead = container("postgres", status="restarting", deaths=4, created_at=NOW - 60, started_at=NOW - 2)
    looked = readings((dead,), (replace(APP_TIMEOUT, name="other"),))
    assert judge(looked, CONFIG, NOW)[0].suggestions[0].title == "read the last log lines of postgres"
    line = "14:13:18 FATAL: could not open control file: global/pg_control"
    said = Finding("logs.grave", "logs", Status.WARN, "postgres reports", (line,), subject="postgres", since=NOW - 2)
    top = judge(looked, CONFIG, NOW, [said])[0]
    assert top.suggestions[0].title == "stop postgres and restore its data from a backup"


def test_who_cannot_be_reached_shows_no_certificate() -> None:
    shown = probe("certificate", "https://127.0.0.1:18443", ok=False, detail="connection refused")
    assert judge(readings((), (shown,)), CONFIG, NOW)[0].check == "probes.fail"


def test_a_stack_that_is_new_as_a_whole_suspects_no_single_service() -> None:
    new: dict[str, Any] = {"created_at": NOW - 600, "started_at": NOW - 590}
    every = tuple(container(s, **new) for s in ("edge", "worker", "postgres", "redis"))
    top = judge(readings((replace(HUNG, **new), *every), (APP_TIMEOUT,)), CONFIG, NOW)[0]
    assert len(top.suggestions) == 1


def test_metrics_and_error_bursts_follow_the_cause() -> None:
    given = readings(
        (stopped("postgres", 137), SICK),
        PATH_502,
        metrics=(metric("bookings", "crit", value=1.0), metric("chats", "unknown", fault="connection refused")),
        logs=errors("app", "cannot connect", per_minute=300.0),
    )
    findings = judge(given, CONFIG, NOW)
    assert [f.check for f in findings if not f.cause] == ["containers.exited"]
    assert {"metrics.limit", "metrics.unknown", "logs.burst"} <= {f.check for f in findings if f.cause}


def test_two_troubles_that_explain_nothing_of_each_other_stay_two() -> None:
    findings = judge(readings((HUNG, stopped("worker", 1)), (APP_TIMEOUT, EDGE_504), (UNHEALTHY,)), CONFIG, NOW)
    assert [f.subject for f in findings if not f.cause] == ["app", "worker"]  # the users' path first
    assert headline(findings)[0].endswith("; 1 more")


def test_stale_values_are_not_judged() -> None:
    given = replace(readings(host=host(disks=(disk("/", 99),))), host=broken(fresh(host(disks=(disk("/", 99),))), "x"))
    assert [f.check for f in judge(given, CONFIG, NOW)] == ["sources.host"]


def test_services_of_the_same_name_in_two_projects_are_told_apart() -> None:
    twin = container("app2", service="app", project="staging", name="staging-app-1", deaths=5, status="restarting")
    config = replace(CONFIG, docker=DockerConfig(project="shop"))
    given = readings((HUNG,), (APP_TIMEOUT, EDGE_504), (UNHEALTHY,))
    both = replace(given, containers=fresh(with_container(given, twin)))
    top = judge(both, config, NOW)[0]
    assert top.summary.startswith("app is hung")
    assert top.suggestions[0].action == "recover:1:app"
    other = next(f for f in judge(both, config, NOW) if f.subject == "staging/app")
    assert other.status is Status.WARN
    assert other.suggestions[0].action == "none"


def test_other_projects_do_not_alarm_this_one() -> None:
    foreign = stopped("blog", 1, 3 * 86400, project="blog")
    config = replace(CONFIG, docker=DockerConfig(project="shop"))
    assert judge(readings((foreign,)), config, NOW) == []


def test_headline_fits_the_line_and_keeps_the_action() -> None:
    findings = judge(CASES["app hung"][0], CONFIG, NOW)
    text, hint = headline(findings)
    assert text.startswith("app is hung: /readyz no answer in 3 s since ")
    assert hint == "restart app (level 1)"
    for columns in (60, 72, 80, 120):
        short, action = headline(findings, columns)
        assert len(short) + len(action) + 6 <= columns
        assert short.startswith("app is hung")
        assert action.startswith("restart app")
    assert headline([]) == ("", "")


@pytest.mark.parametrize(("health", "words"), [("starting", "starts anew"), ("healthy", "came back")])
def test_a_kill_for_memory_is_told_while_the_service_comes_back(health: str, words: str) -> None:
    again = container("app", health=health, started_at=NOW - 2)
    found = judge(readings((again,), events=(event("app", "oom", 4), event("app", "die", 4))), CONFIG, NOW)
    assert found and found[0].check == "containers.oom_past"
    assert "app ran out of memory" in found[0].summary and words in found[0].summary
