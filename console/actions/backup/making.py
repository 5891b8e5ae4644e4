"""Making a backup: a dump streamed into a file that is nothing until it is whole.

    .ID.part  (locked by its maker)  ->  fsync  ->  ID.dump  ->  ID.json  (now it is a backup)

Whatever goes wrong on the way takes the part file along, and the dump's process in the container too. A part file
that nobody holds any more was left by a kill; the next backup removes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from console.actions.backup import alongside
from console.actions.backup.alongside import NOTHING, Wanted
from console.actions.backup.manifest import Backup, catalog, new_id, write
from console.actions.postgres import Postgres, PostgresError
from console.errors import RefusedError, SevdeckError
from console.incident.disk import RealDisk, ensure_directory
from console.incident.events import Actor

DEADLINE = 3600.0  # seconds for one dump, unless the caller knows better
_ROOM = 1.5  # times the last dump that must be free
_CHUNK = 1 << 20
_STEM = len("20261123-030005-a7f3c1")
_OWN = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}\.(?:dump|roles\.sql|files\.tar\.gz(?:\.enc|\.age)?)")
_ORPHAN = 3600.0  # seconds


class BackupError(SevdeckError):
    """It was tried and did not work; nothing of it is left."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to back up, and for whom."""

    directory: Path
    project: str
    database: str  # "" is the only one there is
    actor: Actor
    alongside: Wanted = NOTHING


async def create(server: Postgres, order: Order, deadline: float = DEADLINE) -> Backup:
    """Dump the database and write its manifest. Raises RefusedError (no room, no such database), BackupError."""
    began = time.time()
    alongside.check(order.alongside)
    ensure_directory(order.directory)
    sweep(order.directory)
    try:
        databases, version = await asyncio.gather(server.databases(), server.version())
        database = chosen(order.database, databases)
        room(order.directory, databases[database], database)
    except PostgresError as error:
        raise BackupError(f"the database does not give a dump: {error.message}") from error
    ident = new_id(began)
    part, target, roles = _files(order.directory, ident)
    archive = order.directory / f"{ident}{order.alongside.suffix}"
    try:
        async with server.snapshot(database, deadline) as (snapshot, tables):
            size, digest = await _dump(server, database, part, deadline, snapshot)
        # Each is a program of its own in the container, and takes as long to begin as to work.
        schema, _ = await asyncio.gather(schema_version(server, database), _roles(server, roles))
        found = Backup(
            id=ident,
            created_at=began,
            project=order.project,
            database=database,
            server=version,
            size=size,
            sha256=digest,
            path=target,
            host=order.actor.host,
            by=order.actor.name,
            took=round(time.time() - began, 2),
            tables=tables,
            after=tables,
            schema_version=schema,
        )
        kept = await alongside.keep(order.alongside, archive)
        found = replace(
            found,
            files=kept.names,
            left_out=kept.left_out,
            archive=archive.name if kept.names else "",
            archive_sha256=kept.sha256,
        )
        part.rename(target)
        RealDisk().sync_directory(order.directory)
        write(found)
    except BaseException as error:
        for file in (part, target, roles, archive):
            _discard(file)
        if isinstance(error, PostgresError):
            raise BackupError(f"the database does not give a dump: {error.message}") from error
        if isinstance(error, OSError):
            raise BackupError(f"{order.directory} cannot be written: {error.strerror or error}") from error
        raise
    return found


def _files(directory: Path, ident: str) -> tuple[Path, Path, Path]:
    """While it is written; the dump; the roles."""
    return directory / f".{ident}.part", directory / f"{ident}.dump", directory / f"{ident}.roles.sql"


async def _roles(server: Postgres, target: Path) -> None:
    """A dump of one database holds no roles, and a new cluster has none. Only their owner may read the hashes."""
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        await server.roles(fd)
        await asyncio.to_thread(os.fsync, fd)
    finally:
        os.close(fd)


def _discard(file: Path) -> None:
    file.unlink(missing_ok=True)


def chosen(wanted: str, databases: Sequence[str] | dict[str, int]) -> str:
    """The database meant. Raises RefusedError when there is none such, or several and none was named."""
    names = sorted(databases)
    if wanted:
        if wanted not in names:
            raise RefusedError(f"there is no database {wanted}", remedy=f"There are: {', '.join(names) or 'none'}")
        return wanted
    if len(names) != 1:
        raise RefusedError(
            f"which database? There are {', '.join(names) or 'none'}", remedy="Name it as [backup] database"
        )
    return names[0]


def room(directory: Path, size: int, database: str) -> None:
    """Raises RefusedError where a dump would likely not fit: half more than the last one, or than the database."""
    last = next((b.size for b in catalog(directory) if b.database == database), size)
    free, wanted = shutil.disk_usage(directory).free, int(_ROOM * last)
    if free < wanted:
        raise RefusedError(
            f"{directory} has {free // 1024} KiB free, the dump may need {wanted // 1024}",
            remedy="Free some space, or name another place as [backup] directory",
        )


async def schema_version(server: Postgres, database: str) -> str:
    """What the app's own migration table says, "" when there is none we know."""
    known = "('schema_version', 'version'), ('schema_migrations', 'version'), ('alembic_version', 'version_num'), \
('flyway_schema_history', 'version')"
    with contextlib.suppress(PostgresError):
        found = await server.sql(
            f"SELECT t, c FROM (VALUES {known}) AS known (t, c) WHERE to_regclass('public.' || t) IS NOT NULL", database
        )
        if found:
            table, column = found[0]
            return await server.value(f"SELECT max({column}::text) FROM public.{table}", database)
    return ""


def sweep(directory: Path, now: float | None = None) -> int:
    """Remove what a kill left: part files that nobody writes any more, files without a manifest. Returns how many."""
    removed = 0
    for part in directory.glob(".*.part"):
        with contextlib.suppress(OSError), part.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.unlink()
            removed += 1
    known = {place.stem for place in directory.glob("*.json")}
    for found in (p for p in directory.iterdir() if _OWN.fullmatch(p.name) and p.name[:_STEM] not in known):
        # Another project's backup may be just about to get its manifest: seconds, where this waits for an hour.
        with contextlib.suppress(OSError):
            if (time.time() if now is None else now) - found.stat().st_mtime > _ORPHAN:
                found.unlink()
                removed += 1
    return removed


async def _dump(server: Postgres, database: str, part: Path, deadline: float, snapshot: str) -> tuple[int, str]:
    fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        await server.dump(database, fd, deadline, snapshot)
        size = os.fstat(fd).st_size
        if not size:
            raise BackupError("the dump is empty")
        return size, await asyncio.to_thread(_synced_digest, fd)
    finally:
        os.close(fd)


def _synced_digest(fd: int) -> str:
    os.fsync(fd)
    return digest_of(fd)


def digest_of(fd: int) -> str:
    """sha256 of an open file, from its beginning, as 64 hex digits."""
    found, at = hashlib.sha256(), 0
    while chunk := os.pread(fd, _CHUNK, at):
        found.update(chunk)
        at += len(chunk)
    return found.hexdigest()
