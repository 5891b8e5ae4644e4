"""The newest migration of the database, by the tables that the usual tools keep. It only reads, within a second."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from console.checks.scene import Scene
from console.errors import UsageError
from console.text import clean
from console.watch.postgres import Postgres, one_row

if TYPE_CHECKING:
    import asyncpg

DEADLINE = 1.0  # seconds for each of connecting, looking and one table
# Table -> (its newest entry, when that was applied; "null" where the tool keeps no time)
TABLES = {
    "alembic_version": ("max(version_num)", "null"),
    "django_migrations": ("(array_agg(app || '.' || name order by id desc))[1]", "max(applied)"),
    "flyway_schema_history": ("(array_agg(version order by installed_rank desc))[1]", "max(installed_on)"),
    "knex_migrations": ("(array_agg(name order by id desc))[1]", "max(migration_time)"),
    "schema_migrations": ("max(version::text)", "null"),
}


@dataclass(frozen=True, slots=True)
class Migration:
    entry: str
    at: float | None  # unix seconds; None where the tool keeps no time


async def newest(scene: Scene) -> Mapping[str, Migration]:
    """Table -> its newest entry. Empty without a [database] dsn, and where it does not answer or let us read."""
    if not scene.config.database.dsn:
        return {}
    return await scene.once("migrations", lambda: _read(scene.config.database.dsn))


async def _read(dsn: str) -> Mapping[str, Migration]:
    import asyncpg

    postgres = Postgres(dsn, "migrations")
    try:
        connection = await postgres.connect(DEADLINE)
        try:
            return await _tables(connection)
        finally:
            connection.terminate()
    except (OSError, TimeoutError, ValueError, UsageError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return {}  # that the database does not answer is another check's finding
    finally:
        postgres.close()


async def _tables(connection: asyncpg.Connection[Any]) -> Mapping[str, Migration]:
    import asyncpg

    columns = ", ".join(
        f"to_regclass('{table}') is not null and has_table_privilege(to_regclass('{table}'), 'SELECT')"
        for table in TABLES
    )
    there = [yes for _, yes in await one_row(connection, f"select {columns}", DEADLINE)]
    found: dict[str, Migration] = {}
    for (table, (entry, at)), yes in zip(TABLES.items(), there, strict=True):
        if not yes:
            continue
        query = f"select ({entry})::text, extract(epoch from ({at})::timestamptz)::float8 from {table}"
        try:
            (_, name), (_, when) = await one_row(connection, query, DEADLINE)
        except (asyncpg.PostgresError, ValueError):
            await asyncio.wait_for(connection.execute("rollback"), DEADLINE)  # a namesake with other columns
            continue
        if name:
            found[table] = Migration(clean(str(name), 120), when)
    return found
