"""What a sample means: loops, quotas, limits, who uses the host, what is stuck; and the clock beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from console.checks.check import Finding, Status
from console.checks.looks import busy, clock, host_busy, processes
from console.checks.looks.busy import Seen
from console.config import DEFAULT_THRESHOLDS
from console.watch.cgroup_stand import Stand
from console.watch.inspected import container_from_inspect
from console.watch.processtable import Proc, Thread
from console.watch.sampling import Look, Sample
from tests.unit.made_container import document

NOW = 1_790_000_000.0
APP = document("app", NanoCpus=1_000_000_000)
ID = APP["Id"]
NAMES = {ID: "app"}
MIB = 1 << 20


def proc(pid: int, user: float = 0.0, system: float = 0.0, **changes: Any) -> Proc:
    return replace(Proc(pid, "app", "S", 1, user, system, 7, 10 * MIB, 1, False), **changes)


def sample(*steps: list[Proc], stands: tuple[Stand, Stand] = (Stand(), Stand()), **changes: Any) -> Sample:
    """Looks at 0.0, 0.5 and 1.0 s; those of fewer steps repeat the last. All processes are the app's."""
    every = [*steps, *[steps[-1]] * (3 - len(steps))]
    looks = [
        Look(at / 2, {p.pid: p for p in some}, {ID: stands[min(at, 1)]}, {}, (0.0, 0.0), {})
        for at, some in enumerate(every)
    ]
    made = Sample((looks[0], looks[1], looks[2]), {p.pid: ID for p in every[-1]}, {})
    return replace(made, **changes)


def seen(made: Sample, role: str = "app", **host: Any) -> Seen:
    container = container_from_inspect(document("app", **{"NanoCpus": 1_000_000_000, **host}))
    return Seen(container, "app", "app", "app", role, made, 2)


def turning(own: float = 1.0, pauses: int = 0) -> Sample:
    """A process that used 0.9 of a core throughout, `own` of it in its own code, and waited `pauses` times."""
    steps = [[proc(41, 0.9 * own * t, 0.9 * (1 - own) * t)] for t in (0.0, 0.5, 1.0)]
    threads = {41: ({41: Thread(5, 0, 0.45)}, {41: Thread(5 + pauses, 90, 0.9)})}
    return sample(*steps, threads=threads)


# -- loops


def test_a_process_that_never_pauses_is_suspected_whatever_it_does() -> None:
    assert busy.suspected(seen(turning(own=0.4))) == [41]
    assert busy.suspected(seen(turning(own=1.0, pauses=100))) == [41]  # threads of one interpreter wait for each other


def test_a_server_at_work_is_not_suspected() -> None:
    assert busy.suspected(seen(turning(own=0.7, pauses=40))) == []
    idle = sample(
        [proc(41)], [proc(41, 0.05)], [proc(41, 0.1)], threads={41: ({41: Thread(1, 0, 0)}, {41: Thread(1, 0, 0)})}
    )
    assert busy.suspected(seen(idle)) == []
    ended = sample(
        [proc(41)], [proc(41, 0.45)], [proc(41, 0.46)], threads={41: ({41: Thread(1, 0, 0)}, {41: Thread(1, 0, 0)})}
    )
    assert busy.suspected(seen(ended)) == []  # it paused in the second half


def test_a_loop_names_its_process_and_leads_to_level_1() -> None:
    found = busy.spin(seen(turning()), [41])
    assert (found.key, found.status) == ("performance.spin:app", Status.WARN)
    assert found.summary == "app burns cpu: app (pid 41) never pauses, 90 % of a core"
    assert found.suggestions[0].action == "recover:1:app"
    two = sample([proc(41), proc(42)], [proc(41, 0.2), proc(42, 0.2)], [proc(41, 0.5), proc(42, 0.4)])
    assert busy.spin(seen(two), [41, 42]).summary.endswith("app (pid 41) and 1 more never pause, 90 % of a core")


def test_of_a_database_no_restart_is_advised_at_once(tmp_path: Path) -> None:
    (tmp_path / "41").mkdir()
    (tmp_path / "41" / "status").write_text("Name:\tpostgres\nNSpid:\t41\t57\n")
    made = sample([proc(41, name="postgres")])
    fix = busy.spin(seen(made, role="database"), [41], tmp_path).suggestions[0]
    assert (fix.action, "SELECT pg_cancel_backend(57)" in fix.title) == ("none", True)


# -- limits


def test_held_back_is_told_by_the_periods_of_the_quota() -> None:
    def told(throttled: int, periods: int = 8) -> Finding | None:
        stands = Stand(0, 100, 10), Stand(900_000_000, 100 + periods, 10 + throttled)
        return busy.busy(seen(sample([proc(41)], stands=stands)), DEFAULT_THRESHOLDS)

    assert told(1) is None  # an eighth
    found = told(2)
    assert found is not None and found.summary == "app is held back by its limit of 1 cpu 25 % of the time"
    assert found.suggestions[0].title == "docker update --cpus 2 shop-app-1"
    assert told(2, periods=2) is None  # too few to say


def test_without_a_quota_the_cores_of_the_host_are_the_limit() -> None:
    def told(cores: float) -> Finding | None:
        stands = Stand(0), Stand(int(cores * 1e9))
        return busy.busy(seen(sample([proc(41)], [proc(41, 0.5)], stands=stands), NanoCpus=0), DEFAULT_THRESHOLDS)

    assert told(1.7) is None
    found = told(1.9)
    assert found is not None and "95 % of all 2 cores, and has no cpu limit" in found.summary
    assert busy.busy(seen(sample([proc(41)])), DEFAULT_THRESHOLDS) is None  # unknown is not well, and not told


@pytest.mark.parametrize(("own", "status"), [(89, None), (91, Status.WARN), (98, Status.FAIL)])
def test_page_cache_alone_is_no_shortage_of_memory(own: int, status: Status | None) -> None:
    limit = 256 * MIB
    now = Stand(memory=limit, anonymous=limit * own // 100, cache=limit * (100 - own) // 100)
    found = busy.memory(seen(sample([proc(41)], stands=(now, now)), Memory=limit), DEFAULT_THRESHOLDS)
    assert (found.status if found else None) is status
    if found:
        assert found.key == "containers.memory:app" and "is page cache" in found.evidence[0]


@pytest.mark.parametrize(("pids", "status"), [(15, None), (16, Status.WARN), (20, Status.FAIL)])
def test_processes_near_their_limit(pids: int, status: Status | None) -> None:
    now = Stand(pids=pids, most_pids=20)
    found = busy.processes(
        seen(sample([proc(41), proc(42, name="ssh", threads=9)], stands=(now, now))), DEFAULT_THRESHOLDS
    )
    assert (found.status if found else None) is status
    if found:
        assert "ssh (pid 42) has 9 threads" in found.evidence
        assert found.suggestions[0].title == "docker update --pids-limit 40 shop-app-1"
    unlimited = Stand(pids=4000)
    assert busy.processes(seen(sample([proc(41)], stands=(unlimited, unlimited))), DEFAULT_THRESHOLDS) is None


@pytest.mark.parametrize(("number", "status"), [(800, None), (820, Status.WARN), (1024, Status.FAIL)])
def test_open_files_near_their_limit(number: int, status: Status | None) -> None:
    found = busy.open_files(seen(sample([proc(41), proc(42)])), {41: (9, 1024), 42: (number, 1024)}, DEFAULT_THRESHOLDS)
    assert (found.status if found else None) is status
    if found:
        assert f"{number} of the 1024 files" in found.summary and "(pid 42)" in found.summary


# -- the host


def busy_host(load: float, share: float = 0.96) -> Finding | None:
    made = sample([proc(41), proc(9)], [proc(41, 0.2), proc(9)], [proc(41, 0.3, 0.1), proc(9, 1.0, name="pg_dump")])
    looks = made.looks
    looks = looks[0], looks[1], replace(looks[2], cpu=(share * 200, 200.0))
    return host_busy.host(replace(made, looks=looks, where={41: ID}), NAMES, load, DEFAULT_THRESHOLDS)


def test_who_uses_the_host_is_named() -> None:
    found = busy_host(0.9)
    assert found is not None and found.key == "host.busy:host"
    assert found.summary == "the host is busy: cpu 96 %, most of it the host's own processes"
    assert found.evidence[:2] == (
        "pg_dump (pid 9) of the host uses 100 % of a core",
        "app (pid 41) of app uses 40 % of a core",
    )
    assert "app: 0.40 cores in all" in found.evidence


def test_a_busy_second_is_no_busy_host() -> None:
    assert busy_host(0.3) is None
    assert busy_host(3.0, share=0.5) is None


def test_a_disk_is_told_with_who_moves_most() -> None:
    rates = host_busy.rates({"vda": (1.0, 5.0)}, {"vda": (1.97, 13.0), "vdb": (9.0, 9.0)}, 1.0)
    assert rates.keys() == {"vda"} and rates["vda"] == pytest.approx((0.97, 8.0))
    made = sample([proc(41), proc(42)])
    first, second, third = made.looks
    first, third = replace(first, moved={41: (0, 0), 42: (0, 5)}), replace(third, moved={41: (0, 30 * MIB), 42: (0, 5)})
    found = host_busy.disk("vda", rates["vda"], replace(made, looks=(first, second, third)), NAMES)
    assert found.summary == "disk vda is busy 97 % of the time, 8 requests wait for it, most by app (pid 41) of app"
    assert found.evidence == ("app (pid 41) of app reads 0.0 and writes 30.0 MiB a second",)
    assert "root only" in host_busy.disk("vda", rates["vda"], made, NAMES).evidence[0]


def event(action: str, ago: float, ident: str = ID, code: str = "1") -> Mapping[str, Any]:
    attributes = {"name": "shop-app-1", "exitCode": code}
    return {"Action": action, "Actor": {"ID": ident, "Attributes": attributes}, "timeNano": int((NOW - ago) * 1e9)}


def test_ends_that_nobody_asked_for_are_counted() -> None:
    def told(*events: Mapping[str, Any]) -> list[Finding]:
        return list(host_busy.restarts(events, NAMES, {"app": "app"}, NOW))

    deaths = [event("die", ago) for ago in (3000, 2000, 1000)]
    (found,) = told(*deaths)
    assert found.summary.startswith("app has ended by itself 3 times within the hour")
    assert f"--until {int(NOW - 1000)} --tail 50 shop-app-1" in found.suggestions[0].title
    assert found.evidence == ("exit codes: 1 (3)",)
    assert told(*deaths, event("kill", 1002)) == []  # the last one was asked for
    assert told(*deaths[:2]) == [] and told(*[event("die", n, ident="other") for n in range(9)]) == []


# -- stuck and dead


def test_only_what_waits_at_every_look_without_running_is_stuck() -> None:
    stuck, slow, kernel = proc(41, state="D"), proc(42, state="D"), proc(2, state="D", kernel=True)
    made = sample([stuck, slow, kernel], [stuck, replace(slow, state="R"), kernel], [stuck, slow, kernel])
    assert processes.waiting(made) == [41]
    ran = sample([stuck], [stuck], [replace(stuck, system=0.1)])
    assert processes.waiting(ran) == []
    found = processes.hung(made, NAMES, {41: "nfs_wait"})
    assert found.summary == "stuck in the kernel: app (pid 41) of app"
    assert (found.subject, found.evidence) == ("app", ("pid 41 waits in nfs_wait",))


def test_dead_children_are_told_with_the_parent_that_collects_nobody() -> None:
    def told(number: int, container: str) -> list[Finding]:
        dead = [proc(100 + n, state="Z", parent=41) for n in range(number)]
        made = replace(sample([proc(41), *dead]), where={41: container} if container else {})
        return list(processes.zombies(made, NAMES, {"app": "app"}))

    assert told(49, ID) == []
    (found,) = told(50, ID)
    assert found.summary == "app (pid 41) of app has 50 dead children that it does not collect"
    assert found.suggestions[0].action == "recover:1:app"
    (found,) = told(50, "")
    assert found.suggestions[0].action == "none" and "of the host" in found.summary


# -- the clock and the engine


@pytest.mark.parametrize(("told", "says"), [(None, ""), (98.5, ""), (102.9, ""), (97.0, "3 s"), (105.0, "4 s")])
def test_only_what_the_answer_cannot_have_taken_is_a_difference(told: float | None, says: str) -> None:
    found = clock.beside(told, 100.0, 101.0)
    assert (found is not None) is bool(says)
    if found:
        assert found.summary == f"the clocks of this host and of the engine's differ by {says}"


TRACKING = """\
Reference ID    : A9FEA97B (169.254.169.123)
Stratum         : 4
System time     : {off} seconds {way} of NTP time
Leap status     : {leap}
"""


@pytest.mark.parametrize(
    ("off", "leap", "warns", "words"),
    [
        ("0.000012345", "Normal", False, "chrony keeps the clock within 0.001 s"),
        ("7.100000000", "Normal", True, "the clock of this host is 7 s slow"),
        ("0.000000000", "Not synchronised", True, "chrony has no time server to go by"),
    ],
)
def test_what_chrony_tells(off: str, leap: str, warns: bool, words: str) -> None:
    found, cleared = clock.chrony(TRACKING.format(off=off, way="slow", leap=leap))
    assert [f.summary for f in found] == ([words] if warns else [])
    assert cleared == ("" if warns else words)
    assert clock.chrony("506 Cannot talk to daemon\n") == ([], "")


def test_an_engine_that_takes_longer_than_a_second_for_a_ping_is_slow() -> None:
    assert clock.slow_engine(0.9) is None
    found = clock.slow_engine(1.4)
    assert found is not None and found.summary == "the engine takes 1.4 s to answer at all"
