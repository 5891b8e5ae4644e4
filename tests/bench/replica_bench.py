"""How long it takes until an entry of one responder is in another's hands, through a server, and what faults cost.

Each load is run by processes of their own, after a load of bare ones that sync, insert, notify, select and sync on the
same server and disk: how far apart the two are is ours, the rest is the machine's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncpg

from console.incident.events import Actor
from console.incident.store import IncidentStore
from console.replica.schema import initialise
from tests.bench.table import Row
from tests.bench.timing import at, p50_p99
from tests.postgres.cluster import AbsentError, Server, private_server
from tests.postgres.hosts import Host, in_step, notes
from tests.postgres.ways import BlackHole

_PACE = 10.0  # entries a second of each responder
_TURNS = 3
_LATER = 1.0  # seconds after the last write until everything must have come
_BACKLOG = 10_000


def rows(quick: bool) -> list[Row]:
    """Every bound of the replica; one row that says why where there is no PostgreSQL."""
    try:
        with (
            private_server("fsync=on") as server,
            tempfile.TemporaryDirectory(prefix="bench-", dir=Path.home()) as name,
        ):
            folder = Path(name)
            out: list[Row] = []
            for responders in (2, 4):
                out += _seen(server, folder / f"seen-{responders}", responders, 4.0 if quick else 15.0)
            out += asyncio.run(_unheard(server, folder / "unheard"))
            out += asyncio.run(_crashes(server, folder / "crashes", 5))
            out += asyncio.run(_backlog(server, folder / "backlog", _BACKLOG // 10 if quick else _BACKLOG))
            return [*out, *asyncio.run(_hole(server, folder / "hole"))]
    except AbsentError as error:
        return [Row("the replica", "not measured", str(error), "", "")]


async def _database(server: Server, name: str) -> str:
    admin: asyncpg.Connection[Any] = await asyncpg.connect(server.dsn())
    await admin.execute(f"create database {name}")
    await admin.close()
    await initialise(server.dsn(name))
    bare: asyncpg.Connection[Any] = await asyncpg.connect(server.dsn(name))
    await bare.execute("create table bare (writer text, seq bigint, sent float8, body text, primary key (writer, seq))")
    await bare.close()
    return server.dsn(name)


# -- write to seen


def _seen(server: Server, folder: Path, responders: int, seconds: float) -> list[Row]:
    dsn = asyncio.run(_database(server, f"seen_{responders}"))
    homes = [folder / f"host-{n}" for n in range(responders)]
    IncidentStore(homes[0], Actor("ana", host=homes[0].name)).create("Checkout returns 502", 1).close()
    bare, ours = [], []
    for turn in range(_TURNS):  # in turn, because a shared disk is another one from minute to minute
        bare += _load("bare", dsn, [folder / f"bare-{turn}-{n}" for n in range(responders)], seconds / _TURNS)
        ours += _load("replica", dsn, homes, seconds / _TURNS)
    wanted = sum(len(one["written"]) for one in ours) * (responders - 1)
    seen, beside = ([time for one in found for time in one["seen"]] for found in (ours, bare))
    cpu, bare_cpu = (sum(one["cpu"] for one in found) / responders / seconds for found in (ours, bare))
    return [
        Row(
            f"{responders} responders, {_PACE:.0f} entries a second each: from before the write until another one has it",
            f"{p50_p99(seen)}, {len(seen)} of {wanted} seen",
            f"bare sync + insert + notify + select + sync {p50_p99(beside)}",
            f"{at(seen, 0.5) / at(beside, 0.5):.2f} x / {at(seen, 0.99) / at(beside, 0.99):.2f} x",
            "p50 20 ms, p99 80 ms, all",
        ),
        Row(
            "... what one responder's process needs for it",
            f"{cpu:.0%} of a core",
            f"bare {bare_cpu:.0%}",
            f"{cpu / bare_cpu:.1f} x" if bare_cpu else "",
            "",
        ),
    ]


def _load(how: str, dsn: str, homes: list[Path], seconds: float) -> list[dict[str, Any]]:
    started = []
    for home in homes:
        home.mkdir(parents=True, exist_ok=True)
        words = [how, dsn, str(home), str(seconds), str(_PACE)]
        command = [sys.executable, "-m", "tests.bench.replica_load", *words]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    for one in started:
        assert one.stdout is not None and one.stdout.readline() == "ready\n"
    time.sleep(0.5)  # until each knows of each
    for pause in (seconds + _LATER, 0.0):
        for one in started:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        time.sleep(pause)
    return [json.loads(one.communicate(timeout=60)[0]) for one in started]


# -- faults


@contextlib.asynccontextmanager
async def _hosts(folder: Path, *dsns: str) -> AsyncIterator[list[Host]]:
    made = [Host(folder, f"prod-{n}", dsn) for n, dsn in enumerate(dsns)]
    try:
        yield made
    finally:
        for one in made:
            await one.stop()


async def _unheard(server: Server, folder: Path) -> list[Row]:
    """The trigger that notifies is off: what comes, comes by asking."""
    dsn = await _database(server, "unheard")
    async with _hosts(folder, dsn, dsn) as (one, two):
        journal = one.store.create("Checkout returns 502", 1)
        one.replica.kick()
        await in_step(one, two)
        owner: asyncpg.Connection[Any] = await asyncpg.connect(dsn)
        await owner.execute("alter table sevdeck.events disable trigger events_tell")
        await owner.close()
        began = time.monotonic()
        one.write(journal, "unheard")
        await _until(lambda: notes(two.store, journal.incident) == ["unheard"])
        took = time.monotonic() - began
    return [Row("a notification is lost: seen by asking", f"{took:.1f} s", "it is asked every 5 s", "", "6 s")]


async def _crashes(server: Server, folder: Path, times: int) -> list[Row]:
    dsn = await _database(server, "crashes")
    written: list[str] = []
    over = asyncio.Event()
    async with _hosts(folder, dsn, dsn) as hosts:
        journal = hosts[0].store.create("Checkout returns 502", 1)
        hosts[0].replica.kick()
        await in_step(*hosts)

        async def write() -> None:
            while not over.is_set():
                written.append(f"note {len(written)}")
                hosts[0].write(journal, written[-1])
                await asyncio.sleep(0.01)

        writing = asyncio.create_task(write())
        for _ in range(times):
            await hosts[0].until(lambda s: not s.away)
            await asyncio.sleep(0.2)
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)
        over.set()
        await writing
        began = time.monotonic()
        await in_step(*hosts)
        took = time.monotonic() - began
        found = notes(hosts[1].store, journal.incident)
    lost, doubled = len(set(written) - set(found)), len(found) - len(set(found))
    return [
        Row(
            f"the server is killed {times} times while {len(written)} entries are written",
            f"{lost} lost, {doubled} doubled, in step {took:.2f} s after the last one",
            "",
            "",
            "0 lost, 0 doubled, 6 s",
        )
    ]


async def _backlog(server: Server, folder: Path, count: int) -> list[Row]:
    dsn = await _database(server, "backlog")
    store = IncidentStore(folder / "prod-0", Actor("ana", host="prod-0"))
    journal = store.create("Checkout returns 502", 1)
    for n in range(count):
        journal.append("note", {"text": f"looked at worker {n}, which answers in {n % 97} ms"})
    began = time.monotonic()
    async with _hosts(folder, dsn, dsn) as (one, two):
        await one.until(lambda s: s.in_step and s.waiting == 0 and bool(s.vectors), 120)
        given = time.monotonic() - began
        await two.until(lambda s: s.missing == 0 and _entries(two, journal.incident) == count + 2, 120)
        taken = time.monotonic() - began
    lines = journal.directory.glob("*.jsonl")
    bare = await _copied(dsn, [line for file in lines for line in file.read_text().splitlines()])
    return [
        Row(
            f"{count:,} entries that were written while the server was away: on it / on another host",
            f"{given:.1f} / {taken:.1f} s",
            f"bare inserts of 2,000 lines {bare:.2f} s",
            f"{given / bare:.1f} x",
            "6 s each",
        )
    ]


def _entries(host: Host, incident: str) -> int:
    return sum(head.seq for head in host.status.vectors.get(incident, {}).values())


async def _copied(dsn: str, lines: list[str]) -> float:
    connection: asyncpg.Connection[Any] = await asyncpg.connect(dsn)
    began = time.monotonic()
    for start in range(0, len(lines), 2000):
        some = lines[start : start + 2000]
        await connection.execute(
            "insert into bare select 'x', n, 0, line from unnest($1::bigint[], $2::text[]) many(n, line)",
            list(range(start, start + len(some))), some,
        )  # fmt: skip
    took = time.monotonic() - began
    await connection.close()
    return took


async def _hole(server: Server, folder: Path) -> list[Row]:
    dsn = await _database(server, "hole")
    async with (
        BlackHole(server.port) as way,
        _hosts(folder, dsn.replace(f":{server.port}/", f":{way.port}/")) as (one,),
    ):
        journal = one.store.create("Checkout returns 502", 1)
        one.replica.kick()
        await in_step(one)
        way.swallow()
        began = time.monotonic()
        await one.until(lambda s: s.away, 60)
        idle = time.monotonic() - began
        way.release()
        await one.until(lambda s: s.in_step, 60)
        way.swallow()
        one.write(journal, "into the dark")
        began = time.monotonic()
        left = await one.replica.drain(1.5)
        quit = time.monotonic() - began
        await one.until(lambda s: s.away, 60)
        noticed = time.monotonic() - began
    return [
        Row("a black hole: noticed while idle / after a write", f"{idle:.1f} / {noticed:.1f} s", "", "", "20 s"),
        Row("quitting in it, with an entry that waits", f"{quit:.1f} s, {left} said to wait", "", "", "4 s"),
    ]


async def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(0.02)
