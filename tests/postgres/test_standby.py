"""A real standby that streams from the server: it gives, it takes nothing, and goes on when it is promoted."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.postgres.cluster import PASSWORD, Server, run, spare_port
from tests.postgres.hosts import Make, eventually, in_step, notes


@pytest.fixture
def standby(postgres: Server) -> Iterator[Server]:
    found = replace(postgres, data=postgres.data.parent / f"standby-{spare_port()}", port=spare_port())
    run(
        postgres.user, str(postgres.bin / "pg_basebackup"), "-R", "-D", str(found.data), "-c", "fast", "--no-sync",
        "-d", f"host=127.0.0.1 port={postgres.port} user=postgres password={PASSWORD}",
    )  # fmt: skip
    found.start()
    try:
        yield found
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            found.stop()


async def test_a_standby_gives_and_when_promoted_takes(host: Make, postgres: Server, dsn: str, standby: Server) -> None:
    writer = host("prod-1")
    journal = writer.store.create("Checkout returns 502", 1)
    writer.write(journal, "on the server")
    reader = host("prod-2", dsn.replace(f":{postgres.port}/", f":{standby.port}/"), poll=0.5)
    await eventually(lambda: reader.store.list() != [] and len(notes(reader.store, journal.incident)) == 1)
    status = await reader.until(lambda s: s.state == "read only")
    assert "standby" in status.reason
    own = reader.store.open(journal.incident)
    reader.write(own, "waits", "too")
    status = await reader.until(lambda s: s.waiting == 2)
    assert status.state == "read only"
    writer.write(journal, "comes by the stream")
    await eventually(lambda: "comes by the stream" in notes(reader.store, journal.incident))
    assert reader.status.state == "read only" and not reader.status.away
    standby.promote()
    status = await reader.until(lambda s: s.in_step and s.waiting == 0)
    await in_step(reader)
    other = host("prod-3", dsn.replace(f":{postgres.port}/", f":{standby.port}/"))
    await eventually(lambda: other.store.list() != [] and len(notes(other.store, journal.incident)) == 4)
