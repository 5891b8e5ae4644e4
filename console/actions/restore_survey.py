"""What level 4 would stand on: the backups there are, and the server they would go to. It only looks."""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from console.actions.backup import manifest
from console.actions.backup.making import schema_version
from console.actions.backup.manifest import TableCount
from console.actions.backup.shelf import directory
from console.actions.engine import EngineDriver
from console.actions.facts import Facts, ServiceContainer
from console.actions.postgres import Postgres, PostgresError
from console.actions.restore import Ground
from console.actions.roles import roles
from console.config import Config
from console.errors import SourceError, UsageError
from console.text import clean

_ASK = 2.0  # seconds for one statement: a plan is due within one, a sick server takes longer
_POSTGRES = re.compile(r"postgres|postgis|timescale|pgvector|pgdata|pg_isready|\bpg\b")

# Rows as the statistics have them and the last numbers: cheap however large the tables are.
_LASTS = """
SELECT coalesce(json_object_agg(format('%I.%I', s.schemaname, s.relname), json_build_object('rows', s.n_live_tup,
  'last', (SELECT pg_sequence_last_value(q.oid) FROM pg_depend d JOIN pg_class q ON q.oid = d.objid AND q.relkind = 'S'
    WHERE d.refobjid = s.relid AND d.deptype IN ('a', 'i') ORDER BY d.refobjsubid LIMIT 1))), '{}')
FROM pg_stat_user_tables s
"""


def store(facts: Facts, config: Config) -> ServiceContainer | None:
    """The project's PostgreSQL; None where no service is one. It shows by a name, its settings or its health check."""
    for service in roles(facts, config).database:
        for c in facts.of(service):
            check = " ".join(c.check.command) if c.check is not None else ""
            if _POSTGRES.search(" ".join((c.service, c.image, config.database.dsn, *c.settings, check)).lower()):
                return c
    return None


def backed_up(config: Config, data_dir: Path, project: str, now: float) -> bool:
    """Is there a verified backup of the project that is young enough?"""
    known = manifest.catalog(directory(config, data_dir))
    return any(b.verified and b.project == project and b.age(now) <= config.backup.rpo for b in known)


async def survey(facts: Facts, config: Config, data_dir: Path, engine: EngineDriver, wanted: str = "") -> Facts:
    """`facts` with what level 4 needs to know. `wanted`: id, or end of an id, of a backup; "" is the newest good one."""
    place = directory(config, data_dir)
    container = store(facts, config)
    ground = Ground(str(place), stamp=time.strftime("%Y%m%d_%H%M%S", time.gmtime(facts.taken_at)))
    if container is None:
        said = "no service of the project is a PostgreSQL that sevdeck knows"
        return replace(facts, restore=replace(ground, problem=said, help="name it in [roles] database"))
    known = await asyncio.to_thread(manifest.catalog, place)
    ground = await _server(replace(ground, container=container.id, name=container.name), container, engine, config)
    try:
        backup = _chosen(place, known, wanted)
    except UsageError as error:
        return replace(facts, restore=replace(ground, problem=error.message, help=error.remedy))
    older = next((b for b in known if b.database == backup.database and b.created_at < backup.created_at), None)
    ground = replace(ground, backup=backup, previous=older)
    return replace(facts, restore=await _live(ground, engine))


def _chosen(place: Path, known: list[manifest.Backup], wanted: str) -> manifest.Backup:
    """The one that was named; else the newest that was verified; else the newest."""
    if wanted:
        return manifest.find(place, wanted)
    return next((b for b in known if b.verified is not None), None) or manifest.find(place, "")


async def _server(ground: Ground, container: ServiceContainer, engine: EngineDriver, config: Config) -> Ground:
    try:
        data = await engine.inspect(container.id)
    except SourceError as error:
        return replace(ground, service=container.service, silence=error.message)
    env = dict(str(e).partition("=")[::2] for e in (data.get("Config") or {}).get("Env") or ())
    where = str(env.get("PGDATA") or "/var/lib/postgresql/data")
    mount = _mount(data, where)
    ground = replace(
        ground,
        service=container.service,
        image=str(data.get("Image", "")),
        data=where,
        mount=str(mount.get("Destination", "")),
        volume=str(mount.get("Name") or mount.get("Source") or ""),
    )
    if ground.mount == where:
        ground = replace(ground, whole=await _whole(engine, mount))
    server = Postgres(engine, container.id)
    if not container.running:
        return replace(ground, silence=container.state)
    try:
        version, sizes, free = await asyncio.gather(
            _asked(server), server.databases(), _free(engine, container.id, where)
        )
    except (PostgresError, SourceError) as error:
        return replace(ground, silence=clean(error.message, 200))
    return replace(ground, answers=True, version=version, sizes=sizes, free=free)


async def _asked(server: Postgres) -> int:
    return int(await server.value("SHOW server_version_num", seconds=_ASK)) // 10_000


def _mount(data: dict[str, Any], where: str) -> dict[str, Any]:
    """The mount that holds the data directory: the deepest one above it."""
    found = [
        m for m in data.get("Mounts") or () if isinstance(m, dict) and Path(where).is_relative_to(m["Destination"])
    ]
    return max(found, key=lambda m: len(str(m["Destination"])), default={})


async def _whole(engine: EngineDriver, mount: dict[str, Any]) -> str:
    """The mount's directory on the engine's host; "" where it is no plain directory that may be renamed."""
    source = str(mount.get("Source") or "")
    if mount.get("Type") == "bind":
        return source
    if mount.get("Type") != "volume" or mount.get("Driver") != "local":
        return ""
    try:
        options = (await engine.volume(str(mount.get("Name")))).get("Options")
    except SourceError:
        return ""
    return "" if options else source


async def _free(engine: EngineDriver, container: str, where: str) -> int | None:
    ran = await engine.execute(container, ["df", "-Pk", where], _ASK)
    fields = ran.out.decode(errors="replace").splitlines()[-1:]
    words = fields[0].split() if ran.ok and fields else []
    return int(words[3]) * 1024 if len(words) > 3 and words[3].isdigit() else None


async def _live(ground: Ground, engine: EngineDriver) -> Ground:
    """What the live database has given out by now: the difference to the backup is what would be lost."""
    if not ground.answers or ground.database not in ground.sizes:
        return ground
    server = Postgres(engine, ground.container)
    try:
        told, schema = await asyncio.gather(
            server.value(" ".join(_LASTS.split()), ground.database, _ASK), schema_version(server, ground.database)
        )
        counts = {n: TableCount(int(c["rows"] or 0), c["last"]) for n, c in json.loads(told or "{}").items()}
    except (PostgresError, SourceError, ValueError):
        return ground
    return replace(ground, lasts=counts, schema_version=schema)
