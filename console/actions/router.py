"""The router: what is wrong, which level would mend it, and which levels must not run now.

Pure over `Facts`. Causes are looked for before the ladder: a level that cannot help is refused with the reason
and with what would help (docs/recovery.md#what-is-looked-at-first, docs/recovery.md#what-is-refused-and-why).
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from console.actions import rebuild, restore
from console.actions.action import Refusal
from console.actions.budget import budget, wait_text
from console.actions.facts import Facts, ProbeFacts, ServiceContainer
from console.actions.lock import describe
from console.actions.roles import Roles, roles
from console.config import Config

DISK_FULL = 95.0  # percent in use
RECENT = 900.0  # seconds in which a level that did not help is not proposed again


@dataclass(frozen=True, slots=True)
class Route:
    """What to do now. `level` None: nothing to do, or nothing this console does would help (`why` says which)."""

    level: int | None
    service: str = ""
    why: str = ""
    help: str = ""


def route(facts: Facts, config: Config) -> Route:
    """The cheapest level that mends the cause. Root causes first: dependencies before those that need them."""
    blocked = _blocked(facts, 0)
    if blocked:
        return Route(None, why=blocked.reason, help=blocked.help)
    who = roles(facts, config)
    free = [c for c in facts.containers if c.running and c.service not in facts.contained]
    lost = next((r for c in free if (r := _lost_network(facts, c))), None)
    if lost is not None:
        return Route(None, why=lost.reason, help=lost.help)
    sick = [s for s in services(facts) if _ill(facts, s) and s not in facts.contained]
    roots = [s for s in sick if not _ill_dependencies(facts, s)] or sick
    if facts.missing:
        return _route_missing(facts)
    for service in roots:
        stopper = _stopper(facts, who, service)
        if stopper and service in who.database and facts.corruption and restore.refusal(facts) is None:
            return Route(4, why=stopper.reason)
        if stopper:
            return Route(None, service, stopper.reason, stopper.help)
    if len(roots) > 1:
        words = ", ".join(f"{s} is {_worst(facts, s)}" for s in roots)
        return _climb(facts, config, "", f"{words}; none of them explains the others")
    if roots:
        return _climb(facts, config, roots[0], _illness(facts, roots[0], sick))
    return _route_by_probes(facts, config, who)


def _route_missing(facts: Facts) -> Route:
    why = f"no container of {', '.join(facts.missing)} exists"
    lacking = rebuild.refusal(facts)
    if lacking is not None:
        return Route(None, why=f"{why}; {lacking.reason}", help=lacking.help)
    if tried(facts, 3, ""):
        return Route(None, why=f"{why}; level 3 was tried and did not hold", help="call the owner of the service")
    return Route(3, why=why)


def _route_by_probes(facts: Facts, config: Config, who: Roles) -> Route:
    """Every container looks well: what do the probes say?"""
    failing = [p for p in facts.probes if p.ok is False and p.kind != "tls"]
    app = next((s for s in who.app if facts.of(s)), "")
    if not failing:
        return Route(None, why="everything looks well")
    held = next((h for h in facts.holds if h.level <= 1), None)
    if held is not None:
        why = f"{_probe_words(failing)}, and {held.title} is in force on {held.service}"
        return Route(None, held.service, why, f"when it may end: sevdeck contain undo {held.entry}")
    needed = [p for s in facts.dependencies(app) for p in failing if p.direct and p.service == s]
    if needed:
        return _climb(facts, config, needed[0].service, f"{_probe_words(needed)}; {app} needs it")
    if only_edge_fails(facts, who):
        edge = next((s for s in who.edge if facts.of(s)), "")
        names = ", ".join(p.name for p in failing)
        if edge:
            return _climb(facts, config, edge, f"only the edge fails ({names}); {app or 'the app'} answers directly")
    if not app:
        return Route(2, why=f"{_probe_words(failing)}; every container looks well")
    if all(p.business for p in failing):
        why = f"{app} is well but {_probe_words(failing)}"
        if tried(facts, 1, app):
            return Route(
                None,
                app,
                f"{why}, and a restart of {app} did not help",
                f"roll back {app} to its last good release, or repair its data",
            )
        return Route(1, app, why)
    return _climb(facts, config, app, f"{_probe_words(failing)}; every container looks well")


def _climb(facts: Facts, config: Config, service: str, why: str) -> Route:
    """Level 1 (of one service), unless it was tried a moment ago; then level 2, then 3, then a person."""
    if service and not tried(facts, 1, service):
        return Route(1, service, why)
    if not tried(facts, 2, ""):
        return Route(2, why=f"{why}; level 1 was tried and did not hold" if service else why)
    if not tried(facts, 3, "") and refusal(3, "", facts, config) is None:
        return Route(3, why=f"{why}; level 2 was tried and did not hold")
    last = 3 if tried(facts, 3, "") else 2
    return Route(None, service, f"{why}; level {last} was tried and did not hold", "call the owner of the service")


def tried(facts: Facts, level: int, service: str) -> bool:
    """Did this level, a moment ago, not mend it? One failure says so, or that it was needed twice already."""
    runs = [r for r in facts.past if r.level == level and r.service == service and facts.taken_at - r.at < RECENT]
    return sum(2 if r.outcome != "ok" else 1 for r in runs if r.outcome) >= 2


def refusal(level: int, service: str, facts: Facts, config: Config, *, unattended: bool = False) -> Refusal | None:
    """Why this level must not run on this service now; None when it may. Budgets are the caller's to override."""
    blocked = _blocked(facts, level)
    if blocked:
        return blocked
    if not facts.project:
        return Refusal(
            "this engine has no Compose project, or several and none is chosen",
            "name it as [docker] project in sevdeck.toml",
        )
    who = roles(facts, config)
    targets = (service,) if level == 1 else rebuild.wanted_services(facts) if level == 3 else services(facts)
    if level == 1 and not service:
        return Refusal("no service has the role app", "name one with --service, or set [roles] app")
    if level == 1 and not facts.of(service):
        known = ", ".join(services(facts)) or "none"
        return Refusal(f"there is no container of service {service}", f"services here: {known}")
    held = _held(level, targets, facts)
    if held:
        return held
    lacking = rebuild.refusal(facts) if level == 3 else restore.refusal(facts) if level == 4 else None
    if lacking is not None:
        return lacking
    if not targets:
        return Refusal(
            f"project {facts.project or '?'} has no containers", "start the stack first: docker compose up -d"
        )
    if level == 2 and facts.missing:
        return Refusal(f"no container of {', '.join(facts.missing)} exists", "create it: sevdeck recover run 3")
    if unattended and level == 1 and all(c.stopped_by_hand for c in facts.of(service)):
        return Refusal(f"{service} was stopped on purpose", "a person may start it")
    if unattended and level == 3 and rebuild.confirmation(facts) != facts.project:
        return Refusal(
            "it would do more than make everything anew, and nobody is there to agree",
            f'a person may run it: sevdeck recover run 3 --confirm "{rebuild.confirmation(facts)}"',
        )
    if unattended and level == 4:
        return Refusal("level 4 is never run unattended", "a person may run it: sevdeck recover plan 4")
    for target in targets if level < 4 else ():  # what it mends is why others refuse
        found = _target_refusal(level, target, facts, who)
        if found:
            return found
    return None


def _held(level: int, targets: tuple[str, ...], facts: Facts) -> Refusal | None:
    """What is held in deliberate containment is left so: a level would undo it, and nobody would have said so.

    From level 2 on the whole project is touched, also what died under `no-restart` and looks like a finished job.
    """
    for hold in facts.holds:
        if level >= hold.level and (level > 1 or hold.service in targets):
            return Refusal(
                f"{hold.service} is held in deliberate containment: {hold.title} ({hold.entry})",
                f"undo the containment first: sevdeck contain undo {hold.entry}",
            )
    held = [s for s in targets if s in facts.contained]
    if held:
        return Refusal(f"{', '.join(held)} is held in deliberate containment", "undo the containment first")
    return None


def _blocked(facts: Facts, level: int) -> Refusal | None:
    """What stops every level: the engine, another run, the hold file, a full disk."""
    engine = facts.engine
    if engine.state == "frozen":
        return Refusal(
            "the Docker engine accepts calls and does not answer; containers may still serve",
            "wait for it; look at dockerd on the host (ps, journalctl -u docker); do not restart it lightly: "
            "without live-restore that stops every container",
        )
    if not engine.up:
        place = f"; looked for at {engine.place}" if engine.place else ""
        remedy = f". {engine.remedy}" if engine.remedy else ""
        return Refusal(
            f"the Docker engine cannot be used: {engine.detail}{place}",
            f"no level helps while the engine is away{remedy}",
        )
    if facts.holder is not None:
        return Refusal(
            describe(facts.project, facts.holder, facts.taken_at),
            f"follow it: sevdeck recover attach {facts.holder.run_id}"
            if facts.holder.level
            else "it takes seconds; then look again",
        )
    if facts.hold:
        return Refusal(f"changes are on hold: {facts.hold}", "remove the file `hold` in the data directory to go on")
    full = [d for d in facts.disks if d.percent >= DISK_FULL]
    if full:
        disk = full[0]
        return Refusal(
            f"{disk.mount} is {disk.percent:.0f} % full; a restart would fail or lose its writes",
            "free space first: rotated logs, docker image prune, docker builder prune",
        )
    if facts.no_space:
        return Refusal(f"a service cannot write: {facts.no_space[-1]}", "free space first, then look again")
    return None


def _target_refusal(level: int, service: str, facts: Facts, who: Roles) -> Refusal | None:
    stopper = _stopper(facts, who, service, level)
    if stopper or level > 1:
        return stopper
    ill = _ill_dependencies(facts, service)
    if ill:
        root = ill[0]
        words = ", ".join(f"{s} is {_worst(facts, s)}" for s in ill)
        verb = "start" if not any(c.running for c in facts.of(root)) else "restart"
        return Refusal(
            f"{service} needs {root}: {words}", f"{verb} {root} first: sevdeck recover run 1 --service {root}"
        )
    if service in who.app and only_edge_fails(facts, who):
        edge = next(iter(who.edge), "the edge")
        return Refusal(
            f"{service} answers directly; only {edge} fails to reach it",
            f"reload {edge}: recover run 1 --service {edge}",
        )
    return None


def _stopper(facts: Facts, who: Roles, service: str, level: int = 1) -> Refusal | None:
    """Damaged data, a crash loop, a lost network: restarting cannot help and may harm."""
    database_sick = not all(c.well for d in who.database for c in facts.of(d))
    if facts.corruption and (level > 1 or database_sick or service in who.database):
        return Refusal(
            f"{next(iter(who.database), 'the database')} reports damage: {facts.corruption[-1]}",
            "do not restart it again; bring a backup back: sevdeck recover plan 4",
        )
    looping = next((c for c in facts.of(service) if c.crash_looping), None)
    other = level == 3 and service in rebuild.changes(facts)  # the files, or the image, are no longer what crashes
    if looping is not None and not other:
        return Refusal(f"{service} is {looping.state}; a restart would only start it again", _crash_help(service))
    if level == 3:  # a new container is on all its networks, by its name
        return None
    return next((r for c in facts.of(service) if (r := _lost_network(facts, c))), None)


def _lost_network(facts: Facts, c: ServiceContainer) -> Refusal | None:
    """Off a network of its Compose file, or on one without its name: a restart keeps both as they are."""
    connect = f"docker network connect --alias {shlex.quote(c.service)}"
    for network in facts.networks.get(c.service, ()):
        if network not in c.networks:
            return Refusal(
                f"{c.name} is not on network {network}; a restart keeps it off",
                f"{connect} {shlex.quote(network)} {shlex.quote(c.name)}",
            )
        if network in c.nameless:
            leave = f"docker network disconnect {shlex.quote(network)} {shlex.quote(c.name)}"
            return Refusal(
                f"{c.name} is on network {network} without the name {c.service}, so nobody finds it",
                f"{leave} && {connect} {shlex.quote(network)} {shlex.quote(c.name)}",
            )
    return None


def budget_refusal(level: int, service: str, facts: Facts, config: Config) -> Refusal | None:
    """Over budget: refused unless a person overrides it once, with a reason that is recorded."""
    left = budget(level, service, facts.past, config.recovery.budgets, facts.taken_at)
    if not left.spent:
        return None
    wait = f" (next in {wait_text(left.free_at - facts.taken_at)})" if left.free_at else ""
    what = f"level {level} of {service}" if level == 1 else f"level {level}"
    return Refusal(
        f"{what} ran {left.text} already{wait}; more of the same does not mend it",
        "look for the cause, climb a level, or go over it once, with a reason",
    )


def services(facts: Facts) -> tuple[str, ...]:
    """Services with a container that is meant to run, dependencies first; finished one-off jobs are left out."""
    rank = {name: i for i, name in enumerate(facts.order)}
    names = {c.service for c in facts.containers if c.service and not c.finished}
    return tuple(sorted(names, key=lambda n: (rank.get(n, len(rank)), n)))


def only_edge_fails(facts: Facts, who: Roles) -> bool:
    """A probe through the edge fails while the same service, asked directly, answers.

    Health checks lag by tens of seconds, so a direct answer must be a probe of just now.
    """
    through = [p for p in facts.probes if p.through_edge and (p.service in who.edge or not p.service)]
    plain = [p for p in through if not p.business] or through
    if not plain or not all(p.ok is False for p in plain):
        return False
    if any(h.service in who.edge for h in facts.holds):  # it fails on purpose: the maintenance page, an isolation
        return False
    if not all(c.well for s in behind_edge(facts, who) for c in facts.of(s)):
        return False
    direct = [[p.ok for p in facts.probes if p.direct and p.service == s] for s in behind_edge(facts, who)]
    return bool(direct) and all(answers and all(answers) for answers in direct)


def behind_edge(facts: Facts, who: Roles) -> tuple[str, ...]:
    """The app services that the edge sends users to: those it depends on, else all."""
    needed = {d for e in who.edge for d in facts.depends.get(e, ())}
    return tuple(s for s in who.app if s in needed) or who.app


def _ill(facts: Facts, service: str) -> bool:
    found = facts.of(service)
    return any(not c.well and c.health != "starting" for c in found) or any(
        c.health == "starting" and c.deaths for c in found
    )


def _ill_dependencies(facts: Facts, service: str) -> list[str]:
    """Dependencies that do not work, root first. Finished jobs are fine; paused counts as not working."""
    return [
        name
        for name in facts.dependencies(service)
        if any(not c.finished and (not c.running or c.health == "unhealthy" or c.crash_looping) for c in facts.of(name))
    ]


def _worst(facts: Facts, service: str) -> str:
    return next((c.state for c in facts.of(service) if not c.well), "well")


def _illness(facts: Facts, service: str, sick: list[str]) -> str:
    container = next((c for c in facts.of(service) if not c.well), None)
    if container is None:
        return f"{service} is unwell"
    words = f"{service} is {container.state}"
    if container.health_detail and container.health == "unhealthy":
        words += f": {container.health_detail}"
    if container.stopped_by_hand:
        words += "; it was stopped, not crashed: ask who did it"
    held_up = [s for s in services(facts) if s != service and service in facts.dependencies(s)]
    if held_up:
        words += f"; {', '.join(held_up)} need{'s' if len(held_up) == 1 else ''} it"
    elif len(sick) == 1 and facts.dependencies(service):
        words += ", dependencies healthy"
    return words


def advice(facts: Facts, targets: tuple[str, ...]) -> tuple[str, ...]:
    """Things the responder should know that no level mends."""
    said = [
        f"{h.title} is in force ({h.entry}): probes through {h.service} may fail because of it, and so may validation"
        if h.service
        else f"containment ledger: {h.title}; what it held is not known"
        for h in facts.holds
        if h.service not in targets
    ]
    for container in facts.containers:
        if container.service in targets and container.oom_killed:
            limit = f" of {container.memory_limit // 2**20} MiB" if container.memory_limit else ""
            said.append(f"{container.service} ran out of memory: raise its limit{limit} or find the leak")
        if container.service in targets and container.stopped_by_hand:
            said.append(f"{container.service} was stopped, not crashed: ask who stopped it, and why")
        if container.service in targets and container.status == "paused":
            said.append(f"{container.service} is paused: if somebody froze it for forensics, leave it")
    said += [
        f"{p.name}: {p.detail}; no restart mends a certificate"
        for p in facts.probes
        if p.kind == "tls" and p.ok is False and p.detail.startswith("certificate")
    ]
    said += [f"{name} restarts containers by itself and may interfere" for name in facts.foreign]
    if facts.ended_by_logout:
        who = facts.ended_by_logout
        said.append(
            f"the run would be ended when {who} logs out or ssh drops; before you start it: loginctl enable-linger {who}"
        )
    return tuple(said)


def _crash_help(service: str) -> str:
    return (
        f"read its last log lines; roll {service} back to its last good image or configuration: "
        f"docker compose up -d --wait {service}"
    )


def _probe_words(probes: list[ProbeFacts]) -> str:
    return ", ".join(f"{p.name}: {p.detail}" for p in probes)
