"""A server that is killed again and again, loses a backend, or stands still; statements that are cancelled."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from console.incident.events import Actor
from console.incident.journal import Journal
from console.incident.store import IncidentStore
from console.incident.verify import verify
from console.replica.core import NOTHING, AgainError
from console.replica.files import Files
from console.replica.postgres import PostgresServer
from console.watch.postgres import Postgres
from tests.postgres.cluster import Server
from tests.postgres.hosts import Host, Make, eventually, in_step, notes, owner

_STOPS = int(os.environ.get("SEVDECK_TEST_STOPS", "3"))  # 20 with `make faults`


async def test_a_server_that_dies_again_and_again_loses_and_doubles_nothing(
    host: Make, postgres: Server, dsn: str
) -> None:
    hosts = [host(f"prod-{n}") for n in range(3)]
    first = hosts[0].store.create("Checkout returns 502", 1)
    hosts[0].replica.kick()
    await eventually(lambda: all(one.store.list() for one in hosts))
    wanted: list[str] = []
    over = asyncio.Event()

    async def write(each: Host, journal: Journal) -> None:
        while not over.is_set():
            text = f"{each.store.actor.host} {len(wanted)}"
            each.write(journal, text)
            wanted.append(text)
            await asyncio.sleep(0.01)

    journals = [first, *(each.store.open(first.incident) for each in hosts[1:])]
    writers = [asyncio.create_task(write(each, journal)) for each, journal in zip(hosts, journals, strict=True)]
    for _ in range(_STOPS):
        for each in hosts:
            await each.until(lambda s: not s.away)
        await asyncio.sleep(random.uniform(0.0, 0.3))
        await asyncio.to_thread(postgres.stop)
        await asyncio.to_thread(postgres.start)
    over.set()
    await asyncio.gather(*writers)
    began = time.monotonic()
    await in_step(*hosts)
    took = time.monotonic() - began
    print(f"{_STOPS} stops, {len(wanted)} entries, in step {took:.2f} s after the last one")
    for each in hosts:
        assert sorted(notes(each.store, first.incident)) == sorted(wanted)
        assert verify(each.store.directory(first.incident)).ok
    async with owner(postgres, dsn) as connection:
        found = (await connection.fetch("select count(*), count(distinct doc ->> 'id') from sevdeck.events"))[0]
    assert found[0] == found[1] == len(wanted) + 4 and took < 6


async def test_a_backend_that_is_ended_is_followed_by_another(host: Make, postgres: Server, dsn: str) -> None:
    one, two = host("prod-1"), host("prod-2")
    journal = one.store.create("Checkout returns 502", 1)
    one.write(journal, "before")
    await eventually(lambda: two.store.list() != [])
    async with owner(postgres, dsn) as connection:
        for n in range(5):
            await one.until(lambda s: not s.away)
            ended = await connection.fetchval(
                "select count(pg_terminate_backend(pid)) from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid()"
            )
            assert ended >= 1
            one.write(journal, f"after {n}")
            await eventually(lambda n=n: f"after {n}" in notes(two.store, journal.incident))  # type: ignore[misc]
    await in_step(one, two)
    assert len(notes(two.store, journal.incident)) == 6


async def test_a_server_that_stands_still_does_not_answer_and_goes_on(host: Make, postgres: Server) -> None:
    one, two = host("prod-1", poll=1.0), host("prod-2", poll=1.0)
    journal = one.store.create("Checkout returns 502", 1)
    one.replica.kick()
    await eventually(lambda: two.store.list() != [])
    await in_step(one, two)
    postgres.signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        one.write(journal, "while it stands still")
        status = await one.until(lambda s: s.state == "timeout")
        print(f"said after {time.monotonic() - began:.1f} s: {status.words(time.time())}")
        assert time.monotonic() - began < 10 and status.waiting == 1
        began = time.monotonic()
        assert await one.replica.drain(0.5) == 1
        assert time.monotonic() - began < 2
    finally:
        postgres.signal(signal.SIGCONT)
    await eventually(lambda: notes(two.store, journal.incident) == ["while it stands still"])
    await in_step(one, two)


class Given:
    """One journal of a host, given to the server by hand."""

    def __init__(self, home: Path, count: int) -> None:
        store = IncidentStore(home / "prod-1", Actor("ana", host="prod-1"))
        journal = store.create("Checkout returns 502", 1)
        for n in range(count):
            journal.append("note", {"text": f"note {n}"})
        files = Files(store)
        ((self.incident, vector),) = files.heads().items()
        ((self.writer, self.head),) = vector.items()
        self.lines = files.lines(self.incident, self.writer, 0, count + 2)

    async def push(self, server: PostgresServer, after: int, count: int) -> None:
        previous = self.lines[after - 1].hash if after else NOTHING.hash
        await server.push(self.incident, self.writer, previous, self.lines[after : after + count])


async def _open(dsn: str) -> PostgresServer:
    server = PostgresServer(Postgres(dsn, "by hand"))
    await server.open(lambda _: None, lambda: None)
    return server


async def test_a_push_that_is_cancelled_may_be_repeated(dsn: str, postgres: Server, tmp_path: Path) -> None:
    given = Given(tmp_path, 58)
    server = await _open(dsn)
    cancelled = stored = seq = 0
    took = 0.015  # seconds that a push takes here
    while seq < 60:
        task = asyncio.create_task(given.push(server, seq, 3))
        await asyncio.sleep(random.uniform(0.0, took) if cancelled else 0.0)  # the first one is cancelled for sure
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            cancelled += 1
            server.terminate()  # as the replica does with what did not end well
            server = await _open(dsn)
        found = (await server.heads(None)).get(given.incident, {}).get(given.writer, NOTHING)
        assert found == NOTHING or found.hash == given.lines[found.seq - 1].hash
        stored += task.cancelled() and found.seq > seq
        seq = found.seq
        if seq:
            began = time.monotonic()
            await given.push(server, max(0, seq - 5), 5)  # once more, what is there
            took = (time.monotonic() - began) / 2  # of what was stored, more than half of them are over sooner
    print(f"{cancelled} cancelled, {stored} of them had been stored")
    await given.push(server, 0, 60)
    with pytest.raises(AgainError):  # the control: one that does not go on from what is there
        await server.push(given.incident, "0" * 32, given.head.hash, given.lines[-1:])
    server.terminate()
    async with owner(postgres, dsn) as connection:
        rows = await connection.fetch("select hash from sevdeck.events order by seq")
    assert [row[0] for row in rows] == [line.hash for line in given.lines] and cancelled > 0


async def test_without_the_check_of_the_server_a_loss_is_noticed_all_the_same(
    host: Make, postgres: Server, dsn: str
) -> None:
    """The control: a server that swallows a different entry under the same number, as `on conflict do nothing` does."""
    async with owner(postgres, dsn) as connection:
        await connection.execute(
            "create or replace function sevdeck.check_event() returns trigger language plpgsql as $$ begin "
            "if exists (select from sevdeck.events e where e.writer_id = new.writer_id and e.seq = new.seq) then "
            "return null; end if; return new; end $$"
        )
    one = host("prod-1", poll=60.0)
    journal = one.store.create("Checkout returns 502", 1)
    one.write(journal, "true")
    await one.until(lambda s: s.in_step and bool(s.vectors))
    async with owner(postgres, dsn) as connection:
        await connection.execute("alter table sevdeck.events disable trigger events_tell")
        await _put_another(connection)
    one.write(journal, "swallowed")
    status = await one.until(lambda s: s.state == "fork")
    print(status.words(time.time()))
    assert status.waiting and "entry 4" in status.reason and status.vectors == {journal.incident: {}}


async def _put_another(connection: asyncpg.Connection[Any]) -> None:
    """Entry 4 of the only writer, before that one writes it."""
    await connection.execute(
        "insert into sevdeck.events (incident, writer_id, seq, hash, previous, body) "
        "select incident, writer_id, 4, repeat('a', 64), hash, body from sevdeck.events where seq = 3"
    )
