"""`sevdeck replica init / status`: prepare a database for the record, and say what is on it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from console.cli.call import Call
from console.errors import UsageError

if TYPE_CHECKING:
    from console.replica.words import Status


def register(commands: Any) -> None:
    replica = commands.add_parser("replica", help="the record on a PostgreSQL server: prepare it, look at it")
    actions = replica.add_subparsers(metavar="ACTION", required=True)
    init = actions.add_parser("init", help="make the schema and the role for writers; safe to repeat")
    init.add_argument(
        "--dsn", metavar="DSN", help="of the database's owner, or env:NAME; dsn of [replica] when left out"
    )
    init.add_argument("--login", action="append", default=[], metavar="LOGIN", help="may read and add entries")
    init.set_defaults(run=_init)
    actions.add_parser("status", help="what is on the server, and what waits").set_defaults(run=_status)


def _init(call: Call) -> int:
    from console.config import mask_dsn
    from console.replica.schema import WRITER, initialise

    dsn = call.args.dsn or call.config.extra.get("replica", {}).get("dsn", "")
    if not dsn:
        raise UsageError("no server is named", remedy="Give --dsn env:NAME, or set dsn in [replica]")
    made = asyncio.run(initialise(dsn, tuple(call.args.login)))
    data = {
        "dsn": mask_dsn(dsn),
        "schema_version": made.version,
        "created": made.created,
        "role": WRITER,
        "logins": list(made.logins),
        "did": list(made.did),
    }
    call.answer(data, "\n".join(f"{word[0].upper()}{word[1:]}." for word in made.did))
    return 0


def _status(call: Call) -> int:
    from console.incident.events import Actor
    from console.incident.store import IncidentStore
    from console.replica.replica import replica

    store = IncidentStore(call.data_dir, Actor.current("cli"))

    async def look() -> tuple[Status, list[dict[str, Any]]]:
        found = replica(call.config, store)
        if found is None:
            raise UsageError("no server is named", remedy="Set dsn in [replica]; `sevdeck replica init` prepares it")
        try:
            status, outcome = await found.look()
            return status, _incidents(outcome, found.names()) if outcome else []
        finally:
            found.close()

    status, incidents = asyncio.run(look())
    data = {
        "state": status.state,
        "reason": status.reason,
        "waiting": status.waiting,
        "missing": status.missing,
        "pooled": status.pooled,
        "incidents": incidents,
        "stopped": [
            {"incident": one.incident, "writer": one.writer, "seq": one.seq, "kind": one.kind, "reason": one.reason}
            for one in status.stopped
        ],
        "collisions": list(status.collisions),
    }
    call.answer(data, lambda: "\n".join(_lines(status, incidents)))
    return 0 if status.in_step and not status.collisions else 1


def _incidents(outcome: Any, names: dict[str, str]) -> list[dict[str, Any]]:
    """Every incident that either side knows: how many entries each has, and the last one of every writer."""
    from console.incident.durability import counts

    rows = []
    for key in sorted({*outcome.local, *outcome.remote}):
        here, there = outcome.local.get(key, {}), outcome.remote.get(key, {})
        found = counts(here, there)
        writers = [
            {
                "writer": writer,
                "saved": here[writer][0] if writer in here else 0,
                "database": there[writer][0] if writer in there else 0,
                "head": there[writer][1] if writer in there else None,
            }
            for writer in sorted({*here, *there})
        ]
        rows.append(
            {
                "id": names.get(key),
                "key": key,
                "saved": found.saved,
                "database": found.database,
                "waiting": found.waiting,
                "missing": found.missing,
                "writers": writers,
            }
        )
    return rows


def _lines(status: Status, incidents: list[dict[str, Any]]) -> list[str]:
    import time

    lines = [status.words(time.time())]
    lines += ["Through a pooler: without notifications, the server is asked every second"] if status.pooled else []
    for one in incidents:
        name = one["id"] or f"{one['key'].partition('/')[0]} (not here)"
        rest = [f"{one['waiting']} waiting"] if one["waiting"] else []
        rest += [f"{one['missing']} to fetch"] if one["missing"] else []
        lines.append(" · ".join([f"{name}  ● {one['saved']} saved", f"DB {one['database']}", *rest]))
    lines += [f"{one.kind.upper()}: {one}" for one in status.stopped]
    return [*lines, *status.collisions]
