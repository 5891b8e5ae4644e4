"""Clocks that are wrong: the order of the record is the order of causes, and the user is told whose clock it is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from console.incident.events import Actor, Event
from console.incident.journal import Journal
from console.incident.skew import skew
from console.incident.state import fold
from console.incident.verify import verify
from tests.faults.needs import without
from tests.faults.scribe import Scribe

READER = Actor("reader", host="lab")
ROUNDS = 25
IN_2038 = 2_147_600_000


class HostClock:
    """The wall clock of one process, as a file that libfaketime reads each time it is asked; monotonic time is real."""

    def __init__(self, path: Path, offset: float = 0) -> None:
        found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
        if not found:
            without("missing: libfaketime")
        self._path = path
        self.set(offset)
        self.env = {
            "LD_PRELOAD": str(found[0]),
            "FAKETIME_TIMESTAMP_FILE": str(path),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, offset: float) -> None:
        """So many seconds ahead of the real time from now on; replaced as a whole, for it is read at any moment."""
        fresh = self._path.with_suffix(".new")
        fresh.write_text(f"{offset:+.0f}s\n")
        fresh.replace(self._path)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "INC-2026-0001"
    path.mkdir(mode=0o700)
    return path


def say(scribe: Scribe, text: str) -> None:
    """Read what the others wrote, then write, as a person does."""
    scribe.ask("poll")
    assert "id" in scribe.note(text)


def numbers(texts: Sequence[object]) -> list[int]:
    return [int(str(text)) for text in texts]


def misplaced(found: Sequence[int]) -> int:
    """How many stand before what they answer: each answers the number below it."""
    place = {number: at for at, number in enumerate(found)}
    return sum(place[number] < place[number - 1] for number in found if number)


def read(directory: Path) -> list[Event]:
    assert verify(directory).ok
    return Journal(directory, READER).events()


def timeline(events: list[Event]) -> list[int]:
    return numbers([entry.data["text"] for entry in fold(events).timeline])


def by_wall_clock(events: list[Event]) -> list[int]:
    return numbers([event.data["text"] for event in sorted(events, key=lambda event: event.written_at)])


@pytest.mark.parametrize(("minutes", "words"), [(-14, "host-bob clock is 14 min behind that of host-ana"),
                                                (14, "host-ana clock is 14 min behind that of host-bob")])  # fmt: skip
def test_no_reply_stands_before_what_it_answers(directory: Path, tmp_path: Path, minutes: int, words: str) -> None:
    clock = HostClock(tmp_path / "clock", minutes * 60)
    with Scribe(directory, "ana") as ana, Scribe(directory, "bob", env=clock.env) as bob:
        for number in range(ROUNDS):
            say(ana, str(2 * number))
            say(bob, str(2 * number + 1))
    events = read(directory)
    assert timeline(events) == list(range(2 * ROUNDS))
    assert misplaced(by_wall_clock(events)) >= ROUNDS - 1, (
        "the control: sorted by the clock on the wall, replies stand first"
    )
    assert skew(events) == (f"{words} (shown in causal order)",)


def test_a_clock_that_is_set_back_in_the_middle_of_a_session(directory: Path, tmp_path: Path) -> None:
    clock = HostClock(tmp_path / "clock")
    with Scribe(directory, "ana", env=clock.env) as ana:
        for number in range(6):
            say(ana, str(number))
        clock.set(-14 * 60)
        for number in range(6, 12):
            say(ana, str(number))
    events = read(directory)
    assert timeline(events) == list(range(12))
    assert misplaced(by_wall_clock(events)) == 1
    assert skew(events) == ("host-ana clock was set back by 14 min (shown in causal order)",)


@pytest.mark.parametrize("weakness", ["", "adopts any clock"])
def test_a_host_in_2038_does_not_take_the_others_there(directory: Path, tmp_path: Path, weakness: str) -> None:
    clock = HostClock(tmp_path / "clock", IN_2038 - time.time())
    with (
        Scribe(directory, "zoe", env=clock.env) as zoe,
        Scribe(directory, "ana", weakness) as ana,
        Scribe(directory, "bob", weakness) as bob,
    ):
        for number in range(0, 12, 3):
            for scribe, more in ((zoe, 0), (ana, 1), (bob, 2)):
                say(scribe, str(number + more))
    events = read(directory)
    dragged = [event for event in events if event.actor.host != "host-zoe" and event.hlc[0] / 1000 > IN_2038 - 60]
    if weakness:
        assert len(dragged) == 8, "the control: without a limit they go there"
    else:
        assert dragged == []
        others = [event.data["text"] for event in events if event.actor.host != "host-zoe"]
        assert numbers(others) == [1, 2, 4, 5, 7, 8, 10, 11], "those whose clocks agree are in order"
        assert skew(events) == ("host-zoe clock is 11 years ahead (too far to be put in order)",)
