"""The operations of level 3: keep what leads back, take the containers down, bring them up tier by tier.

All of them may be repeated: Compose makes what is missing and leaves the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

from console.actions import gates, standin
from console.actions.action import Standing, Step
from console.actions.engine import InDoubtError
from console.actions.facts import ServiceContainer
from console.actions.operation import Context, StepFailedError, StepSkipped
from console.incident.disk import RealDisk, make_directory, write_atomically
from console.programs.blueprint import ComposeProject
from console.programs.compose import CREATE, START, UP
from console.programs.running import Ran
from console.text import clean

ROLLBACK = "sevdeck-rollback"  # repository of the tags that keep images from being pruned
_TRIES = 3  # of one `down` or `up`; they are idempotent
_BETWEEN = 4  # samples of a gate


# --- keep --------------------------------------------------------------------------------------------------------


async def keep(ctx: Context, step: Step) -> str:
    """Copy the Compose files and tag the images that run now, so that this very state can be had again."""
    place = ctx.place / "kept"
    images: dict[str, str] = step.call["images"]
    copied = await asyncio.to_thread(_copy, ComposeProject.from_json(step.call["project"]), place, images)
    for service, image in images.items():
        await ctx.driver.tag(image, f"{ROLLBACK}/{service}", ctx.place.name)
    return f"{copied} files and {len(images)} images"


def _copy(project: ComposeProject, place: Path, images: dict[str, str]) -> int:
    """Files as they are now, readable by their owner alone: they may hold passwords."""
    with contextlib.suppress(FileExistsError):
        make_directory(place)
    place.chmod(0o700)
    files = {kind: [str(_kept(place, Path(f))) for f in getattr(project, kind)] for kind in ("files", "env_files")}
    directory = project.directory or str(Path(project.files[0]).parent)
    env = Path(directory) / ".env"
    if env.is_file() and not project.env_files:  # Compose reads it unasked
        project = replace(project, env_files=(str(env),))
        files["env_files"] = [str(_kept(place, env))]
    pins = {s: {"image": image} for s, image in images.items()}
    write_atomically(place / "images.json", json.dumps({"services": pins}, indent=1).encode())
    digests = {f: _sha256(Path(f)) for f in (*project.files, *project.env_files)}
    kept = ComposeProject(project.name, tuple(files["files"]), directory, tuple(files["env_files"]))
    body = {"original": project.as_json(), "kept": kept.as_json(), "sha256": digests}
    write_atomically(place / "kept.json", json.dumps(body, indent=1).encode())
    return len(files["files"]) + len(files["env_files"])


def _kept(place: Path, file: Path) -> Path:
    """A copy under a name of its own: two files in two directories may be called alike."""
    target = place / f"{hashlib.sha256(str(file).encode()).hexdigest()[:8]}-{file.name}"
    shutil.copyfile(file, target)
    target.chmod(0o600)
    with target.open("rb") as copy:
        RealDisk().sync(copy.fileno())
    return target


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def way_back(place: Path, images: dict[str, str], current: dict[str, str]) -> ComposeProject:
    """The project as it was kept: the files in their own place as long as nobody changed them, else the copies.

    `images` are those that ran, `current` those that the names lead to now, both by service. Raises OSError,
    ValueError or KeyError when nothing was kept.
    """
    known = json.loads((place / "kept" / "kept.json").read_bytes())
    same = all(Path(f).is_file() and _sha256(Path(f)) == digest for f, digest in known["sha256"].items())
    project = ComposeProject.from_json(known["original"] if same else known["kept"])
    if images == current:
        return project
    return replace(project, files=(*project.files, str(place / "kept" / "images.json")))


# --- down --------------------------------------------------------------------------------------------------------


async def down(ctx: Context, step: Step) -> str:
    """Remove the containers and networks of the files. Volumes and images stay: the door refuses their options.

    A Compose that ends early leaves the engine stopping what it was told to stop; the next one waits for that.
    """
    project, said = ComposeProject.from_json(step.call["project"]), ""
    for attempt in range(_TRIES):
        if attempt:
            await asyncio.sleep(_BETWEEN * ctx.pace)
        said = _said(await _compose(ctx, project, ("down",), float(step.call["seconds"])))
        left = await _of(ctx, step)
        if not left:
            return "no container is left; every volume is untouched"
    raise StepFailedError(f"still there: {', '.join(c.name for c in left)}; {said}")


async def is_down(ctx: Context, step: Step) -> Standing:
    left = await _of(ctx, step)
    if not left:
        return Standing.DONE
    return Standing.NOT_DONE if len(left) >= int(step.call["count"]) else Standing.PARTIAL


# --- up ----------------------------------------------------------------------------------------------------------


async def create(ctx: Context, step: Step) -> str:
    """Make every container, and start none: whatever cannot be made is known before anything runs."""
    await standin.clear(ctx, step.call["services"])
    await _ask(ctx, step, CREATE)
    return f"{len(await _of(ctx, step))} containers created"


async def is_created(ctx: Context, step: Step) -> Standing:
    there = {c.service for c in await _of(ctx, step)}
    if there == set(step.call["services"]):
        return Standing.DONE
    return Standing.PARTIAL if there else Standing.NOT_DONE


async def up(ctx: Context, step: Step) -> str:
    """Bring these services up, each with what it needs, and wait until they are well (`samples` 0: until they run)."""
    await standin.clear(ctx, step.call["services"])
    created = {c.service for c in await _of(ctx, step)} >= set(step.call["services"])
    await _ask(ctx, step, START if created and step.call["created"] else UP)
    return await _gate(ctx, step)


async def _of(ctx: Context, step: Step) -> list[ServiceContainer]:
    return [c for c in await ctx.containers() if c.service in step.call["services"]]


async def _ask(ctx: Context, step: Step, first: tuple[str, ...]) -> None:
    """Have Compose do it; what failed may be repeated. `first`: the words of the first try, `UP` those of the others
    unless nothing is to be started."""
    said, project = "", _project(ctx, step)
    more = [word for s, n in step.call["scale"].items() for word in ("--scale", f"{s}={n}")]
    for attempt in range(_TRIES):
        if attempt:
            await asyncio.sleep(_BETWEEN * ctx.pace)
        reason = ctx.interrupted()
        if reason:
            raise StepSkipped(f"no longer tried: {reason}")
        words = UP if attempt and first == START else first
        ran = await _compose(ctx, project, (*words, *more, *step.call["services"]), float(step.call["seconds"]))
        if ran.ok:
            return
        said = _said(ran)
        if "No such image" in said or "is not running" in said:
            raise StepFailedError(said)
    raise StepFailedError(f"{_TRIES} tries: {said}")


def _project(ctx: Context, step: Step) -> ComposeProject:
    """The files to build from; for the way back those that were kept, when the files changed since."""
    project = ComposeProject.from_json(step.call["project"])
    if not step.call["kept"]:
        return project
    try:
        return way_back(ctx.place, step.call["images"], step.call["current"])
    except (OSError, ValueError, KeyError):  # killed before it was kept: then nothing was changed either
        return project


async def _gate(ctx: Context, step: Step) -> str:
    """A container with a health check that is well once may be built upon; `hold` are those that must stay so."""
    wanted, hold = int(step.call["samples"]), set(step.call["hold"])
    known = await ctx.containers()
    missing = sorted(set(step.call["services"]) - {c.service for c in known})
    if missing:
        raise StepFailedError(f"no container of {', '.join(missing)} came up")
    containers = [c for c in known if c.service in {*step.call["services"], *hold} and not c.finished]
    if wanted:
        once = {c.id for c in containers if c.check is not None and c.service not in hold}
        gate = [replace(step, call={"id": c.id, "samples": 1 if c.id in once else wanted}) for c in containers]
        await asyncio.gather(*(gates.healthy(ctx, g) for g in gate))
    many = "container" if len(containers) == 1 else "containers"
    return f"{len(containers)} {many} {'well' if wanted else 'started'}"


async def is_up(ctx: Context, step: Step) -> Standing:
    """Done when every service is well; for the way back it is enough that it runs."""
    found = await _of(ctx, step)
    strict = bool(step.call["samples"])
    up = {c.service for c in found if c.finished or (c.well if strict else c.running)}
    if len(up) == len(step.call["services"]):
        return Standing.DONE
    return Standing.PARTIAL if found else Standing.NOT_DONE


async def _compose(ctx: Context, project: ComposeProject, words: tuple[str, ...], seconds: float) -> Ran:
    """One Compose call. Its silence is doubt; that the program is missing is a plain no."""
    ran = await ctx.driver.compose(project, words, seconds)
    if ran.missing:
        raise StepFailedError(f"docker compose is not on this host: {ran.error}")
    if ran.code is None:
        raise InDoubtError(f"docker compose {words[0]} did not end in {seconds:.0f} s")
    return ran


def _said(ran: Ran) -> str:
    """The last lines are the ones that say why."""
    lines = [line.strip() for line in ran.text.splitlines() if line.strip()]
    telling = [line for line in lines if "rror" in line or "nhealthy" in line or "failed" in line]
    return clean("; ".join((telling or lines)[-3:]), 400) or f"exit {ran.code}"
