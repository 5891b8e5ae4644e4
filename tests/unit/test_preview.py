"""While a long record is verified its newest entries are shown: as they will be, and nothing that was redacted."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.config import Config
from console.guide.desk import Desk
from console.incident import preview as module
from console.incident.events import Actor
from console.incident.store import IncidentStore
from tests.bench.journal_made import make_incident

ANA = Actor("ana", host="prod-1", via="console")


def test_the_newest_entries_stand_as_in_the_whole_record(tmp_path: Path) -> None:
    make_incident(tmp_path / "incidents" / "INC-2026-0001", 4_000)
    store = IncidentStore(tmp_path, ANA)
    other = store.open("INC-2026-0001")
    for number in range(5):
        other.append("note", {"text": f"note {number}"})
    found, whole = store.preview("INC-2026-0001"), store.incident("INC-2026-0001")
    assert found is not None and found.loading and not whole.loading
    assert (found.title, found.severity, found.status) == (whole.title, whole.severity, whole.status)
    shown = [(entry.id, entry.at, entry.summary, entry.actor, entry.hash) for entry in found.timeline]
    assert len(shown) == 100
    assert shown == [(e.id, e.at, e.summary, e.actor, e.hash) for e in whole.timeline[-100:]]


def test_what_was_redacted_in_another_file_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONG", 0)
    monkeypatch.setattr(module, "_TAIL", 1_500)
    store = IncidentStore(tmp_path, ANA)
    ours, theirs = store.create("x", 2), store.open("1")
    secret = ours.append("note", {"text": "the words of a customer"})
    theirs.append("redact", {"event": secret.id, "reason": "a name"})
    for number in range(20):  # the redaction is no longer in the end of its file
        theirs.append("note", {"text": f"note {number}"})
    found = store.preview("1")
    assert found is not None and "note 19" in found.timeline[-1].summary
    assert not any("customer" in entry.summary for entry in found.timeline)


def test_a_short_record_is_read_at_once(tmp_path: Path) -> None:
    store = IncidentStore(tmp_path, ANA)
    store.create("x", 2)
    assert store.preview("1") is None


def test_a_changed_line_is_not_shown(tmp_path: Path) -> None:
    path = make_incident(tmp_path / "incidents" / "INC-2026-0001", 4_000)
    content = path.read_bytes()
    at = content.rindex(b"restarted")
    path.write_bytes(content[:at] + b"r3started" + content[at + 9 :])
    found = IncidentStore(tmp_path, ANA).preview("1")
    assert found is not None and len(found.timeline) == 100
    assert not any("r3started" in entry.summary for entry in found.timeline)


async def test_the_desk_shows_it_until_the_whole_record_is_there(tmp_path: Path) -> None:
    make_incident(tmp_path / "incidents" / "INC-2026-0001", 4_000)
    shown: list[tuple[bool, bool]] = []
    desk = Desk(
        IncidentStore(tmp_path, ANA),
        Config(),
        lambda: shown.append((desk.preview is not None, desk.incident is not None)),
    )
    await desk.follow("INC-2026-0001")
    assert shown == [(True, False), (False, True)]
    assert desk.incident is not None and len(desk.incident.timeline) == 4_000
    await desk.drain()
