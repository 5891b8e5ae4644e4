"""A writer that stands still in the middle of a write or a sync: nobody else notices, and nothing of it is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.incident.events import Actor
from console.incident.journal import Journal
from console.incident.verify import verify
from tests.faults.scribe import Scribe, until

READER = Actor("reader", host="lab")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "INC-2026-0001"
    path.mkdir(mode=0o700)
    return path


def waits_for_a_lock(pid: int) -> bool:
    """In /proc/locks an arrow marks those that wait."""
    waiting = [line.split() for line in Path("/proc/locks").read_text().splitlines() if "->" in line]
    return any(str(pid) in words for words in waiting)


@pytest.mark.parametrize("call", ["write", "sync"])
def test_others_write_and_read_on_while_one_writer_stands_still(directory: Path, call: str) -> None:
    with Scribe(directory, "ana") as ana, Scribe(directory, "bob") as bob:
        first = ana.note("before")["id"]
        bob.note("hello")
        ana.ask("stop in", call=call)
        ana.tell("note", text="held up", id="held-up")
        until(ana.stopped, "stopped by its signal")
        written = [bob.note(f"bob {number}")["id"] for number in range(50)]
        assert set(bob.ask("poll")["texts"]) >= {"before", "bob 49"}
        torn = [damage for damage in Journal(directory, READER).damage() if not damage.torn]
        assert torn == [] and verify(directory).ok, "a line that is half written was called damaged"
        assert ana.stopped() and not ana.answered(), "acknowledged before it was on disk"
        ana.go_on()
        assert ana.answer()["id"] == "held-up"
        assert ana.note("after")["id"]
    found = [event.id for event in Journal(directory, READER).events()]
    assert {first, "held-up", *written} <= set(found) and len(found) == 54
    assert verify(directory).ok


def test_one_lock_for_all_writers_would_hold_everybody_up(directory: Path) -> None:
    """The control: with a common lock the others stand still as well, and that is noticed."""
    with (
        Scribe(directory, "ana", "one lock for all") as ana,
        Scribe(directory, "bob", "one lock for all") as bob,
    ):
        ana.note("before")
        bob.note("hello")
        ana.ask("stop in", call="sync")
        ana.tell("note", text="held up", id="held-up")
        until(ana.stopped, "stopped by its signal")
        bob.tell("note", text="bob", id="bob")
        until(lambda: waits_for_a_lock(bob.pid), "waiting for the lock")
        assert not bob.answered()
        ana.go_on()
        assert (ana.answer()["id"], bob.answer()["id"]) == ("held-up", "bob")
