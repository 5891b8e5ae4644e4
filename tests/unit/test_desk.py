"""What people wrote is kept until it is on disk, whoever stops waiting for it."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from console.config import Config
from console.guide.desk import Desk
from console.incident.durability import Standing
from console.incident.events import Actor
from console.incident.store import IncidentStore
from tests.unit.faulty_disk import FaultyDisk, failing

ANA = Actor("ana", host="prod-1", via="console")


class Store(IncidentStore):
    """Records on a disk that fails when told to."""

    def __init__(self, data_dir: Path) -> None:
        self.faulty = FaultyDisk()
        super().__init__(data_dir, ANA, disk=self.faulty)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(Store(tmp_path / "data"), Config(), lambda: None)
    id = IncidentStore(tmp_path / "data", replace(ANA, via="cli")).create("Something is wrong", 2).incident
    await made.follow(id)
    yield made
    await made.drain()


def notes(desk: Desk) -> list[str]:
    assert desk.incident is not None
    return [str(entry.data["text"]) for entry in desk.incident.timeline if entry.kind == "note"]


async def until(true: Callable[[], bool]) -> None:
    for _ in range(2000):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not within 20 s")


async def test_an_entry_that_a_full_disk_holds_up_outlives_who_waited_for_it(desk: Desk) -> None:
    assert isinstance(desk.store, Store)
    await desk.append("note", {"text": "before"})
    desk.store.faulty.on_write = failing(errno.ENOSPC)
    first = asyncio.ensure_future(desk.append("note", {"text": "first"}))
    await until(lambda: bool(desk.trouble))
    first.cancel()  # another question of the screen takes its place
    second = asyncio.ensure_future(desk.append("note", {"text": "second"}))
    await until(lambda: len(desk.unsaved_entries) == 2)
    (bound,) = desk.bound()
    standing = Standing(desk.heads, {bound.writer: (bound.seq, bound.hash)}, "", desk.unsaved_entries)
    assert sorted(map(standing.place, standing.unsaved)) == ["server", "unsaved"], "a server may keep one meanwhile"
    assert standing.line.startswith("◇ 1 in DB only · ○ 1 NOT SAVED · ● ")
    assert desk.unsaved.startswith("2 entries NOT SAVED") and "the disk is full" in desk.unsaved
    desk.store.faulty.on_write = lambda data: data
    await second
    await until(lambda: notes(desk) == ["before", "first", "second"])
    assert desk.incident is not None
    last = desk.incident.timeline[-1]
    assert last.at < last.written_at - 0.9, "it happened when it was said, not when there was room for it"
    assert first.cancelled() and desk.unsaved == ""


async def test_who_leaves_is_not_back_before_they_join_again(desk: Desk) -> None:
    def here() -> list[bool]:
        assert desk.incident is not None
        return [one.here for one in desk.store.incident(desk.incident.id).people]

    await desk.join()
    assert here() == [True]
    await desk.leave()
    assert here() == [False] and desk.joined, "the screen that still stands has nothing to say"
    await desk.join()
    assert here() == [True]


async def test_an_entry_that_waits_for_its_turn_is_told_and_outlives_who_waited_for_it(desk: Desk) -> None:
    """What hangs is something else than an entry: an attachment, the flight recorder."""
    answers = threading.Event()
    hanging = asyncio.ensure_future(desk.act(lambda _: answers.wait(20)))
    await until(lambda: "the disk is slow" in desk.unsaved)
    first = asyncio.ensure_future(desk.append("note", {"text": "first"}))
    await until(lambda: [entry.data["text"] for entry in desk.unsaved_entries] == ["first"])
    first.cancel()
    answers.set()
    await hanging
    await until(lambda: notes(desk) == ["first"])
    assert desk.unsaved == ""
