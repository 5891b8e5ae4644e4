"""What a containment is planned on: one look at the project, and what the measure itself must know before.

It only looks. What does not answer is named; it never raises for a sick host.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from console.actions import inspecting
from console.actions.containment import ledger, service
from console.actions.containment.entry import Entry
from console.actions.containment.host import CHAIN, filter_program
from console.actions.engine import DockerDriver, EngineDriver
from console.actions.facts import Facts, Holder, ServiceContainer
from console.actions.gather import compose_project, find_containers
from console.actions.lock import hold_text, holder
from console.actions.roles import Roles, roles
from console.config import Config
from console.errors import SourceError
from console.programs import compose
from console.programs.blueprint import ComposeProject
from console.programs.running import run_program
from console.text import clean
from console.watch.engine_host import find_endpoint

_DUMP = 5.0  # seconds for `nginx -T`
_HASHES = 5.0
ANYWHERE = "host"  # the project of a measure that needs no engine, where none is known


@dataclass(frozen=True, slots=True)
class Ground:
    """`trouble` and `remedy`: why the project cannot be worked on and what to do, "" when it can. `learned`: answers
    to the measure's own questions."""

    taken_at: float
    project: str
    trouble: str = ""
    remedy: str = ""
    containers: tuple[ServiceContainer, ...] = ()
    raw: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # container id -> inspect data
    order: tuple[str, ...] = ()
    roles: Roles = field(default_factory=Roles)
    compose: ComposeProject | None = None
    entries: tuple[Entry, ...] = ()
    damaged: tuple[str, ...] = ()
    hold: str = ""
    holder: Holder | None = None
    local: bool = True  # the engine's containers are processes of this host
    root: bool = False
    learned: Mapping[str, Any] = field(default_factory=dict)

    def of(self, name: str) -> tuple[ServiceContainer, ...]:
        return tuple(c for c in self.containers if c.service == name)

    def holding(self, services: tuple[str, ...], *names: str) -> tuple[Entry, ...]:
        """Entries on the ledger, in force or in doubt, of these measures (any when none is named) on these services."""
        return tuple(e for e in self.entries if set(e.services) & set(services) and (not names or e.name in names))


async def look(name: str, target: str, config: Config, data_dir: Path, *, driver: EngineDriver | None = None) -> Ground:
    """The ground for one measure, or for the list of all (`name` "")."""
    own, engine = driver is None, driver or DockerDriver(config.docker)
    try:
        return await _look(name, target, config, data_dir, engine)
    finally:
        if own:
            engine.close()


async def _look(name: str, target: str, config: Config, data_dir: Path, engine: EngineDriver) -> Ground:
    now = time.time()
    state, project, _, details = await find_containers(config, engine)
    known = ledger.read(data_dir)
    trouble = remedy = ""
    if not state.up:
        trouble = f"the Docker engine cannot be used: {state.detail}"
        remedy = state.remedy or "look at it: journalctl -u docker"
    elif not project:
        trouble = "this engine has no Compose project, or several and none is chosen"
        remedy = "name it as [docker] project in sevdeck.toml"
    elif not details:
        trouble, remedy = f"project {project} has no containers", "there is nothing to contain"
    project = project or ANYWHERE
    containers = tuple(inspecting.container(d, now) for d in details)
    base = Ground(
        now,
        project,
        trouble,
        remedy,
        containers,
        {str(d.get("Id")): d for d in details},
        compose.start_order({c.service: c.depends_on for c in containers if c.service}),
        roles(
            Facts(now, project, containers=containers, depends={c.service: c.depends_on for c in containers}), config
        ),
        compose_project(config, project, details),
        tuple(e for e in known.active if e.project == project),
        known.damaged,
        hold_text(data_dir),
        holder(data_dir, project),
        find_endpoint(config.docker.host, os.environ).scheme == "unix",
        os.geteuid() == 0,
    )
    return replace(base, learned=await _learn(name, target, base, config, engine))


async def _learn(name: str, target: str, ground: Ground, config: Config, engine: EngineDriver) -> dict[str, Any]:
    if name == "block":
        return await _packet_filter(target)
    if ground.trouble:
        return {}
    if name == "maintenance" and not config.containment.maintenance_on:
        return await _edges(ground, config, engine)
    if name == "safe-mode" and config.containment.safe_mode_env:
        return await _drift(ground, config)
    if name == "connection-limit":
        return await _limit(target.rpartition(":")[0] or target, ground, engine)
    return {}


async def _edges(ground: Ground, config: Config, engine: EngineDriver) -> dict[str, Any]:
    """What nginx says of its configuration, by container id; a problem in words where it is none."""
    found: dict[str, Any] = {}
    for one in (c for s in ground.roles.edge for c in ground.of(s) if c.running):
        ran = await engine.execute(one.id, ["nginx", "-T"], _DUMP)
        if ran.ok:
            found[one.id] = ran.out.decode(errors="replace")
        elif ran.code in (126, 127):
            found[f"problem {one.id}"] = f"{one.name} is no nginx"
        else:
            found[f"problem {one.id}"] = f"nginx -T in {one.name}: {ran.text[-200:] or 'no answer'}"
    if config.containment.maintenance_page:
        try:
            found["page"] = await asyncio.to_thread(_page, Path(config.containment.maintenance_page))
        except (OSError, ValueError) as error:
            found["page problem"] = f"{config.containment.maintenance_page}: {clean(str(error), 100)}"
    return found


def _page(path: Path) -> str:
    return path.read_text(encoding="utf-8")[: 64 * 1024]


async def _drift(ground: Ground, config: Config) -> dict[str, Any]:
    """Services whose containers are not what the Compose files say: `up` would change more than was asked for."""
    project = ground.compose
    if project is None or not compose.present(project):
        return {"problem": "the Compose files of the project are not on this host"}
    argv = compose.argv(project, "config", "--hash", "*", host=config.docker.host)
    ran = await run_program(argv, deadline=_HASHES)
    if not ran.ok:
        return {"problem": f"docker compose config: {ran.text[-200:] or 'no answer'}"}
    declared = dict(line.split(None, 1) for line in ran.out.decode(errors="replace").splitlines() if " " in line)
    drifted = []
    for one in ground.containers:
        labels = (ground.raw[one.id].get("Config") or {}).get("Labels") or {}
        now = declared.get(one.service, "").strip()
        if now and now != labels.get("com.docker.compose.config-hash"):
            drifted.append(one.service)
    return {"drifted": tuple(dict.fromkeys(drifted))}


async def _limit(database: str, ground: Ground, engine: EngineDriver) -> dict[str, Any]:
    one = next((c for s in ground.roles.database for c in ground.of(s) if c.running), None)
    if one is None:
        return {"problem": "no database of this project runs"}
    user = service.environment(ground.raw[one.id]).get("POSTGRES_USER") or "postgres"
    try:
        return {"container": one, "user": user, "limit": await service.read_limit(engine, one.id, user, database)}
    except SourceError as error:
        return {"problem": error.message}


async def _packet_filter(address: str) -> dict[str, Any]:
    if os.geteuid() != 0:
        return {"problem": "the packet filter can be changed by root only: run sevdeck as root (sudo) for this"}
    program = filter_program(address)
    ran = await run_program([program, "-w", "5", "-n", "-L", CHAIN], deadline=6.0)
    if ran.missing:
        return {"problem": f"{program} is not on this host"}
    if not ran.ok:
        why = re.sub(r"\s+", " ", ran.text)[-200:] or "no answer"
        return {"problem": f"there is no chain {CHAIN} in {program}: {why}"}
    return {}
