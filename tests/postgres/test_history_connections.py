"""How many connections a real PostgreSQL has, for the history."""

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
from console.watch.history.connections import ask, follow
from console.watch.history.series import Sample
from console.watch.readings import Readings
from tests.postgres.cluster import Server


class Heard(Keeper[None]):
    """Says when it was given a figure."""

    def __init__(self, data_dir: Path, clock: Callable[[], float]) -> None:
        super().__init__(data_dir, clock=clock)
        self.given = asyncio.Event()

    def also(self, sample: Sample) -> None:
        super().also(sample)
        self.given.set()


async def test_connections_are_counted_and_ours_is_not(postgres: Server) -> None:
    used, most = await ask(postgres.dsn())
    others = [await asyncpg.connect(postgres.dsn()) for _ in range(3)]
    assert await ask(postgres.dsn()) == (used + 3, most)
    assert most > used + 3
    for one in others:
        await one.close()


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
    found = load(place(tmp_path), now).series["database", "db", "connections"]
    assert len(found.minutes.known) == 1 and found.limit is not None and found.limit > 10
    keeper.close()
