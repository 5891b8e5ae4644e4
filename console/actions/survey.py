"""Is everything still here that the Compose files name? Images, volumes, bind mounts, ports. It only looks."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from console.actions import standin
from console.actions.engine import EngineDriver
from console.actions.facts import ServiceContainer
from console.errors import SourceError
from console.programs.blueprint import Blueprint
from console.programs.images import image_id, image_ids
from console.text import clean
from console.watch.source import Lane

_KNOCK = 0.2  # seconds; a port of this host answers in well under one millisecond


async def survey(
    plan: Blueprint,
    engine: EngineDriver,
    listing: Sequence[Mapping[str, Any]],
    containers: Sequence[ServiceContainer],
    local: bool,
) -> Blueprint:
    """`plan` with what this host has of it. `local` False: the engine is another host's, whose paths nobody sees.

    Where the engine does not answer, nothing is known to be here, so level 3 is refused.
    """
    if plan.problem:
        return plan
    try:
        images, volumes = await asyncio.gather(engine.images(), engine.volumes())
    except SourceError as error:
        return replace(plan, problem=f"images and volumes could not be listed: {error.message}")
    known = image_ids(images)
    named = {n for w in plan.services for n in w.volumes}
    return replace(
        plan,
        images={w.image: image_id(known, w.image) for w in plan.services},
        lost_volumes=tuple(sorted(named - volumes)),
        lost_binds=await _lost(plan) if local else (),
        taken=await _taken(plan, listing, containers, local),
    )


async def _lost(plan: Blueprint) -> tuple[str, ...]:
    """Bind mounts whose path does not exist: Compose would make an empty directory there and say nothing."""
    paths = sorted({b for w in plan.services for b in w.binds})
    lane = Lane("binds")
    try:
        return await lane.call(lambda: tuple(p for p in paths if _gone(Path(p))), deadline=0.6)
    except SourceError:
        return tuple(f"{p} (no answer from its file system)" for p in paths)
    finally:
        lane.close()


def _gone(path: Path) -> bool:
    """What may not be looked at is the engine's to find."""
    try:
        return not path.exists()
    except OSError:
        return False


async def _taken(
    plan: Blueprint, listing: Sequence[Mapping[str, Any]], containers: Sequence[ServiceContainer], local: bool
) -> dict[int, str]:
    """Ports the files publish that somebody else has: another container, or a program of the host."""
    ours = {c.id for c in containers}
    ports = {p for w in plan.services for p in w.ports}
    found: dict[int, str] = {}
    known = {p for c in containers if c.status != "exited" for p in c.ports}
    for entry in listing:
        held = {int(p.get("PublicPort") or 0) for p in entry.get("Ports") or () if isinstance(p, dict)}
        if (entry.get("Labels") or {}).get(standin.PROJECT) == plan.project.name:
            known |= held  # it goes when the edge comes
        elif entry.get("Id") not in ours:
            name = clean(str((entry.get("Names") or ["?"])[0]).lstrip("/"), 100)
            found |= {p: f"container {name}" for p in ports & held}
    free = sorted(ports - set(found) - known) if local else []
    answers = await asyncio.gather(*(_answers(p) for p in free))
    return found | {p: "another program of this host" for p, yes in zip(free, answers, strict=True) if yes}


async def _answers(port: int) -> bool:
    with contextlib.suppress(OSError, TimeoutError), socket.socket() as knock:
        knock.setblocking(False)
        async with asyncio.timeout(_KNOCK):
            await asyncio.get_running_loop().sock_connect(knock, ("127.0.0.1", port))
        return True
    return False
