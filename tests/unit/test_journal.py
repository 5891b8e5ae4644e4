"""The journal: durable when it says so, never rewritten, and everybody reads everybody."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
import threading
import time
from pathlib import Path

import pytest

from console.errors import RecordError
from console.incident import shelf
from console.incident.chain import START, digest
from console.incident.clock import MAX_AHEAD_MS, HybridClock
from console.incident.events import Actor, Event, fact_id, new_id
from console.incident.journal import Journal, NotSavedError
from console.incident.verify import verify
from tests.faults.crash_disk import CrashDisk, DiedError
from tests.unit.faulty_disk import FaultyDisk, failing

ANA = Actor("ana", host="prod-1", uid=1000, via="console")
BOB = Actor("bob", host="prod-1", uid=1001, via="console")


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(shelf, "_MEMORY", tmp_path / "memory")
    (tmp_path / "memory").mkdir()
    path = tmp_path / "INC-2026-0001"
    path.mkdir(mode=0o700)
    return path


def texts(events: list[Event]) -> list[str]:
    return [str(event.data.get("text", "")) for event in events]


def only_file(directory: Path) -> Path:
    (path,) = directory.glob("*.jsonl")
    return path


def test_a_line_is_hashed_over_the_bytes_that_stand_in_the_file(directory: Path) -> None:
    journal = Journal(directory, ANA)
    first = journal.append("note", {"text": "café"})
    second = journal.append("note", {"text": "two"})
    lines = only_file(directory).read_bytes().split(b"\n")
    assert lines.pop() == b""
    previous = START
    for line in lines:
        body = line[76:-1]
        previous = hashlib.sha256(previous.encode() + b"\n" + body).hexdigest()
        assert line == b'{"h":"%s","e":%s}' % (previous.encode(), body)
    assert [json.loads(line)["e"]["k"] for line in lines] == ["genesis", "note", "note"]
    assert second.hash == previous and first.seq == 2 and second.seq == 3
    assert only_file(directory).name == f"prod-1-{first.writer}.jsonl"


def test_reading_makes_no_file(directory: Path) -> None:
    journal = Journal(directory, ANA)
    assert journal.events() == [] and journal.poll() == [] and journal.heads() == {}
    journal.close()
    assert list(directory.iterdir()) == []


def test_append_returns_only_after_the_sync(directory: Path) -> None:
    disk = FaultyDisk()
    journal = Journal(directory, ANA, disk=disk)
    journal.append("note", {"text": "one"})
    before = disk.syncs
    synced: list[int] = []
    disk.on_sync = lambda: synced.append(len(journal.events()))
    journal.append("note", {"text": "two"})
    assert disk.syncs == before + 1
    assert synced == [1], "the event counted before it was on disk"
    assert disk.directory_syncs == 1, "the file's name was not made durable"


def test_short_writes_are_continued(directory: Path) -> None:
    disk = FaultyDisk()
    disk.on_write = lambda data: data[:7]
    journal = Journal(directory, ANA, disk=disk)
    journal.append("note", {"text": "in many small pieces"})
    assert texts(Journal(directory, BOB).events()) == ["in many small pieces"]


def test_a_full_disk_keeps_the_bytes_for_another_try(directory: Path) -> None:
    disk = FaultyDisk()
    journal = Journal(directory, ANA, disk=disk)
    journal.append("note", {"text": "before"})
    disk.on_sync = failing(errno.ENOSPC)  # type: ignore[assignment]
    id = new_id()
    with pytest.raises(NotSavedError, match="disk is full") as caught:
        journal.append("note", {"text": "waits"}, id=id)
    assert caught.value.remedy
    assert texts(journal.events()) == ["before"]
    tried = disk.writes[-1]
    with pytest.raises(NotSavedError):
        journal.append("note", {"text": "waits"}, id=id)
    assert disk.writes[-1] == tried, "the same entry was written with other bytes"
    disk.on_sync = lambda: None
    event = journal.append("note", {"text": "waits"}, id=id)
    assert event.id == id and disk.writes[-1] == tried
    journal.append("note", {"text": "after"})
    assert texts(Journal(directory, BOB).events()) == ["before", "waits", "after"]


def test_another_entry_goes_behind_the_one_that_waits(directory: Path) -> None:
    disk = FaultyDisk()
    journal = Journal(directory, ANA, disk=disk)
    journal.append("note", {"text": "before"})
    disk.on_write = failing(errno.ENOSPC)
    with pytest.raises(NotSavedError):
        journal.append("note", {"text": "first"}, id=new_id())
    with pytest.raises(NotSavedError):
        journal.append("note", {"text": "second"}, id=new_id())
    disk.on_write = lambda data: data
    journal.append("note", {"text": "third"})
    assert texts(Journal(directory, BOB).events()) == ["before", "first", "third"]


def test_a_full_disk_at_the_first_entry_makes_one_file_not_many(directory: Path) -> None:
    disk = FaultyDisk()
    journal = Journal(directory, ANA, disk=disk)
    disk.on_write = failing(errno.ENOSPC)
    id = new_id()
    for _ in range(3):
        with pytest.raises(NotSavedError):
            journal.append("note", {"text": "x"}, id=id)
    disk.on_write = lambda data: data
    journal.append("note", {"text": "x"}, id=id)
    assert len(list(directory.glob("*.jsonl"))) == 1
    assert verify(directory).ok and texts(Journal(directory, BOB).events()) == ["x"]


@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS, errno.ESTALE])
@pytest.mark.parametrize("call", ["on_write", "on_sync"])
def test_a_failing_disk_ends_the_file_for_good(directory: Path, number: int, call: str) -> None:
    disk = FaultyDisk()
    journal = Journal(directory, ANA, disk=disk)
    journal.append("note", {"text": "safe"})
    healthy = getattr(disk, call)
    setattr(disk, call, failing(number))
    with pytest.raises(RecordError, match="is not written to any more"):
        journal.append("note", {"text": "doubtful"}, id="an-id-of-its-own")
    setattr(disk, call, healthy)
    writes = len(disk.writes)
    with pytest.raises(RecordError):
        journal.append("note", {"text": "never"})
    assert len(disk.writes) == writes, "wrote to a file whose state nobody knows"
    journal.renew()
    journal.append("note", {"text": "doubtful"}, id="an-id-of-its-own")
    assert texts(Journal(directory, BOB).events()) == ["safe", "doubtful"], "lost, or counted twice"
    assert len(list(directory.glob("*.jsonl"))) == 2


def test_when_the_disk_fails_it_goes_on_in_a_spare_place_and_comes_home(directory: Path) -> None:
    disk = FaultyDisk()
    journal = Journal(directory, ANA, disk=disk)
    journal.append("note", {"text": "safe"})
    disk.failing_below = directory
    journal.append("note", {"text": "after the failure"})
    journal.append("note", {"text": "and on"})
    assert "Input/output error" in journal.elsewhere
    assert texts(journal.events()) == ["safe", "after the failure", "and on"]
    bob = Journal(directory, BOB)
    assert texts(bob.events()) == ["safe", "after the failure", "and on"], "another console of this user reads it too"
    assert verify(directory).ok and verify(directory).writers == 2
    disk.failing_below = None
    bob.append("note", {"text": "the disk is back"})
    for place in shelf.spare_places(directory):
        shutil.rmtree(place, ignore_errors=True)  # the host was started anew
    assert texts(Journal(directory, BOB).events()) == ["safe", "after the failure", "and on", "the disk is back"]
    assert verify(directory).ok


def test_a_person_may_write_elsewhere_while_the_disk_is_full(directory: Path) -> None:
    disk = FaultyDisk()
    journal = Journal(directory, ANA, disk=disk)
    disk.on_write = failing(errno.ENOSPC)
    with pytest.raises(NotSavedError):
        journal.append("note", {"text": "waits"}, id="w")
    disk.on_write = lambda data: data
    assert journal.elsewhere == "" and journal.go_elsewhere("the disk is full")
    journal.append("note", {"text": "waits"}, id="w")
    assert "the disk is full" in journal.elsewhere
    assert texts(Journal(directory, BOB).events()) == ["waits"]


def test_a_spare_place_that_somebody_else_prepared_is_neither_used_nor_believed(directory: Path) -> None:
    first, second = shelf.spare_places(directory)
    first.parents[1].mkdir(mode=0o777, parents=True)
    first.parents[1].chmod(0o777)
    disk = FaultyDisk()
    journal = Journal(directory, ANA, disk=disk)
    disk.failing_below = directory
    journal.append("note", {"text": "x"})
    assert not first.exists() and len(list(second.iterdir())) == 1
    first.mkdir(parents=True)
    forged = Journal(directory, BOB)
    shutil.copy(next(second.iterdir()), first / f"host-{'f' * 32}.jsonl")
    assert texts(forged.events()) == ["x"] and forged.damage() == []


def test_the_door_refuses_before_anything_is_written(directory: Path) -> None:
    disk = FaultyDisk()
    journal = Journal(directory, ANA, disk=disk)
    journal.append("note", {"text": "x"})
    writes = len(disk.writes)
    for kind, data in (
        ("note", {"text": float("nan")}),
        ("note", {"text": "x" * 40_000}),
        ("note", {}),
        ("no.such.kind", {}),
        ("note", {"text": b"bytes"}),
    ):
        with pytest.raises(RecordError):
            journal.append(kind, data)
    assert len(disk.writes) == writes
    journal.append("note", {"text": "goes on"})
    assert verify(directory).ok


def test_two_consoles_see_each_other_and_poll_gives_each_event_once(directory: Path) -> None:
    ana, bob = Journal(directory, ANA), Journal(directory, BOB)
    ana.append("note", {"text": "a1"})
    bob.append("note", {"text": "b1"})
    assert texts(bob.poll()) == ["a1", "b1"]
    assert texts(ana.poll()) == ["a1", "b1"]
    assert ana.poll() == bob.poll() == []
    ana.append("note", {"text": "a2"})
    assert texts(bob.poll()) == ["a2"] and texts(ana.poll()) == ["a2"]
    assert ana.events() == bob.events()


def test_a_later_entry_stands_after_what_its_writer_had_read(directory: Path) -> None:
    """The second clock is a minute behind: its answer still comes after the question."""
    now = time.time()
    ana = Journal(directory, ANA, wall=lambda: now)
    bob = Journal(directory, BOB, wall=lambda: now - 60)
    ana.append("note", {"text": "question"})
    bob.append("note", {"text": "answer"})
    ana.poll()
    ana.append("note", {"text": "thanks"})
    assert texts(Journal(directory, BOB).events()) == ["question", "answer", "thanks"]


def test_the_clock_never_stands_still_and_adopts_only_so_much() -> None:
    wall = 1000.0
    clock = HybridClock(lambda: wall)
    stamps = [clock.now() for _ in range(3)]
    wall = 900.0  # the clock was set back
    stamps.append(clock.now())
    clock.observe([(1_000_000 + MAX_AHEAD_MS // 2, 7)])
    wall = 1000.0
    clock.observe([(1_000_000 + MAX_AHEAD_MS // 2, 7)])
    stamps.append(clock.now())
    assert stamps == sorted(set(stamps)) and stamps[-1] == (1_000_000 + MAX_AHEAD_MS // 2, 8)
    clock.observe([(2_145_916_800_000, 0)])  # a host in 2038
    assert clock.now() == (1_000_000 + MAX_AHEAD_MS // 2, 9)


def test_the_same_fact_from_two_consoles_counts_once(directory: Path) -> None:
    id = fact_id("container.die", "shop-app-1", 1795374593)
    for actor in (ANA, BOB):
        journal = Journal(directory, actor)
        journal.append("fact", {"fact": "container.die", "subject": "app", "text": "app died"}, id=id)
    assert texts(Journal(directory, ANA).events()) == ["app died"]


def test_a_writer_names_the_heads_it_has_read(directory: Path) -> None:
    ana, bob = Journal(directory, ANA), Journal(directory, BOB)
    ana.append("note", {"text": "a1"})
    last = ana.append("note", {"text": "a2"})
    bob.append("note", {"text": "b1"})  # its genesis names ana's head
    only_ana = next(directory.glob(f"*{last.writer}.jsonl"))
    assert verify(directory).ok
    lines = only_ana.read_bytes().split(b"\n")
    only_ana.write_bytes(b"\n".join(lines[:-2]) + b"\n")  # the last entry is cut off cleanly
    verdict = verify(directory)
    assert not verdict.ok and verdict.first_bad is not None
    assert verdict.first_bad.writer == last.writer and "is missing" in verdict.first_bad.reason


def test_what_a_power_cut_could_take_is_not_testified(directory: Path) -> None:
    """A console died between write and sync; another one read the line, and then the power goes."""
    power = CrashDisk(directory.parent)
    power.sync_directory(directory.parent)
    dying, other = Journal(directory, ANA, disk=power), Journal(directory, BOB, disk=power)
    dying.append("note", {"text": "safe"})
    power.dies_after = 2  # the write is done, the sync is not
    with pytest.raises(DiedError):
        dying.append("note", {"text": "never acknowledged"})
    assert texts(other.poll()) == ["safe", "never acknowledged"]
    other.append("note", {"text": "goes on"})
    power.lose_power(lambda most: 0)
    assert verify(directory).ok, "an entry that nobody promised is called missing"


def test_heads_on_a_disk_that_does_not_sync_them_are_not_testified(directory: Path) -> None:
    disk = FaultyDisk()
    other, journal = Journal(directory, BOB), Journal(directory, ANA, disk=disk)
    journal.append("note", {"text": "one"})
    other.append("note", {"text": "two"})
    journal.poll()
    answers = iter([failing(errno.EIO)])
    disk.on_sync = lambda: (next(answers, lambda: None)(), None)[1]  # the first sync is of the other's file
    assert journal.append("note", {"text": "three"}).seen is None
    assert journal.append("note", {"text": "four"}).seen is not None, "the next one names it"


def test_a_rewritten_file_contradicts_its_witness(directory: Path, tmp_path: Path) -> None:
    ana, bob = Journal(directory, ANA), Journal(directory, BOB)
    event = ana.append("note", {"text": "it was me"})
    bob.append("note", {"text": "b1"})
    path = next(directory.glob(f"*{event.writer}.jsonl"))
    previous, rewritten = START, b""
    for line in path.read_bytes().splitlines():
        body = line[76:-1].replace(b"it was me", b"it was it")
        previous = digest(previous, body)
        rewritten += b'{"h":"%s","e":%s}\n' % (previous.encode(), body)
    path.write_bytes(rewritten)
    verdict = verify(directory)
    assert not verdict.ok and "was rewritten" in str(verdict.first_bad)


def test_poll_does_not_wait_for_a_slow_disk(directory: Path) -> None:
    disk = FaultyDisk()
    journal, other = Journal(directory, ANA, disk=disk), Journal(directory, BOB)
    journal.append("note", {"text": "one"})
    asked, go_on = threading.Event(), threading.Event()

    def stuck() -> None:
        asked.set()
        assert go_on.wait(10)

    disk.on_sync = stuck
    thread = threading.Thread(target=journal.append, args=("note", {"text": "slow"}), daemon=True)
    thread.start()
    assert asked.wait(10)
    other.append("note", {"text": "meanwhile"})
    assert texts(journal.poll()) == ["one", "meanwhile"]
    go_on.set()
    thread.join(10)
    assert "slow" in texts(journal.poll())


def test_many_threads_one_writer(directory: Path) -> None:
    journal = Journal(directory, ANA)
    threads = [
        threading.Thread(target=lambda: [journal.append("note", {"text": "x"}) for _ in range(25)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        journal.poll(), journal.events(), journal.heads()
    assert len(journal.events()) == 100
    assert verify(directory).ok and verify(directory).events == 101


def test_a_forked_child_writes_to_a_file_of_its_own(directory: Path) -> None:
    journal = Journal(directory, ANA)
    journal.append("note", {"text": "parent"})
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            journal.append("note", {"text": "child"})
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    journal.append("note", {"text": "parent again"})
    assert verify(directory).ok
    assert texts(Journal(directory, BOB).events()) == ["parent", "child", "parent again"]
    assert len(list(directory.glob("*.jsonl"))) == 2


def test_modes_are_private_or_the_groups(tmp_path: Path) -> None:
    for parent_mode, file_mode in ((0o700, 0o600), (0o2770, 0o660)):
        directory = tmp_path / f"{parent_mode:o}" / "INC-2026-0001"
        directory.mkdir(parents=True)
        directory.chmod(parent_mode)
        journal = Journal(directory, ANA)
        journal.append("note", {"text": "x"})
        blob = directory / "blobs" / journal.put_blob(b"evidence")
        assert stat.S_IMODE(only_file(directory).stat().st_mode) == file_mode
        assert stat.S_IMODE(blob.stat().st_mode) == file_mode
        assert stat.S_IMODE(blob.parent.stat().st_mode) == parent_mode


def test_a_blob_is_found_by_its_hash_and_damage_is_noticed(directory: Path) -> None:
    journal = Journal(directory, ANA)
    name = journal.put_blob(b"a long output")
    assert name == hashlib.sha256(b"a long output").hexdigest()
    assert journal.blob(name) == b"a long output" and journal.put_blob(b"a long output") == name
    assert [path.name for path in (directory / "blobs").iterdir()] == [name], "a temporary file was left"
    (directory / "blobs" / name).write_bytes(b"a wrong output")
    with pytest.raises(RecordError, match="damaged"):
        journal.blob(name)
    with pytest.raises(RecordError):
        journal.blob("../../etc/passwd")


def test_the_reserve_is_beyond_the_end_and_given_back(directory: Path) -> None:
    journal = Journal(directory, ANA)
    journal.append("note", {"text": "x"})
    path = only_file(directory)
    size = path.stat().st_size
    assert b"\0" not in path.read_bytes()
    reserved = path.stat().st_blocks * 512
    journal.close()
    assert path.stat().st_size == size
    if reserved >= 1 << 20:  # file systems without KEEP_SIZE go without a reserve
        assert path.stat().st_blocks * 512 < 1 << 20


def test_a_damaged_file_is_skipped_not_repaired_and_others_go_on(directory: Path) -> None:
    ana, bob = Journal(directory, ANA), Journal(directory, BOB)
    event = ana.append("note", {"text": "to be damaged"})
    ana.append("note", {"text": "after it"})
    bob.append("note", {"text": "elsewhere"})
    path = next(directory.glob(f"*{event.writer}.jsonl"))
    bad = path.read_bytes().replace(b"to be damaged", b"to be demaged")
    path.write_bytes(bad)
    reader = Journal(directory, BOB)
    assert texts(reader.events()) == ["after it", "elsewhere"]
    (damage,) = reader.damage()
    assert damage.writer == event.writer and damage.after_seq == 1 and not damage.torn
    reader.append("note", {"text": "the record goes on"})
    assert path.read_bytes() == bad
    verdict = verify(directory)
    assert not verdict.ok and verdict.first_bad == damage


def test_a_file_that_may_not_be_read_hides_nobody_elses_entries(directory: Path) -> None:
    ana, bob = Journal(directory, ANA), Journal(directory, BOB)
    event = ana.append("note", {"text": "private"})
    bob.append("note", {"text": "public"})
    path = next(directory.glob(f"*{event.writer}.jsonl"))
    path.unlink()
    path.mkdir()  # also for root something that cannot be read
    reader = Journal(directory, BOB)
    assert texts(reader.events()) == ["public"]
    (damage,) = reader.damage()
    assert damage.file == path.name and "cannot be read" in damage.reason
    assert not verify(directory).ok
