"""The steps of levels 1 and 2 as data: what is done to which container, and what a person would type for it."""

from __future__ import annotations

import shlex

from console.actions.action import Risk, Step
from console.actions.facts import Facts, ServiceContainer
from console.actions.roles import Roles

_EVIDENCE_SECONDS = 5.0
_SLACK = 15.0  # seconds that a call to the engine may take beyond what it does
_GATE_LEAST = 60.0  # seconds a container gets to become healthy, however fast its health check is


def steps(
    level: int, facts: Facts, who: Roles, containers: list[ServiceContainer], reload_only: bool
) -> tuple[Step, ...]:
    """What the level does, in order. `reload_only`: the edge needs no more than to read its configuration anew."""
    if not containers:
        return ()
    found = [evidence(containers)]
    if reload_only:
        return (*found, *(reload(c, always=True) for c in containers))
    if level == 1:
        for container in containers:
            found += [*_unpause(container), _restart(container), healthy(container)]
    else:
        found += [_checkpoint(c) for c in containers if c.service in who.database and c.running]
        for container in reversed(containers):
            found += [*_unpause(container), *([stop(container)] if container.status != "exited" else [])]
        found += bring_up(containers, facts)
    touched = {c.id for c in containers}
    edges = [c for s in who.edge for c in facts.of(s) if c.running or c.id in touched]
    found += [reload(c) for c in edges if level == 2 or c.id not in touched]
    return tuple(found)


def bring_up(containers: list[ServiceContainer], facts: Facts) -> list[Step]:
    """Start them in order, each after all that it needs is well. Those that need nothing of each other are waited
    for together: the waits are most of it."""
    tiers: dict[int, list[ServiceContainer]] = {}
    for place, container in enumerate(containers):
        # Where no dependency is known, the order itself may be all that somebody relies on.
        tiers.setdefault(_depth(container.service, facts) if any(facts.depends.values()) else place, []).append(
            container
        )
    return [step for _, tier in sorted(tiers.items()) for step in (*map(start, tier), *map(healthy, tier))]


def _depth(service: str, facts: Facts) -> int:
    """How many services one after the other must be well before it."""
    deepest: dict[str, int] = {}
    for name in (*facts.dependencies(service), service):
        deepest[name] = 1 + max((deepest[d] for d in facts.depends.get(name, ()) if d in deepest), default=-1)
    return deepest[service]


def compensation(containers: list[ServiceContainer]) -> tuple[Step, ...]:
    """Put back what was running, in order and without waiting for health: better half well than down."""
    return tuple(start(c, "undo-") for c in containers if c.running or c.status in ("paused", "restarting"))


def evidence(containers: list[ServiceContainer]) -> Step:
    names = " ".join(shlex.quote(c.name) for c in containers)
    return Step(
        "evidence",
        "capture evidence",
        f"docker inspect {names}; docker logs --tail 200 (each)",
        {"op": "evidence", "ids": [c.id for c in containers], "names": [c.name for c in containers]},
        expected=0.3,
        timeout=_EVIDENCE_SECONDS,
        optional=True,
    )


def _unpause(c: ServiceContainer) -> list[Step]:
    if c.status != "paused":
        return []
    command = f"docker unpause {shlex.quote(c.name)}"
    call = {"op": "unpause", "id": c.id}
    undo = f"docker pause {shlex.quote(c.name)}"
    return [Step(f"unpause-{c.name}", f"unpause {c.name}", command, call, undo, c.service, 0.1, _SLACK, Risk.LOW)]


def _restart(c: ServiceContainer) -> Step:
    return Step(
        f"restart-{c.name}",
        f"restart {c.name}" if c.status != "exited" else f"start {c.name}",
        f"docker restart -t {c.stop_timeout} {shlex.quote(c.name)}",
        {"op": "restart", "id": c.id, "t": c.stop_timeout, "started_at": c.started_at},
        target=c.service,
        expected=1.0,
        timeout=c.stop_timeout + _SLACK,
        risk=Risk.OUTAGE,
    )


def stop(c: ServiceContainer, prefix: str = "") -> Step:
    return Step(
        f"{prefix}stop-{c.name}",
        f"stop {c.name}",
        f"docker stop -t {c.stop_timeout} {shlex.quote(c.name)}",
        {"op": "stop", "id": c.id, "t": c.stop_timeout},
        undo=f"docker start {shlex.quote(c.name)}",
        target=c.service,
        expected=1.0,
        timeout=c.stop_timeout + _SLACK,
        risk=Risk.OUTAGE,
    )


def start(c: ServiceContainer, prefix: str = "") -> Step:
    return Step(
        f"{prefix}start-{c.name}",
        f"start {c.name}",
        f"docker start {shlex.quote(c.name)}",
        {"op": "start", "id": c.id},
        undo=f"docker stop {shlex.quote(c.name)}" if not prefix else "none needed",
        target=c.service,
        expected=0.5,
        timeout=_SLACK,
        risk=Risk.LOW,
    )


def healthy(c: ServiceContainer) -> Step:
    deadline = max(_GATE_LEAST, 2 * detection(c))
    what = "healthy for 3 samples" if c.check else "running, and not restarted, for 3 samples"
    return Step(
        f"healthy-{c.name}",
        f"wait until {c.name} is {what}",
        f"docker inspect -f '{{{{json .State}}}}' {shlex.quote(c.name)}",
        {"op": "healthy", "id": c.id, "samples": 3, "check": c.check is not None},
        target=c.service,
        expected=3.0,
        timeout=deadline,
    )


def _checkpoint(c: ServiceContainer) -> Step:
    command = ["sh", "-c", 'psql -U "${POSTGRES_USER:-postgres}" -d postgres -c CHECKPOINT']
    return Step(
        f"checkpoint-{c.name}",
        f"flush {c.service} to disk, so that it stops and starts faster",
        f"docker exec {shlex.quote(c.name)} timeout -k 1 5 {shlex.join(command)}",
        {"op": "exec", "id": c.id, "argv": command, "seconds": 5},
        target=c.service,
        expected=0.2,
        timeout=8.0,
        risk=Risk.LOW,
        optional=True,
    )


def reload(c: ServiceContainer, *, always: bool = False) -> Step:
    return Step(
        f"reload-{c.name}",
        f"reload {c.name}" if always else f"ask through {c.service}; reload it if only it fails",
        f"docker exec {shlex.quote(c.name)} timeout -k 1 5 nginx -s reload",
        {"op": "reload", "id": c.id, "service": c.service, "always": always, "seconds": 5},
        target=c.service,
        expected=1.0,
        timeout=20.0,
        risk=Risk.LOW,
        optional=not always,
    )


def page_ready(c: ServiceContainer, page: str) -> Step:
    """While the edge still runs. `page`: a file of HTML of your own, "" for ours."""
    return Step(
        "page",
        f"prepare a maintenance page, should {c.service} not come up again",
        f"docker exec {shlex.quote(c.name)} nginx -T > runs/RUN/page/page.json",
        {"op": "prepare_page", "id": c.id, "page": page},
        target=c.service,
        expected=0.2,
        timeout=8.0,
        optional=True,
    )


def stand_in(project: str, edges: list[ServiceContainer], own: str) -> Step:
    """The last thing of a way back. `own`: a command of yours that does it."""
    services = sorted({c.service for c in edges})
    name = shlex.quote(f"{project}-sevdeck-page")
    return Step(
        "undo-page",
        f"where {', '.join(services)} does not run, show users the maintenance page",
        own or f"docker run --detach --name {name} (image, ports and certificates of {services[0]}) nginx",
        {"op": "stand_in", "services": services, "own": own},
        undo=f"docker rm --force {name}" if not own else "your command",
        expected=1.0,
        timeout=90.0,
        risk=Risk.LOW,
    )


def detection(c: ServiceContainer) -> float:
    """Seconds its own health check needs at most to notice a hang; 0 without one."""
    return c.check.detection if c.check else 0.0
