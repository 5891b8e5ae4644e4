"""Level 3 as a plan: everything down, then up again in tiers, from files that are known to bring it all back.

Where containers are only missing (a rebuild that was cut off), nothing is taken down: the rest is made. Pure.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace

from console.actions.action import Precondition, Refusal, Risk, Step
from console.actions.facts import Facts, ServiceContainer
from console.actions.restore import safety
from console.actions.roles import Roles
from console.actions.steps import detection, evidence
from console.programs.blueprint import Blueprint
from console.programs.compose import CREATE, START, UP, start_order, words

_FREE_BYTES = 2 * 1024**3  # on the engine's disk
_FREE_SHARE = 0.10
_MAKE = 60.0  # seconds that Compose may take for making and starting, beyond the health it waits for
_REMOVE = 60.0  # beyond the stop timeouts
_SAMPLES = 3
_DUMP = 120.0  # seconds that the dump before may take


def wanted_services(facts: Facts) -> tuple[str, ...]:
    """Every service of the files, dependencies first."""
    found = facts.blueprint
    return start_order({w.service: w.depends for w in found.services}) if found is not None else ()


def completing(facts: Facts) -> bool:
    """Containers are missing and none of those that exist is unwell: nothing needs to be taken down."""
    return bool(facts.missing) and all(c.well or c.finished for c in facts.containers)


def changes(facts: Facts) -> tuple[str, ...]:
    """Services that would not come back as they are: their files or their image changed since they were made."""
    found = facts.blueprint
    if found is None:
        return ()
    return tuple(s for s in wanted_services(facts) if any(_differs(c, found) for c in facts.of(s)))


def _differs(c: ServiceContainer, found: Blueprint) -> bool:
    wanted = found.of(c.service)
    if wanted is None or not c.config_hash:
        return False
    image = found.images.get(wanted.image, "")
    return bool(wanted.hash and wanted.hash != c.config_hash) or bool(image and c.image_id and image != c.image_id)


def title(facts: Facts) -> str:
    if completing(facts):
        return f"create {', '.join(facts.missing)}"
    count = len(wanted_services(facts))
    return f"rebuild {count} service{'' if count == 1 else 's'}"


def confirmation(facts: Facts) -> str:
    """The project's name, and by name what would come back otherwise than it is."""
    changed = changes(facts)
    words = f"{facts.project} with changes to {', '.join(changed)}" if changed else facts.project
    return f"{words} without dump" if facts.store and not _store_answers(facts) and not completing(facts) else words


def _store_answers(facts: Facts) -> bool:
    return any(c.id == facts.store and c.well for c in facts.containers)


def refusal(facts: Facts) -> Refusal | None:
    """What level 3 must have on this host before it removes a container."""
    found = facts.blueprint
    if found is None or found.problem:
        problem = found.problem if found is not None else "the Compose files were not read"
        return Refusal(f"nothing could be built again: {problem}", "name them as [docker] compose_files")
    lost = [(c.name, v) for c in facts.containers for v in c.anonymous]
    if lost or found.nameless:
        who = ", ".join(dict.fromkeys([n for n, _ in lost] + list(found.nameless)))
        return Refusal(
            f"{who} keeps data in a volume without a name, which would not come back",
            "give the volume a name in the Compose file, after its data was copied",
        )
    if found.absent:
        names = ", ".join(found.absent)
        return Refusal(f"not on this host: image {names}", f"get it first: docker pull {found.absent[0]}, or build it")
    if found.lost_volumes:
        return Refusal(
            f"volume {', '.join(found.lost_volumes)} does not exist; an empty one would be made",
            "find out where the data is; is this the right host, project and file?",
        )
    if found.lost_binds:
        return Refusal(
            f"{found.lost_binds[0]} is mounted and does not exist; an empty directory would be made",
            "put the path back, then look again",
        )
    if found.taken:
        port, who = next(iter(found.taken.items()))
        return Refusal(f"port {port} is taken by {who}", "free the port first")
    disk = next((d for d in facts.disks if d.mount == facts.engine_disk), None)
    if disk is not None and disk.free < max(_FREE_BYTES, _FREE_SHARE * disk.total):
        return Refusal(
            f"{disk.mount} has {disk.free / 1024**3:.1f} GiB free; a rebuild wants 2 GiB and 10 %",
            "free space first: rotated logs, docker builder prune",
        )
    return None


def preconditions(facts: Facts) -> tuple[Precondition, ...]:
    """What was looked at for level 3 alone."""
    found = facts.blueprint
    if found is None or found.problem:
        return (Precondition("Compose files", False, found.problem if found else "not read"),)
    nameless = [c.name for c in facts.containers if c.anonymous] + list(found.nameless)
    changed = changes(facts)
    return (
        Precondition("Compose files", True, ", ".join(found.project.files)),
        _none("images are here", found.absent, f"{len(found.images)} of them"),
        _none("volumes exist", found.lost_volumes, f"{sum(len(w.volumes) for w in found.services)} named"),
        _none("no volume without a name", nameless, "none"),
        _none("mounted paths exist", found.lost_binds, "all of them"),
        _none("ports are free", [f"{p} ({who})" for p, who in found.taken.items()], "or ours"),
        # Drift is no refusal: it is agreed to by name in the confirmation.
        Precondition("comes back as it is", None if changed else True, _drift(facts) or "files and images unchanged"),
    )


def _none(name: str, bad: Sequence[str], good: str) -> Precondition:
    return Precondition(name, not bad, ", ".join(bad) or good)


def _drift(facts: Facts) -> str:
    changed = changes(facts)
    return f"{', '.join(changed)}: the files or the image changed since the container was made" if changed else ""


def advice(facts: Facts) -> tuple[str, ...]:
    by_hand = [c.service for c in facts.containers if c.stopped_by_hand]
    said = [f"{s} was stopped, not crashed; a rebuild starts it again" for s in dict.fromkeys(by_hand)]
    if not facts.store and not completing(facts):
        said.append("no database here that sevdeck can dump: nothing is backed up before")
    elif not _store_answers(facts) and not completing(facts):
        said.append("the database does not answer: it cannot be backed up before")
    if changes(facts):
        said.append("on failure the images that ran come back; settings that the files had before do not")
    return tuple(said)


def steps(facts: Facts, who: Roles) -> tuple[Step, ...]:
    """evidence, keep, dump, down, create, then up: data, app, edge. Each tier is well before the next begins."""
    found = facts.blueprint
    if found is None or found.problem:
        return ()
    doing = [*([evidence(list(facts.containers))] if facts.containers else []), _keep(facts, found)]
    if not completing(facts):
        if _store_answers(facts):
            now = safety(facts.store, facts.backups, facts.project, "", _DUMP)
            doing.append(
                replace(now, optional=facts.backed_up)
            )  # then a slow dump need not keep the level from its work
        doing += [_down(facts, found), _create(facts, found)]
    order, before = tiers(facts, who), set[str]()
    for place, (name, tier) in enumerate(order, 1):
        before |= set(tier)
        # The last one waits until all of them hold: what is well once may begin the next tier, and no more.
        hold = wanted_services(facts) if place == len(order) else ()
        needs = {d for w in found.services if w.service in tier for d in w.depends}
        doing.append(_up(facts, found, name, tier, hold=hold, created=not completing(facts) and needs <= before))
    return tuple(doing)


def compensation(facts: Facts, who: Roles) -> tuple[Step, ...]:
    """The way back: everything as it ran before; and where that fails, at least the data tier."""
    found = facts.blueprint
    if found is None or found.problem or completing(facts):
        return ()
    ran = tuple(s for s in wanted_services(facts) if facts.of(s)) or wanted_services(facts)
    name, data = next(iter(tiers(facts, who)))
    back = [_up(facts, found, "all", ran, kept=True)]
    return tuple([*back, _up(facts, found, name, data, kept=True)] if data != ran else back)


def tiers(facts: Facts, who: Roles) -> list[tuple[str, tuple[str, ...]]]:
    """Services by tier, in order: what keeps data, what works with it, what users come through."""
    order = wanted_services(facts)
    stores = {*who.database, *who.cache}
    data = {s for s in order if s in stores} | {d for s in stores for d in facts.dependencies(s)}
    edge = {s for s in order if s in who.edge} - data
    named = [("data", data), ("app", set(order) - data - edge), ("edge", edge)]
    return [(name, tuple(s for s in order if s in tier)) for name, tier in named if tier & set(order)]


def _keep(facts: Facts, found: Blueprint) -> Step:
    return Step(
        "keep",
        "keep the Compose files and the images that run",
        "cp FILES runs/RUN/kept/; docker tag IMAGE sevdeck-rollback/SERVICE:RUN (each)",
        {"op": "keep", "project": found.project.as_json(), "images": _running_images(facts)},
        undo="docker rmi sevdeck-rollback/SERVICE:RUN (each), when nobody needs the way back any more",
        expected=0.3,
        timeout=30.0,
        risk=Risk.LOW,
    )


def _down(facts: Facts, found: Blueprint) -> Step:
    ours = {w.service for w in found.services}
    mine = [c for c in facts.containers if c.service in ours]
    seconds = sum(c.stop_timeout for c in mine) + _REMOVE
    return Step(
        "down",
        f"take down {len(mine)} containers; volumes stay",
        _command(found, "down"),
        {
            "op": "down",
            "project": found.project.as_json(),
            "services": sorted(ours),
            "count": len(mine),
            "seconds": seconds,
        },
        undo="bring them up again with the kept files and images",
        expected=3.0,
        timeout=seconds,
        risk=Risk.OUTAGE,
    )


def _create(facts: Facts, found: Blueprint) -> Step:
    services = wanted_services(facts)
    return Step(
        "create",
        f"create {len(services)} services; none is started",
        _command(found, *CREATE, *services),
        {
            "op": "create",
            "project": found.project.as_json(),
            "services": list(services),
            "scale": _scales(facts, found, services),
            "seconds": _MAKE,
            "kept": False,
        },
        undo=_command(found, "down"),
        expected=0.5,
        timeout=_MAKE * 3,
        risk=Risk.LOW,
    )


def _up(
    facts: Facts,
    found: Blueprint,
    name: str,
    services: tuple[str, ...],
    *,
    hold: tuple[str, ...] = (),
    created: bool = False,
    kept: bool = False,
) -> Step:
    """`created`: the containers are there, and all that they need is in this tier or in one before it."""
    seconds = _MAKE + sum(2 * max((detection(c) for c in facts.of(s)), default=20.0) for s in services)
    samples = 0 if kept else _SAMPLES
    return Step(
        f"undo-up-{name}" if kept else f"up-{name}",
        f"bring up {'what ran before' if kept and name == 'all' else ', '.join(services)}",
        _command(found, *(START if created else UP), *services),
        {
            "op": "up",
            "project": found.project.as_json(),
            "services": list(services),
            "scale": _scales(facts, found, services),
            "seconds": seconds,
            "created": created,
            "samples": samples,
            "hold": list(hold),
            "kept": kept,
            "images": _running_images(facts) if kept else {},
            "current": {s: _named_image(found, s) for s in _running_images(facts)} if kept else {},
        },
        undo="none needed" if kept else _command(found, "stop", *services),
        target=services[0] if len(services) == 1 else "",
        expected=4.0,
        timeout=seconds * (3 if samples else 1) + 10,
        risk=Risk.LOW,
    )


def _scales(facts: Facts, found: Blueprint, services: tuple[str, ...]) -> dict[str, int]:
    """Services of which other than the declared number run; they come back as many as they were."""
    running = {s: len(facts.of(s)) for s in services if len(facts.of(s)) > 1}
    declared = {w.service: w.scale for w in found.services}
    return {s: n for s, n in running.items() if n != declared.get(s, 1)}


def _named_image(found: Blueprint, service: str) -> str:
    """Id that the service's image name leads to now."""
    wanted = found.of(service)
    return found.images.get(wanted.image, "") if wanted is not None else ""


def _running_images(facts: Facts) -> dict[str, str]:
    return {c.service: c.image_id for c in facts.containers if c.service and c.image_id}


def _command(found: Blueprint, *command: str) -> str:
    return shlex.join(("docker", *words(found.project, *command)))
