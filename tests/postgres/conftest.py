"""One private PostgreSQL for all of these tests, and what they do where something is not installed."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from console.replica.schema import initialise
from tests.postgres.cluster import AbsentError, Server, private_server
from tests.postgres.hosts import Host

_REQUIRED = "SEVDECK_REQUIRE_ENGINE"  # in CI a skipped engine test is a failure


def absent(reason: str) -> None:
    """Skip, or fail where the real thing is required."""
    if os.environ.get(_REQUIRED) == "1":
        pytest.fail(f"{reason}, and {_REQUIRED}=1", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    try:
        with private_server() as server:
            yield server
    except AbsentError as error:
        absent(str(error))


@pytest.fixture
async def dsn(postgres: Server) -> AsyncIterator[str]:
    """A database of its own with the schema, as a login that may only add."""
    name = f"record_{time.monotonic_ns()}"
    admin: asyncpg.Connection[Any] = await asyncpg.connect(postgres.dsn())
    await admin.execute(f"create database {name}")
    if not await admin.fetchval("select exists (select from pg_roles where rolname = 'ana')"):
        await admin.execute("create role ana login password 'correct-horse-9'")
    await admin.close()
    await initialise(postgres.dsn(name), ("ana",))
    yield postgres.dsn(name).replace("postgres:correct", "ana:correct")


@pytest.fixture
async def host(tmp_path: Path, dsn: str) -> AsyncIterator[Callable[..., Host]]:
    hosts: list[Host] = []

    def make(name: str = "prod-1", to: str = dsn, **more: Any) -> Host:
        hosts.append(Host(tmp_path, name, to, **more))
        return hosts[-1]

    yield make
    for one in hosts:
        await one.stop()
