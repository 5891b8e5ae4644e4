"""Do the Compose files, the host and the containers agree: files valid, services there, made of what the files say?"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from console.checks import files
from console.checks.check import Finding, Status, Suggestion, advice
from console.checks.diagnosis import Check, Looked
from console.checks.looks import settings
from console.checks.made import Made, count, listed, made, names
from console.checks.scene import Scene
from console.errors import SourceError
from console.programs import compose
from console.programs.blueprint import Blueprint, Wanted
from console.programs.images import image_id, image_ids
from console.text import clean

_NONE = Looked()  # nothing here comes from Compose files: there is nothing to compare


async def _files(scene: Scene) -> Looked:
    blueprint = await scene.blueprint()
    some = await _made(scene)
    if not blueprint.project.files:
        return _NONE
    if blueprint.problem:
        return Looked((await _unread(scene, blueprint, some),))
    found = missing(blueprint, some, scene.config.docker.host)
    return Looked((found,) if found else (), f"Compose files are valid, {len(blueprint.services)} services are there")


async def _unread(scene: Scene, blueprint: Blueprint, some: Sequence[Made]) -> Finding:
    """Raises SourceError when nothing is known of the files."""
    project = blueprint.project
    if blueprint.refused:
        return invalid(blueprint, some)
    if compose.present(project):
        raise SourceError(blueprint.problem, remedy=f"Try it by hand: {_line(blueprint, scene, 'config', '--quiet')}")
    if not scene.engine.local:
        raise SourceError("the Compose files are on another host", remedy="Run sevdeck on the engine's host")
    gone = await files.look(lambda: [f for f in (*project.files, *project.env_files) if not Path(f).is_file()])
    return absent_files(gone)


def invalid(blueprint: Blueprint, some: Sequence[Made]) -> Finding:
    """Compose's own words. A failure where something is down: the usual way back does not work."""
    down = [m for m in some if not m.running and not _ended_well(m)]
    return advice(
        "configuration.compose",
        f"the Compose files are invalid: {clean(blueprint.problem, 160)}",
        [blueprint.problem, *blueprint.project.files, *(f"{m.label} is {m.status}" for m in down)],
        Suggestion(
            "correct the Compose files",
            "running containers are not touched by it, but nothing can be brought up and level 3 is refused",
            "none",
            0.9,
            falsified_by=f"`{shlex.join(compose.argv(blueprint.project, 'config', '--quiet'))}` says nothing",
        ),
        Status.FAIL if down else Status.WARN,
    )


def absent_files(gone: Sequence[str]) -> Finding:
    return advice(
        "configuration.compose",
        f"Compose files are not on this host: {listed(gone)}",
        gone,
        Suggestion(
            f"put {listed(gone)} back, or name the files in [docker] compose_files",
            "containers run on; without the files nothing can be made anew and level 3 is refused",
            "none",
            0.7,
            falsified_by="the stack was moved, and sevdeck.toml or the containers still name the old place",
        ),
    )


def missing(blueprint: Blueprint, some: Sequence[Made], host: str = "") -> Finding | None:
    """Services of the files without a container. A failure when others need one, or it was to run for ever."""
    there = {m.service for m in some}
    gone = [w for w in blueprint.services if w.service not in there and w.scale > 0]
    if not gone:
        return None
    needed = {name for w in blueprint.services if w not in gone for name in w.depends}
    hurts = [w for w in gone if w.restart != "no" or w.published or w.service in needed]
    lost = [w.service for w in gone]
    line = shlex.join(compose.argv(blueprint.project, "up", "--detach", "--no-recreate", *lost, host=host))
    everything = len(gone) == len(blueprint.services)
    found = advice(
        "configuration.missing",
        "no service of the Compose files has a container" if everything else f"no container for {listed(lost)}",
        [_wish(w, needed) for w in gone],
        Suggestion(
            f"make what is missing: {line}",
            "the files name it and the engine has no container of it; restarts do not make one",
            "none",
            0.9 if hurts else 0.4,
            cost="the containers that are there stay as they are",
            falsified_by="it was removed on purpose, or is a task that is run by hand",
        ),
        Status.FAIL if hurts else Status.WARN,
    )
    return replace(found, subject=", ".join(sorted(lost)))


def _wish(want: Wanted, needed: Collection[str]) -> str:
    notes = [f"restart is {want.restart}"] + (["other services need it"] if want.service in needed else [])
    return f"{want.service} ({want.image}): {', '.join(notes)}"


def _ended_well(one: Made) -> bool:
    return one.status == "exited" and one.exit_code == 0 and one.restart == "no"


async def _drift(scene: Scene) -> Looked:
    blueprint, some = await _plan(scene), await _made(scene)
    if blueprint is None:
        return _NONE
    found = drift(blueprint, some, scene.config.docker.host)
    same = len({m.service for m in some if m.hash})
    return Looked((found,) if found else (), f"{count(same, 'service')} made of what the files say")


def drift(blueprint: Blueprint, some: Sequence[Made], host: str = "") -> Finding | None:
    """Containers whose settings are not those of the files, by Compose's own hash."""
    wants = {w.service: w.hash for w in blueprint.services if w.hash}
    bad = [m for m in some if m.hash and wants.get(m.service, m.hash) != m.hash]
    if not bad:
        return None
    services = sorted({m.service for m in bad})
    line = shlex.join(compose.argv(blueprint.project, "up", "--detach", *services, host=host))
    return advice(
        "configuration.drift",
        f"{count(len(services), 'service')} made of other settings than the files have now: {listed(services)}",
        [f"{m.label}: made of {m.hash[:12]}, the files say {wants[m.service][:12]}" for m in bad],
        Suggestion(
            f"compare, then apply the files: {line}",
            "whoever brings the stack up next applies this change, too: know it before that",
            "none",
            0.5,
            cost=f"{listed(services)} made anew: away for some seconds",
            falsified_by="a variable comes from the shell of whoever brought it up, or sevdeck holds it in safe mode",
        ),
    )


async def _images(scene: Scene) -> Looked:
    blueprint, some = await _plan(scene), await _made(scene)
    if not some and blueprint is None:
        return _NONE
    told = await scene.get("/images/json")
    known = image_ids(one for one in told if isinstance(one, dict))
    found = (moved(some, known), absent(blueprint, known) if blueprint else None)
    return Looked(
        tuple(f for f in found if f), f"no image is missing or has moved ({len({m.image for m in some})} looked at)"
    )


def moved(some: Sequence[Made], known: Mapping[str, str]) -> Finding | None:
    """Names that lead to another image now than the one the container runs: the next `up` brings that one."""
    now = {m.id: image_id(known, m.image) for m in some if not m.image.startswith("sha256:")}
    bad = [m for m in some if now.get(m.id) and m.image_id and now[m.id] != m.image_id]
    if not bad:
        return None
    return advice(
        "configuration.image",
        f"an older image than its name says: {names(bad)}",
        [f"{m.label}: runs {_short(m.image_id)}, {m.image} is {_short(now[m.id])} now" for m in bad],
        Suggestion(
            f"decide on the image of {names(bad)} before it is made anew",
            "the name was given to another image: the next `up` is a deployment; to keep what runs: "
            + "; ".join(dict.fromkeys(f"docker tag {_short(m.image_id)} {m.image}" for m in bad)),
            "none",
            0.5,
            falsified_by="the new image was pulled for a deployment that is about to come",
        ),
    )


def absent(blueprint: Blueprint, known: Mapping[str, str]) -> Finding | None:
    lost = {w.image: w.service for w in blueprint.services if not image_id(known, w.image)}
    if not lost:
        return None
    return advice(
        "configuration.images",
        f"{count(len(lost), 'image')} of the files not on this host: {listed(list(lost))}",
        [f"{service} is to be made of {image}" for image, service in lost.items()],
        Suggestion(
            "; ".join(f"docker pull {image}" for image in lost),
            "nothing is pulled in a recovery: level 3 is refused until they are here",
            "none",
            0.7,
            cost="traffic and room on the disk; nothing that runs is touched",
            falsified_by="it is built on this host: docker compose build",
        ),
    )


def _short(ident: str) -> str:
    return ident.removeprefix("sha256:")[:12]


async def _environment(scene: Scene) -> Looked:
    blueprint, some = await _plan(scene), await _made(scene)
    if blueprint is None:
        return _NONE
    found = [unset(blueprint.unset)] if blueprint.unset else []
    said = "every variable of the Compose files is set"
    if scene.engine.local:
        sample, wished, told = await files.look(lambda: _variables(blueprint))
        inside = frozenset[str]().union(*(m.variables for m in some))
        lost = sorted(wished - told - inside - set(blueprint.unset))
        found += [unlisted(sample, lost, _target(blueprint))] if lost else []
        said += f", and all {len(wished)} of {sample}" if wished and not lost else ""
    return Looked(tuple(found), said)


def _target(blueprint: Blueprint) -> str:
    return next((str(path) for path in files.settings(blueprint.project)), ".env")


def _variables(blueprint: Blueprint) -> tuple[str, set[str], set[str]]:
    """The example's name ("" without one), the variables it names, those that are set. Raises OSError."""
    sample = files.sample(blueprint.project)
    if sample is None:
        return "", set(), set()
    told = [files.variables(path) for path in files.settings(blueprint.project) if path.is_file()]
    return sample.name, set(files.variables(sample)), {name for one in told for name in one}


def unset(lost: Sequence[str]) -> Finding:
    return advice(
        "configuration.unset",
        f"{count(len(lost), 'variable')} of the Compose files not set, empty in their place: {listed(lost)}",
        [f"docker compose: the {name} variable is not set" for name in lost],
        Suggestion(
            f"set {listed(lost)} in .env, or write ${{{lost[0]}:-DEFAULT}}",
            "containers made anew get an empty text there",
            "none",
            0.5,
            falsified_by="it is set in the shell of whoever brings the stack up",
        ),
    )


def unlisted(sample: str, lost: Sequence[str], target: str) -> Finding:
    return advice(
        "configuration.environment",
        f"{count(len(lost), 'variable')} of {sample} not in .env: {listed(lost)}",
        [f"{name} is in {sample}, not in {target}, and in no container" for name in lost],
        Suggestion(
            f"add to {target}: {' '.join(f'{name}=' for name in lost)}",
            "the program expects them: the release that began to use them may fail or fall back",
            "none",
            0.4,
            falsified_by="the program has a default for each of them",
        ),
    )


async def _plan(scene: Scene) -> Blueprint | None:
    """What the files say; None when there are none, or `configuration.files` says why they cannot be read."""
    blueprint = await scene.blueprint()
    return None if blueprint.problem else blueprint


async def _made(scene: Scene) -> list[Made]:
    return [made(one) for one in await scene.watched()]


def _line(blueprint: Blueprint, scene: Scene, *command: str) -> str:
    return shlex.join(compose.argv(blueprint.project, *command, host=scene.config.docker.host))


CHECKS = (
    Check("configuration.files", "the Compose files are valid and each service has a container", _files),
    Check("configuration.drift", "containers are made of what the files say", _drift),
    Check("configuration.images", "images are here and are what their names say", _images),
    Check("configuration.environment", "the variables of the files are set", _environment),
    Check("configuration.settings", "services come back by themselves and have limits", settings.look),
)
