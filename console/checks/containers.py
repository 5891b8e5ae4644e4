"""Containers: stopped, dying again and again, out of memory, unhealthy, paused, cut off, near their limits.

Each service is judged by itself here; which trouble causes which is decided in `suggest`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from console.checks.check import Finding, Status
from console.checks.topology import Topology
from console.checks.wording import clock, exit_text, since, span
from console.config import Config, Limits
from console.watch.containers import Container, ContainersReading, EngineEvent

LOOP_DEATHS = 3  # in 120 s: more restarts will not help (RECOVERY, crash loop)
STARTING_GRACE = 120.0  # seconds a health check may say "starting" before that is a trouble itself
STOP_WINDOW = 15.0  # seconds between the engine's "stop" and the death it explains
OOM_MEMORY = 600.0  # seconds an out-of-memory kill stays worth telling after the container came back
FORGOTTEN = 86400.0  # an ended container outside Compose is old news after a day


def container_findings(reading: ContainersReading, stack: Topology, config: Config, now: float) -> list[Finding]:
    """Everything wrong with single services, in no order."""
    history: dict[str, list[EngineEvent]] = {}
    for event in reading.events:
        history.setdefault(event.container, []).append(event)
    found: list[Finding] = []
    for label, replicas in stack.services.items():
        for container in replicas:
            name = label if len(replicas) == 1 else f"{label} ({container.name})"
            events = history.get(container.id, [])
            finding = _state(container, label, name, stack, events, now)
            if finding is not None:
                if finding.status is Status.FAIL and label not in stack.watched:
                    finding = replace(finding, status=Status.WARN)  # somebody else's stack on this engine
                found.append(finding)
            if container.running:
                found += _resources(container, label, name, config.thresholds, now)
    return found + _cut_off(stack, history)


def _state(
    c: Container, label: str, name: str, stack: Topology, events: list[EngineEvent], now: float
) -> Finding | None:
    """The one thing most wrong with this container's state; None when it is as it should be."""
    ours = label in stack.watched
    if looping(c, events, now):
        return _loop(c, label, name, events, now)
    if c.status in ("exited", "dead"):
        return _ended(c, label, name, ours, stack, events, now)
    if c.status == "restarting":
        died = c.finished_at
        return _finding(
            "containers.restarting",
            Status.FAIL,
            f"{name} died and is being restarted ({exit_text(c.exit_code)}{since(died, now)})",
            label,
            died,
            c,
        )
    if c.status == "paused":
        at = _last(events, "pause")
        return _finding(
            "containers.paused",
            Status.WARN,
            f"{name} is paused{since(at, now)}: its callers wait",
            label,
            at,
            c,
        )
    if c.status == "created" and ours and c.created_at is not None and now - c.created_at > _patience(label, stack):
        return _finding(
            "containers.created",
            Status.FAIL,
            f"{name} was created and never started{since(c.created_at, now)}",
            label,
            c.created_at,
            c,
        )
    return _health(c, label, name, events, now) if c.running else None


def looping(c: Container, events: list[EngineEvent], now: float) -> bool:
    """Whether it dies again and again, and still does. Restarts by hand are no deaths of its own.

    It is over when the container runs and is well for half again as long as it lived between its last deaths.
    """
    if c.status == "restarting" and c.restarts >= LOOP_DEATHS:
        return True
    deaths = crashes(events, now)
    if (len(deaths) if events else c.deaths) < LOOP_DEATHS:
        return False
    if not c.running or c.health in ("unhealthy", "starting") or not deaths:
        return True
    calm = min(60.0, max(20.0, 1.5 * (deaths[-1] - deaths[-2])))
    return now - deaths[-1] < calm


def crashes(events: list[EngineEvent], now: float) -> list[float]:
    """Deaths of the last two minutes that nobody asked for."""
    dead = [e.at for e in events if e.action == "die"]
    stops = [e.at for e in events if e.action == "stop"]
    return [at for at in own_deaths(dead, stops) if now - at <= 120]


def own_deaths(dead: Iterable[float], stops: Iterable[float]) -> list[float]:
    """Deaths without those that a stop brought about: each stop (a restart tells one too) follows its death.

    >>> own_deaths([10.0, 12.0, 13.5], [10.2])
    [12.0, 13.5]
    """
    left = sorted(dead)
    for stop in stops:
        asked = [at for at in left if stop - STOP_WINDOW <= at <= stop + 1.0]
        if asked:
            left.remove(asked[-1] if asked[-1] <= stop else asked[0])
    return left


def _patience(label: str, stack: Topology) -> float:
    """Seconds a container may wait to be started: little once everything it waits for is well."""
    needs = [c for other in stack.declared.get(label, ()) for c in stack.services[other]]
    return 5.0 if all(c.running and c.health in ("healthy", "") for c in needs) else 60.0


def _loop(c: Container, label: str, name: str, events: list[EngineEvent], now: float) -> Finding:
    deaths = crashes(events, now)
    count = len(deaths) if events else c.deaths
    how = f"died {count} times in 2 min" if count >= LOOP_DEATHS else f"restarted {c.restarts} times"
    oom = c.oom_killed or any(e.action == "oom" and now - e.at <= 120 for e in events)
    why = "out of memory" if oom else exit_text(c.exit_code) if c.exit_code is not None else _death(events)
    return _finding(
        "containers.oom_loop" if oom else "containers.loop",
        Status.FAIL,
        f"{name} is in a crash loop: {how}, {why}",
        label,
        min(deaths, default=c.finished_at),
        c,
    )


def _death(events: list[EngineEvent]) -> str:
    """How the last death went, from the engine's event ("exit 137")."""
    detail = next((e.detail for e in reversed(events) if e.action == "die" and e.detail), "")
    words = detail.split()
    return exit_text(int(words[-1])) if words and words[-1].isdigit() else "exit code unknown"


def _ended(
    c: Container,
    label: str,
    name: str,
    ours: bool,
    stack: Topology,
    events: list[EngineEvent],
    now: float,
) -> Finding | None:
    at = c.finished_at
    if c.oom_killed:
        return _finding(
            "containers.oom",
            Status.FAIL if ours else Status.WARN,
            f"{name} was killed: out of memory{_limit(c)}, down{since(at, now)}",
            label,
            at,
            c,
        )
    kept = c.restart_policy not in ("", "no")
    serves = label in stack.roles or bool(c.ports) or any(label in needs for needs in stack.needs.values())
    if c.exit_code == 0 and not kept and label not in stack.roles:
        return None  # a job that ended well
    if not ours and (not kept or (at is not None and now - at > FORGOTTEN)):
        return None  # somebody's ended experiment
    if _on_purpose(c, events):
        return _finding(
            "containers.stopped",
            Status.WARN,
            f"{name} was stopped{f' at {clock(at, now)}' if at else ''} (exit {c.exit_code}, as by docker stop)",
            label,
            at,
            c,
        )
    status = Status.FAIL if ours and (kept or serves) else Status.WARN
    return _finding(
        "containers.exited",
        status,
        f"{name} is down ({exit_text(c.exit_code)}{since(at, now)})",
        label,
        at,
        c,
    )


def _on_purpose(c: Container, events: list[EngineEvent]) -> bool:
    """Stopped by somebody: the engine reported a stop at the death, or the exit code of an obeyed stop."""
    if c.exit_code in (0, 143):
        return True
    stops = [e.at for e in events if e.action == "stop"]
    return c.finished_at is not None and any(abs(at - c.finished_at) <= STOP_WINDOW for at in stops)


def _health(c: Container, label: str, name: str, events: list[EngineEvent], now: float) -> Finding | None:
    if c.health == "unhealthy":
        turned = [e for e in events if e.action == "health_status"]
        at = turned[-1].at if turned and turned[-1].detail == "unhealthy" else None
        told = f": {c.health_detail}" if c.health_detail else ""
        return _finding(
            "containers.health",
            Status.FAIL,
            f"{name} is unhealthy{since(at, now)}{told}",
            label,
            at,
            c,
        )
    age = now - c.started_at if c.started_at is not None else None
    starting = c.health == "starting"
    if starting and age is not None and age > STARTING_GRACE:
        return _finding(
            "containers.starting",
            Status.WARN,
            f"{name} has been starting for {span(age)} and is not healthy yet",
            label,
            c.started_at,
            c,
        )
    ooms = [e.at for e in events if e.action == "oom" and now - e.at <= OOM_MEMORY]
    if ooms:
        return _finding(
            "containers.oom_past",
            Status.WARN,
            f"{name} ran out of memory at {clock(ooms[-1], now)}{_limit(c)} and {'starts anew' if starting else 'came back'}",
            label,
            ooms[-1],
            c,
        )
    return None


def _last(events: list[EngineEvent], action: str) -> float | None:
    return next((e.at for e in reversed(events) if e.action == action), None)


def _limit(c: Container) -> str:
    return f" at its limit of {c.memory_limit / 2**20:.0f} MiB" if c.memory_limit else ""


def _resources(c: Container, label: str, name: str, limits: Mapping[str, Limits], now: float) -> list[Finding]:
    found: list[Finding] = []
    if c.memory is not None and c.memory_limit:
        share = 100.0 * c.memory / c.memory_limit
        bound = limits.get("container_memory", Limits())
        if status := crossed(share, bound):
            text = f"{name} uses {share:.0f} % of its memory limit ({c.memory_limit / 2**20:.0f} MiB)"
            found.append(_finding("containers.memory", status, text, label, None, c, "performance"))
    if c.cpu is not None and c.cpu_limit:
        share = c.cpu / c.cpu_limit
        throttled = c.throttled or 0.0
        bound = limits.get("container_cpu", Limits())
        # One sample of a busy second is no finding: it must also be held back, or the limit is a whole core.
        if crossed(share, bound) and (throttled >= 0.25 or c.throttled is None):
            text = (
                f"{name} uses {share:.0f} % of its {c.cpu_limit:g} cpu, held back {100 * throttled:.0f} % of the time"
            )
            found.append(_finding("containers.cpu", Status.WARN, text, label, None, c, "performance"))
        elif throttled >= 0.25:
            text = f"{name} is held back by its cpu limit {100 * throttled:.0f} % of the time"
            found.append(_finding("containers.cpu", Status.WARN, text, label, None, c, "performance"))
    return found


def crossed(value: float, limits: Limits) -> Status | None:
    """FAIL at or over `crit`, WARN at or over `warn`, None below both."""
    if limits.crit is not None and value >= limits.crit:
        return Status.FAIL
    if limits.warn is not None and value >= limits.warn:
        return Status.WARN
    return None


def _cut_off(stack: Topology, history: Mapping[str, list[EngineEvent]]) -> list[Finding]:
    """A running service that shares no network with a running service it needs cannot reach it."""
    found: list[Finding] = []
    blamed: set[str] = set()
    for label, needs in stack.declared.items():
        for other in needs:
            a, b = stack.container(label), stack.container(other)
            if a is None or b is None or not (_up(a) and _up(b)):
                continue
            mine, theirs = stack.networks(label), stack.networks(other)
            if mine & theirs or "host" in mine | theirs:
                continue
            lone = min((label, other), key=lambda s: _company(s, stack))
            if lone in blamed:
                continue
            blamed.add(lone)
            peer = other if lone == label else label
            networks = ", ".join(sorted(stack.networks(peer))) or "none"
            lone_one = stack.container(lone)
            at = _last(history.get(lone_one.id, []), "network disconnect") if lone_one else None
            finding = Finding(
                "containers.isolated",
                "connectivity",
                Status.FAIL,
                f"{lone} is cut off: it shares no network with {peer}",
                (
                    f"{label} needs {other}",
                    f"networks of {lone}: {', '.join(sorted(stack.networks(lone))) or 'none'}",
                    f"networks of {peer}: {networks}",
                ),
                subject=lone,
                since=at,
            )
            found.append(finding)
    return found


def _up(c: Container) -> bool:
    return c.status in ("running", "paused")


def _company(label: str, stack: Topology) -> int:
    """How many other services of the project it can reach by some network."""
    mine = stack.networks(label)
    return sum(1 for other in stack.services if other != label and stack.networks(other) & mine)


def _finding(
    check: str,
    status: Status,
    summary: str,
    label: str,
    at: float | None,
    c: Container,
    group: str = "quick",
) -> Finding:
    evidence = [f"container {c.name}: {c.status}{', ' + c.health if c.health else ''}", f"image {c.image}"]
    if c.exit_code is not None:
        evidence.append(exit_text(c.exit_code) + (", killed for lack of memory" if c.oom_killed else ""))
    if c.deaths or c.restarts:
        evidence.append(f"{c.deaths} deaths in the last 2 min, {c.restarts} restarts by the engine")
    if c.health_detail:
        evidence.append(f"health check said: {c.health_detail} ({c.failing_streak} failures in a row)")
    return Finding(check, group, status, summary, tuple(evidence), subject=label, since=at)
