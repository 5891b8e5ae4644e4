"""Is a backup good? The same bytes as when it was made, readable to the last one, for this server, of this database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path

from console.actions.backup.making import digest_of
from console.actions.backup.manifest import Backup, TableCount, Verified, mark
from console.actions.postgres import Postgres, PostgresError, compare
from console.checks.check import Finding, Status

_PER_BYTE = 1 / 2_000_000  # seconds; the slowest decode seen read five times as fast
_LEAST = 60.0
_NEWER = "unsupported version"  # pg_restore of a format that its own pg_dump does not write yet


def patience(backup: Backup) -> float:
    """Seconds that reading the whole dump may take."""
    return _LEAST + backup.size * _PER_BYTE


async def check(backup: Backup, server: Postgres, database: str = "") -> list[Finding]:
    """Bytes, whole decode, version, database; in this order, and what fails ends it. Raises nothing for a bad dump.

    `server` does the decoding and says its version. `database`: the one that it must be of, "" for any.
    """
    found = await asyncio.to_thread(bytes_of, backup)
    if found[-1].status is Status.OK:
        found.append(await _decode(backup, server))
    if found[-1].status is Status.OK:
        found += await _header(backup, server)
    if found[-1].status is Status.OK:
        found += [await _version(backup, server), _of(backup, database)]
    return found


def bytes_of(backup: Backup) -> list[Finding]:
    """Size, then sha256, against what was written down. Blocking."""
    found = [_file(backup)]
    if found[-1].status is Status.OK and backup.archive:
        found.insert(0, _archive(backup))
    return [*found, _bytes(backup)] if found[-1].status is Status.OK else found


async def rehearse(backup: Backup, server: Postgres, name: str) -> list[Finding]:
    """Restore into the scratch database `name`, compare, and drop it in any case."""
    try:
        await restore_into(backup, server, name)
        return compared(backup, await server.counts(name))
    except PostgresError as error:
        return [_finding("restore", Status.UNKNOWN if error.silent else Status.FAIL, error.message)]
    finally:
        await drop(server, name)


async def restore_into(backup: Backup, server: Postgres, name: str, like: str = "") -> None:
    """Make the database `name`, owned as the database `like` (or the backup's own), and read the backup into it.

    Raises PostgresError, OSError; `name` is then half there.
    """
    owner = await server.value(
        f"SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = {quoted(like or backup.database)}"
    )
    if not owner:  # a new cluster has no such database yet
        told = await server.owner(backup.path, _LEAST)
        owner = await server.value(f"SELECT rolname FROM pg_roles WHERE rolname = {quoted(told)}")
    owned = f" OWNER {identifier(owner)}" if owner else ""
    await server.sql(f"CREATE DATABASE {identifier(name)} TEMPLATE template0{owned}", seconds=60.0)
    await server.restore(backup.path, name, patience(backup))


async def drop(server: Postgres, name: str) -> None:
    """Throw away a database that we made ourselves. Raises PostgresError."""
    await server.sql(f"DROP DATABASE IF EXISTS {identifier(name)} WITH (FORCE)", seconds=60.0)


def compared(backup: Backup, restored: Mapping[str, TableCount]) -> list[Finding]:
    """The restored rows against those of the dump's snapshot; without one, what it held lies between two counts."""
    exact = backup.after == backup.tables
    # Numbers of sequences are outside every snapshot: the dump's are these or higher ones.
    least = {
        n: TableCount(min(t.rows, backup.after.get(n, t).rows), t.last if exact else None)
        for n, t in backup.tables.items()
    }
    lost = compare(least, restored)
    rows = sum(t.rows for t in restored.values())
    if lost:
        return [_finding("restore", Status.FAIL, f"restored, and less than was backed up: {'; '.join(lost[:3])}")]
    more = [n for n, t in restored.items() if n not in least or t.rows != least[n].rows]
    if exact and more:
        return [_finding("restore", Status.FAIL, f"restored, and not what was backed up: {', '.join(more[:3])}")]
    return [
        _finding("restore", Status.OK, f"restored: {rows} rows in {len(restored)} tables, as many as were backed up")
    ]


def passed(backup: Backup, how: str, by: str) -> Backup:
    """Write down that it is good. Raises OSError."""
    return mark(backup, Verified(time.time(), how, by))


def identifier(name: str) -> str:
    """
    >>> identifier('a"b')
    '"a""b"'
    """
    return '"' + name.replace('"', '""') + '"'


def quoted(text: str) -> str:
    """
    >>> quoted("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def _file(backup: Backup) -> Finding:
    try:
        size = backup.path.stat().st_size
    except OSError as error:
        return _finding("file", Status.FAIL, f"{backup.path.name}: {error.strerror}")
    if size != backup.size:
        return _finding("file", Status.FAIL, f"{size} bytes, {backup.size} were written: it was cut or changed")
    return _finding("file", Status.OK, f"{size} bytes")


def _archive(backup: Backup) -> Finding:
    """The files alongside: without them the dump is still good."""
    place = backup.path.with_name(Path(backup.archive).name)
    try:
        with place.open("rb") as file:
            same = digest_of(file.fileno()) == backup.archive_sha256
    except OSError as error:
        return _finding("files", Status.WARN, f"{place.name}: {error.strerror}")
    many = f"{len(backup.files)} file{'' if len(backup.files) == 1 else 's'} alongside"
    return _finding("files", Status.OK if same else Status.WARN, many if same else f"{many}: sha256 differs")


def _bytes(backup: Backup) -> Finding:
    with backup.path.open("rb") as file:
        same = digest_of(file.fileno()) == backup.sha256
    words = "the same bytes as when it was made" if same else "not the bytes that were written: sha256 differs"
    return _finding("bytes", Status.OK if same else Status.FAIL, words)


async def _header(backup: Backup, server: Postgres) -> list[Finding]:
    """Nothing where the dump is what its manifest says; somebody may have put another one in its place."""
    try:
        told = await server.header(backup.path, _LEAST)
    except PostgresError as error:
        return [_finding("header", Status.UNKNOWN if error.silent else Status.FAIL, error.message)]
    name, version = told.get("dbname", ""), told.get("Dumped from database version", "")
    if name != backup.database:
        words = f"it is a dump of database {name or '(not said)'}, the manifest says {backup.database}"
        return [_finding("header", Status.FAIL, words)]
    if version.partition(".")[0] != str(backup.server):
        words = f"it was dumped from server {version or '(not said)'}, the manifest says {backup.server}"
        return [_finding("header", Status.FAIL, words)]
    return []


async def _decode(backup: Backup, server: Postgres) -> Finding:
    try:
        await server.decode(backup.path, patience(backup))
    except PostgresError as error:
        words = f"too new for this server's pg_restore: {error.message}" if _NEWER in error.message else error.message
        return _finding("decode", Status.UNKNOWN if error.silent else Status.FAIL, words)
    return _finding("decode", Status.OK, "read to its last byte")


async def _version(backup: Backup, server: Postgres) -> Finding:
    try:
        here = await server.version()
    except PostgresError as error:
        return _finding(
            "version", Status.WARN, f"of server {backup.server}; which one this is cannot be told: {error.message}"
        )
    if backup.server > here:
        return _finding("version", Status.FAIL, f"of server {backup.server}, this one is {here}: too new for it")
    return _finding("version", Status.OK, f"of server {backup.server}, this one is {here}")


def _of(backup: Backup, database: str) -> Finding:
    if database and backup.database != database:
        return _finding("database", Status.FAIL, f"of database {backup.database}, not of {database}")
    return _finding("database", Status.OK, f"of database {backup.database}")


def _finding(what: str, status: Status, summary: str) -> Finding:
    return Finding(f"backup.{what}", "database", status, summary, subject=what)
