"""Drafts that hold a service: off its networks, frozen, stopped, or not restarted."""

from __future__ import annotations

from console.actions.action import Step
from console.actions.containment import evidence, network, state
from console.actions.containment.draft import CannotError, Draft, containers_of, names
from console.actions.containment.ground import Ground
from console.actions.facts import ServiceContainer
from console.config import Config


def _disconnects(ground: Ground, containers: tuple[ServiceContainer, ...], only: str = "") -> tuple[Step, ...]:
    steps = []
    for one in containers:
        raw = ground.raw[one.id]
        mode = str((raw.get("HostConfig") or {}).get("NetworkMode") or "")
        if mode == "host" or mode.startswith("container:"):
            words = "the host's network" if mode == "host" else "another container's network"
            raise CannotError(f"{one.name} uses {words}: it has none of its own to leave", "pause it, or stop it")
        for name, settings in sorted(network.endpoints(raw).items()):
            if name in ("none", "host") or (only and name != only):
                continue
            neighbours = [
                c.id
                for c in ground.containers
                if c.running and c.id not in {x.id for x in containers} and name in c.networks
            ]
            steps.append(network.disconnect_step(one, name, settings, neighbours[:3]))
    return tuple(steps)


def _others(ground: Ground, containers: tuple[ServiceContainer, ...]) -> tuple[str, ...]:
    """Who else feels it: containers that live in the same network namespace, and services that need this one."""
    said = []
    ids, services = {c.id for c in containers}, {c.service for c in containers}
    for one in ground.containers:
        mode = str((ground.raw[one.id].get("HostConfig") or {}).get("NetworkMode") or "")
        if mode.removeprefix("container:") in ids:
            said.append(f"{one.name} shares its network and is cut off with it")
    needing = [c.service for c in ground.containers if services & set(c.depends_on) and c.service not in services]
    if needing:
        names = ", ".join(dict.fromkeys(needing))
        said.append(f"{names} need{'s' if len(set(needing)) == 1 else ''} it and will fail meanwhile")
    return tuple(said)


def isolate(ground: Ground, target: str, config: Config) -> Draft:
    wanted, colon, short = target.partition(":")
    containers = containers_of(ground, wanted)
    there = tuple(dict.fromkeys(n for c in containers for n in c.networks))
    only = next((n for n in there if n in (short, f"{ground.project}_{short}")), "") if short else ""
    if colon and not only:
        raise CannotError(
            f"{wanted} is not on a network {short or '(none named)'}", f"it is on: {', '.join(there) or 'none'}"
        )
    steps = _disconnects(ground, containers, only)
    if not steps:
        raise CannotError(f"{wanted} is on no network already", "nothing to leave")
    left = [n for n in there if n != only] if only else []
    rest = f"; it stays on {', '.join(left)}" if left else "; its published ports are closed meanwhile"
    return Draft(
        f"{wanted}:{only}" if only else wanted,
        (containers[0].service,),
        steps,
        f"nobody reaches {wanted}{f' through {only}' if only else ''} and it reaches nobody{rest}",
        names(containers),
        _others(ground, containers),
    )


def pause(ground: Ground, target: str, config: Config) -> Draft:
    containers = tuple(c for c in containers_of(ground, target) if c.status != "paused")
    if not containers:
        raise CannotError(f"{target} is paused already", f"docker unpause {target} ends it, if nobody needs it so")
    return Draft(
        target,
        (containers[0].service,),
        tuple(state.pause_step(c) for c in containers),
        f"{target} stands still with its memory kept; callers wait for their own timeouts instead of failing fast",
        names(containers),
        (
            *_others(ground, containers),
            "for quarantine isolate is better: callers fail at once",
        ),
    )


def stop_writers(ground: Ground, target: str, config: Config) -> Draft:
    kept = {*ground.roles.edge, *ground.roles.database, *ground.roles.cache}
    named = config.containment.writers or config.roles.app
    known = tuple(dict.fromkeys(c.service for c in ground.containers if c.service))
    writers = tuple(s for s in (named or known) if s not in kept and s in known)
    rank = {name: i for i, name in enumerate(ground.order)}
    running = [c for s in writers for c in ground.of(s) if c.status in ("running", "restarting", "paused")]
    paused = next((c for c in running if c.status == "paused" and not ground.holding((c.service,), "pause")), None)
    if paused is not None:
        raise CannotError(f"{paused.name} is paused, by somebody else", f"docker unpause {paused.name}, then again")
    if not running:
        raise CannotError("no writer runs", "writers are: " + (", ".join(writers) or "none; set [containment] writers"))
    running.sort(key=lambda c: (-rank.get(c.service, 0), c.name))
    services = tuple(dict.fromkeys(c.service for c in running))
    return Draft(
        ground.project,
        services,
        tuple(state.stop_step(c) for c in running),
        f"{', '.join(services)} stop, dependents first; nothing more is written; edge and database stay up",
        names(tuple(running)),
        ("users get errors from the edge meanwhile: maintenance shows them a page",),
    )


def no_restart(ground: Ground, target: str, config: Config) -> Draft:
    containers = tuple(c for c in containers_of(ground, target, running=False) if c.policy != "no")
    if not containers:
        raise CannotError(f"{target} is not restarted by the engine anyway", "nothing to change")
    steps = []
    for one in containers:
        policy = (ground.raw[one.id].get("HostConfig") or {}).get("RestartPolicy") or {}
        steps.append(state.policy_step(one, int(policy.get("MaximumRetryCount") or 0)))
    return Draft(
        target,
        (containers[0].service,),
        tuple(steps),
        f"when {target} dies it stays down, as it was when it died",
        names(containers),
    )


def full_isolation(ground: Ground, target: str, config: Config) -> Draft:
    containers = containers_of(ground, target)
    steps = _disconnects(ground, containers)
    if not steps:
        raise CannotError(f"{target} is on no network already", "nothing to leave")
    return Draft(
        target,
        (containers[0].service,),
        (evidence.evidence_step(containers), *steps),
        f"evidence of {target} is kept first; then nobody reaches it and it reaches nobody",
        names(containers),
        _others(ground, containers),
    )
