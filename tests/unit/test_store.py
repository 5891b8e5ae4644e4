"""Where incidents live: numbers claimed once, lists that are right whatever happened to their cache."""

from __future__ import annotations

import fcntl
import grp
import multiprocessing
import os
import stat
import time
from pathlib import Path

import pytest

from console import places
from console.errors import RecordError, UsageError
from console.incident import disk
from console.incident.documents import Documents
from console.incident.events import Actor
from console.incident.store import IncidentStore
from tests.faults.crash_disk import CrashDisk

ANA = Actor("ana", host="prod-1", via="cli")
NEW_YEAR = 1_798_761_600.0  # 2027-01-01 UTC


@pytest.fixture
def store(tmp_path: Path) -> IncidentStore:
    return IncidentStore(tmp_path / "data", ANA)


def test_numbers_count_within_the_utc_year(tmp_path: Path) -> None:
    ids = []
    for now in (NEW_YEAR - 1, NEW_YEAR - 1, NEW_YEAR, NEW_YEAR + 1):
        ids.append(IncidentStore(tmp_path, ANA, wall=lambda now=now: now).create("x", 3).incident)  # type: ignore[misc]
    assert ids == ["INC-2026-0001", "INC-2026-0002", "INC-2027-0001", "INC-2027-0002"]


def test_a_declaration_is_whole_and_findable(store: IncidentStore) -> None:
    journal = store.create("Checkout returns 502", 1, commander="ana", roles={"scribe": "bob"}, drill=True)
    incident = store.incident(journal.incident)
    assert (incident.title, incident.severity, incident.drill) == ("Checkout returns 502", 1, True)
    assert incident.roles == {"scribe": "bob", "commander": "ana"} and incident.declared_by == "ana"
    for name in (journal.incident, journal.incident.lower(), "1"):
        assert store.directory(name) == journal.directory
    for wrong in ("INC-2026-0999", "../../etc", "", "7"):
        with pytest.raises(UsageError):
            store.open(wrong)


@pytest.mark.parametrize(("title", "severity"), [("", 1), ("  ", 1), ("x", 0), ("x", 5)])
def test_no_number_is_used_up_by_a_declaration_that_is_refused(store: IncidentStore, title: str, severity: int) -> None:
    with pytest.raises(UsageError):
        store.create(title, severity)
    assert not store.root.exists() or list(store.root.iterdir()) == []


def test_list_follows_every_change_with_and_without_its_cache(store: IncidentStore) -> None:
    first, second = store.create("one", 2), store.create("two", 1)
    assert [entry.title for entry in store.list()] == ["two", "one"]
    first.append("severity", {"severity": 1, "reason": "worse"})
    second.append("resolved", {})
    second.append("closed", {})
    expected = [("two", 1, "closed"), ("one", 1, "declared")]
    assert [(e.title, e.severity, e.status) for e in store.list()] == expected
    assert [entry.title for entry in store.list(open_only=True)] == ["one"]
    for content in (b"", b"{", b'{"incidents": 5}', b'{"incidents": {"1": {"key": 1}}}', b"\xff\x00"):
        (store.data_dir / "meta.json").write_bytes(content)
        assert [(e.title, e.severity, e.status) for e in store.list()] == expected
    (store.data_dir / "meta.json").unlink()
    assert [(e.title, e.severity, e.status) for e in store.list()] == expected


def test_unchanged_incidents_come_from_the_cache(store: IncidentStore) -> None:
    store.create("one", 2)
    store.list()
    (name,) = store.documents.all("incidents")
    document = store.documents.get("incidents", name)
    assert document is not None
    store.documents.put("incidents", {name: document | {"title": "from the cache"}})
    assert store.list()[0].title == "from the cache"


def test_current_is_the_open_one_that_matters_most(store: IncidentStore) -> None:
    assert store.current() is None
    old = store.create("old SEV-2", 2)
    store.create("drill", 1, drill=True)
    assert store.current() == old.incident
    worse = store.create("SEV-1", 1)
    assert store.current() == worse.incident
    worse.append("resolved", {})
    assert store.current() == old.incident


def test_a_number_that_was_claimed_and_never_used_is_not_shown(store: IncidentStore) -> None:
    store.create("one", 2)
    (store.root / "INC-2026-0900").mkdir()
    (store.root / "notes.txt").write_text("not ours")
    assert [entry.title for entry in store.list()] == ["one"]


def declare(data_dir: str, start: float, count: int) -> list[str]:
    store = IncidentStore(Path(data_dir), ANA)
    time.sleep(max(0.0, start - time.time()))
    return [store.create(f"by {os.getpid()}", 3).incident for _ in range(count)]


def test_processes_that_declare_at_once_get_numbers_of_their_own(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        start = time.time() + 1.5
        given = [id for ids in pool.starmap(declare, [(str(tmp_path), start, 8)] * 3) for id in ids]
    assert len(set(given)) == 24
    assert {entry.id for entry in IncidentStore(tmp_path, ANA).list()} == set(given)


def put(path: str, worker: int) -> None:
    documents = Documents(Path(path))
    for number in range(20):
        documents.put("things", {f"{worker}-{number}": {"n": number}})


def test_documents_of_several_processes_all_stay(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        pool.starmap(put, [(str(tmp_path / "meta.json"), worker) for worker in range(3)])
    assert len(Documents(tmp_path / "meta.json").all("things")) == 60


def test_a_stopped_process_that_holds_the_lock_holds_up_nobody(store: IncidentStore) -> None:
    store.create("one", 2)
    store.list()
    with (store.data_dir / "meta.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        store.create("two", 1)
        began = time.monotonic()
        assert [entry.title for entry in store.list()] == ["two", "one"]
        assert time.monotonic() - began < 3
        with pytest.raises(RecordError, match="in use"):
            store.save_setting("filter", "errors")
    store.save_setting("filter", {"level": "error"})
    assert store.setting("filter") == {"level": "error"} and store.setting("never saved") is None


def test_the_first_incident_of_a_host_survives_a_power_cut(tmp_path: Path) -> None:
    """Also the directories above it were new: a name that its parent has not on disk takes everything with it."""
    disk = CrashDisk(tmp_path)
    store = IncidentStore(tmp_path / "state" / "sevdeck", ANA, disk=disk)
    id = store.create("Checkout returns 502", 1).incident
    disk.lose_power(lambda most: 0)
    assert store.incident(id).title == "Checkout returns 502"


def test_documents_can_be_forgotten(store: IncidentStore) -> None:
    store.documents.put("things", {"a": {"n": 1}, "b": {"n": 2}})
    store.documents.forget("things", {"a"})
    assert store.documents.all("things") == {"b": {"n": 2}}


def test_a_log_belongs_to_the_group_of_a_shared_directory(tmp_path: Path) -> None:
    for mode, expected in ((0o2770, 0o660), (0o700, 0o600)):
        tmp_path.chmod(mode)
        log = tmp_path / f"{expected:o}.log"
        for text in (b"ana\n", b"bo\n"):
            with disk.open_log(log) as file:
                file.write(text)
        assert stat.S_IMODE(log.stat().st_mode) == expected
        assert log.read_bytes() == b"ana\nbo\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a directory to a group")
def test_a_shared_directory_is_made_once_and_used_by_its_group(tmp_path: Path) -> None:
    place = tmp_path / "lib" / "sevdeck"
    assert places.make_shared("daemon", place)
    found = place.stat()
    assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o2770, grp.getgrnam("daemon").gr_gid)
    assert not places.make_shared("daemon", place)
    journal = IncidentStore(place, ANA).create("Seen by all", 3)
    for path in (journal.directory, *journal.directory.iterdir()):
        assert path.stat().st_gid == found.st_gid and path.stat().st_mode & 0o060 == 0o060
    with pytest.raises(UsageError, match="no group 'nobody-has-this'"):
        places.make_shared("nobody-has-this", place)


def test_the_list_follows_an_incident_that_grows(tmp_path: Path) -> None:
    store = IncidentStore(tmp_path, Actor("ana", via="console"))
    journal = store.create("the shop is slow", 3)
    for number in range(3):
        journal.append("note", {"text": f"note {number}"})
        assert [(one.title, one.severity, one.status) for one in store.list()] == [("the shop is slow", 3, "declared")]
    declared = journal.events()[0].id
    journal.append("severity", {"severity": 1, "reason": "all users"})
    journal.append("amend", {"event": declared, "text": "the shop is down", "reason": "worse"})
    journal.append("status", {"status": "mitigated"})
    now, told = store.incident(journal.incident), store.list()[0]
    assert (told.title, told.severity, told.status) == (now.title, 1, "mitigated") and told.declared_at is not None
