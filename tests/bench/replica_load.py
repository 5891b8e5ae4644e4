"""One responder of a load, as a process: `python -m tests.bench.replica_load replica|bare DSN DIRECTORY SECONDS PACE`.

It says "ready", begins when it reads a line, writes `PACE` entries a second, and prints as JSON the milliseconds from
before each write of another responder until this one had it, durable and verified. It ends a moment after a second
line. `bare` is the least that such an exchange can be: a sync of a file, an insert that notifies, a select, a sync.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
import uuid
from pathlib import Path
from typing import Any

from console.incident.events import Actor
from console.incident.journal import Journal
from console.incident.store import IncidentStore
from tests.bench.timing import BareFile

_SIZE = 390  # bytes of such a line of the journal


async def _line() -> str:
    return await asyncio.to_thread(sys.stdin.readline)


async def _paced(seconds: float, pace: float) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        await asyncio.sleep(random.uniform(0.5, 1.5) / pace)
        yield


async def _replica(dsn: str, directory: Path, seconds: float, pace: float) -> dict[str, Any]:
    from console.replica.replica import Replica

    host = directory.name
    store = IncidentStore(directory, Actor("ana", host=host))
    bell = asyncio.Event()
    replica = Replica(dsn, store, bell.set)
    running = asyncio.create_task(replica.run())
    while not store.list():
        bell.clear()
        await bell.wait()
    journal: Journal = store.open(store.list()[0].id)
    journal.append("note", {"text": "here"})
    journal.poll()
    replica.kick()
    seen: list[float] = []
    written: list[float] = []

    async def watch() -> None:
        while True:
            await bell.wait()
            bell.clear()
            for event in journal.poll():
                if event.actor.host != host and "sent" in event.data:
                    seen.append(1000 * (time.time() - event.data["sent"]))

    print("ready", flush=True)
    await _line()
    watching = asyncio.create_task(watch())
    cpu = time.process_time()
    async for _ in _paced(seconds, pace):
        began = time.time()
        await asyncio.to_thread(journal.append, "note", {"text": f"looked at worker {len(written)}", "sent": began})
        written.append(1000 * (time.time() - began))
        replica.kick()
    await _line()
    cpu = time.process_time() - cpu
    bell.set()
    await asyncio.sleep(0.1)
    left = await replica.drain(5.0)
    watching.cancel()
    running.cancel()
    await asyncio.gather(watching, running, return_exceptions=True)
    replica.close()
    return {"seen": seen, "written": written, "left": left, "cpu": cpu}


async def _bare(dsn: str, directory: Path, seconds: float, pace: float) -> dict[str, Any]:
    import asyncpg

    writer = uuid.uuid4().hex
    connection: asyncpg.Connection[Any] = await asyncpg.connect(dsn)
    own, mirror = (BareFile(directory / name, _SIZE) for name in ("own", "mirror"))
    heard = asyncio.Event()
    await connection.add_listener("bare", lambda *_: heard.set())
    rows = await connection.fetch("select writer, max(seq) from bare group by 1")
    after: dict[str, int] = {row[0]: row[1] for row in rows}  # of earlier loads
    seen: list[float] = []
    turn = asyncio.Lock()

    async def watch() -> None:
        while True:
            await heard.wait()
            heard.clear()
            async with turn:
                rows = await connection.fetch(
                    "select b.writer, b.seq, b.sent from bare b left join unnest($1::text[], $2::bigint[]) k(w, s) "
                    "on k.w = b.writer where b.writer <> $3 and b.seq > coalesce(k.s, 0) order by b.writer, b.seq",
                    list(after), list(after.values()), writer,
                )  # fmt: skip
            if rows:
                await asyncio.to_thread(mirror.append)
            for name, seq, sent in rows:
                after[name] = seq
                seen.append(1000 * (time.time() - sent))

    print("ready", flush=True)
    await _line()
    watching = asyncio.create_task(watch())
    written: list[float] = []
    cpu = time.process_time()
    async for _ in _paced(seconds, pace):
        began = time.time()
        await asyncio.to_thread(own.append)
        written.append(1000 * (time.time() - began))
        async with turn:
            await connection.execute(
                "with told as (select pg_notify('bare', 'x')) insert into bare select $1, $2, $3, $4 from told",
                writer, len(written), began, "x" * _SIZE,
            )  # fmt: skip
    await _line()
    cpu = time.process_time() - cpu
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await connection.close()
    return {"seen": seen, "written": written, "left": 0, "cpu": cpu}


def main() -> int:
    how, dsn, directory, seconds, pace = sys.argv[1], sys.argv[2], Path(sys.argv[3]), *map(float, sys.argv[4:6])
    work = _bare if how == "bare" else _replica
    print(json.dumps(asyncio.run(work(dsn, directory, seconds, pace))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
