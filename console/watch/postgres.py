"""PostgreSQL for probes and metrics: connections with a deadline on everything, and failures in plain words.

asyncpg is imported here, in a thread, at the first use. Nothing is ever written: queries run in a read-only
transaction that is rolled back, and a connection is dropped rather than closed politely, because a polite
close waits for the server.
"""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from console.config import resolve_secret
from console.errors import SourceError, UsageError
from console.redact import add_literals, redact
from console.text import clean
from console.watch.address import Resolver, first_that_connects, is_address
from console.watch.reasons import reason
from console.watch.source import Lane

if TYPE_CHECKING:
    import asyncpg

_PREPARE = 20.0  # seconds
_BY_STATE = {
    "28P01": "password refused",
    "28000": "login refused",
    "3D000": "the database does not exist",
    "53300": "too many connections",
    "53100": "the disk of the database is full",
    "57P01": "the database is shutting down",
    "57P02": "the database crashed",
    "57P03": "the database is starting up or shutting down",
    "25006": "the query would change data",
    "42501": "the login may not read that",
}
_LOST = ("ConnectionDoesNotExistError", "ConnectionFailureError")
_QUERY_CANCELLED = "57014"


class Postgres:
    """One DSN (or a reference to it), and connections to it."""

    def __init__(self, dsn: str, name: str) -> None:
        self._reference = dsn
        self._lane = Lane(f"{name} import")
        self._resolver = Resolver(name)
        self._preparing = asyncio.Lock()
        self._prepared = False

    async def ready(self) -> None:
        """Import, once. Not part of what a probe measures."""
        async with self._preparing:
            if not self._prepared:
                await self._lane.call(importlib.import_module, "asyncpg", deadline=_PREPARE)
                self._prepared = True

    async def connect(self, deadline: float) -> asyncpg.Connection[Any]:
        """A new connection. Raises UsageError for a reference that leads nowhere, else what `plain` names."""
        await self.ready()
        import asyncpg

        dsn = resolve_secret(self._reference)
        host, by_name = _host(dsn)
        _look_for_files(dsn)
        if host:
            add_literals([unquote(urlsplit(dsn).password or "")])

        async def attempt(address: str | None, seconds: float) -> asyncpg.Connection[Any]:
            connection: asyncpg.Connection[Any] = await asyncpg.connect(
                dsn,
                host=address,
                port=urlsplit(dsn).port if address else None,  # with a host given, asyncpg reads no port in the DSN
                timeout=seconds,
                statement_cache_size=0,  # a pooler may give each transaction another server
                server_settings={"application_name": "sevdeck"},
            )
            return connection

        async with asyncio.timeout(deadline):
            if not host:
                return await attempt(None, deadline)
            addresses = await self._resolver.addresses(host, deadline)
            if by_name:  # the certificate is checked against the name; it resolves, as we know now
                return await attempt(None, deadline)
            return await first_that_connects(addresses, deadline, attempt)

    def close(self) -> None:
        self._lane.close()
        self._resolver.close()


def _host(dsn: str) -> tuple[str, bool]:
    """The one host name of a DSN ("" for sockets and lists of hosts), and whether TLS needs it by name."""
    try:
        parts = urlsplit(dsn)
        options = parse_qs(parts.query)
        host, port = parts.hostname or "", parts.port
    except ValueError:  # a list of hosts, or not a URL at all: asyncpg says what it thinks of it
        return "", False
    if port == 0 or "," in parts.netloc or "host" in options or host.startswith(("/", "%2f")):
        return "", False
    return host, options.get("sslmode", [""])[0] == "verify-full" and not is_address(host)


def _look_for_files(dsn: str) -> None:
    """Raise UsageError for a certificate or key that cannot be read: the error of the connection would not say which."""
    try:
        options = parse_qs(urlsplit(dsn).query)
    except ValueError:
        return
    for name in ("sslrootcert", "sslcert", "sslkey", "sslcrl"):
        for path in options.get(name, []):
            try:
                Path(path).open("rb").close()
            except OSError as error:
                raise UsageError(f"{name} of the DSN: {path}: {error.strerror}") from None


async def one_row(connection: asyncpg.Connection[Any], query: str, deadline: float) -> list[tuple[str, Any]]:
    """(column, value) of the only row of a query, in a read-only transaction with a statement timeout.

    Raises ValueError when there is no row or more than one; TimeoutError and asyncpg's errors (see `plain`).
    """
    async with asyncio.timeout(deadline):
        limit = max(1, int(deadline * 900))  # the server gives up before we do, and says so
        await connection.execute(
            f"begin read only; set local statement_timeout = {limit}; set local lock_timeout = {limit}"
        )
        cursor = await connection.cursor(query)
        rows = await cursor.fetch(2)
        await connection.execute("rollback")
    if len(rows) != 1:
        raise ValueError("the query gives no row" if not rows else "the query gives more than one row")
    return list(rows[0].items())


def connection_lost(error: BaseException) -> bool:
    """Whether a connection that was kept turned out dead, so that the same query deserves a new one.

    asyncpg has many ways to say so, its own internal errors among them; a query that failed has a state.
    """
    state = getattr(error, "sqlstate", None)
    if state:
        return state in ("57P01", "57P02") or str(state).startswith("08")
    return not isinstance(error, TimeoutError | ValueError)


async def ask_once(dsn: str, who: str, query: str, deadline: float) -> list[tuple[str, Any]]:
    """(column, value) of the only row of a query, over a connection of its own, called `who` by the server.

    Raises SourceError with the reason in plain words.
    """
    server = Postgres(dsn, who)
    try:
        connection = await server.connect(deadline)
        try:
            return await one_row(connection, query, deadline)
        finally:
            connection.terminate()
    except Exception as error:  # the library has its own tree
        raise SourceError(plain(error, deadline)) from error
    finally:
        server.close()


def plain(error: BaseException, deadline: float) -> str:
    """Why a connection or query failed, for a person.

    >>> plain(ConnectionRefusedError(111, "x"), 3.0)
    'connection refused'
    """
    state = getattr(error, "sqlstate", None)
    if state == _QUERY_CANCELLED:
        return f"the query takes longer than {deadline:g} s"
    if state in _BY_STATE:
        return _BY_STATE[state]
    if type(error).__name__ in _LOST:
        return "connection lost"
    if state:
        return clean(redact(str(error).splitlines()[0] if str(error) else str(state)), 160)
    return reason(error, deadline)
