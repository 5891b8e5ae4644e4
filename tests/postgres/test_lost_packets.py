"""Ways to the server on which packets are lost, refused, or slow."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from tests.postgres.cluster import Server
from tests.postgres.conftest import absent
from tests.postgres.hosts import Make, eventually, in_step, notes


@pytest.mark.timeout(180)
def test_packets_that_are_really_lost(postgres: Server) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may drop packets")
    for program in ("unshare", "iptables", "ip"):
        if shutil.which(program) is None:
            absent(f"{program} is not installed (Debian: apt-get install util-linux iptables iproute2)")
    command = ["unshare", "-n", sys.executable, "-m", "tests.postgres.cut_off"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=150)
    assert ran.returncode == 0, ran.stderr[-3000:]
    told = json.loads(ran.stdout.splitlines()[-1])
    print(json.dumps(told, indent=1))
    assert told["idle, lost: noticed"] <= 12 and told["written, lost: noticed"] <= 12
    assert told["lost: quit"] <= 2 and told["lost: waiting"] == "1"
    assert told["reset: noticed"] <= 3
    assert all(told[name] <= 12 for name in ("found again", "found once more", "after the reset"))
    assert told["entries"] == "refused"


class Slow:
    """A way to the server on which every byte takes a while, in both directions."""

    def __init__(self, port: int, delay: float) -> None:
        self._to, self._delay = port, delay
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Slow:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        for source, sink in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._pass(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(4096):  # 4 kB each delay: at 0.2 s that is 20 kB/s
                await asyncio.sleep(self._delay)
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.close()


async def test_over_a_slow_way_entries_still_flow(host: Make, postgres: Server, dsn: str) -> None:
    async with Slow(postgres.port, 0.2) as way:
        far = host("prod-1", dsn.replace(f":{postgres.port}/", f":{way.port}/"))
        near = host("prod-2")
        journal = far.store.create("Checkout returns 502", 1)
        far.write(journal, *(f"note {n}" for n in range(20)))
        await far.until(lambda s: s.in_step and bool(s.vectors))
        await eventually(lambda: near.store.list() != [] and len(notes(near.store, journal.incident)) == 20)
        began = time.monotonic()
        far.write(journal, "from far away")
        await eventually(lambda: "from far away" in notes(near.store, journal.incident))
        print(f"from far away after {time.monotonic() - began:.2f} s")
        assert time.monotonic() - began < 5
        own = near.store.open(journal.incident)
        near.write(own, "to far away")
        await eventually(lambda: "to far away" in notes(far.store, journal.incident))
        await in_step(far)
