"""How many connections the database has, asked once a minute by whoever fills the history: no reading has it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from console.config import Config
from console.errors import SevdeckError, SourceError
from console.watch.history.gather import name
from console.watch.history.keeper import Keeper
from console.watch.history.series import Sample
from console.watch.postgres import Postgres, one_row, plain

EVERY = 60.0  # seconds
_DEADLINE = 2.0
_SQL = """
SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()) AS used,
  current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS most
"""


async def follow(keeper: Keeper[Any], config: Config) -> None:
    """For as long as it is not cancelled, where `[database] dsn` says whom to ask. What fails is a gap."""
    while config.database.dsn:
        if keeper.writing:
            with suppress(SevdeckError):
                used, most = await ask(config.database.dsn)
                keeper.also(Sample(("database", name(config.database.container), "connections"), used, "", most))
        await asyncio.sleep(EVERY)


async def ask(dsn: str) -> tuple[int, int]:
    """(client connections but ours, those that there can be). Raises SourceError or UsageError."""
    server = Postgres(dsn, "history")
    try:
        connection = await server.connect(_DEADLINE)
        try:
            row = await one_row(connection, _SQL, _DEADLINE)
        finally:
            connection.terminate()
    except SevdeckError:
        raise
    except Exception as error:  # the library has its own tree
        raise SourceError(plain(error, _DEADLINE)) from error
    finally:
        server.close()
    return int(row[0][1]), int(row[1][1])
