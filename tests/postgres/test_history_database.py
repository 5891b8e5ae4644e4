"""What a real PostgreSQL is asked for the history: connections, deadlocks, how large it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from console.config import Config, StoreConfig
from console.errors import SourceError
from console.watch.history import Keeper, load, place
from console.watch.history.database import ask, follow
from console.watch.history.series import Sample
from console.watch.readings import Readings
from tests.postgres.cluster import Server


class Heard(Keeper[None]):
    """Says when it was given the last of the figures."""

    def __init__(self, data_dir: Path, clock: Callable[[], float]) -> None:
        super().__init__(data_dir, clock=clock)
        self.given = asyncio.Event()

    def also(self, sample: Sample) -> None:
        super().also(sample)
        if sample.key[2] == "size":
            self.given.set()


async def test_connections_are_counted_and_ours_is_not(postgres: Server) -> None:
    used, most, _ = await ask(postgres.dsn())
    others = [await asyncpg.connect(postgres.dsn()) for _ in range(3)]
    assert (await ask(postgres.dsn()))[:2] == [used + 3, most]
    assert most > used + 3
    for one in others:
        await one.close()


async def test_deadlocks_are_counted(postgres: Server) -> None:
    _, _, before = await ask(postgres.dsn())
    one, other = [await asyncpg.connect(postgres.dsn()) for _ in range(2)]
    try:
        await one.execute("create table if not exists pair (id int primary key, n int)")
        await one.execute("insert into pair values (1, 0), (2, 0) on conflict do nothing")
        first, second = one.transaction(), other.transaction()
        await first.start()
        await second.start()
        await one.execute("update pair set n = 1 where id = 1")
        await other.execute("update pair set n = 1 where id = 2")
        ends = await asyncio.gather(
            one.execute("update pair set n = 1 where id = 2"),
            other.execute("update pair set n = 1 where id = 1"),
            return_exceptions=True,
        )
        assert [type(end) for end in ends].count(asyncpg.DeadlockDetectedError) == 1
    finally:
        await one.close()  # a backend tells its figures when it ends
        await other.close()
    for _ in range(100):
        if (now := (await ask(postgres.dsn()))[2]) > before:
            break
        await asyncio.sleep(0.1)
    assert now == before + 1


async def test_a_server_that_is_away_is_a_reason_in_words(postgres: Server) -> None:
    with pytest.raises(SourceError):
        await ask(postgres.dsn().replace(f":{postgres.port}", ":1"))


async def test_they_are_among_the_figures_of_the_minute(postgres: Server, tmp_path: Path) -> None:
    now = 1_790_000_000.0
    keeper = Heard(tmp_path, lambda: now)
    keeper.turn()
    asking = asyncio.ensure_future(follow(keeper, replace(Config(), database=StoreConfig(postgres.dsn(), "db"))))
    await asyncio.wait_for(keeper.given.wait(), 20)
    asking.cancel()
    keeper.take(Readings())
    now += 60
    keeper.take(Readings())
    keeper.turn()
    every = load(place(tmp_path), now).series
    found = every["database", "db", "connections"]
    assert len(found.minutes.known) == 1 and found.limit is not None and found.limit > 10
    ((_, size),) = every["database", "db", "size"].minutes.known
    assert 5_000_000 < size < 10**10
    assert ("database", "db", "deadlocks") in every
    keeper.close()
