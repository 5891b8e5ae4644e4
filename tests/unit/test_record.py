"""The record as a whole: queried, packed and read back, redacted, and compared with a head that was noted."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tinydb import where

from console import cli
from console.errors import RecordError, UsageError
from console.incident.events import Actor, short
from console.incident.pack import pack, unpack
from console.incident.state import fold
from console.incident.store import IncidentStore
from console.incident.table import EventTable, JournalStorage
from console.incident.verify import told_at, verify

ANA = Actor("ana", host="prod-1", uid=1000, via="console")
BO = Actor("bo", host="prod-1", uid=1001, via="cli")


@pytest.fixture
def store(tmp_path: Path) -> IncidentStore:
    return IncidentStore(tmp_path / "here", ANA)


@pytest.fixture
def directory(store: IncidentStore) -> Path:
    journal = store.create("Checkout fails", 2, commander="ana")
    journal.append("note", {"text": "first look"})
    journal.append("attach", {"name": "a.log", "sha256": journal.put_blob(b"what was seen\n"), "size": 14})
    journal.append("note", {"text": "called Maria Silva on 555-0199"}, actor=BO)
    journal.close()
    return journal.directory


# -- queries


def test_the_table_answers_queries_and_appends_to_the_journal(store: IncidentStore, directory: Path) -> None:
    table = EventTable(store.open(directory.name))
    table.refresh()
    assert [one["text"] for one in table.search((where("kind") == "note") & (where("actor") == "ana"))] == [
        "first look"
    ]
    table.insert({"kind": "note", "data": {"text": "through the table"}})
    assert table.count(where("kind") == "note") == 3 and len(table) == 5
    other = EventTable(store.open(directory.name))
    other.refresh()
    assert other.contains(where("text") == "through the table"), "it was only in memory"
    store.open(directory.name).append("note", {"text": "from another console"})
    assert table.refresh() == 1 and table.contains(where("text") == "from another console")


@pytest.mark.parametrize("act", ["truncate", "update", "remove", "upsert", "drop"])
def test_the_table_never_changes_or_removes(store: IncidentStore, directory: Path, act: str) -> None:
    table = EventTable(store.open(directory.name))
    table.refresh()
    before = {path.name: path.read_bytes() for path in directory.glob("*.jsonl")}
    acts: dict[str, Callable[[], object]] = {
        "truncate": table.truncate,
        "update": lambda: table.update({"text": "forged"}),
        "remove": lambda: table.remove(where("kind") == "note"),
        "upsert": lambda: table.upsert({"text": "forged"}, where("kind") == "note"),
        "drop": lambda: JournalStorage().write({}),
    }
    with pytest.raises(RecordError, match="never changed"):
        acts[act]()
    assert {path.name: path.read_bytes() for path in directory.glob("*.jsonl")} == before
    assert table.count(where("text") == "forged") == 0


# -- privacy


def test_a_redacted_entry_shows_its_words_nowhere(store: IncidentStore, directory: Path) -> None:
    journal = store.open(directory.name)
    entry = next(e for e in fold(journal.events()).timeline if "Maria" in e.summary)
    table = EventTable(store.open(directory.name))
    table.refresh()
    journal.append("redact", {"event": entry.id, "reason": "a customer's name"})
    table.refresh()
    shown = fold(journal.events())
    late = EventTable(store.open(directory.name))
    late.refresh()
    for told in (repr(shown), repr(list(table)), repr(list(late))):
        assert "Maria" not in told and "555-0199" not in told
        assert "redacted by ana: a customer's name" in told
    hidden = next(e for e in shown.timeline if e.id == entry.id)
    assert (hidden.hash, hidden.seq, hidden.actor) == (entry.hash, entry.seq, "bo"), "its place and hash stay"
    assert verify(directory).ok


# -- evidence of changes


def test_an_attachment_that_was_changed_or_lost_is_found(directory: Path) -> None:
    (blob,) = (directory / "blobs").iterdir()
    original = blob.read_bytes()
    blob.write_bytes(b"what was not seen\n")
    assert "damaged" in str(verify(directory).first_bad)
    blob.unlink()
    assert "cannot be read" in str(verify(directory).first_bad)
    blob.write_bytes(original)
    assert verify(directory).ok


def test_a_noted_head_is_found_again_until_the_record_is_changed(store: IncidentStore, directory: Path) -> None:
    noted = short(verify(directory).head)
    journal = store.open(directory.name)
    journal.append("note", {"text": "later"})
    last = told_at(directory, noted)
    assert last is not None and last.data["text"].startswith("called Maria")
    # All files rewritten with valid hashes, the last note left out: the chain alone cannot know.
    kept = [event for event in journal.events() if event.id != last.id]
    journal.close()
    for path in directory.glob("*.jsonl"):
        path.unlink()
    forged = store.open(directory.name)
    for event in kept:
        forged.append(event.kind, event.data, id=event.id, at=event.at, actor=event.actor)
    assert verify(directory).ok, "honestly: without a witness this is not detected"
    assert told_at(directory, noted) is None


# -- archives


def test_an_incident_is_packed_and_read_back_on_another_host(
    store: IncidentStore, directory: Path, tmp_path: Path
) -> None:
    packed = pack(directory, tmp_path / "a.tar.gz")
    assert (tmp_path / "a.tar.gz").read_bytes() == pack(directory, tmp_path / "b.tar.gz").path.read_bytes()
    there = IncidentStore(tmp_path / "there", BO)
    unpacked = unpack(packed.path, there.root)
    assert (unpacked.head, unpacked.events) == (packed.head, packed.events) == (verify(directory).head, packed.events)
    assert there.incident(directory.name) == store.incident(directory.name)
    assert there.open(directory.name).blob(next((directory / "blobs").iterdir()).name) == b"what was seen\n"
    there.open(directory.name).append("note", {"text": "goes on there"})
    assert verify(there.directory(directory.name)).ok
    with pytest.raises(UsageError, match="is here already"):
        unpack(packed.path, there.root)


def tampered(archive: Path, change: dict[str, bytes], incident: str) -> Path:
    """The archive with these members replaced or added."""
    with tarfile.open(archive) as tar:
        found = {entry.name: (tar.extractfile(entry) or io.BytesIO()).read() for entry in tar}
    found |= {f"{incident}/{name}": data for name, data in change.items()}
    out = archive.with_name("tampered.tar.gz")
    with tarfile.open(out, "w:gz") as tar:
        for name, data in found.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return out


def test_a_changed_archive_leaves_nothing_behind(directory: Path, tmp_path: Path) -> None:
    packed = pack(directory, tmp_path / "a.tar.gz")
    journal = next(directory.glob("*.jsonl"))
    forged = journal.read_bytes().replace(b"first look", b"first lock")
    root = tmp_path / "there" / "incidents"
    changes: list[dict[str, bytes]] = [
        {journal.name: forged},
        {"../../../etc/passwd": b"x"},
        {"run.sh": b"x"},
        {"manifest.json": b"{}"},
        {"manifest.json": json.dumps({"format": 1, "incident": "../x", "files": {}}).encode()},
    ]
    for change in changes:
        with pytest.raises(RecordError):
            unpack(tampered(packed.path, change, directory.name), root)
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(packed.path.read_bytes()[:-200])
    with pytest.raises(RecordError):
        unpack(cut, root)
    assert not root.exists() or list(root.iterdir()) == []


def test_a_record_that_is_not_whole_is_not_packed(directory: Path, tmp_path: Path) -> None:
    path = next(directory.glob("*.jsonl"))
    path.write_bytes(path.read_bytes().replace(b"first look", b"first lock"))
    with pytest.raises(RecordError, match="not whole"):
        pack(directory, tmp_path / "a.tar.gz")
    assert not (tmp_path / "a.tar.gz").exists()


def test_the_list_is_made_anew_when_it_is_lost_or_damaged(store: IncidentStore, directory: Path) -> None:
    expected = store.list()
    meta = directory.parents[1] / "meta.json"
    for content in (b"", b"{not json", b'{"incidents": 3}'):
        meta.write_bytes(content)
        assert store.list() == expected
    meta.unlink()
    assert store.reindex() == 1 and store.list() == expected


# -- the same from the command line


def test_from_the_command_line(
    store: IncidentStore, directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def sevdeck(*words: str, data: Path | None = None) -> tuple[int, str]:
        code = cli.main(["--data-dir", str(data or store.data_dir), "incident", *words])
        return code, capsys.readouterr().out

    id = directory.name
    head = short(verify(directory).head)
    assert sevdeck("verify", id, "--head", head)[0] == 0
    assert sevdeck("verify", id, "--head", "0123456789abcdef") == (
        1,
        sevdeck("verify", id, "--head", "0" * 16)[1].replace("0" * 16, "0123456789abcdef"),
    )
    code, told = sevdeck("events", id, "--actor", "bo", "--text", "MARIA")
    assert code == 0 and told.count("\n") == 1 and "called Maria" in told
    number = next(e.seq for e in store.incident(id).timeline if "Maria" in e.summary)
    assert sevdeck("redact", id, str(number), "--reason", "a name")[0] == 0
    assert "Maria" not in sevdeck("show", id)[1]
    archive = tmp_path / "x.tar.gz"
    assert sevdeck("pack", id, "-o", str(archive))[0] == 0
    assert sevdeck("unpack", str(archive), data=tmp_path / "there")[0] == 0
    assert id in sevdeck("list", data=tmp_path / "there")[1]
    assert sevdeck("reindex", data=tmp_path / "there") == (0, "1 incident in the list\n")
