"""`core.Server` on PostgreSQL: one dedicated connection, a deadline on every question, failures in plain words.

The server names the state it refuses in; this module knows what each means. A connection that failed once is
thrown away: `terminate`, because a polite close waits for an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from console.errors import UsageError
from console.redact import redact
from console.replica.core import AgainError, Head, Line, News, StoppedError, well_named
from console.replica.words import Fault
from console.text import clean
from console.watch.postgres import Postgres, plain
from console.watch.reasons import causes

if TYPE_CHECKING:
    import asyncpg

CONNECT = 4.0  # seconds
ANSWER = 4.0  # seconds for one question
SCHEMA = 2  # version of schema.sql
CHANNEL = "sevdeck"
_OUR_STATES = {"SD001": "fork", "SD003": "refused"}
_AGAIN = ("SD002", "23505", "40001", "40P01")  # somebody else pushed the same entries, or got in the way
_REFUSED_CLASSES = ("22", "23", "54")  # data exception, constraint, limit: about these bytes, not about the server

_HEADS = """
with recursive chains as (
    (select incident, writer_id from sevdeck.events {first} order by 1, 2 limit 1)
    union all
    select after.* from chains c cross join lateral (
        select e.incident, e.writer_id from sevdeck.events e
        where (e.incident, e.writer_id) > (c.incident, c.writer_id) {next} order by 1, 2 limit 1) after
)
select c.incident, c.writer_id, h.seq, h.hash from chains c cross join lateral (
    select e.seq, e.hash from sevdeck.events e where e.writer_id = c.writer_id order by e.seq desc limit 1) h
"""
_ALL_HEADS = _HEADS.format(first="", next="")
_HEADS_OF_ONE = _HEADS.format(first="where incident = $1", next="and e.incident = $1")
_PUSH = """
insert into sevdeck.events (incident, writer_id, seq, hash, previous, body)
select $1, $2, line.* from unnest($3::bigint[], $4::text[], $5::text[], $6::text[]) line
"""
_PULL = """
select e.writer_id, e.seq, e.hash, e.body from unnest($1::text[], $2::bigint[]) with ordinality wanted(writer, after, n)
cross join lateral (
    select * from sevdeck.events e where e.writer_id = wanted.writer and e.seq > wanted.after order by e.seq limit $3) e
order by wanted.n, e.seq limit $3
"""
_NEWS = (
    _HEADS_OF_ONE.replace(
        "select c.incident, c.writer_id, h.seq, h.hash from chains c",
        "select c.writer_id, h.seq, h.hash, e.seq, e.hash, e.body from chains c",
    )
    + """left join unnest($2::text[], $3::bigint[]) k(writer, after) on k.writer = c.writer_id
left join lateral (
    select * from sevdeck.events e
    where e.writer_id = c.writer_id and e.seq > coalesce(k.after, 0) order by e.seq limit $4
) e on h.seq > coalesce(k.after, 0) order by c.writer_id, e.seq
"""
)
_ABOUT = """
select pg_backend_pid(), pg_is_in_recovery() or current_setting('transaction_read_only')::boolean,
       to_regclass('sevdeck.events') is not null and to_regprocedure('sevdeck.schema_version()') is not null,
       has_table_privilege(to_regclass('sevdeck.events'), 'select'),
       has_table_privilege(to_regclass('sevdeck.events'), 'insert')
"""
_MAY_WRITE = """
select not pg_is_in_recovery() and not current_setting('transaction_read_only')::boolean
       and has_table_privilege('sevdeck.events', 'insert')
"""


class NotUsableError(Exception):
    """The server answers, and cannot serve as a replica: `fault` says why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.reason)
        self.fault = fault


class PostgresServer:
    """One connection. `open` first; `terminate` when it has failed or is not needed any more."""

    def __init__(self, postgres: Postgres, *, pooler: bool = False) -> None:
        self.writable = False
        self.read_only = ""  # why nothing can be stored there, in words
        self.pooled = pooler  # or found to be: then no hint comes, and each question is a transaction
        self._postgres = postgres
        self._connection: asyncpg.Connection[Any] | None = None
        self._statements: dict[str, Any] = {}

    async def open(self, told: Callable[[str], None], lost: Callable[[], None]) -> None:
        """Connect, listen, and look whether the schema is there.

        `told(incident)`: somebody else stored something. It is a hint and may fail to come, always behind a pooler.
        Raises NotUsableError, and what `fault` puts into words.
        """
        connection = self._connection = await self._postgres.connect(CONNECT)
        keep_alive(connection)
        own = connection.get_server_pid()

        def heard(_: Any, pid: int, __: str, payload: object) -> None:
            if pid != own:
                told(str(payload))

        async with asyncio.timeout(ANSWER), transaction(connection):
            standby, writes = await self._examine(connection, own)
        if standby:
            self.read_only = "a read-only standby, nothing can be stored there"
        elif not writes:
            self.read_only = "the login may read and not write"
        self.writable = not self.read_only
        if self.pooled:
            return
        connection.add_termination_listener(lambda _: lost())
        async with asyncio.timeout(ANSWER):
            await connection.execute("set synchronous_commit = on; set jit = off")
            if not standby:  # before the first comparison, so that nothing falls between
                await connection.add_listener(CHANNEL, heard)

    async def _examine(self, connection: asyncpg.Connection[Any], own: int) -> tuple[bool, bool]:
        """Whether nothing can be written there now, and whether the login may. Raises NotUsableError."""
        pid, standby, there, reads, writes = (await connection.fetch(_ABOUT))[0]
        self.pooled = self.pooled or pid != own  # it is another one than who answered the login
        if not there:
            remedy = "Run `sevdeck replica init` with the DSN of the database's owner"
            raise NotUsableError(Fault("schema", "the schema sevdeck is missing", remedy))
        try:
            version = int(await connection.fetchval("select sevdeck.schema_version()"))
        except Exception as error:
            if getattr(error, "sqlstate", None) != "42501":
                raise
            reads, writes, version = False, False, SCHEMA
        if version != SCHEMA:
            older = version < SCHEMA
            remedy = "Run `sevdeck replica init` of this version" if older else "Install the newer sevdeck here too"
            words = f"its schema is {'too old' if older else 'newer than this sevdeck'} ({version}, needed {SCHEMA})"
            raise NotUsableError(Fault("schema", words, remedy))
        if not reads:
            remedy = "Have its owner run `sevdeck replica init --login YOUR-LOGIN`"
            raise NotUsableError(Fault("login", "the login may not read the record", remedy))
        return standby, writes

    async def may_write(self) -> bool:
        """Whether a server that was read-only takes entries now: promoted, or the login was given the right."""
        async with self._question() as connection:
            return bool((await self._fetch(connection, _MAY_WRITE))[0][0])

    async def heads(self, incidents: Collection[str] | None) -> dict[str, dict[str, Head]]:
        found: dict[str, dict[str, Head]] = {}
        async with self._question() as connection:
            if incidents is None:
                rows = await self._fetch(connection, _ALL_HEADS)
            else:
                rows = [row for one in sorted(incidents) for row in await self._fetch(connection, _HEADS_OF_ONE, one)]
        for incident, writer, seq, hash in rows:
            if well_named(incident, writer):
                found.setdefault(incident, {})[writer] = Head(seq, hash)
        return found

    async def push(self, incident: str, writer: str, previous: str, lines: Sequence[Line]) -> None:
        hashes = [line.hash for line in lines]
        try:
            bodies = [line.body.decode("utf-8") for line in lines]
        except UnicodeDecodeError:
            raise StoppedError("refused", lines[0].seq if len(lines) == 1 else 0, "it is not UTF-8") from None
        try:
            async with self._question() as connection:
                seqs = [line.seq for line in lines]
                chained = [previous, *hashes[:-1]]
                await self._fetch(connection, _PUSH, incident, writer, seqs, hashes, chained, bodies)
        except Exception as error:
            state = str(getattr(error, "sqlstate", None) or "")
            if state in _AGAIN:
                raise AgainError("somebody else was faster") from None
            if state in _OUR_STATES:
                told = str(getattr(error, "detail", None) or "")
                seq = int(told) if told.isdigit() else lines[0].seq
                raise StoppedError(_OUR_STATES[state], seq, plain(error, ANSWER)) from None
            if state == "25006":
                self.writable, self.read_only = False, "a read-only standby, nothing can be stored there"
                raise AgainError(self.read_only) from None
            if state[:2] in _REFUSED_CLASSES:
                raise StoppedError("refused", lines[0].seq if len(lines) == 1 else 0, plain(error, ANSWER)) from None
            raise

    async def pull(self, after: Mapping[str, int], limit: int) -> dict[str, list[Line]]:
        found: dict[str, list[Line]] = {}
        async with self._question() as connection:
            rows = await self._fetch(connection, _PULL, list(after), list(after.values()), limit)
        for writer, seq, hash, body in rows:
            found.setdefault(writer, []).append(Line(seq, hash, body.encode("utf-8")))
        return found

    async def news(self, incident: str, after: Mapping[str, int], limit: int) -> News:
        heads: dict[str, Head] = {}
        lines: dict[str, list[Line]] = {}
        async with self._question() as connection:
            rows = await self._fetch(connection, _NEWS, incident, list(after), list(after.values()), limit)
        for writer, last, head, seq, hash, body in rows:
            if well_named(incident, writer):
                heads[writer] = Head(last, head)
                if seq is not None:
                    lines.setdefault(writer, []).append(Line(seq, hash, body.encode("utf-8")))
        return News(heads, lines)

    async def _fetch(self, connection: asyncpg.Connection[Any], query: str, *values: Any) -> list[Any]:
        """Rows of a query; prepared once where the connection is always the same server's."""
        if self.pooled:
            return list(await connection.fetch(query, *values))
        statement = self._statements.get(query)
        if statement is None:
            statement = self._statements[query] = await connection.prepare(query)
        return list(await statement.fetch(*values))

    @contextlib.asynccontextmanager
    async def _question(self) -> AsyncIterator[asyncpg.Connection[Any]]:
        """The connection for one question and its deadline; behind a pooler in one transaction, so on one server."""
        connection = self._connection
        if connection is None or connection.is_closed():
            raise ConnectionResetError(104, "connection lost")
        async with asyncio.timeout(ANSWER):
            if not self.pooled:
                yield connection
                return
            async with transaction(connection):
                yield connection

    def terminate(self) -> None:
        """Drop the connection at once."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


@contextlib.asynccontextmanager
async def transaction(connection: asyncpg.Connection[Any]) -> AsyncIterator[None]:
    """What is asked in here is asked of one server, also behind a pooler, which may take another for each transaction."""
    await connection.execute("begin; set local synchronous_commit = on; set local jit = off")
    try:
        yield
        await connection.execute("commit")
    except Exception as error:
        if getattr(error, "sqlstate", None):  # it answers; one that does not is dropped by whoever asked
            await connection.execute("rollback")
        raise


def keep_alive(connection: asyncpg.Connection[Any]) -> None:
    """A dead way to the server is noticed within about 10 s, also when nothing is asked."""
    transport: Any = getattr(connection, "_transport", None)  # asyncpg has no public way to its socket
    raw = transport.get_extra_info("socket") if transport is not None else None
    if raw is None or raw.family not in (socket.AF_INET, socket.AF_INET6):
        return
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    options = {"TCP_KEEPIDLE": 4, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 5000}
    for name, value in options.items():
        if hasattr(socket, name):  # not everywhere
            raw.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def fault(error: BaseException) -> Fault:
    """What a failure means for the replica."""
    if isinstance(error, NotUsableError):
        return error.fault
    if isinstance(error, UsageError):
        return Fault("settings", error.message, error.remedy)
    words = plain(error, ANSWER)
    if type(error).__name__ == "ClientConfigurationError":  # asyncpg does not know what to do with the DSN
        return Fault("settings", clean(redact(str(error).splitlines()[0]), 160), "Check dsn in [replica]")
    state = str(getattr(error, "sqlstate", None) or "")
    if state.startswith("28"):
        return Fault("login", words, "Check dsn in [replica]")
    if state == "42501":
        return Fault("login", "the login may not do that", "Have its owner run `sevdeck replica init --login LOGIN`")
    if state in ("3F000", "42P01", "42883"):
        return Fault("schema", "the schema sevdeck is missing", "Run `sevdeck replica init` with the owner's DSN")
    if any(isinstance(cause, ssl.SSLError) for cause in causes(error)):
        return Fault("tls", words)
    if isinstance(error, ConnectionError) and "SSL" in str(error):
        return Fault("tls", "the server does not speak TLS", "Check sslmode of dsn in [replica], or the server")
    if not state and any(isinstance(cause, TimeoutError) for cause in causes(error)):
        return Fault("timeout", words)
    return Fault("offline", words)
