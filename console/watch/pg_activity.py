"""What a PostgreSQL server is busy with: connections, who waits for whom, how old its oldest transaction is.

One question, one row, answered as JSON. Asked over the network with the configured DSN; where that gets no connection,
because all are taken or none is configured, by `psql` in the server's own container, whose local socket has room for a
superuser. Only reads; query texts are cut, their values left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from console.errors import SourceError
from console.programs.docker import run_docker
from console.redact import redact
from console.text import clean
from console.watch.postgres import ask_once

_QUERY = 120  # characters of a query's text
_TOP = 5  # sessions named of each kind
_VALUE = re.compile(r"'(?:[^']|'')*(?:'|$)|\$(\w*)\$.*?(?:\$\1\$|$)", re.DOTALL)

_SQL = f"""
WITH s AS (
  SELECT pid, coalesce(usename, '') AS usename, coalesce(datname, '') AS datname,
    coalesce(application_name, '') AS app, coalesce(host(client_addr), '') AS addr, coalesce(state, '') AS state,
    coalesce(wait_event_type, '') AS waits, left(query, {_QUERY}) AS query,
    extract(epoch FROM now() - state_change)::float AS in_state,
    extract(epoch FROM now() - xact_start)::float AS in_xact,
    extract(epoch FROM now() - query_start)::float AS in_query,
    pg_blocking_pids(pid) AS blockers
  FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
)
SELECT json_build_object(
  'version', current_setting('server_version'),
  'now', extract(epoch FROM clock_timestamp())::float,
  'started', extract(epoch FROM pg_postmaster_start_time())::float,
  'max', current_setting('max_connections')::int,
  'reserved', current_setting('superuser_reserved_connections')::int,
  'used', (SELECT count(*) FROM s),
  'by', (SELECT coalesce(json_agg(row_to_json(g)), '[]') FROM (
    SELECT usename, app, addr, state, count(*) AS n, max(in_state) AS longest FROM s GROUP BY 1, 2, 3, 4
    ORDER BY n DESC LIMIT {_TOP}) g),
  'idle', (SELECT coalesce(json_agg(row_to_json(g)), '[]') FROM (
    SELECT pid, usename, app, addr, in_xact AS age, query FROM s WHERE state LIKE 'idle in transaction%'
    ORDER BY in_xact DESC NULLS LAST LIMIT 200) g),
  'active', (SELECT coalesce(json_agg(row_to_json(g)), '[]') FROM (
    SELECT pid, usename, app, addr, in_query AS age, query FROM s WHERE state = 'active' AND waits <> 'Lock'
    ORDER BY in_query DESC NULLS LAST LIMIT {_TOP}) g),
  'blocked', (SELECT coalesce(json_agg(row_to_json(g)), '[]') FROM (
    SELECT pid, usename, app, addr, in_query AS age, query, blockers FROM s WHERE cardinality(blockers) > 0
    ORDER BY in_query DESC NULLS LAST LIMIT 200) g),
  'sessions', (SELECT coalesce(json_object_agg(pid, json_build_object(
      'pid', pid, 'usename', usename, 'app', app, 'addr', addr, 'state', state, 'age', in_xact, 'query', query)), '{{}}')
    FROM s WHERE pid IN (SELECT unnest(blockers) FROM s)),
  'deadlocks', (SELECT coalesce(sum(deadlocks), 0) FROM pg_stat_database),
  'xid_age', (SELECT max(age(datfrozenxid)) FROM pg_database),
  'sees_all', pg_has_role(current_user, 'pg_read_all_stats', 'MEMBER'),
  'recovery', pg_is_in_recovery(),
  'read_only', current_setting('default_transaction_read_only') = 'on',
  'size', (SELECT sum(pg_database_size(oid)) FROM pg_database WHERE has_database_privilege(oid, 'CONNECT')),
  'slots', (SELECT coalesce(json_agg(row_to_json(g)), '[]') FROM (
    SELECT slot_name AS name, active,
      CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::float END AS kept
    FROM pg_replication_slots) g)
)::text AS told
"""


@dataclass(frozen=True, slots=True)
class Session:
    """`age` in seconds: of its transaction, or of its query where that is what counts. `query` is cut and without values."""

    pid: int
    user: str
    app: str  # application_name
    address: str  # "" over the local socket
    age: float | None
    query: str
    blockers: tuple[int, ...] = ()
    state: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Connections of one program in one state. `longest` in seconds."""

    count: int
    state: str
    app: str
    address: str
    longest: float | None


@dataclass(frozen=True, slots=True)
class Activity:
    """The server at one moment. Times are unix seconds by its own clock, sizes bytes."""

    version: str
    now: float
    started: float
    used: int  # client connections, ours not counted
    limit: int  # those that are no superusers can have
    groups: tuple[Group, ...]  # biggest first
    idle: tuple[Session, ...]  # in a transaction and doing nothing, oldest first
    active: tuple[Session, ...]  # at work and waiting for no lock, longest first
    blocked: tuple[Session, ...]  # waiting for a lock of others
    blockers: Mapping[int, Session]  # whom the blocked wait for
    deadlocks: int
    xid_age: int
    recovery: bool
    read_only: bool
    size: int | None
    slots: tuple[tuple[str, bool, float | None], ...]  # name, in use, bytes of WAL kept for it
    sees_all: bool  # who asked may see what others are doing
    asked: str  # "over the network", "in its container"


async def over_network(dsn: str, deadline: float) -> Activity:
    """Raises SourceError with the reason in plain words."""
    row = await ask_once(dsn, "diagnosis", _SQL, deadline)
    return read(str(row[0][1]), "over the network")


async def in_container(container: str, deadline: float, host: str = "") -> Activity:
    """Raises SourceError. `container`: a name or an id."""
    ends = max(1, int(deadline - 1))  # in the container, too: a client that hangs is not left behind
    script = f'exec timeout -k 1 {ends} psql -X -q -A -t -U "${{POSTGRES_USER:-postgres}}" -d postgres -c "$1"'
    words = ["exec", container, "sh", "-c", script, "sh", " ".join(_SQL.split())]
    ran = await run_docker(words, deadline=deadline, host=host)
    if ran.code is None:
        raise SourceError(f"no answer in {deadline:g} s")
    if not ran.ok:
        last = [line for line in ran.error.splitlines() if line.strip()]
        raise SourceError(clean(last[-1] if last else f"psql ended with {ran.code}", 200))
    return read(ran.out.decode(errors="replace"), "in its container")


def read(text: str, asked: str) -> Activity:
    """The row as the server gave it. Raises SourceError for what is no such row."""
    try:
        told: dict[str, Any] = json.loads(text)
        return Activity(
            version=clean(str(told["version"]), 60),
            now=float(told["now"]),
            started=float(told["started"]),
            used=int(told["used"]),
            limit=int(told["max"]) - int(told["reserved"]),
            groups=tuple(_group(one) for one in told["by"]),
            idle=_sessions(told["idle"]),
            active=_sessions(told["active"]),
            blocked=_sessions(told["blocked"]),
            blockers={one.pid: one for one in _sessions(list(told["sessions"].values()))},
            deadlocks=int(told["deadlocks"]),
            xid_age=int(told["xid_age"] or 0),
            recovery=bool(told["recovery"]),
            read_only=bool(told["read_only"]),
            size=None if told["size"] is None else int(told["size"]),
            slots=tuple((clean(str(s["name"]), 80), bool(s["active"]), s["kept"]) for s in told["slots"]),
            sees_all=bool(told["sees_all"]),
            asked=asked,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(f"the server's answer was not understood: {clean(str(error), 100)}") from error


def _group(one: Mapping[str, Any]) -> Group:
    app, address = clean(str(one["app"] or one["usename"]), 80), clean(str(one["addr"]), 60)
    return Group(int(one["n"]), clean(str(one["state"] or "unknown"), 40), app, address, one["longest"])


def _sessions(told: Sequence[Mapping[str, Any]]) -> tuple[Session, ...]:
    return tuple(
        Session(
            pid=int(one["pid"]),
            user=clean(str(one["usename"]), 80),
            app=clean(str(one["app"]), 80),
            address=clean(str(one["addr"]), 60),
            age=one["age"],
            query=statement(str(one["query"] or "")),
            blockers=tuple(one.get("blockers") or ()),
            state=clean(str(one.get("state") or ""), 40),
        )
        for one in told
    )


def statement(text: str) -> str:
    """A query without its values: they may be what users wrote to each other.

    >>> statement("INSERT INTO messages (chat, body)  VALUES (175, 'it''s at 15h')")
    "INSERT INTO messages (chat, body) VALUES (175, '?')"
    """
    return redact(clean(" ".join(_VALUE.sub("'?'", text).split()), _QUERY))
