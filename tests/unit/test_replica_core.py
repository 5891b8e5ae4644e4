"""The exchange on servers and hosts in memory: whatever is cut, lost or restored, all end with the same entries."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from console.incident.chain import START, digest, frame
from console.replica.core import (
    AgainError,
    Head,
    Line,
    News,
    Step,
    StoppedError,
    check,
    compare,
    well_named,
)
from console.replica.exchange import Exchange
from console.replica.words import STATES, Status

T = TypeVar("T")
WRITERS = [f"{n:032x}" for n in range(4)]
KEY = f"INC-2026-0001/{WRITERS[0]}"


async def directly(fn: Callable[[], T], /) -> T:
    return fn()


def entry(writer: str, seq: int, previous: str, text: str = "") -> Line:
    body = {"id": f"{writer}-{seq}", "inc": "INC-2026-0001", "w": writer, "s": seq, "t": 0, "lc": [0, 0], "k": "note"}
    raw = json.dumps(body | {"d": {"text": text}}, separators=(",", ":")).encode()
    return Line(seq, frame(previous, raw)[0], raw)


def chain(writer: str, count: int, text: str = "") -> list[Line]:
    lines: list[Line] = []
    for seq in range(1, count + 1):
        lines.append(entry(writer, seq, lines[-1].hash if lines else START, text))
    return lines


class Memory:
    """Chains of one incident. It is a `Local`, and what a server stores."""

    def __init__(self, chains: Mapping[str, list[Line]] | None = None) -> None:
        self.chains: dict[str, list[Line]] = {writer: list(lines) for writer, lines in (chains or {}).items()}

    def retired(self) -> Collection[str]:
        return ()

    def heads(self, incidents: Collection[str] | None) -> dict[str, dict[str, Head]]:
        vector = {writer: Head(lines[-1].seq, lines[-1].hash) for writer, lines in self.chains.items() if lines}
        return {KEY: vector} if vector else {}

    def lines(self, incident: str, writer: str, after: int, limit: int) -> list[Line]:
        return self.chains.get(writer, [])[after : after + limit]

    def append(self, incident: str, writer: str, lines: Sequence[Line]) -> bool:
        chain = self.chains.setdefault(writer, [])
        assert lines[0].seq == len(chain) + 1, "a mirror has no holes"
        chain += lines
        return True


class CutError(OSError):
    pass


class Wire:
    """A server as `schema.sql` makes one, on a connection that breaks when it is told to: before or after the act."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.writable = True
        self.cut_after: int | None = None  # questions; odd: the act happened, the answer is lost
        self.refuses: Callable[[Line], bool] = lambda line: False

    def _cut(self, before: bool) -> None:
        if self.cut_after is not None:
            self.cut_after -= 1
            if self.cut_after < 0:
                raise CutError("cut before" if before else "cut after")

    async def heads(self, incidents: Collection[str] | None) -> dict[str, dict[str, Head]]:
        self._cut(True)
        return self.memory.heads(incidents)

    async def push(self, incident: str, writer: str, previous: str, lines: Sequence[Line]) -> None:
        self._cut(True)
        chain = list(self.memory.chains.get(writer, []))
        for line in lines:
            if line.seq <= len(chain):
                if chain[line.seq - 1].hash != line.hash:
                    raise StoppedError("fork", line.seq, "another one is there")
            elif line.seq > len(chain) + 1:
                raise AgainError("a gap")
            elif previous != (chain[-1].hash if chain else START):
                raise StoppedError("fork", line.seq - 1, "another one is there")
            elif self.refuses(line):
                raise StoppedError("refused", line.seq if len(lines) == 1 else 0, "not that")
            else:
                assert digest(previous, line.body) == line.hash
                chain.append(line)
            previous = line.hash
        self.memory.chains[writer] = chain
        self._cut(False)

    async def pull(self, after: Mapping[str, int], limit: int) -> dict[str, list[Line]]:
        self._cut(True)
        found: dict[str, list[Line]] = {}
        for writer, seq in after.items():
            lines = self.memory.lines(KEY, writer, seq, limit)
            limit -= len(lines)
            found[writer] = lines
        return found

    async def news(self, incident: str, after: Mapping[str, int], limit: int) -> News:
        self._cut(True)
        heads = self.memory.heads(None).get(incident, {})
        lines = {writer: self.memory.lines(incident, writer, after.get(writer, 0), limit) for writer in heads}
        self._cut(False)
        return News(heads, lines)


def synchronise(local: Memory, wire: Wire, limit: int = 3) -> Exchange:
    """Rounds until one finds nothing to do, or the wire is cut."""
    exchange = Exchange(wire, local, directly, limit=limit)

    async def rounds() -> None:
        for _ in range(200):
            if not (await exchange.round()).moved:
                return
        raise AssertionError("it never comes to rest")

    with contextlib.suppress(CutError):
        asyncio.run(rounds())
    return exchange


class Exchanging(RuleBasedStateMachine):
    """Three hosts and a server. Each host writes as itself; nothing that was written may ever be nowhere."""

    @initialize()
    def begin(self) -> None:
        self.written: dict[str, list[Line]] = {writer: chain(writer, 1) for writer in WRITERS[:3]}
        self.hosts = [Memory({writer: self.written[writer]}) for writer in WRITERS[:3]]
        self.server = Memory()
        self.links: dict[int, Exchange] = {}

    @rule(host=st.integers(0, 2), told=st.booleans(), written=st.booleans(), questions=st.none() | st.integers(0, 4))
    def a_connection_that_lasts(self, host: int, told: bool, written: bool, questions: int | None) -> None:
        """One entry, one question: on the same connection, whatever became of the server and the files meanwhile."""
        link = self.links.setdefault(host, Exchange(Wire(self.server), self.hosts[host], directly, limit=3))
        assert isinstance(link.server, Wire)
        link.server.cut_after = questions
        try:
            outcome = asyncio.run(link.quick({KEY} if told else (), written=written))
            if outcome is None:
                outcome = asyncio.run(link.round())
        except CutError:
            del self.links[host]
            return
        for vector in outcome.remote.values():  # what it was said to have, it had; a push is not what is said
            assert all(head.seq <= len(self.server.chains[writer]) for writer, head in vector.items())
        assert not link.stopped

    @rule(host=st.integers(0, 2), count=st.integers(1, 5))
    def write(self, host: int, count: int) -> None:
        writer = WRITERS[host]
        own, told = self.hosts[host].chains[writer], self.written[writer]
        assert own == told, "nobody may write into the file of a living writer"
        for _ in range(count):
            told.append(entry(writer, len(told) + 1, told[-1].hash))
            own.append(told[-1])

    @rule(host=st.integers(0, 2), limit=st.integers(1, 4))
    def exchange(self, host: int, limit: int) -> None:
        synchronise(self.hosts[host], Wire(self.server), limit)
        assert self.hosts[host].heads(None) == self.server.heads(None), "in step after coming to rest"

    @rule(host=st.integers(0, 2), questions=st.integers(0, 6))
    def cut(self, host: int, questions: int) -> None:
        wire = Wire(self.server)
        wire.cut_after = questions
        synchronise(self.hosts[host], wire)

    @rule(writer=st.sampled_from(WRITERS[:3]), keep=st.integers(0, 5))
    def restore_an_older_server(self, writer: str, keep: int) -> None:
        if writer in self.server.chains:
            del self.server.chains[writer][keep:]

    @rule(host=st.integers(0, 2), other=st.sampled_from(WRITERS[:3]), keep=st.integers(0, 5))
    def lose_the_end_of_a_mirror(self, host: int, other: str, keep: int) -> None:
        if other != WRITERS[host] and other in self.hosts[host].chains:
            del self.hosts[host].chains[other][keep:]

    @invariant()
    def nothing_is_invented(self) -> None:
        for place in (self.server, *self.hosts):
            for writer, lines in place.chains.items():
                assert lines == self.written[writer][: len(lines)]

    def teardown(self) -> None:
        if not hasattr(self, "written"):
            return
        for host in (*self.hosts, *self.hosts):
            assert not synchronise(host, Wire(self.server)).stopped
        self.come_to_rest_quickly()
        for place in (self.server, *self.hosts):
            assert place.chains == self.written

    def come_to_rest_quickly(self) -> None:
        """What one host writes is with another after one quick step of each."""
        giver, taker = (Exchange(Wire(self.server), self.hosts[host], directly) for host in (0, 1))
        for link in (giver, taker):
            asyncio.run(link.round())
        self.write(0, 2)
        told = asyncio.run(giver.quick((), written=True))
        assert told is not None and told.given == {KEY}
        taken = asyncio.run(taker.quick({KEY}, written=False))
        assert taken is not None and taken.moved == 0
        assert self.hosts[1].chains[WRITERS[0]] == self.written[WRITERS[0]]
        asyncio.run(giver.quick({KEY}, written=False))
        synchronise(self.hosts[2], Wire(self.server))


def test_a_fork_on_a_connection_that_lasts_is_found() -> None:
    ours = chain(WRITERS[0], 3)
    local, server = Memory({WRITERS[0]: ours}), Memory({WRITERS[0]: ours})
    link = Exchange(Wire(server), local, directly)
    asyncio.run(link.round())
    local.chains[WRITERS[0]].append(entry(WRITERS[0], 4, ours[-1].hash, "here"))
    server.chains[WRITERS[0]].append(entry(WRITERS[0], 4, ours[-1].hash, "there"))
    assert asyncio.run(link.quick((), written=True)) is None, "the server refuses it; the comparison says why"
    asyncio.run(link.quick({KEY}, written=False))
    assert {stop.kind for stop in link.stopped.values()} == {"fork"}
    assert len(local.chains[WRITERS[0]]) == len(server.chains[WRITERS[0]]) == 4


def test_what_a_server_swallows_does_not_count_as_given() -> None:
    class Swallows(Wire):
        async def push(self, incident: str, writer: str, previous: str, lines: Sequence[Line]) -> None:
            return

    local, server = Memory({WRITERS[0]: chain(WRITERS[0], 2)}), Memory({WRITERS[0]: chain(WRITERS[0], 2)})
    link = Exchange(Swallows(server), local, directly)
    asyncio.run(link.round())
    local.chains[WRITERS[0]] = chain(WRITERS[0], 3)
    asyncio.run(link.quick((), written=True))
    outcome = asyncio.run(link.quick({KEY}, written=False))
    assert outcome is not None and outcome.plan.waiting == 1 and not outcome.moved


TestExchanging = Exchanging.TestCase
TestExchanging.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


def test_a_fork_is_found_wherever_the_chains_part_and_stops_nobody_else() -> None:
    for mine, theirs in ((3, 3), (5, 3), (3, 5)):
        local = Memory({WRITERS[0]: chain(WRITERS[0], 2), WRITERS[1]: chain(WRITERS[1], mine, "mine")})
        server = Memory({WRITERS[1]: chain(WRITERS[1], theirs, "theirs"), WRITERS[2]: chain(WRITERS[2], 4)})
        exchange = synchronise(local, Wire(server))
        assert {writer: stop.kind for writer, stop in exchange.stopped.items()} == {WRITERS[1]: "fork"}
        assert local.chains[WRITERS[1]] == chain(WRITERS[1], mine, "mine")
        assert server.chains[WRITERS[1]] == chain(WRITERS[1], theirs, "theirs")
        assert server.chains[WRITERS[0]] == local.chains[WRITERS[0]] and local.chains[WRITERS[2]] == chain(
            WRITERS[2], 4
        )


def test_equal_numbers_with_other_hashes_are_a_fork_and_not_in_step() -> None:
    ours = {KEY: {WRITERS[0]: Head(3, "a" * 64)}}
    plan = compare(ours, {KEY: {WRITERS[0]: Head(3, "b" * 64)}}, lambda *_: "")
    assert [(fork.kind, fork.seq) for fork in plan.forks] == [("fork", 3)] and not plan.push and not plan.pull
    same = compare(ours, ours, lambda *_: "")  # the control
    assert not same.forks and not same.push and not same.pull


def test_a_refused_entry_is_found_in_its_batch_and_what_stands_before_it_goes() -> None:
    local = Memory({WRITERS[0]: chain(WRITERS[0], 40), WRITERS[1]: chain(WRITERS[1], 40)})
    wire = Wire(Memory())
    wire.refuses = lambda line: (line.seq, f'"w":"{WRITERS[1]}"'.encode() in line.body) == (23, True)
    exchange = synchronise(local, wire, limit=100)
    assert exchange.stopped[WRITERS[1]].seq == 23 and len(exchange.stopped) == 1
    assert len(wire.memory.chains[WRITERS[1]]) == 22 and len(wire.memory.chains[WRITERS[0]]) == 40


def test_a_read_only_server_gives_and_is_given_nothing() -> None:
    wire = Wire(Memory({WRITERS[1]: chain(WRITERS[1], 3)}))
    wire.writable = False
    local = Memory({WRITERS[0]: chain(WRITERS[0], 2)})
    synchronise(local, wire)
    assert len(local.chains[WRITERS[1]]) == 3 and WRITERS[0] not in wire.memory.chains


@pytest.mark.parametrize("damage", ["body", "order", "stranger", "gap"])
def test_what_the_server_answers_is_not_believed(damage: str) -> None:
    lines = chain(WRITERS[1], 4)
    if damage == "body":
        lines[2] = Line(3, lines[2].hash, lines[2].body.replace(b'"text":""', b'"text":"x"'))
    elif damage == "order":
        lines[2], lines[3] = lines[3], lines[2]
    elif damage == "stranger":
        lines[2] = entry(WRITERS[2], 3, lines[1].hash)
    else:
        del lines[2]
    with pytest.raises(StoppedError) as stopped:
        check(Step(KEY, WRITERS[1], 0, 4), lines)
    assert (stopped.value.kind, stopped.value.seq) == ("damaged", 3)
    local = Memory({WRITERS[0]: chain(WRITERS[0], 1)})
    exchange = synchronise(local, Wire(Memory({WRITERS[1]: lines, WRITERS[2]: chain(WRITERS[2], 2)})), limit=50)
    assert len(local.chains[WRITERS[1]]) == 2 and len(local.chains[WRITERS[2]]) == 2
    assert exchange.stopped[WRITERS[1]].kind == "damaged"
    check(Step(KEY, WRITERS[1], 0, 4), chain(WRITERS[1], 4))  # the control


@pytest.mark.parametrize("writer", ["../" * 9 + "x", "A" * 32, "0" * 31, ""])
def test_a_server_cannot_name_files_here(writer: str) -> None:
    assert not well_named(KEY, writer) and not well_named(f"../INC-2026-0001/{WRITERS[0]}", WRITERS[0])
    assert well_named(KEY, WRITERS[1])
    local = Memory({WRITERS[0]: chain(WRITERS[0], 1)})
    synchronise(local, Wire(Memory({writer: chain(writer, 2)})))
    assert list(local.chains) == [WRITERS[0]]


def test_a_disk_that_is_full_keeps_nobody_from_giving() -> None:
    class Full(Memory):
        def append(self, incident: str, writer: str, lines: Sequence[Line]) -> bool:
            raise OSError(28, "No space left on device")

    local, wire = Full({WRITERS[0]: chain(WRITERS[0], 2)}), Wire(Memory({WRITERS[1]: chain(WRITERS[1], 2)}))
    outcome = asyncio.run(Exchange(wire, local, directly).round())
    assert "No space left" in outcome.trouble and len(wire.memory.chains[WRITERS[0]]) == 2


def test_every_state_has_words() -> None:
    for state in STATES:
        status = Status(state, "why", since=100.0, retry_at=294.0, waiting=41, missing=0)
        words = status.words(292.0)
        assert "why" in words and "41 waiting" in words
        assert ("retry in 2 s" in words) == status.away and ("recording here" in words) == status.away
    offline = Status("offline", "connection refused", since=100.0, retry_at=294.0, waiting=41, missing=0)
    assert offline.words(292.0) == ("DB offline 3m12s (connection refused) - recording here, 41 waiting, retry in 2 s")
