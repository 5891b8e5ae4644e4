"""Hosts with records of their own and a replica that runs, and waiting for what they do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from console.incident.events import Actor
from console.incident.journal import Journal
from console.incident.store import IncidentStore
from console.replica.replica import Replica
from console.replica.words import Status
from tests.postgres.cluster import Server

LIMIT = 15.0  # seconds for anything that is waited for


class Host:
    """A data directory of its own and a replica of it that runs."""

    def __init__(self, home: Path, name: str, dsn: str, **more: Any) -> None:
        self.store = IncidentStore(home / name, Actor("ana", host=name))
        self.seen = asyncio.Condition()
        self.replica = Replica(dsn, self.store, self._changed, **more)
        self.task = asyncio.create_task(self.replica.run())
        self._bell = asyncio.Event()

    def _changed(self) -> None:
        self._bell.set()

    @property
    def status(self) -> Status:
        return self.replica.status

    async def until(self, true: Callable[[Status], bool], limit: float = LIMIT) -> Status:
        try:
            async with asyncio.timeout(limit):
                while not true(self.status):
                    await self._bell.wait()
                    self._bell.clear()
        except TimeoutError:
            raise AssertionError(f"still {self.status}") from None
        return self.status

    def write(self, journal: Journal, *texts: str) -> None:
        for text in texts:
            journal.append("note", {"text": text})
        self.replica.kick()

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        self.replica.close()


def notes(store: IncidentStore, id: str) -> list[str]:
    return [str(event.data["text"]) for event in store.open(id).events() if event.kind == "note"]


async def eventually(true: Callable[[], bool], limit: float = LIMIT) -> None:
    end = time.monotonic() + limit
    while not true():  # what files and servers hold: nothing to await
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(0.02)


async def in_step(*hosts: Host) -> None:
    """Each has given everything, and then each has asked once more."""
    for each in (*hosts, *hosts):
        assert await each.replica.drain(LIMIT) == 0
        assert each.status.in_step, each.status


Make = Callable[..., Host]


@asynccontextmanager
async def owner(postgres: Server, dsn: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    connection: asyncpg.Connection[Any] = await asyncpg.connect(postgres.dsn(dsn.rpartition("/")[2]))
    try:
        yield connection
    finally:
        await connection.close()
