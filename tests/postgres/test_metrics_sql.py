"""Metrics and probes against a real PostgreSQL: numbers, read-only, time limits, restarts, refusals."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from console.config import MetricConfig, ProbeConfig, StoreConfig
from console.watch.metrics import MetricPoint, MetricsSource
from console.watch.probes import ProbeResult, run_probe
from tests.postgres.cluster import Server


@pytest.fixture
async def database(postgres: Server) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A table of five bookings, and a hand in the server that is not ours."""
    connection: asyncpg.Connection[Any] = await asyncpg.connect(postgres.dsn())
    await connection.execute(
        "drop table if exists bookings; create table bookings (amount numeric);"
        "insert into bookings select generate_series(1, 5)"
    )
    yield connection
    await connection.close()


def sql(query: str, **more: Any) -> MetricConfig:
    return MetricConfig(**{"name": query[:40], "kind": "sql", "query": query, **more})


async def measure(dsn: str, *configs: MetricConfig) -> tuple[MetricPoint, ...]:
    source = MetricsSource(configs, StoreConfig(dsn=dsn))
    try:
        return (await source.read_once()).metrics
    finally:
        await source.close()


async def test_numbers_and_what_was_before(postgres: Server, database: asyncpg.Connection[Any]) -> None:
    count, total, pair, order, age, null = await measure(
        postgres.dsn(),
        sql("select count(*) from bookings;", warn=3),
        sql("select sum(amount) / 2 from bookings"),
        sql("select 3 as previous, 9.5 as value"),
        sql("select 10, 8"),
        sql("select interval '90 seconds'"),
        sql("select sum(amount) from bookings where amount > 100"),
    )
    assert (count.value, count.status, count.limit) == (5.0, "warn", "> 3")
    assert total.value == 7.5
    assert (pair.value, pair.previous) == (9.5, 3.0)
    assert (order.value, order.previous, order.change) == (10.0, 8.0, 25.0)
    assert age.value == 90.0
    assert (null.value, null.status, null.fault) == (None, "unknown", "the query gives null")


async def test_no_query_can_change_anything(postgres: Server, database: asyncpg.Connection[Any]) -> None:
    await database.execute(
        "create or replace function sneaky() returns int language sql as 'delete from bookings returning 1'"
    )
    points = await measure(
        postgres.dsn(),
        sql("delete from bookings returning 1"),
        sql("select sneaky()"),
        sql("with gone as (delete from bookings returning 1) select count(*) from gone"),
        sql("select 1; delete from bookings"),
        sql("commit"),
        sql("select setval('s', 1) from (select 1) x"),
    )
    assert [point.value for point in points] == [None] * 6
    assert [point.fault for point in points][:3] == ["the query would change data"] * 3
    assert await database.fetchval("select count(*) from bookings") == 5


async def test_results_that_are_no_number(postgres: Server, database: asyncpg.Connection[Any]) -> None:
    points = await measure(
        postgres.dsn(),
        sql("select amount from bookings"),
        sql("select amount from bookings where false"),
        sql("select 1, 2, 3"),
        sql("select 'many'"),
        sql("select 'NaN'::float8"),
        sql("select nothing from nowhere"),
    )
    assert [point.fault for point in points] == [
        "the query gives more than one row",
        "the query gives no row",
        "the query gives 3 columns; it should give a value, and perhaps a previous one",
        "the query gives something that is no number",
        "the query gives something that is no number",
        'relation "nowhere" does not exist',
    ]


async def test_a_slow_query_is_stopped_at_the_server_and_delays_no_other(
    postgres: Server, database: asyncpg.Connection[Any]
) -> None:
    source = MetricsSource([sql("select pg_sleep(60), 1"), sql("select 1")], StoreConfig(dsn=postgres.dsn()))
    began = time.monotonic()
    await source.read()
    await source.changed()
    slow, quick = (await source.read()).metrics
    assert quick.value == 1.0 and slow.value is None
    assert time.monotonic() - began < 2.5
    while not slow.fault.startswith("the query takes"):
        await asyncio.wait_for(source.changed(), 10)
        slow = (await source.read()).metrics[0]
    assert slow.fault == "the query takes longer than 3 s"
    running = "select count(*) from pg_stat_activity where query like '%pg_sleep%' and state = 'active' and pid <> pg_backend_pid()"
    assert await database.fetchval(running) == 0
    await source.close()


async def test_a_locked_table_costs_one_metric_its_value(postgres: Server, database: asyncpg.Connection[Any]) -> None:
    async with database.transaction():
        await database.execute("lock table bookings")
        locked, free = await measure(postgres.dsn(), sql("select count(*) from bookings"), sql("select 2"))
    assert locked.value is None and free.value == 2.0


async def test_few_connections_however_many_metrics(postgres: Server, database: asyncpg.Connection[Any]) -> None:
    source = MetricsSource([sql(f"select {n} from pg_sleep(0.05)") for n in range(12)], StoreConfig(dsn=postgres.dsn()))
    points = (await source.read_once()).metrics
    ours = "select count(*) from pg_stat_activity where application_name = 'sevdeck'"
    used = await database.fetchval(ours)
    await source.close()
    assert [point.value for point in points] == [float(n) for n in range(12)]
    assert 1 <= used <= 3


async def test_a_restarted_server_is_found_again_without_a_failure(
    postgres: Server, database: asyncpg.Connection[Any]
) -> None:
    source = MetricsSource([sql("select 4")], StoreConfig(dsn=postgres.dsn()))
    assert (await source.read_once()).metrics[0].value == 4.0
    killed = "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'sevdeck'"
    assert await database.fetchval(killed) == 1
    point = (await source.read_once()).metrics[0]
    await source.close()
    assert (point.value, point.fault) == (4.0, "")


async def probed(dsn: str) -> ProbeResult:
    return await run_probe(ProbeConfig("db", "postgres", dsn, timeout=3.0))


async def test_the_probe_names_what_is_wrong(
    postgres: Server, database: asyncpg.Connection[Any], tmp_path: Path
) -> None:
    reference = tmp_path / "dsn"
    reference.write_text(postgres.dsn() + "\n")
    well = await probed(f"file:{reference}")
    assert well.ok and well.detail.startswith("select 1 in ")
    assert (await probed(postgres.dsn(host="localhost"))).ok
    wrong = await probed(postgres.dsn(password="wrong-horse-8"))
    assert (wrong.ok, wrong.detail) == (False, "password refused")
    assert "wrong-horse" not in repr(wrong)
    assert (await probed(postgres.dsn("nowhere"))).detail == "the database does not exist"


async def test_the_probe_sees_a_stopped_server_and_its_return(postgres: Server) -> None:
    postgres.stop()
    try:
        down = await probed(postgres.dsn())
    finally:
        postgres.start()
    assert (down.ok, down.detail) == (False, "connection refused")
    assert (await probed(postgres.dsn())).ok
