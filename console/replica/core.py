"""What goes where: two vectors (writer -> last entry) are compared, and each side is given what it lacks.

Nothing is remembered about what was sent: the server is asked every time, so that a server restored from an old
backup is made whole again by anyone who still has the entries. No files and no network here, only what is asked
of them (`Local`, `Server`).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

from console.errors import SevdeckError
from console.incident.chain import START, digest
from console.incident.events import MAX_BODY, decode_event

T = TypeVar("T")

MOST = 2000  # entries in one request
_KEY = re.compile(r"INC-\d{4}-\d{4,}/[0-9a-f]{32}", re.ASCII)
_WRITER = re.compile(r"[0-9a-f]{32}")


class Head(NamedTuple):
    """The last entry of a writer's chain: its number and its hash (64 hex digits)."""

    seq: int
    hash: str


NOTHING = Head(0, START)


@dataclass(frozen=True, slots=True)
class Line:
    """One entry: its number, its chained hash, and the exact bytes that were hashed."""

    seq: int
    hash: str
    body: bytes


@dataclass(frozen=True, slots=True)
class News:
    """One incident as the server answers: the last entry of every writer, and entries that were asked for."""

    heads: Mapping[str, Head]
    lines: Mapping[str, Sequence[Line]]


Vector = Mapping[str, Head]  # writer -> its last entry
Vectors = Mapping[str, Vector]  # key of an incident -> vector


class Server(Protocol):
    """The common place. Every call may also raise whatever its connection raises."""

    writable: bool

    async def heads(self, incidents: Collection[str] | None) -> dict[str, dict[str, Head]]:
        """The last entry of every writer, of these incidents or of all."""
        ...

    async def push(self, incident: str, writer: str, previous: str, lines: Sequence[Line]) -> None:
        """Store lines that follow each other and the entry with hash `previous`. Stored ones are left as they are.

        Raises StoppedError when the server refuses them for what they are, AgainError when it has moved on.
        """
        ...

    async def pull(self, after: Mapping[str, int], limit: int) -> dict[str, list[Line]]:
        """Writer -> entries after that number, in order, `limit` of them in all."""
        ...

    async def news(self, incident: str, after: Mapping[str, int], limit: int) -> News:
        """How one incident stands there, and of each writer at most `limit` entries after that number."""
        ...


class Local(Protocol):
    """The files of this host. Every call blocks; OSError when the disk does not do it."""

    def heads(self, incidents: Collection[str] | None) -> dict[str, dict[str, Head]]:
        """The last entry of every writer up to which its chain is whole."""
        ...

    def retired(self) -> Collection[str]:
        """Incidents that were taken away from this host on purpose: they are neither given nor taken."""
        ...

    def lines(self, incident: str, writer: str, after: int, limit: int) -> list[Line]: ...

    def append(self, incident: str, writer: str, lines: Sequence[Line]) -> bool:
        """Keep lines of a writer elsewhere, durable when this returns. False: not now, ask again."""
        ...


class Call(Protocol):
    """How blocking calls of `Local` are made: in a thread."""

    def __call__(self, fn: Callable[[], T], /) -> Awaitable[T]: ...


class StoppedError(SevdeckError):
    """One writer's chain cannot go on. `kind`: fork, refused, damaged. `seq`: the entry."""

    def __init__(self, kind: str, seq: int, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.seq = seq


class AgainError(SevdeckError):
    """Somebody else was faster: compare again."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """A writer whose entries are left alone while those of all others flow."""

    incident: str
    writer: str
    seq: int
    kind: str  # fork, refused, damaged
    reason: str

    def __str__(self) -> str:
        number = self.incident.partition("/")[0]
        return f"{number} entry {self.seq} of writer {self.writer[:8]}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Step:
    """One writer's entries after `after` are to be given to the other side."""

    incident: str
    writer: str
    after: int
    count: int
    previous: str = START  # hash of entry `after` on the giving side


@dataclass(frozen=True, slots=True)
class Plan:
    push: tuple[Step, ...]
    pull: tuple[Step, ...]
    forks: tuple[Stopped, ...]

    @property
    def waiting(self) -> int:
        """Entries that the server has not."""
        return sum(step.count for step in self.push)

    @property
    def missing(self) -> int:
        """Entries that this host has not."""
        return sum(step.count for step in self.pull)


def entries(head: Head) -> int:
    """How many entries a person counts up to there: the first line of a file only says who writes."""
    return max(0, head.seq - 1)


def founder(incident: str) -> str:
    """The writer that declared the incident, from its key.

    >>> founder("INC-2026-0001/" + "ab" * 16) == "ab" * 16
    True
    """
    return incident.rpartition("/")[2]


def well_named(incident: str, writer: str) -> bool:
    """What a server says becomes names of files and words on a screen: only what this program would have said."""
    return bool(_KEY.fullmatch(incident) and _WRITER.fullmatch(writer))


def compare(local: Vectors, remote: Vectors, hash_at: Callable[[str, str, int], str]) -> Plan:
    """What each side lacks. `hash_at(incident, writer, seq)`: this host's hash of an entry it has, "" if unknown."""
    push, pull, forks = [], [], []
    for incident in sorted({*local, *remote}):
        ours, theirs = local.get(incident, {}), remote.get(incident, {})
        for writer in sorted({*ours, *theirs}, key=lambda w: (w != founder(incident), w)):
            mine, there = ours.get(writer, NOTHING), theirs.get(writer, NOTHING)
            known = START if there.seq == 0 else mine.hash if mine.seq == there.seq else ""
            if mine.seq > there.seq > 0:
                known = hash_at(incident, writer, there.seq)
            if known and known != there.hash:
                reason = f"the server has {there.hash[:16]}, here it is {known[:16]}"
                forks.append(Stopped(incident, writer, there.seq, "fork", reason))
            elif mine.seq > there.seq:
                push.append(Step(incident, writer, there.seq, mine.seq - there.seq, there.hash))
            elif mine.seq < there.seq:
                pull.append(Step(incident, writer, mine.seq, there.seq - mine.seq, mine.hash))
    return Plan(tuple(push), tuple(pull), tuple(forks))


def check(step: Step, lines: Sequence[Line]) -> None:
    """Pulled lines are what their writer wrote, and go on from what is here. Raises StoppedError."""
    previous, seq = step.previous, step.after
    for line in lines:
        if line.seq != seq + 1:
            raise StoppedError("damaged", seq + 1, f"the server answers with entry {line.seq} instead")
        if digest(previous, line.body) != line.hash:
            if line is lines[0] and step.after:
                raise StoppedError("fork", step.after, f"what follows on the server does not fit {previous[:16]} here")
            raise StoppedError("damaged", line.seq, "its hash does not match")
        try:
            event = decode_event(line.body, line.hash)
        except ValueError as error:
            raise StoppedError("damaged", line.seq, str(error)) from None
        strange = b"\n" in line.body or len(line.body) > 2 * MAX_BODY or not well_named(step.incident, step.writer)
        if strange or (event.writer, event.seq) != (step.writer, line.seq):
            raise StoppedError("damaged", line.seq, "it belongs elsewhere")
        previous, seq = line.hash, line.seq
