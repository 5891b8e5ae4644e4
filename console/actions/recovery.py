"""Recovery levels as plans: which steps, in which order, with what around them.

Pure over `Facts`: building a plan reads nothing and changes nothing. The runner carries it out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from statistics import median

from console.actions import rebuild, restore, router
from console.actions.action import BlastRadius, LevelView, Plan, Precondition, Step
from console.actions.budget import budget
from console.actions.facts import Facts, ServiceContainer
from console.actions.roles import Roles, roles
from console.actions.router import services as services
from console.actions.steps import bring_up, compensation, detection, evidence, page_ready, reload, stand_in, steps, stop
from console.config import Config
from console.errors import UsageError

RESTORE = 4
NAMES = {1: "soft", 2: "medium", 3: "full", 4: "restore"}
OBSERVATION = {1: 60.0, 2: 120.0, 3: 300.0, 4: 600.0}  # seconds of watching after a level that was validated
# Seconds of outage and until verified, before this host has a history.
_USUAL = {1: (1.0, 5.0), 2: (12.0, 18.0), 3: (15.0, 22.0), 4: (2.0, 20.0)}


@dataclass(frozen=True, slots=True)
class Work:
    """What a level would do, before it is judged whether it may."""

    title: str
    confirm: str
    targets: tuple[str, ...]
    containers: tuple[ServiceContainer, ...]
    steps: tuple[Step, ...]
    compensation: tuple[Step, ...] = ()
    advice: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    lost: str = "none"
    unsteady: str = ""  # id of a container that the engine starts anew all the time: that is no change of the world
    gentle: bool = False  # users notice nothing when it goes as planned


def plan(level: int, service: str, facts: Facts, config: Config, *, unattended: bool = False) -> Plan:
    """What this level would do now. `service` "" is the app's at level 1; the others take the whole project.

    A plan that must not run says so in `refused`. Raises UsageError for a level there is not.
    """
    if level not in NAMES:
        known = ", ".join(f"{n} {name}" for n, name in NAMES.items())
        raise UsageError(f"there is no level {level}", remedy=f"Levels: {known}")
    who = roles(facts, config)
    if level == 1 and not service:
        service = next((s for s in who.app if facts.of(s)), "")
    if level == 4:
        work = _restore(facts, who)
    else:
        work = _rebuild(facts, who) if level == 3 else _restarts(level, service, facts, who)
    work = _with_page(work, facts, who, config)
    refused = router.refusal(level, service, facts, config, unattended=unattended)
    spent = None if refused else router.budget_refusal(level, service, facts, config)
    refused = refused or spent
    downtime, total = _expected(level, service, facts, work.gentle) if work.steps else (None, None)
    return Plan(
        plan_id="",
        level=level,
        title=work.title,
        project=facts.project,
        service=service if level == 1 else "",
        targets=work.targets,
        steps=work.steps,
        blast=BlastRadius(tuple(c.name for c in work.containers), work.volumes, work.lost),
        preconditions=preconditions(level, service, facts, config),
        refused=refused.reason if refused else None,
        help=refused.help if refused else "",
        confirm=work.confirm,
        expected_downtime=downtime,
        expected_total=total,
        observation=observation(level, work.containers, config),
        budget=budget(level, service, facts.past, config.recovery.budgets, facts.taken_at).text,
        over_budget=spent is not None,
        advice=router.advice(facts, work.targets) + work.advice,
        # A crash loop is no steady state either: its next start is no change of the world.
        facts=tuple(c.snapshot for c in work.containers if c.id != work.unsteady and not c.crash_looping),
        failing=tuple(p.name for p in facts.probes if p.ok is False),
        compensation=work.compensation,
        consent=restore.consent(facts, config.backup.rpo) if level == 4 else "",
    ).sealed(facts.taken_at)


def _restarts(level: int, service: str, facts: Facts, who: Roles) -> Work:
    """Levels 1 and 2: containers are stopped and started, none is made or removed."""
    chosen = (service,) if level == 1 else _whole(facts)
    containers = [c for s in chosen for c in facts.of(s) if not c.finished]
    reload_only = level == 1 and service in who.edge and _reload_is_enough(facts, who, service)
    title = _title(level, service, chosen, facts, reload_only)
    doing = steps(level, facts, who, containers, reload_only)
    back = compensation(containers) if level == 2 else ()
    return Work(title, title, chosen, tuple(containers), doing, back, gentle=reload_only)


def _rebuild(facts: Facts, who: Roles) -> Work:
    """Level 3: containers are removed and made anew; where some are only missing, just those are made."""
    return Work(
        rebuild.title(facts),
        rebuild.confirmation(facts),
        rebuild.wanted_services(facts),
        facts.containers,
        rebuild.steps(facts, who),
        rebuild.compensation(facts, who),
        rebuild.advice(facts),
        gentle=rebuild.completing(facts),
    )


def _restore(facts: Facts, who: Roles) -> Work:
    """Level 4: the database as it was, beside what it is; a server that cannot start gets a new cluster first."""
    ground = facts.restore
    head = (restore.title(facts), restore.confirmation(facts), _whole(facts))
    if ground is None or ground.backup is None:
        return Work(*head, (), ())
    lost, advice = restore.loss(ground), restore.advice(facts)
    stores = [c for c in facts.containers if c.id == ground.container]
    if ground.answers:
        doing = (evidence(stores), *restore.beside(ground, facts.project))
        return Work(*head, tuple(stores), doing, restore.beside_back(ground), advice, lost=lost)
    everything = [c for s in _whole(facts) for c in facts.of(s) if not c.finished]
    below = [c for s in facts.dependencies(ground.service) for c in facts.of(s)]
    above = [c for c in everything if c not in below and c not in stores]
    doing = (
        evidence(everything),
        restore.check(ground),
        *(stop(c) for c in reversed([*stores, *above]) if c.status != "exited"),
        restore.move_aside(ground),
        *bring_up(stores, facts),
        *restore.new_cluster(ground),
        *bring_up(above, facts),
        *(reload(c) for s in who.edge for c in facts.of(s)),
    )
    back = (*(stop(c, "undo-") for c in stores), restore.aside_back(ground), *compensation(everything))
    return Work(*head, tuple(everything), doing, back, advice, (ground.volume,), lost, ground.container)


def _with_page(work: Work, facts: Facts, who: Roles, config: Config) -> Work:
    """Whoever takes the edge down and cannot bring it up again leaves users a page, and not a closed door."""
    edges = [c for s in who.edge for c in facts.of(s) if c in work.containers]
    if not work.compensation or not edges:
        return work
    own = config.containment.maintenance_on
    ready = (page_ready(edges[0], config.containment.maintenance_page),) if not own else ()
    first = 1 if work.steps and work.steps[0].id == "evidence" else 0
    return replace(
        work,
        steps=(*work.steps[:first], *ready, *work.steps[first:]),
        compensation=(*work.compensation, stand_in(facts.project, edges, own)),
    )


def overview(facts: Facts, config: Config, chosen: str = "") -> list[LevelView]:
    """What each level would do now, and what is to be thought of it.

    Level 1 is for the `chosen` service, or for the cause's.
    """
    found = router.route(facts, config)
    rows = []
    for level, name in NAMES.items():
        wanted = chosen or found.service
        service = wanted if level == 1 and facts.of(wanted) else ""
        proposal = plan(level, service, facts, config)
        verdict, why = _verdict(level, proposal, found)
        help_ = proposal.help or (found.help if verdict != "recommended" else "")
        rows.append(
            LevelView(level, name, proposal.title, proposal.service, outage(proposal), verdict, why, help_, proposal)
        )
    return rows


def _verdict(level: int, proposal: Plan, found: router.Route) -> tuple[str, str]:
    if proposal.refused is not None:
        return "refused", proposal.refused
    if found.level == level:
        return "recommended", found.why
    if found.level is None and not found.service:
        return "unneeded", found.why
    if level == RESTORE:
        return "unneeded", f"nothing says that the data is wrong; it would lose {proposal.blast.writes_lost}"
    if found.level is None:
        return "possible", found.why
    if level > found.level:
        return "possible", f"would also help; level {found.level} costs less"
    return "possible", found.why


def outage(proposal: Plan) -> str:
    """What users notice, in words."""
    if proposal.expected_downtime is None:
        return "outage unknown"
    return f"~{proposal.expected_downtime:.0f} s outage" if proposal.expected_downtime >= 0.5 else "no outage"


def preconditions(level: int, service: str, facts: Facts, config: Config) -> tuple[Precondition, ...]:
    """Everything looked at before this level, also what holds: the responder sees what was checked."""
    found = [
        Precondition("engine answers", facts.engine.up, facts.engine.detail or facts.engine.state),
        _free(facts),
        Precondition("not on hold", not facts.hold, facts.hold or "no hold file"),
    ]
    if not facts.engine.up:  # nothing below was looked at, and not looked at is not well
        return tuple(found)
    found += [
        *(
            Precondition(f"disk {d.mount}", d.percent < router.DISK_FULL, f"{d.percent:.0f} % in use")
            for d in facts.disks
        ),
    ]
    targets = (service,) if level == 1 else _whole(facts)
    for name in targets:
        found += [Precondition(f"{c.service} not crash-looping", not c.crash_looping, c.state) for c in facts.of(name)]
    if level == 1:
        for name in facts.dependencies(service):
            found += [
                Precondition(f"{name} works", c.well if c.health != "starting" else None, c.state)
                for c in facts.of(name)
                if not c.finished
            ]
    elif level == 2:
        missing = ", ".join(facts.missing)
        found.append(
            Precondition("all containers exist", not facts.missing, missing or f"{len(facts.containers)} found")
        )
    elif level == 3:
        found += rebuild.preconditions(facts)
    else:
        found += restore.preconditions(facts)
    damage = facts.corruption[-1] if facts.corruption else "no sign in its last log lines"
    found.append(Precondition("database undamaged", not facts.corruption, damage))
    left = budget(level, service if level == 1 else "", facts.past, config.recovery.budgets, facts.taken_at)
    found.append(Precondition("within budget", not left.spent, left.text))
    found += [Precondition("nobody else restarts", None, f"{name} runs here") for name in facts.foreign]
    return tuple(found)


def _free(facts: Facts) -> Precondition:
    if facts.holder is not None:
        return Precondition("no other run", False, f"run {facts.holder.run_id}")
    known = bool(facts.project)
    return Precondition("no other run", True if known else None, "project is free" if known else "no project is known")


def observation(level: int, containers: Iterable[ServiceContainer], config: Config) -> float:
    """Seconds to watch: never shorter than twice what the health checks need to notice a hang."""
    if config.recovery.observation:
        return config.recovery.observation
    return max(OBSERVATION[level], 2 * max((detection(c) for c in containers), default=0.0))


def _whole(facts: Facts) -> tuple[str, ...]:
    """All services of the project but those stopped on purpose that nothing else needs."""
    everything = router.services(facts)
    needed = {d for s in everything for d in facts.dependencies(s) if any(c.running for c in facts.of(s))}
    return tuple(s for s in everything if s in needed or not all(c.stopped_by_hand for c in facts.of(s)))


def _reload_is_enough(facts: Facts, who: Roles, service: str) -> bool:
    """The edge runs and only its way to the app is broken: a reload mends that without an outage."""
    return (
        not router.tried(facts, 1, service)
        and all(c.running for c in facts.of(service))
        and router.only_edge_fails(facts, who)
    )


def _title(level: int, service: str, chosen: tuple[str, ...], facts: Facts, reload_only: bool) -> str:
    if level == 2 and not chosen:
        return "restart all services"
    if level == 2:
        return f"restart {len(chosen)} service{'' if len(chosen) == 1 else 's'}"
    if reload_only:
        return f"reload {service}"
    found = facts.of(service)
    verb = "start" if found and all(c.status in ("exited", "created", "dead") for c in found) else "restart"
    return f"{verb} {service}" if service else "restart app"


def _expected(level: int, service: str, facts: Facts, gentle: bool) -> tuple[float, float]:
    """Seconds of outage and until verified: this host's own history where there is one."""
    usual, total = _USUAL[level]
    if gentle:
        return 0.0, 3.0 if level == 1 else total
    seen = [
        r.downtime
        for r in facts.past
        if r.level == level and r.outcome == "ok" and r.downtime is not None and (level > 1 or r.service == service)
    ]
    outage_ = median(seen) if seen else usual
    return round(outage_, 1), round(max(total, outage_ + total - usual), 1)
