"""The replica's server in memory: the rules of `schema.sql`, and a connection to it that can fail in every way."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from console.incident.chain import START, digest
from console.replica.core import AgainError, Head, Line, News, StoppedError


class CutError(ConnectionError):
    """The connection is gone. Whether the server did what it was asked, nobody here knows."""


class Row(NamedTuple):
    incident: str
    line: Line


class ServerTwin:
    """Rows that are only ever added, each as the next one of its writer."""

    def __init__(self, *, checks_forks: bool = True) -> None:
        self.chains: dict[str, list[Row]] = {}
        self._checks_forks = checks_forks

    def insert(self, incident: str, writer: str, previous: str, lines: Sequence[Line]) -> None:
        """One statement: all of them or none."""
        chain = list(self.chains.get(writer, []))
        for line in lines:
            if self._check(chain, incident, writer, previous, line):
                chain.append(Row(incident, line))
            previous = line.hash
        self.chains[writer] = chain

    def _check(self, chain: Sequence[Row], incident: str, writer: str, previous: str, line: Line) -> bool:
        """As the trigger does it, in the same order. False: it is there already."""
        if line.seq <= len(chain):
            if self._checks_forks and chain[line.seq - 1].line.hash != line.hash:
                raise StoppedError("fork", line.seq, "the server has another one there")
            return False
        if line.seq != len(chain) + 1:
            raise AgainError(f"the server has {len(chain)} entries")
        if self._checks_forks and previous != (chain[-1].line.hash if chain else START):
            raise StoppedError("fork", line.seq - 1, "the server has another one there")
        if line.hash != digest(previous, line.body):
            raise StoppedError("refused", line.seq, "its hash does not match")
        said = json.loads(line.body)
        if (said["w"], said["s"]) != (writer, line.seq) or (chain and chain[-1].incident != incident):
            raise StoppedError("refused", line.seq, "it belongs elsewhere")
        return True

    def restore(self, keep: Mapping[str, int]) -> None:
        """An older backup: of each writer the first entries, of a writer that is not named nothing."""
        self.chains = {writer: chain[: keep[writer]] for writer, chain in self.chains.items() if keep.get(writer)}

    def heads(self) -> dict[str, dict[str, Head]]:
        found: dict[str, dict[str, Head]] = {}
        for writer, chain in self.chains.items():
            last = chain[-1]
            found.setdefault(last.incident, {})[writer] = Head(last.line.seq, last.line.hash)
        return found


class Connection:
    """`core.Server` for one host. Faults are counted in questions, a lost answer is half of one."""

    def __init__(self, twin: ServerTwin) -> None:
        self._twin = twin
        self.writable = True
        self.cut_after: int | None = None  # half questions: odd numbers lose an answer, the act has happened
        self.twice = False  # a statement is carried out twice, as after a retry on the way
        self.between: Callable[[], None] | None = None  # happens once, after the first answer
        self._asked = 0

    def _half(self) -> None:
        self._asked += 1
        if self._asked == 3 and self.between is not None:
            self.between()
        if self.cut_after is not None:
            self.cut_after -= 1
            if self.cut_after < 0:
                raise CutError(104, "connection lost")

    async def heads(self, incidents: Collection[str] | None) -> dict[str, dict[str, Head]]:
        self._half()
        found = self._twin.heads()
        self._half()
        return {key: vector for key, vector in found.items() if incidents is None or key in incidents}

    async def push(self, incident: str, writer: str, previous: str, lines: Sequence[Line]) -> None:
        self._half()
        self._twin.insert(incident, writer, previous, lines)
        if self.twice:
            self._twin.insert(incident, writer, previous, lines)
        self._half()

    async def news(self, incident: str, after: Mapping[str, int], limit: int) -> News:
        self._half()
        heads = self._twin.heads().get(incident, {})
        lines = {
            writer: [row.line for row in self._twin.chains[writer][after.get(writer, 0) :]][:limit] for writer in heads
        }
        self._half()
        return News(heads, {writer: found for writer, found in lines.items() if found})

    async def pull(self, after: Mapping[str, int], limit: int) -> dict[str, list[Line]]:
        self._half()
        found: dict[str, list[Line]] = {}
        for writer, seq in after.items():
            lines = [row.line for row in self._twin.chains.get(writer, [])[seq:]][:limit]
            limit -= len(lines)
            if lines:
                found[writer] = lines
        self._half()
        return found
