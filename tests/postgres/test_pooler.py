"""A real pgbouncer in transaction mode between the hosts and the server, with and without being told of it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from console.incident import blobs
from console.incident.attach import attach_file
from console.replica.attachments import Attachments
from tests.postgres.cluster import Server, identity, spare_port
from tests.postgres.conftest import absent
from tests.postgres.hosts import Make, eventually, in_step, notes
from tests.postgres.test_attachments import following

_PROGRAM = "/usr/sbin/pgbouncer"


@pytest.fixture
def pooled(postgres: Server, dsn: str) -> Iterator[str]:
    """The DSN of the database by way of a pgbouncer that has three servers for everybody."""
    program = shutil.which("pgbouncer") or _PROGRAM
    if not Path(program).exists():
        absent("pgbouncer is not installed (Debian: apt-get install pgbouncer)")
    port = spare_port()
    place = postgres.data.parent / f"pgbouncer-{port}"
    place.mkdir()
    (place / "users").write_text('"ana" "correct-horse-9"\n')
    settings = place / "pgbouncer.ini"
    settings.write_text(
        f"[databases]\n* = host=127.0.0.1 port={postgres.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {place / 'users'}\n"
        "pool_mode = transaction\ndefault_pool_size = 3\nserver_round_robin = 1\n"
    )
    who = identity(postgres.user)
    if who:
        for path in (place, *place.iterdir()):
            os.chown(path, who["user"], who["group"])
    with subprocess.Popen(
        [program, str(settings)], cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **who
    ) as running:
        try:
            _accepts(port)
            yield dsn.replace(f":{postgres.port}/", f":{port}/")
        finally:
            running.send_signal(signal.SIGINT)
            try:
                running.wait(5)
            except subprocess.TimeoutExpired:
                running.kill()


def _accepts(port: int) -> None:
    end = time.monotonic() + 10
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < end, "pgbouncer does not start"
        time.sleep(0.05)


@pytest.mark.parametrize("told", [True, False])
async def test_360_entries_of_three_hosts_through_a_pooler(told: bool, host: Make, pooled: str) -> None:
    hosts = [host(f"prod-{n}", pooled, pooler=told) for n in range(3)]
    journal = hosts[0].store.create("Checkout returns 502", 1)
    hosts[0].replica.kick()
    await eventually(lambda: all(one.store.list() for one in hosts))
    away: list[str] = []

    async def write(one: int) -> None:
        own = journal if one == 0 else hosts[one].store.open(journal.incident)
        for n in range(120):
            hosts[one].write(own, f"{one}.{n}")
            if hosts[one].status.away:
                away.append(hosts[one].status.reason)
            await asyncio.sleep(0.005)

    await asyncio.gather(*(write(n) for n in range(3)))
    wanted = sorted(f"{one}.{n}" for one in range(3) for n in range(120))
    began = time.monotonic()
    await eventually(lambda: all(sorted(notes(one.store, journal.incident)) == wanted for one in hosts))
    print(f"the last entry was everywhere after {time.monotonic() - began:.2f} s")
    assert time.monotonic() - began < 5, "by asking, not by hints"
    await in_step(*hosts)
    assert not away and all(one.status.pooled for one in hosts), away


async def test_attachments_through_a_pooler(host: Make, pooled: str, tmp_path: Path) -> None:
    ana, bo = host("prod-1", pooled), host("prod-2", pooled)
    evidence = tmp_path / "trace.bin"
    evidence.write_bytes(bytes(range(256)) * 4000)
    givers = [Attachments(pooled, one.store, every=0.05) for one in (ana, bo)]
    async with following(*givers):
        journal = ana.store.create("Checkout returns 502", 1)
        sha256 = str(attach_file(journal, evidence).data["sha256"])
        ana.replica.kick()
        await eventually(lambda: bo.store.list() != [])
        place = bo.store.directory(journal.incident)
        await eventually(lambda: blobs.path(place, sha256).exists())
    assert [one.trouble for one in givers] == ["", ""]


async def test_what_a_pooler_does_to_those_who_do_not_look(pooled: str, postgres: Server) -> None:
    """The control: statements that are kept fail, notifications are swallowed without a word."""
    connections = [await asyncpg.connect(pooled) for _ in range(4)]
    heard: list[object] = []
    failed = 0

    async def ask(connection: asyncpg.Connection[Any]) -> int:
        lost = 0
        for n in range(30):
            try:
                await connection.fetch(f"select {n % 5} + $1::int", n)
            except asyncpg.PostgresError as error:
                assert error.sqlstate in ("26000", "42P05", "08P01"), error
                lost += 1
        return lost

    try:
        await connections[0].add_listener("sevdeck", lambda *told: heard.append(told))
        failed = sum(await asyncio.gather(*(ask(connection) for connection in connections)))
        await connections[1].execute("notify sevdeck, 'x'")
        await asyncio.sleep(0.2)
    finally:
        for connection in connections:
            connection.terminate()
    assert failed > 0 and heard == []
