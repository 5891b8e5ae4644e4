"""Preparing a database for the record: schema.sql in one transaction, a role for writers, rights for logins.

Safe to repeat; it says what it did. It never drops or changes what was recorded.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.errors import RefusedError, SevdeckError
from console.replica.postgres import SCHEMA, fault
from console.watch.postgres import Postgres

if TYPE_CHECKING:
    import asyncpg

WRITER = "sevdeck_writer"
_DEADLINE = 10.0  # seconds
_LEAST_SERVER = 120000  # PostgreSQL 12: generated columns
_RIGHTS = f"""
grant usage on schema sevdeck to {WRITER};
grant select, insert on sevdeck.events, sevdeck.attachments to {WRITER};
"""


@dataclass(frozen=True, slots=True)
class Made:
    """What `initialise` did, in words, and what is there now."""

    version: int
    created: bool  # False: the schema was there before
    did: tuple[str, ...]
    logins: tuple[str, ...]  # that were given the rights of the writer role


async def initialise(dsn: str, logins: tuple[str, ...] = ()) -> Made:
    """Make the schema in the database of `dsn` (its owner's), and let `logins` write to the record.

    Raises RefusedError where this must not be done, SevdeckError where it cannot.
    """
    postgres = Postgres(dsn, "replica schema")
    connection: asyncpg.Connection[Any] | None = None
    try:
        connection = await postgres.connect(_DEADLINE)
        async with asyncio.timeout(_DEADLINE):
            return await _make(connection, logins)
    except SevdeckError:
        raise
    except Exception as error:
        found = fault(error)
        remedy = "Use the DSN of the database's owner" if found.state in ("login", "read only") else found.remedy
        raise SevdeckError(f"the record cannot be prepared there: {found.reason}", remedy=remedy) from None
    finally:
        if connection is not None:
            connection.terminate()
        postgres.close()


async def _make(connection: asyncpg.Connection[Any], logins: tuple[str, ...]) -> Made:
    version, encoding = (
        await connection.fetch("select current_setting('server_version_num')::int, current_setting('server_encoding')")
    )[0]
    if version < _LEAST_SERVER:
        raise RefusedError(f"this is PostgreSQL {version // 10000}", remedy="The record needs 12 or newer")
    if encoding != "UTF8":
        raise RefusedError(f"this database is encoded in {encoding}", remedy="Create one with `encoding 'UTF8'`")
    before = None
    if await connection.fetchval("select to_regprocedure('sevdeck.schema_version()') is not null"):
        before = int(await connection.fetchval("select sevdeck.schema_version()"))
    if before is not None and before > SCHEMA:
        raise RefusedError(f"its schema is newer than this sevdeck ({before}, here {SCHEMA})", remedy="Update sevdeck")
    did = []
    sql = Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock(hashtext('sevdeck'))")  # one at a time
        await connection.execute(sql)
        did.append("made the schema sevdeck" if before is None else "the schema sevdeck is up to date")
        if not await connection.fetchval("select exists (select from pg_roles where rolname = $1)", WRITER):
            await connection.execute(f"create role {WRITER} nologin")
            did.append(f"made the role {WRITER}")
        await connection.execute(_RIGHTS)
        for login in logins:
            name = await connection.fetchval("select quote_ident($1)", login)
            await connection.execute(f"grant {WRITER} to {name}")
            did.append(f"{login} may read and add entries")
    return Made(SCHEMA, before is None, tuple(did), logins)
