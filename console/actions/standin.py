"""The last resort of a run that took the edge down and cannot bring it up: a container in its place with a page.

Prepared while the edge still runs, from its own configuration: same ports, certificates and image, answer 503. It
goes by itself as soon as anything of ours starts the edge again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import posixpath
import shlex
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from console.actions.action import Standing, Step
from console.actions.containment import edge, nginx
from console.actions.operation import Context, StepFailedError, StepSkipped
from console.config import ProbeConfig
from console.errors import SourceError
from console.incident.disk import make_directory, write_atomically
from console.programs.running import run_program
from console.watch.probes import run_probe

LABEL = "sevdeck.stands-in-for"  # a service, of the project that PROJECT names
PROJECT = "sevdeck.project"
_HOME = "/sevdeck-page"  # in the container
_DUMP = 5.0  # seconds
_OWN = 60.0
_WAIT = 5.0  # for nginx to answer, or to give up
_ASK = 1.0
_PACE = 0.1
_OWN_WAY = "set [containment] maintenance_on and maintenance_off to commands that do it here"


def name_of(project: str) -> str:
    """The container that stands in."""
    return f"{project}-sevdeck-page"


async def prepare(ctx: Context, step: Step) -> str:
    """Keep what it takes to stand in for the edge, in the run's directory."""
    data = await ctx.driver.inspect(str(step.call["id"]))
    ports = _published(data)
    if not ports:
        raise StepSkipped("the edge publishes no port: nobody would find a page in its place")
    ran = await ctx.driver.execute(str(step.call["id"]), ["nginx", "-T"], _DUMP)
    if ran.code in (126, 127):
        raise StepFailedError(f"the edge is no nginx: {_OWN_WAY}")
    try:
        known = _configurations(ran.out.decode(errors="replace") if ran.ok else "", data, ports)
        page = await asyncio.to_thread(_page, str(step.call["page"]))
    except (ValueError, OSError) as error:
        raise StepFailedError(f"no page can be made: {error}") from error
    body = {
        "image": str(data.get("Image", "")),
        "options": [*ports, *_mounts(data), *_user(data)],
        "configurations": known,
        "page": nginx.page(page),
        "urls": list(edge.urls(data)),
    }
    with contextlib.suppress(FileExistsError):
        make_directory(ctx.place / "page")
    await asyncio.to_thread(write_atomically, ctx.place / "page" / "page.json", json.dumps(body).encode())
    return f"kept; it would answer at {', '.join(body['urls']) or 'the same ports'}"


def _page(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")[: 64 * 1024] if path else ""


def _configurations(dump: str, inspect: Mapping[str, Any], ports: Iterable[str]) -> list[str]:
    """Configurations to try, the fullest first. The last one needs nothing but nginx itself."""
    check = ((inspect.get("Config") or {}).get("Healthcheck") or {}).get("Test") or ()
    health = nginx.health_paths([str(word) for word in check])
    found = []
    for plain in (False, True) if dump else ():
        with contextlib.suppress(ValueError):
            found.append(_at_home(nginx.maintenance(dump, health, plain=plain), dump))
    inside = [word.rpartition(":")[2].partition("/")[0] for word in ports if word.endswith("/tcp")]
    listen = "".join(f"listen {port};" for port in inside if port not in ("443", "8443"))
    if listen:
        least = f"# configuration file {_HOME}/x:\nevents {{}}\nhttp {{ server {{ {listen} }} }}\n"
        found.append(nginx.maintenance(least, health))
    if not found:
        raise ValueError("its configuration is not understood")
    return found


def _at_home(configuration: str, dump: str) -> str:
    """The page lies in a directory of its own, not beside the edge's configuration, which may be mounted."""
    directory = posixpath.dirname(next(iter(nginx.files(dump))))
    return configuration.replace(f"root {directory};", f"root {_HOME};")


def _published(inspect: Mapping[str, Any]) -> list[str]:
    found = []
    for port, bound in ((inspect.get("HostConfig") or {}).get("PortBindings") or {}).items():
        for one in bound or ():
            host, number = str(one.get("HostIp") or ""), str(one.get("HostPort") or "")
            at = f"[{host}]:" if ":" in host else f"{host}:" if host else ""
            if number.isdecimal():
                found += ["--publish", f"{at}{number}:{port}"]
    return found


def _mounts(inspect: Mapping[str, Any]) -> list[str]:
    """As the edge has them: certificates and logs lie there."""
    found = []
    for mount in inspect.get("Mounts") or ():
        source = mount.get("Name") if mount.get("Type") == "volume" else mount.get("Source")
        if source:
            found += ["--volume", f"{source}:{mount['Destination']}{'' if mount.get('RW') else ':ro'}"]
    for path in (inspect.get("HostConfig") or {}).get("Tmpfs") or {}:
        found += ["--tmpfs", str(path)]
    return found


def _user(inspect: Mapping[str, Any]) -> list[str]:
    user = str((inspect.get("Config") or {}).get("User") or "")
    return ["--user", user] if user else []


# --- in its place -------------------------------------------------------------------------------------------------


async def stand_in(ctx: Context, step: Step) -> str:
    """Show users the page, unless the edge runs."""
    if await _edge_runs(ctx, step):
        raise StepSkipped("the edge runs")
    if step.call["own"]:
        ran = await run_program(shlex.split(str(step.call["own"])), deadline=_OWN)
        if not ran.ok:
            raise StepFailedError(f"your maintenance command: {ran.text[:300] or f'exit {ran.code}'}")
        return "your maintenance command ended well"
    try:
        known = json.loads((ctx.place / "page" / "page.json").read_bytes())
    except (OSError, ValueError) as error:
        raise StepFailedError(f"no maintenance page was prepared: {_OWN_WAY}") from error
    name = name_of(ctx.project)
    await _remove(ctx, name)
    labels = ["--label", f"{PROJECT}={ctx.project}", "--label", f"{LABEL}={step.call['services'][0]}"]
    words = ["--name", name, *labels, "--restart", "unless-stopped", *known["options"], "--entrypoint", "nginx"]
    words += [known["image"], "-c", f"{_HOME}/{nginx.CONF}", "-g", "daemon off;"]
    made = await ctx.driver.create_container(words)
    if not made.ok:
        raise StepFailedError(f"no container for the page: {made.text[-300:] or 'no answer'}")
    for text in known["configurations"]:
        files = {f"{_HOME[1:]}/{nginx.CONF}": text, f"{_HOME[1:]}/{nginx.PAGE}": known["page"]}
        await ctx.driver.put_archive(name, "/", edge.tar(files))
        await ctx.driver.start(name)
        if await _shown(ctx, name, known["urls"]):
            return f"users get 503 and a maintenance page, from {name}"
    await _remove(ctx, name)
    raise StepFailedError("nginx took no configuration for the page")


async def is_standing(ctx: Context, step: Step) -> Standing:
    if await _edge_runs(ctx, step):
        return Standing.DONE
    name = name_of(ctx.project)
    found = [e for e in await ctx.driver.listing() if f"/{name}" in (e.get("Names") or ())]
    return Standing.DONE if any(e.get("State") == "running" for e in found) else Standing.NOT_DONE


async def clear(ctx: Context, services: Iterable[str]) -> None:
    """One of `services` is about to start: whoever stands in for it goes first, for it has its ports."""
    wanted = set(services)
    for entry in await ctx.driver.listing():
        labels = entry.get("Labels") or {}
        if labels.get(PROJECT) == ctx.project and labels.get(LABEL) in wanted:
            await ctx.driver.remove_container(str(entry["Id"]))


async def _edge_runs(ctx: Context, step: Step) -> bool:
    return any(c.running for c in await ctx.containers() if c.service in step.call["services"])


async def _remove(ctx: Context, name: str) -> None:
    if any(f"/{name}" in (e.get("Names") or ()) for e in await ctx.driver.listing()):
        await ctx.driver.remove_container(name)


async def _shown(ctx: Context, name: str, urls: list[str]) -> bool:
    """Does it stay up and answer 503 with our page?"""
    until = time.monotonic() + _WAIT
    while time.monotonic() < until:
        with contextlib.suppress(SourceError):
            state = (await ctx.driver.inspect(name)).get("State") or {}
            if state.get("Restarting") or not state.get("Running"):
                return False
        if not urls:
            return True
        asked = ProbeConfig("maintenance", "http", urls[0], expect=f"503 body:{nginx.MARKER}", timeout=_ASK)
        if (await run_probe(asked)).ok is True:
            return True
        await asyncio.sleep(_PACE)
    return False
