"""Poison at the door: stored as text that prints and reads back the same, or refused before a byte is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from console.errors import RecordError
from console.incident.events import Actor
from console.incident.journal import Journal
from console.incident.state import fold
from console.incident.verify import verify
from tests.unit.faulty_disk import FaultyDisk
from tests.unit.poison import REFUSED, TEXTS

ANA = Actor("ana", host="prod-1", via="console")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "INC-2026-0001"
    path.mkdir(mode=0o700)
    return path


def test_every_poison_is_stored_as_text_that_prints_and_nothing_gets_stuck(directory: Path) -> None:
    journal = Journal(directory, ANA)
    written = {name: journal.append("note", {"text": text, "k" + text[:50]: name}) for name, text in TEXTS.items()}
    (path,) = directory.glob("*.jsonl")
    lines = path.read_bytes().split(b"\n")
    assert len(lines) == len(TEXTS) + 2, "a text has made lines of its own"
    assert all(line.decode("utf-8").isprintable() for line in lines)
    found = {event.id: event for event in Journal(directory, ANA).events()}
    assert found == {event.id: event for event in written.values()}
    assert verify(directory).ok
    assert all(entry.summary.isprintable() for entry in fold(found.values()).timeline)
    assert written["a line of 10 kB"].data["text"] == TEXTS["a line of 10 kB"]
    assert "\\u202e" in written["turned around"].data["text"]
    assert written["lone surrogates"].data["text"].startswith("\\ud800")


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_cannot_be_stored_is_refused_before_a_byte_is_written(directory: Path, name: str) -> None:
    disk = FaultyDisk()
    journal = Journal(directory, ANA, disk=disk)
    journal.append("note", {"text": "before"})
    writes = len(disk.writes)
    with pytest.raises(RecordError) as refused:
        journal.append("note", REFUSED[name])
    assert refused.value.message.isprintable() and len(disk.writes) == writes
    assert name != "a paste of 64 KiB" or "Attach it as a file" in refused.value.remedy
    journal.append("note", {"text": "after"})
    assert [event.data["text"] for event in Journal(directory, ANA).events()] == ["before", "after"]
    assert journal.unsaved() == []


@pytest.mark.parametrize(
    "more",
    [
        {"at": float("nan")},
        {"at": float("inf")},
        {"at": 1e18},
        {"at": -1.0},
        {"actor": Actor("a\0b")},
        {"actor": Actor("\ud800")},
        {"id": "\0"},
    ],
    ids=str,
)
def test_what_stands_beside_the_data_is_refused_too(directory: Path, more: dict[str, Any]) -> None:
    journal = Journal(directory, ANA)
    with pytest.raises(RecordError):
        journal.append("note", {"text": "x"}, **more)
    journal.append("note", {"text": "after"})
    assert [event.data["text"] for event in Journal(directory, ANA).events()] == ["after"]
    assert verify(directory).ok
