"""What a disk does not take is offered to whoever can keep it: with the bytes that it has on the disk afterwards, and no others."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from console.incident.chain import digest
from console.incident.events import Actor, new_id
from console.incident.journal import Journal, NotSavedError
from console.incident.store import IncidentStore
from tests.unit.faulty_disk import FaultyDisk, failing


@pytest.fixture
def disk() -> FaultyDisk:
    return FaultyDisk()


@pytest.fixture
def journal(tmp_path: Path, disk: FaultyDisk) -> Journal:
    made = IncidentStore(tmp_path, Actor("ana")).create("Checkout returns 502", 1)
    return Journal(made.directory, Actor("ana"), disk=disk)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_an_entry_without_room_is_bound_to_its_bytes(number: int, journal: Journal, disk: FaultyDisk) -> None:
    assert journal.bound() is None
    last = journal.append("note", {"text": "room"})
    assert journal.bound() is None
    disk.on_write = failing(number)
    id = new_id()
    for _ in range(3):
        with pytest.raises(NotSavedError):
            journal.append("note", {"text": "none"}, id=id)
    bound = journal.bound()
    assert bound is not None and bound.hash == digest(last.hash, bound.body)
    assert (bound.incident, bound.writer, bound.seq) == (journal.incident, last.writer, last.seq + 1)
    with pytest.raises(NotSavedError):
        journal.append("note", {"text": "another one does not take its number"})
    assert journal.bound() == bound
    disk.on_write = lambda data: data
    journal.append("note", {"text": "another one"})
    assert journal.bound() is None
    lines = next(journal.directory.glob(f"*{last.writer}.jsonl")).read_bytes().splitlines()
    assert lines[bound.seq - 1].endswith(bound.body + b"}")


def test_an_entry_that_is_being_written_is_offered_only_when_that_takes_long(tmp_path: Path) -> None:
    disk, now, seen = FaultyDisk(), [1000.0], []
    made = IncidentStore(tmp_path, Actor("ana")).create("Checkout returns 502", 1)
    journal = Journal(made.directory, Actor("ana"), disk=disk, wall=lambda: now[0])
    journal.append("note", {"text": "first"})

    def slow() -> None:
        for later in (0.1, 1.0):
            now[0] += later
            seen.append(journal.bound() is not None)

    disk.on_sync = slow
    journal.append("note", {"text": "second"})
    assert seen == [False, True] and journal.bound() is None
