"""The sql metric: one SELECT that gives one number (or `value, previous`), never able to change anything.

Metrics of one database share at most three connections: the console must not be what exhausts them.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from console.config import MetricConfig
from console.errors import SevdeckError, SourceError
from console.watch.metrics.point import Sample, number
from console.watch.postgres import Postgres, connection_lost, one_row, plain

if TYPE_CHECKING:
    import asyncpg

_CONNECTIONS = 3
_CONNECT = 3.0  # seconds
_QUERY = 3.0


class Database:
    """One DSN and the few connections that its metrics take in turn. A connection that failed is made anew."""

    def __init__(self, dsn: str) -> None:
        self._postgres = Postgres(dsn, "metrics")
        self._turns = asyncio.Semaphore(_CONNECTIONS)
        self._free: list[asyncpg.Connection[Any]] = []

    async def row(self, query: str) -> list[tuple[str, Any]]:
        """The only row of a query. Raises what `console.watch.postgres` does."""
        await self._postgres.ready()
        async with self._turns:
            if self._free:
                try:
                    return await self._ask(self._free.pop(), query)
                except Exception as error:
                    if not connection_lost(error):
                        raise
                self._drop_free()  # the server was restarted: the others are dead as well
            return await self._ask(await self._postgres.connect(_CONNECT), query)

    async def _ask(self, connection: asyncpg.Connection[Any], query: str) -> list[tuple[str, Any]]:
        try:
            row = await one_row(connection, query, _QUERY)
        except BaseException:
            connection.terminate()
            raise
        self._free.append(connection)
        return row

    def _drop_free(self) -> None:
        while self._free:
            self._free.pop().terminate()

    async def close(self) -> None:
        self._drop_free()
        self._postgres.close()


class SqlGauge:
    """A query on a database."""

    def __init__(self, config: MetricConfig, database: Database, every: float) -> None:
        self.every = every
        # Waiting for a turn behind slow neighbours is not a failure of this query.
        self.deadline = _CONNECT + _QUERY * 3
        self._query = config.query.strip().rstrip(";")
        self._database = database

    async def measure(self, now: float) -> Sample:
        try:
            row = await self._database.row(self._query)
        except (SevdeckError, ValueError):
            raise
        except Exception as error:  # asyncpg's, the system's: `plain` knows them
            raise SourceError(plain(error, _QUERY)) from error
        if len(row) > 2:
            raise ValueError(f"the query gives {len(row)} columns; it should give a value, and perhaps a previous one")
        by_name = dict(row)
        value = by_name.get("value", row[0][1])
        previous = by_name.get("previous", row[1][1] if len(row) == 2 else None)
        if value is None:
            return Sample(None, fault="the query gives null")
        found = _number(value)
        if found is None:
            raise ValueError("the query gives something that is no number")
        return Sample(found, _number(previous))

    async def close(self) -> None:
        """The database is closed by its owner."""


def _number(value: object) -> float | None:
    return value.total_seconds() if isinstance(value, timedelta) else number(value)
