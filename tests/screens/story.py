"""What the screens are shown: an app that hangs, the incident declared for it, its recovery. Nothing of it moves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from console.actions import recovery, runs
from console.actions.action import Plan
from console.actions.facts import Facts, Holder
from console.actions.gather import Seen
from console.actions.lock import ProjectLock
from console.checks.judge import judge
from console.config import DockerConfig, LogConfig
from console.errors import SevdeckError
from console.guide.desk import Desk
from console.incident.durability import Standing
from console.incident.events import Actor, draft
from console.incident.journal import Journal
from console.incident.records import Incident
from console.incident.state import fold, plain_entry
from console.incident.store import IncidentStore
from console.watch.container_records import ContainerDetail, DetailLine
from console.watch.containers import Container, ContainersSource
from console.watch.host import Pressure, Process
from console.watch.lane import QueueLane
from console.watch.logrecord import PatternStat
from console.watch.logs import LogHub
from console.watch.readings import Readings
from screens.base import ConsoleScreen
from screens.seat import Seat
from tests.unit.project_twin import ProjectTwin
from tests.unit.project_twin import config as recovery_config
from tests.unit.readings_made import (
    CONFIG,
    GIB,
    NOW,
    broken,
    container,
    disk,
    errors,
    event,
    failing,
    host,
    metric,
    readings,
    stopped,
    with_container,
)

ANA = Actor("root", sudo_user="ana", ssh="192.0.2.7", uid=0, host="prod-1", via="console")
RUNNER = replace(ANA, via="runner")
AUTOMATIC = Actor("root", host="prod-1", uid=0, via="automatic")
RUN = "20260921-141240-7f3a01"
SETTINGS = replace(CONFIG, docker=DockerConfig(project="shop"))

APP = container(
    "app",
    health="unhealthy",
    health_detail="no answer from /healthz within 2 s",
    failing_streak=4,
    cpu=98.2,
    memory=231 * 2**20,
    started_at=NOW - 26 * 3600,
)


def hung() -> Readings:
    """The app hangs, the worker died of memory, a neighbour's project is on the same engine."""
    found = readings(
        containers=(
            APP,
            stopped("worker", 137, 190, oom_killed=True),
            container("postgres", cpu=2.1, memory=88 * 2**20, memory_limit=None),
            container("redis", cpu=0.4, memory=9 * 2**20, memory_limit=None),
            container("edge", cpu=0.2, memory=6 * 2**20, memory_limit=None),
        ),
        probes=(
            failing("edge", "504 in 3000 ms", 118),
            failing("app", "no answer in 3 s", 120),
            failing("webhook", "504 in 3000 ms", 117),
        ),
        events=(event("worker", "oom", 190), event("worker", "die", 190, "exit 137")),
        host=host(
            cpu=71.0,
            load=(3.1, 2.2, 1.4),
            pressure=Pressure(12.0, 4.0, 2.0, 0.0, 0.0),
            disks=(disk("/", 71), disk("/var/lib/docker", 88)),
            net_in=1.2e6,
            net_out=3.4e6,
            top=(Process(41, "python3", 98.0, GIB), Process(77, "postgres", 2.0, GIB // 8)),
        ),
        metrics=(
            metric(
                "conversations",
                "crit",
                value=3.0,
                previous=97.0,
                limit="< 50 /h",
                unit="/h",
                spark=(90.0, 95.0, 97.0, 60.0, 3.0),
            ),
            metric(
                "response time p95",
                "crit",
                value=30.0,
                unit="s",
                direction="up",
                previous=0.3,
                limit="> 2 s",
                spark=(0.2, 0.3, 0.2, 30.0),
            ),
            metric("bookings", unit="/d", spark=(39.0, 42.0, 40.0, 41.0)),
        ),
        logs=replace(
            errors("edge", "upstream timed out (110) while reading response header", per_minute=38.0),
            patterns=tuple(
                PatternStat(f"{n:012x}", words, source, level, count, NOW - 3000, NOW - n, False)
                for n, (words, source, level, count) in enumerate(PATTERNS)
            ),
        ),
    )
    grafana = replace(
        container("grafana"), name="watching-grafana-1", project="watching", status="restarting", health=""
    )
    return replace(found, containers=replace(found.containers, value=with_container(found, grafana)))


PATTERNS = (
    ("upstream timed out <*> while reading response header from upstream request: POST <*>", "edge", "error", 1038),
    ("TimeoutError: pool", "app", "error", 212),
    ("pool exhausted waiting <*>", "app", "warning", 96),
    ("job <*> für <*> taken", "app", "info", 4110),
)


def hub() -> LogHub:
    """Logs of two sources, a few lines each, all understood."""
    made = LogHub([LogConfig(n, path=f"/nowhere/{n}.log", timezone="UTC") for n in ("app", "edge")], clock=lambda: NOW)
    made.feed("app", b"2026-09-21 14:13:01 WARNING pool exhausted, waiting 5 s\n")
    for second in (2, 5, 9):
        upstream = "upstream timed out (110: Connection timed out) while reading response header from upstream"
        made.feed("edge", f"2026-09-21 14:13:{second:02d} ERROR {upstream}, request: POST /webhook\n".encode())
    made.feed("app", "2026-09-21 14:13:11 INFO job 41 für Müller 日本 taken\n".encode())
    made.feed("app", b'Traceback (most recent call last):\n  File "/srv/app.py", line 7, in take\nTimeoutError: pool\n')
    return made


def tell(screen: ConsoleScreen, incident: Incident | None = None) -> None:
    """Give the screen what the application would."""
    found = hung()
    screen.now = NOW
    screen.readings = found
    screen.findings = judge(found, SETTINGS, NOW)
    screen.incident = incident
    screen.standing = Standing(heads(incident)) if incident else Standing()


def heads(incident: Incident, missing: int = 0) -> dict[str, tuple[int, str]]:
    """The last entry of each writer, as if the latest `missing` of the incident were not there."""
    kept = sorted(incident.timeline, key=lambda entry: entry.written_at)[: len(incident.timeline) - missing]
    found: dict[str, tuple[int, str]] = {}
    for entry in kept:
        found[entry.writer] = max(found.get(entry.writer, (0, "")), (entry.number, entry.hash))
    return found


DAMAGE = ("1 damaged entry on this disk (3f2a9c1e#41), read from a copy",)


def half_safe(incident: Incident) -> Standing:
    """The server went away three minutes ago, and the disk did not take the last note."""
    data = {"text": "restarting did not help, the pool is full again"}
    lost = plain_entry(draft(incident.id, "note", data, "n1", ANA, NOW - 4, None))
    return Standing(heads(incident), heads(incident, 3), "DB offline 3m12s - 3 waiting, retry in 2 s", (lost,), DAMAGE)


def teller(incident: Incident | None = None) -> Callable[[ConsoleScreen], None]:
    return lambda screen: tell(screen, incident)


class ToldSource(ContainersSource):
    """Knows the details of one container."""

    def __init__(self) -> None:
        super().__init__(DockerConfig())

    async def describe(self, container: str) -> ContainerDetail:
        return detail(APP)


def detail(c: Container) -> ContainerDetail:
    return ContainerDetail(
        c.id,
        c.name,
        (
            ("image", c.image),
            ("state", "running, unhealthy: no answer from /healthz within 2 s"),
            ("started", "2026-09-20 12:13:20 UTC"),
            ("restarts", "0, policy unless-stopped"),
            ("ports", "127.0.0.1:18000->8000/tcp"),
            ("networks", "shop_back"),
            ("networks", "shop_front"),
            ("environment", "DATABASE_URL=postgres://shop:•••@postgres:5432/shop"),
        ),
        "",
        ("PID", "USER", "%CPU", "COMMAND"),
        (("4101", "app", "98.2", "python3 -m shop.app --workers 4"), ("4117", "app", "0.0", "python3 -m shop.app")),
        "",
        (event("app", "health_status", 90, "unhealthy"),),
        (
            DetailLine(NOW - 19, "stdout", "WARNING pool exhausted, waiting 5 s"),
            DetailLine(NOW - 9, "stderr", "TimeoutError: pool"),
        ),
        "",
    )


class Clock:
    """A wall clock that the story sets."""

    now = NOW

    def __call__(self) -> float:
        return self.now


def written(directory: Path) -> Incident:
    """An incident two minutes after its declaration: a checklist under way, one step late, a recovery that held."""
    directory.mkdir(parents=True)
    clock = Clock()
    ana, runner = Journal(directory, ANA, wall=clock), Journal(directory, RUNNER, wall=clock)

    def say(ago: float, kind: str, data: dict[str, Any], by: Journal = ana, **more: Any) -> str:
        clock.now = NOW - ago
        return by.append(kind, data, **more).id

    def fact(ago: float, kind: str, subject: str, words: str, bad: bool = True) -> None:
        data = {"fact": kind, "subject": subject, "text": words, "bad": bad, "noticed_at": NOW - ago + 1}
        say(ago, "fact", data, at=NOW - ago, actor=AUTOMATIC)

    fact(190, "container.oom", "worker", "worker ran out of memory, exit 137")
    fact(118, "probe.down", "edge", "probe edge fails: 504 in 3000 ms")
    say(100, "declared", {"title": "Checkout returns 504", "severity": 1, "commander": "ana"})
    steps = [
        ("confirm", "confirm the severity", "decision", "now", 60),
        ("commander", "name the commander", "instruction", "now", 60),
        ("notice", "send the first notice", "notify", "now", 90),
        ("contain", "contain: maintenance page, or traffic away from the edge", "instruction", "now", 300),
        ("impact", "what is the impact: who, how many, since when", "instruction", "soon", 900),
        ("recover", "recover what the console recommends", "recovery", "soon", 900),
        ("evidence", "keep the evidence before it rotates away", "command", "soon", 1200),
    ]
    listed = [{"id": i, "title": t, "type": k, "phase": p, "due": due} for i, t, k, p, due in steps]
    phases = [{"id": "now", "title": "Immediate 0-5 min"}, {"id": "soon", "title": "Short term 5-30 min"}]
    begun = {"run": "r1", "playbook": "sev1-response", "title": "SEV-1 response", "sha256": "a" * 64, "version": 3}
    say(98, "playbook.started", {**begun, "steps": listed, "phases": phases})
    say(90, "step", {"run": "r1", "step": "confirm", "title": steps[0][1], "state": "done"})
    say(85, "step", {"run": "r1", "step": "commander", "title": steps[1][1], "state": "done"})
    note = say(70, "note", {"text": "customers write that cards are charged and orders are missing; 14 tickets so far"})
    say(65, "pin", {"event": note, "pinned": True})
    say(60, "comms", {"audience": "external", "text": "Checkout fails, we are on it", "next_at": NOW + 139})
    run: dict[str, Any] = {"run": RUN, "level": 1, "service": "app", "title": "restart app"}
    begins = {**run, "state": "started", "plan": "7f3a00112233", "targets": ["app"], "by": "ana"}
    say(40, "recovery.run", begins, runner)
    step = {"run": RUN, "step": "restart", "title": "restart app", "command": "docker restart -t 10 shop-app-1"}
    say(39, "recovery.step", {**step, "state": "intent"}, runner)
    say(38, "recovery.step", {**step, "state": "ok", "took": 0.83, "text": "StartedAt changed"}, runner)
    return fold(ana.events())


def seat(data_dir: Path) -> Seat:
    """A seat on records of its own, with the settings of the recovery twin."""
    settings = recovery_config()
    desk = Desk(IncidentStore(data_dir, ANA), settings, lambda: None, clock=lambda: NOW)
    return Seat(settings, data_dir, ANA, desk, QueueLane("engine"))


def sick_app(**changes: Any) -> Facts:
    twin = ProjectTwin()
    twin.set("app", health="unhealthy")
    return replace(twin.facts(), taken_at=NOW, **changes)


def well() -> Facts:
    return replace(ProjectTwin().facts(), taken_at=NOW)


def plan(facts: Facts) -> Plan:
    return recovery.plan(1, "app", facts, recovery_config())


class ARun:
    """A run of level 1 on disk, as another console's runner writes it, forty seconds old; it holds the project."""

    def __init__(self, data_dir: Path, who: str = "ben") -> None:
        self.plan = plan(sick_app())
        self.holder = Holder(RUN, who, NOW - 40, 1, self.plan.title, pid=1)
        runs.create(data_dir, self.plan, runs.Request(RUN, Actor(who, host="prod-1"), self.plan.confirm, NOW - 40))
        self._clock = Clock()
        self._journal = Journal(runs.directory(data_dir, RUN), RUNNER, wall=self._clock)
        self._lock = ProjectLock.acquire(data_dir, self.plan.project, self.holder)
        self.say(40, "recovery.run", {"state": "started"})
        first, second = self.plan.steps[:2]
        self.say(40, "recovery.step", {"step": first.id, "state": "intent"})
        self.say(39, "recovery.step", {"step": first.id, "state": "ok", "took": 0.4, "text": "38 kB kept"})
        self.say(39, "recovery.step", {"step": second.id, "state": "intent"})

    def say(self, ago: float, kind: str, data: dict[str, Any]) -> None:
        self._clock.now = NOW - ago
        self._journal.append(kind, {"run": RUN, **data})

    def validates(self) -> None:
        """It has done its steps and looks whether that helped: not yet."""
        for step in self.plan.steps[1:]:
            self.say(30, "recovery.step", {"step": step.id, "state": "ok", "took": 0.8, "text": "done"})
        ill = {"check": "probe", "subject": "edge", "status": "fail", "summary": "edge: 504 in 3000 ms"}
        well = {"check": "container", "subject": "app", "status": "ok", "summary": "app is healthy"}
        found = {"ok": None, "verdict": "same", "text": "5/6 well, same", "findings": [well, ill]}
        self.say(20, "recovery.validation", found)

    def observes(self) -> None:
        """It is validated and watched for a while."""
        checks = {"ok": True, "verdict": "better", "text": "6/6 well, better", "findings": []}
        self.say(15, "recovery.validation", checks)
        self.say(14, "recovery.observation", {"state": "started", "seconds": 60.0, "text": "for 60 s"})
        self.say(4, "recovery.observation", {"state": "bad", "total": 2, "failures": 1, "text": "edge: 504"})

    def end(self, state: str = "ok", reason: str = "validated and stable") -> None:
        """Close the record, as a run does before it lets go of the project."""
        good = {"state": "ok", "total": 6, "failures": 1, "text": "5 of 6 samples well"}
        self.say(2, "recovery.observation", good if state == "ok" else {**good, "state": "unstable"})
        self.say(1, "recovery.run", {"state": state, "reason": reason})

    def release(self) -> None:
        self._lock.release()


class Looks:
    """Looks at the stack: each answer once, the last again and again. Keeps what the console knew already."""

    def __init__(self, *given: Facts | SevdeckError) -> None:
        self._left = list(given)
        self.seen: list[Seen] = []

    async def __call__(self, seen: Seen) -> Facts:
        self.seen.append(seen)
        found = self._left.pop(0) if len(self._left) > 1 else self._left[0]
        if isinstance(found, SevdeckError):
            raise found
        return found


def without_engine(screen: ConsoleScreen) -> None:
    """The engine fell silent 20 s ago."""
    found = hung()
    reason = "the Docker engine accepts connections and does not answer"
    found = replace(found, containers=broken(found.containers, reason, "Look at dockerd: journalctl -u docker"))
    screen.now, screen.readings, screen.findings = NOW, found, judge(found, SETTINGS, NOW)
