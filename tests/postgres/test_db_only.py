"""An entry that the disk does not take, and the server does: on it with the bytes that it has on the disk later."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from console.incident.chain import frame
from console.incident.durability import place
from console.incident.events import new_id
from console.incident.journal import Journal, NotSavedError
from console.incident.verify import verify
from console.incident.writer import Bound
from tests.postgres.cluster import Server
from tests.postgres.hosts import Host, Make, eventually, in_step, notes, owner
from tests.unit.faulty_disk import FaultyDisk, failing


def _bound(journal: Journal) -> list[Bound]:
    found = journal.bound()
    return [found] if found is not None else []


async def _full(one: Host, disk: FaultyDisk) -> tuple[Journal, str]:
    """A journal of a host whose disk is full by now, and the id of the entry that waits for it."""
    incident = one.store.create("Checkout returns 502", 1).incident
    journal = Journal(one.store.directory(incident), one.store.actor, disk=disk)
    one.write(journal, "while there was room")
    await one.until(lambda s: s.in_step and s.waiting == 0 and incident in s.vectors)
    assert journal.bound() is None
    id = new_id()
    disk.on_write = failing(errno.ENOSPC)
    with pytest.raises(NotSavedError):
        journal.append("note", {"text": "no room for it"}, id=id)
    return journal, id


async def test_an_entry_that_only_the_server_has(host: Make, postgres: Server, dsn: str) -> None:
    one, two = host("prod-1", poll=0.5), host("prod-2")
    disk = FaultyDisk()
    journal, id = await _full(one, disk)
    one.replica.pending = lambda: _bound(journal)
    one.replica.kick()
    await eventually(lambda: two.store.list() != [])
    await eventually(lambda: "no room for it" in notes(two.store, journal.incident))
    bound = journal.bound()
    assert bound is not None and not one.status.away
    await one.until(lambda s: s.vectors[journal.incident][bound.writer].seq == bound.seq)
    there = one.status.vectors[journal.incident]
    assert place(bound.writer, bound.seq, journal.heads(), there) == "server"
    own = next(journal.directory.glob(f"*-{bound.writer}.jsonl"))
    assert not (journal.directory / "mirror").exists(), "what its own writer still has to write is not fetched"
    disk.on_write = lambda data: data
    written = journal.append("note", {"text": "no room for it"}, id=id)
    assert (written.writer, written.seq, written.hash) == (bound.writer, bound.seq, bound.hash)
    one.write(journal, "room again")
    await in_step(one, two)
    assert one.status.stopped == () and place(bound.writer, bound.seq, journal.heads(), there) == "both"
    async with owner(postgres, dsn) as connection:
        rows = await connection.fetch(
            "select previous, body from sevdeck.events where writer_id = $1 order by seq", bound.writer
        )
    journal.close()
    assert b"".join(frame(row[0], row[1].encode())[1] for row in rows) == own.read_bytes()
    assert notes(two.store, journal.incident) == ["while there was room", "no room for it", "room again"]


async def test_a_session_that_ends_before_there_is_room_loses_nothing(host: Make, tmp_path: Path) -> None:
    one, two = host("prod-1", poll=0.5), host("prod-2")
    journal, _ = await _full(one, FaultyDisk())
    one.replica.pending = lambda: _bound(journal)
    one.replica.kick()
    await eventually(lambda: two.store.list() != [])
    await eventually(lambda: "no room for it" in notes(two.store, journal.incident))
    one.replica.pending = tuple  # the session is gone, and with it the only bytes on this host
    await eventually(lambda: "no room for it" in notes(one.store, journal.incident))
    await in_step(one, two)
    assert verify(one.store.directory(journal.incident)).ok


async def test_nothing_is_offered_unless_it_is_asked_for(host: Make) -> None:
    """The control: without the hook the entry is nowhere but in memory."""
    one, two = host("prod-1", poll=0.2), host("prod-2")
    journal, _ = await _full(one, FaultyDisk())
    one.replica.kick()
    await in_step(one, two)
    assert notes(two.store, journal.incident) == ["while there was room"]
