"""What the replica reads and mirrors on this host's disk: whole chains only, and no byte of anybody's own file changed."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from console.incident import disk
from console.incident.events import Actor
from console.incident.store import IncidentStore
from console.incident.verify import verify
from console.replica.core import Line, founder
from console.replica.files import Files


class Two:
    """A host that wrote an incident, and one that mirrors it."""

    def __init__(self, home: Path) -> None:
        self.far = IncidentStore(home / "far", Actor("ana", host="far"))
        self.journal = self.far.create("Checkout returns 502", 1)
        for n in range(8):
            self.journal.append("note", {"text": f"note {n}"})
        self.source = Files(self.far)
        self.key = next(iter(self.source.heads()))
        self.writer = founder(self.key)
        self.lines = self.source.lines(self.key, self.writer, 0, 100)
        self.near = IncidentStore(home / "near", Actor("bo", host="near"))
        self.files = Files(self.near)
        self.files.heads()

    @property
    def mirror(self) -> Path:
        return self.near.root / self.journal.incident / "mirror" / f"{self.writer}.jsonl"

    def take(self, first: int, last: int) -> bool:
        return self.files.append(self.key, self.writer, self.lines[first - 1 : last])

    def head(self) -> int:
        return self.files.heads()[self.key][self.writer].seq

    def whole(self) -> bool:
        own = next(self.journal.directory.glob("*.jsonl")).read_bytes()
        return self.mirror.read_bytes() == own[: self.source._by_key[self.key].best()[self.writer].end]


@pytest.fixture
def two(tmp_path: Path) -> Two:
    return Two(tmp_path)


def test_a_mirror_is_the_same_bytes_and_the_same_incident(two: Two) -> None:
    assert two.take(1, 4) and two.take(5, 10) and two.head() == 10 and two.whole()
    assert two.near.incident(two.journal.incident) == two.far.incident(two.journal.incident)
    assert two.take(8, 10) and two.whole()  # the same again
    assert two.files.names() == {two.key: two.journal.incident}


def test_an_incident_begins_with_the_one_who_declared_it(two: Two) -> None:
    assert not two.files.append(two.key, "f" * 32, [Line(1, "", b""), Line(2, "", b"")])
    assert two.near.directories() == []


def test_a_mirror_that_was_deleted_is_missed(two: Two) -> None:
    two.take(1, 10)
    two.mirror.unlink()
    assert two.writer not in two.files.heads().get(two.key, {})
    assert two.take(1, 10) and two.whole()


@pytest.mark.parametrize("cut", [1, 30, 200])
def test_a_torn_mirror_is_cut_and_goes_on(two: Two, cut: int) -> None:
    two.take(1, 6)
    torn = two.mirror.read_bytes()[:-cut]
    two.mirror.write_bytes(torn)
    again = two.files = Files(two.near)
    assert again.heads()[two.key][two.writer].seq == 5
    assert two.take(6, 10) and two.whole()
    assert [path.name for path in two.mirror.parent.iterdir()] == [two.mirror.name]


def test_a_damaged_mirror_is_kept_aside_and_made_whole(two: Two) -> None:
    two.take(1, 10)
    content = two.mirror.read_bytes()
    two.mirror.write_bytes(content.replace(b"note 3", b"note X"))
    two.files = Files(two.near)
    assert two.files.heads()[two.key][two.writer].seq == 5
    assert two.take(6, 10) and two.whole()
    aside = two.mirror.with_name(two.mirror.name + ".damaged-1")
    assert b"note X" in aside.read_bytes() and verify(two.near.directory(two.journal.incident)).ok


def test_a_damaged_file_of_our_own_is_made_good_beside_it_and_not_touched(two: Two) -> None:
    two.journal.close()
    own = next(two.journal.directory.glob("*.jsonl"))
    own.write_bytes(own.read_bytes().replace(b"note 3", b"note X"))
    damaged = own.read_bytes()
    files = Files(two.far)
    assert files.heads()[two.key][two.writer].seq == 5
    assert files.append(two.key, two.writer, two.lines[5:])
    assert files.heads()[two.key][two.writer].seq == 10 and own.read_bytes() == damaged
    texts = [event.data["text"] for event in two.far.open(two.journal.incident).events() if event.kind == "note"]
    assert texts == [f"note {n}" for n in range(8)]


def test_what_another_console_writes_now_is_left_to_it(two: Two) -> None:
    two.take(1, 4)
    with two.mirror.open("rb+") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert not two.take(5, 10) and two.head() == 4
    assert two.take(5, 10) and two.whole()


def test_a_number_that_is_taken_is_not_mixed_with_what_lies_there(two: Two) -> None:
    own = two.near.create("something else", 2)
    assert own.incident == two.journal.incident
    two.take(1, 10)
    beside = f"{own.incident}-{two.writer[:8].upper()}"
    assert two.files.names()[two.key] == beside
    assert {entry.id: entry.title for entry in two.near.list()} == {
        own.incident: "something else",
        beside: "Checkout returns 502",
    }
    assert two.near.create("a third", 3).incident == own.incident[:-1] + "2"
    assert two.near.open(beside.lower()).incident == beside


def test_a_replica_that_dies_while_it_makes_the_directory_makes_it_the_next_time(two: Two) -> None:
    beside = two.near.root / f"{two.journal.incident}-{two.writer[:8].upper()}"
    for left in (two.near.root / two.journal.incident, beside):
        disk.ensure_directory(left)  # it died twice, each time before anything was in it
    assert two.take(1, 10) and two.files.names()[two.key] == beside.name


@pytest.mark.parametrize("size", [0, 100, 500])
def test_an_incident_whose_first_entries_found_no_room_is_taken_the_next_time(two: Two, size: int) -> None:
    two.mirror.parent.mkdir(parents=True)
    two.mirror.write_bytes(next(two.journal.directory.glob("*.jsonl")).read_bytes()[:size])
    assert two.take(1, 10) and two.whole()
    assert two.files.names() == {two.key: two.journal.incident}


def test_a_number_that_is_being_declared_is_not_taken(two: Two) -> None:
    two.near._claim()  # made, and nothing in it yet
    two.take(1, 10)
    assert two.files.names()[two.key] != two.journal.incident
