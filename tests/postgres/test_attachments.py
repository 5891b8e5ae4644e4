"""What entries name by hash reaches the other hosts, unchanged or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from console.guide.loader import load_catalog
from console.guide.run import PlaybookRun
from console.incident import blobs
from console.incident.attach import attach_file
from console.replica.attachments import Attachments
from tests.postgres.cluster import Server
from tests.postgres.hosts import Make, eventually, in_step, owner


@asynccontextmanager
async def following(*found: Attachments) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(one.run()) for one in found]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for one in found:
            one.close()


async def test_a_checklist_begun_on_one_host_is_gone_on_with_on_another(host: Make, dsn: str, tmp_path: Path) -> None:
    ana, bo = host("prod-1"), host("prod-2")
    async with following(*(Attachments(dsn, one.store, every=0.1) for one in (ana, bo))):
        journal = ana.store.create("checkout is down", 1)
        book = load_catalog(tmp_path).get("sev1-response")
        started = PlaybookRun.start(journal, book)
        ana.replica.kick()
        await in_step(ana, bo)
        there = bo.store.open(journal.incident)
        await eventually(lambda: blobs.path(there.directory, book.sha256).exists())
        run = PlaybookRun.resume(there, bo.store.incident(journal.incident).runs[0])
        run.claim(book.steps[0].id, "bo")
        bo.replica.kick()
        await in_step(bo, ana)
    assert started.state().steps[0].claimed_by == "bo"


async def test_what_the_server_has_is_believed_only_by_its_hash(
    host: Make, postgres: Server, dsn: str, tmp_path: Path
) -> None:
    ana, bo = host("prod-1"), host("prod-2")
    journal = ana.store.create("checkout is down", 1)
    evidence = tmp_path / "trace.bin"
    evidence.write_bytes(bytes(range(256)) * 4000)  # a megabyte
    sha256 = str(attach_file(journal, evidence).data["sha256"])
    ana.replica.kick()
    await in_step(ana, bo)
    there = bo.store.open(journal.incident).directory
    giver, taker = Attachments(dsn, ana.store), Attachments(dsn, bo.store)
    try:
        assert await taker.exchange() == 0, "nobody has given it yet"
        assert await giver.exchange() == 1 and giver.waiting == 0
        assert await giver.exchange() == 0, "it is there"
        async with owner(postgres, dsn) as connection:
            await _change(connection, sha256)
        taker._resting.clear()
        assert await taker.exchange() == 0 and not blobs.path(there, sha256).exists()
        async with owner(postgres, dsn) as connection:
            await _change(connection, sha256, evidence.read_bytes())
        assert await taker.exchange() == 0, "it rests, and does not load what is wrong again and again"
        taker._resting.clear()
        assert await taker.exchange() == 1 and blobs.get(there, sha256) == evidence.read_bytes()
    finally:
        for one in (giver, taker):
            one.close()


async def test_the_server_takes_no_content_under_another_name(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for act in (
            f"insert into sevdeck.attachments values ('{'0' * 64}', 'x')",
            "delete from sevdeck.attachments",
            "update sevdeck.attachments set content = 'x'",
        ):
            with pytest.raises(asyncpg.PostgresError):
                await connection.execute(act)
    finally:
        await connection.close()


async def test_a_server_that_is_away_is_said_and_tried_again(host: Make, dsn: str) -> None:
    ana = host("prod-1", "postgresql://ana:x@127.0.0.1:1/none")
    ana.store.create("checkout is down", 1).append("attach", {"name": "a", "sha256": "0" * 64, "size": 1})
    asked: list[float] = []
    away = Attachments("postgresql://ana:x@127.0.0.1:1/none", ana.store, every=0.05)
    connect: Callable[..., Any] = away._postgres.connect

    async def counted(deadline: float) -> Any:
        asked.append(deadline)
        return await connect(deadline)

    away._postgres.connect = counted  # type: ignore[method-assign]
    async with following(away):
        await eventually(lambda: len(asked) >= 2)
    assert away.trouble == "connection refused"


async def _change(connection: asyncpg.Connection[Any], sha256: str, content: bytes = b"something else") -> None:
    """As a superuser who has switched off what keeps the record."""
    await connection.execute("alter table sevdeck.attachments disable trigger attachments_keep")
    await connection.execute("alter table sevdeck.attachments drop constraint if exists attachments_check")
    await connection.execute("update sevdeck.attachments set content = $2 where sha256 = $1", sha256, content)
