"""Incidents that are over for long leave as archives, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from console.cli import main
from console.errors import RecordError, RefusedError, UsageError
from console.incident.events import Actor
from console.incident.journal import Journal
from console.incident.pack import unpack
from console.incident.retention import archive, due
from console.incident.store import IncidentStore
from tests.unit.readings_made import NOW

DAY = 86400.0


@pytest.fixture
def store(tmp_path: Path) -> IncidentStore:
    return IncidentStore(tmp_path / "data", Actor("ana", host="prod-1", via="cli"), wall=lambda: NOW)


def incident(store: IncidentStore, closed_at: float | None = NOW) -> str:
    journal = store.create("checkout is down", 2)
    journal.append("attach", {"name": "trace", "sha256": journal.put_blob(b"evidence"), "size": 8})
    if closed_at is not None:
        journal.append("resolved", {}, at=closed_at)
        journal.append("closed", {}, at=closed_at)
    journal.close()
    return journal.incident


def test_what_ended_long_ago_is_due_the_oldest_first(store: IncidentStore) -> None:
    ids = [incident(store, NOW - days * DAY) for days in (10, 400, 370)]
    incident(store, None)
    assert due(store, NOW - 365 * DAY) == [ids[1], ids[2]]


def test_an_archive_holds_everything_and_its_number_is_not_given_again(store: IncidentStore, tmp_path: Path) -> None:
    id = incident(store)
    before = store.incident(id)
    packed = archive(store, id, tmp_path)
    assert store.list() == [] and not list(store.root.iterdir())
    assert store.retired()[id].head == packed.head
    assert incident(store) != id
    store.unretire(unpack(packed.path, store.root).incident)
    assert store.incident(id) == before and store.open(id).blob(before.attachments[0].sha256) == b"evidence"
    assert store.retired() == {}


def test_what_is_open_in_use_or_not_whole_stays(store: IncidentStore, tmp_path: Path) -> None:
    open_ = incident(store, None)
    with pytest.raises(RefusedError, match="is declared"):
        archive(store, open_, tmp_path)
    used = incident(store)
    journal = store.open(used)
    journal.append("note", {"text": "still looking"})
    with pytest.raises(RefusedError, match="in use"):
        archive(store, used, tmp_path)
    journal.close()
    (blob,) = (store.directory(used) / "blobs").iterdir()
    blob.write_bytes(b"changed")
    with pytest.raises(RecordError, match="not whole"):
        archive(store, used, tmp_path)
    assert {one.id for one in store.list()} == {open_, used} and not list(tmp_path.glob("*.tar.gz"))


def test_an_archive_that_does_not_read_back_takes_nothing_away(
    store: IncidentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = incident(store)
    written = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", lambda path, data: written(path, data[:-1]))  # a disk that lies
    with pytest.raises(RecordError):
        archive(store, id, tmp_path)
    assert [one.id for one in store.list()] == [id]


def test_entries_of_other_hosts_stay_apart_in_an_archive(store: IncidentStore, tmp_path: Path) -> None:
    id = incident(store)
    journal = Journal(store.directory(id), Actor("bo", host="prod-2", via="cli"))
    journal.append("attach", {"name": "not here", "sha256": "0" * 64, "size": 1})
    journal.close()
    (theirs,) = store.directory(id).glob("prod-2-*.jsonl")
    (store.directory(id) / "mirror").mkdir()
    theirs.rename(store.directory(id) / "mirror" / theirs.name.removeprefix("prod-2-"))
    before = store.incident(id)
    unpack(archive(store, id, tmp_path).path, store.root)
    assert store.incident(id) == before and list((store.directory(id) / "mirror").iterdir())


def test_from_the_command_line(
    store: IncidentStore, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEVDECK_DATA_DIR", str(store.data_dir))
    id = incident(store)
    command = ["incident", "archive", id, "--to", str(tmp_path), "--json"]
    assert main(command) == 3 and "archive 1" in capsys.readouterr().err
    assert main([*command, "--confirm", "archive 1"]) == 0
    (done,) = json.loads(capsys.readouterr().out)["archived"]
    assert done["id"] == id and Path(done["path"]).exists() and store.list() == []
    assert main(["incident", "archive", "--closed-for", "365", "--to", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"archived": []}
    assert main(["incident", "archive", "--to", str(tmp_path)]) == 2
    with pytest.raises(UsageError):
        store.directory(id)
