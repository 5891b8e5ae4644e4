"""Clocks that disagree: found where the record proves it, never where it does not."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from console.incident.clock import HybridClock
from console.incident.events import Actor, Event
from console.incident.skew import behind, set_back, skew

T0 = 1_795_317_172.0


class World:
    """Hosts that write and read each other; `offsets` are how far their clocks are ahead of the real time."""

    def __init__(self, offsets: dict[str, float]) -> None:
        self.now = T0
        self.offsets = dict(offsets)
        self.events: list[Event] = []
        self._clocks = {host: HybridClock(lambda host=host: self.wall(host)) for host in offsets}  # type: ignore[misc]
        self._read: dict[str, dict[str, int]] = {host: {} for host in offsets}

    def wall(self, host: str) -> float:
        return self.now + self.offsets[host]

    def write(self, host: str, *, after: float = 1.0, name_seen: bool = True) -> Event:
        """Read everything, then write."""
        self.now += after
        seen: dict[str, tuple[int, str]] = {}
        for event in self.events:
            self._clocks[host].observe([event.hlc])
            if event.writer != host and event.seq > self._read[host].get(event.writer, 0):
                self._read[host][event.writer] = event.seq
                seen[event.writer] = (event.seq, "0" * 16)
        seq = 1 + sum(event.writer == host for event in self.events)
        now = round(self.wall(host), 3)
        made = Event(
            id=f"{host}-{seq}",
            incident="INC-2026-0001",
            writer=host,
            seq=seq,
            written_at=now,
            at=now,
            hlc=self._clocks[host].now(),
            kind="note",
            actor=Actor("ana", host=host),
            data={"text": "x"},
            seen=(seen or None) if name_seen else None,
        )
        self.events.append(made)
        return made


def test_two_hosts_are_named_both_for_nobody_knows_whose_clock_is_wrong() -> None:
    world = World({"host-a": 0, "host-b": -14 * 60})
    for host in ("host-a", "host-b", "host-a", "host-b"):
        world.write(host)
    assert skew(world.events) == ("host-b clock is 14 min behind that of host-a (shown in causal order)",)
    assert skew(reversed(world.events)) == skew(world.events)


def test_a_host_that_disagrees_with_all_others_is_named_alone() -> None:
    for offset, words in ((-14 * 60, "14 min behind"), (14 * 60, "14 min ahead")):
        world = World({"host-a": 0, "host-b": offset, "host-c": 0.2})
        for host in ("host-a", "host-b", "host-c") * 3:
            world.write(host)
        assert skew(world.events) == (f"host-b clock is {words} (shown in causal order)",)


def test_a_stamp_alone_tells_it_where_no_head_was_named() -> None:
    world = World({"host-a": 0, "host-b": -90})
    world.write("host-a", name_seen=False)
    world.write("host-b", name_seen=False)
    assert skew(world.events) == ("host-b clock is 89 s behind that of host-a (shown in causal order)",)


def test_a_clock_that_is_set_back_is_no_disagreement_of_two_hosts() -> None:
    world = World({"host-a": 0, "host-b": 0})
    world.write("host-a"), world.write("host-b")
    world.offsets["host-b"] = -3600
    world.write("host-b")
    world.write("host-b")
    assert set_back(world.events) == {"host-b": 3599.0}
    assert "host-b clock was set back by 60 min (shown in causal order)" in skew(world.events)


def test_more_than_the_clock_adopts_is_not_in_order_and_said_so() -> None:
    world = World({"host-a": 0, "host-b": 3 * 86400})
    world.write("host-b"), world.write("host-a")
    assert skew(world.events) == ("host-a clock is 3 days behind that of host-b (too far to be put in order)",)


def test_a_name_from_outside_cannot_steer_the_terminal() -> None:
    world = World({"a\x1b]0;owned\x07": 0, "b\x1b[2J": -600})
    world.write("a\x1b]0;owned\x07"), world.write("b\x1b[2J")
    (words,) = skew(world.events)
    assert words.isprintable()


@settings(deadline=None, max_examples=150)
@given(
    offsets=st.lists(st.floats(-5000, 5000), min_size=2, max_size=4),
    seed=st.integers(0, 2**32),
)
def test_what_is_claimed_is_never_more_than_what_is_true(offsets: list[float], seed: int) -> None:
    world = World({f"host-{number}": offset for number, offset in enumerate(offsets)})
    chance = random.Random(seed)
    for _ in range(20):
        world.write(chance.choice(list(world.offsets)), after=chance.uniform(0.001, 100))
    for (late, early), seconds in behind(world.events).items():
        assert 0 < seconds <= world.offsets[early] - world.offsets[late] + 0.01


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**32))
def test_clocks_that_agree_are_never_accused(seed: int) -> None:
    chance = random.Random(seed)
    world = World({f"host-{number}": chance.uniform(-20, 20) for number in range(4)})
    for _ in range(30):
        world.write(chance.choice(list(world.offsets)), after=chance.uniform(0.0, 300))
    assert skew(world.events) == () and set_back(world.events) == {}
