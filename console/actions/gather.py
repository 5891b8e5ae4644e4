"""Gathers `Facts`: asks engine, Compose, probes and disks at the same time, within a second where they are well.

It only looks. Whatever does not answer is left out or named in the facts; it never raises for a sick host.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from console.actions import inspecting, restore_survey, runs
from console.actions.asking import PROBE_CAP, answers
from console.actions.backup.shelf import directory
from console.actions.containment.holding import holds
from console.actions.engine import DockerDriver, EngineDriver
from console.actions.facts import DiskFacts, EngineState, Facts, ServiceContainer
from console.actions.lock import hold_text, holder
from console.actions.roles import roles
from console.actions.session import Session
from console.actions.survey import survey
from console.actions.validation import RunProbe
from console.config import Config
from console.errors import SourceError
from console.programs import compose
from console.programs.blueprint import Blueprint, ComposeProject
from console.redact import redact
from console.text import clean
from console.watch.containers import EngineEvent
from console.watch.engine_api import EngineError, EngineSilentError
from console.watch.engine_host import find_endpoint
from console.watch.probes import ProbeResult
from console.watch.source import Lane

_LOG_TAIL = 200
_LOG_AGE = 900.0  # seconds of log that count as now
_ENGINE_PATIENCE = 3.0
_SESSION_PATIENCE = 0.3

_DAMAGE = re.compile(
    r"PANIC:|incorrect checksum in control file|could not locate a valid checkpoint|pg_control|invalid page in block"
    r"|checksum (?:mismatch|failure|verification failed)|page verification failed"
    r"|database files are incompatible|Database page corruption|Bad file format reading the append only file",
    re.IGNORECASE,
)
_NO_SPACE = re.compile(r"No space left on device|\bENOSPC\b", re.IGNORECASE)
_FOREIGN = re.compile(r"watchtower|autoheal|ouroboros|dockge-autoheal|will-farrell", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a console knows already, so that nobody is asked twice: fresh probe answers, and engine events
    older than the engine itself remembers."""

    events: tuple[EngineEvent, ...] = ()
    probes: tuple[ProbeResult, ...] = ()


async def gather(
    config: Config,
    data_dir: Path,
    *,
    seen: Seen | None = None,
    driver: EngineDriver | None = None,
    run_probe: RunProbe | None = None,
    probe_cap: float | None = PROBE_CAP,
    probing: bool = True,
    restoring: str | None = None,
) -> Facts:
    """Everything a plan rests on, as of now. `probing` False: without the probes, for who asks them next.

    `restoring`: look at the backups too, and at this one ("" is the newest good one); level 4 is refused without.
    """
    seen = seen or Seen()
    own = driver is None
    engine = driver or DockerDriver(config.docker)
    try:
        known = config if probing else replace(config, probes=())
        facts = await _gather(known, data_dir, seen, engine, run_probe, probe_cap)
        if restoring is None or not facts.containers:
            return facts
        return await restore_survey.survey(facts, config, data_dir, engine, restoring)
    finally:
        if own:
            engine.close()


async def _gather(
    config: Config, data_dir: Path, seen: Seen, engine: EngineDriver, run: RunProbe | None, cap: float | None
) -> Facts:
    now = time.time()
    (state, project, listing, details), leaver = await asyncio.gather(_containers(config, engine), _leaver())
    base = Facts(
        now,
        project,
        state,
        hold=hold_text(data_dir),
        holder=holder(data_dir, project) if project else None,
        past=runs.past(data_dir, project),
        foreign=_foreign(listing),
        ended_by_logout=leaver,
    )
    if not state.up or not project:
        return base
    plain = [inspecting.container(d, now) for d in details]
    root = await engine_root(engine)
    probes, blueprint, died, found, logs = await asyncio.gather(
        answers(config, plain, seen.probes, engine, run, cap),
        _blueprint(config, project, details, listing, plain, engine, bool(root)),
        _deaths(engine, project, seen, now),
        disks(plain, data_dir, root),
        _telling_lines(config, engine, plain, now),
    )
    held = await asyncio.to_thread(holds, data_dir, project)
    containers = tuple(replace(c, deaths=died.get(c.id, 0)) for c in plain)
    depends = {w.service: w.depends for w in blueprint.services}
    depends = depends or {c.service: c.depends_on for c in containers if c.service}
    for c in containers:
        depends.setdefault(c.service, c.depends_on)
    facts = replace(
        base,
        containers=containers,
        order=compose.start_order(depends),
        depends=depends,
        order_source="labels" if blueprint.problem else "compose config",
        disks=found,
        engine_disk=found[0].mount if root and found else "",
        probes=probes,
        corruption=tuple(line for line in logs if _DAMAGE.search(line))[-3:],
        no_space=tuple(line for line in logs if _NO_SPACE.search(line))[-3:],
        networks={w.service: w.networks for w in blueprint.services},
        missing=tuple(w.service for w in blueprint.services if not any(c.service == w.service for c in containers)),
        blueprint=blueprint,
        backups=str(directory(config, data_dir)),
        holds=held,
        contained=tuple(dict.fromkeys(h.service for h in held if h.level <= 1)),
    )
    store = restore_survey.store(facts, config)
    if store is None:
        return facts
    good = await asyncio.to_thread(restore_survey.backed_up, config, data_dir, project, now)
    return replace(facts, store=store.id, backed_up=good)


async def _blueprint(
    config: Config,
    project: str,
    details: Sequence[dict[str, Any]],
    listing: Sequence[dict[str, Any]],
    containers: Sequence[ServiceContainer],
    engine: EngineDriver,
    local: bool,
) -> Blueprint:
    read = await compose.read(_compose_project(config, project, details), config.docker.host)
    return await survey(read, engine, listing, containers, local)


async def _containers(
    config: Config, engine: EngineDriver
) -> tuple[EngineState, str, list[dict[str, Any]], list[dict[str, Any]]]:
    """State of the engine, the project, a listing of all containers, and inspect data of the project's."""
    try:
        async with asyncio.timeout(_ENGINE_PATIENCE):
            listing = await engine.listing()
            project = config.docker.project or _only_project(listing)
            return EngineState(), project, listing, await engine.project(project) if project else []
    except (SourceError, TimeoutError) as error:
        return _engine_state(error, config.docker.host), config.docker.project, [], []


def _engine_state(error: Exception, host: str) -> EngineState:
    detail = clean(getattr(error, "message", "") or "no answer", 300)
    place, remedy = _engine_place(host), clean(getattr(error, "remedy", ""), 300)
    if isinstance(error, TimeoutError | EngineSilentError):
        return EngineState("frozen", detail, place, remedy)
    if "permission" in detail:
        return EngineState("denied", detail, place, remedy)
    known = isinstance(error, EngineError)
    return EngineState("down" if known else "frozen", detail, place, remedy)


def _engine_place(host: str) -> str:
    """The address of the engine that was asked, and who named it."""
    by = "[docker] host" if host else "DOCKER_HOST" if os.environ.get("DOCKER_HOST") else "no setting names another"
    return redact(clean(f"{find_endpoint(host, os.environ).host} ({by})", 300))


def _only_project(listing: Sequence[dict[str, Any]]) -> str:
    """The engine's Compose project when there is just one: nobody has to configure what cannot be mistaken."""
    names = {str((c.get("Labels") or {}).get("com.docker.compose.project", "")) for c in listing} - {""}
    return names.pop() if len(names) == 1 else ""


async def _leaver() -> str:
    """Whose log-out would kill a run; "" where that cannot be told in time. Users may be kept on a server that hangs."""
    lane = Lane("session")
    try:
        return await lane.call(Session().ended_by_logout, deadline=_SESSION_PATIENCE)
    except SourceError:
        return ""
    finally:
        lane.close()


def _foreign(listing: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    found = []
    for entry in listing:
        name = clean(str((entry.get("Names") or ["?"])[0]).lstrip("/"), 100)
        if entry.get("State") == "running" and _FOREIGN.search(f"{name} {entry.get('Image', '')}"):
            found.append(name)
    return tuple(found)


def _compose_project(config: Config, project: str, details: Sequence[dict[str, Any]]) -> ComposeProject:
    """Files as configured, else as Compose itself wrote on the containers it made."""
    if config.docker.compose_files:
        return ComposeProject(project, tuple(config.docker.compose_files))
    for data in details:
        labels = (data.get("Config") or {}).get("Labels") or {}
        files, env = (_listed(labels, key) for key in ("config_files", "environment_file"))
        if files:
            directory = str(labels.get("com.docker.compose.project.working_dir", ""))
            return ComposeProject(project, files, directory, env)
    return ComposeProject(project)


def _listed(labels: dict[str, Any], key: str) -> tuple[str, ...]:
    return tuple(filter(None, str(labels.get(f"com.docker.compose.project.{key}", "")).split(",")))


async def _deaths(engine: EngineDriver, project: str, seen: Seen, now: float) -> dict[str, int]:
    known = {(round(e.at, 3), e.action, e.container) for e in seen.events}
    with contextlib.suppress(SourceError):
        told = inspecting.event_tuples(await engine.events(project, now - 120, now))
        known |= {(round(at, 3), action, ident) for at, action, ident in told}
    return inspecting.deaths(known, now)


async def engine_root(engine: EngineDriver) -> str:
    """The engine's own directory on this host; "" where it is another host's or the engine is silent."""
    try:
        return await engine.data_root()
    except SourceError:
        return ""


async def disks(containers: Sequence[ServiceContainer], data_dir: Path, root: str) -> tuple[DiskFacts, ...]:
    """File systems that the project or the record writes to, each once. A dead mount is left out, not waited for."""
    wanted = [p for p in (root, str(data_dir), *(v for c in containers for v in c.volumes)) if p.startswith("/")]
    lane = Lane("disks")
    try:
        return await lane.call(_file_systems, wanted, deadline=0.6)
    except SourceError:
        return ()
    finally:
        lane.close()


def _file_systems(paths: Sequence[str]) -> tuple[DiskFacts, ...]:
    found: dict[int, DiskFacts] = {}
    for path in paths:
        place = Path(path)
        while not _reachable(place) and place != place.parent:
            place = place.parent
        try:
            device, stat = place.stat().st_dev, os.statvfs(place)
        except OSError:
            continue
        used = stat.f_blocks - stat.f_bfree
        if device not in found and stat.f_blocks:
            size, free = (used + stat.f_bavail) * stat.f_frsize, stat.f_bavail * stat.f_frsize
            found[device] = DiskFacts(clean(_mount_point(place), 200), size, free)
    return tuple(found.values())


def _reachable(path: Path) -> bool:
    """The engine's volumes are root's: whoever may not look inside asks the nearest directory above."""
    try:
        return path.exists()
    except OSError:
        return False


def _mount_point(path: Path) -> str:
    path = path.resolve()
    while not path.is_mount():
        path = path.parent
    return str(path)


async def _telling_lines(
    config: Config, engine: EngineDriver, containers: Sequence[ServiceContainer], now: float
) -> list[str]:
    """Recent log lines of the databases that speak of damage or of a full disk."""
    databases = roles(Facts(now, "", containers=tuple(containers)), config).database
    chosen = [c for c in containers if c.service in databases]
    texts = await asyncio.gather(
        *(engine.logs(c.id, _LOG_TAIL, now - _LOG_AGE) for c in chosen), return_exceptions=True
    )
    lines: list[str] = []
    for container, text in zip(chosen, texts, strict=True):
        if not isinstance(text, str):
            continue
        fresh = text.splitlines()
        if not container.restarts:  # what was said before this start is history, unless it comes up again and again
            fresh = [line for line in fresh if line[:19] >= container.started_at[:19]]
        telling = [line for line in fresh if _DAMAGE.search(line) or _NO_SPACE.search(line)]
        lines += [clean(line.partition(" ")[2], 200) for line in telling]
    return lines


# The same two looks, for plans that need no probes and no history (containment).
find_containers, compose_project = _containers, _compose_project
