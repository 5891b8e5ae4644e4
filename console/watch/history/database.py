"""What the database is asked for the history by whoever fills it: no reading has it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from console.config import Config
from console.errors import SourceError
from console.watch.history.gather import name
from console.watch.history.keeper import Keeper
from console.watch.history.series import Sample
from console.watch.postgres import ask_once

EVERY = 60.0  # seconds
_SIZED = 10  # turns between two questions for the size: the server looks at each of its files
_DEADLINE = 2.0
_SQL = """
SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()) AS used,
  current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS most,
  (SELECT coalesce(sum(deadlocks), 0)::bigint FROM pg_stat_database) AS deadlocks
"""
_SIZE = """
SELECT coalesce(sum(pg_database_size(oid)), 0)::bigint AS size
FROM pg_database WHERE has_database_privilege(oid, 'CONNECT')
"""


async def follow(keeper: Keeper[Any], config: Config) -> None:
    """For as long as it is not cancelled, where `[database] dsn` says whom to ask. What fails is a gap."""
    label, dsn, turn, size = name(config.database.container), config.database.dsn, 0, None
    while dsn:
        if keeper.writing:
            with suppress(SourceError):
                used, most, deadlocks = await ask(dsn)
                keeper.also(Sample(("database", label, "connections"), used, "", most))
                keeper.also(Sample(("database", label, "deadlocks"), deadlocks, ""))
                if turn % _SIZED == 0:
                    (size,) = await ask(dsn, _SIZE)
                if size is not None:
                    keeper.also(Sample(("database", label, "size"), size, "B"))
                turn += 1
        await asyncio.sleep(EVERY)


async def ask(dsn: str, sql: str = _SQL) -> Sequence[int]:
    """(client connections but ours, those that there can be, deadlocks since its figures began), or the one row of
    another `sql`. Raises SourceError.
    """
    return [int(value) for _, value in await ask_once(dsn, "history", sql, _DEADLINE)]
