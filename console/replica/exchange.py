"""Rounds with one server over one connection: compare, give, take.

Two ways lead to the same end. `round` compares everything with everything and is what counts. `quick` is for the
moment after something was written: it pushes what goes on from the server's last answer, which the server itself
checks, and asks for one incident with one question; whatever does not fit is left to `round`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from console.replica.core import (
    MOST,
    NOTHING,
    AgainError,
    Call,
    Head,
    Line,
    Local,
    News,
    Plan,
    Server,
    Step,
    Stopped,
    StoppedError,
    Vector,
    Vectors,
    check,
    compare,
    founder,
)

_FEW = 200  # entries of one writer that `quick` gives or takes; more are left to `round`


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one round found and did. `moved`: not 0 when it is to be asked again at once."""

    local: Vectors
    remote: Vectors
    plan: Plan
    moved: int
    trouble: str = ""  # this host's disk, in words
    taken: int = 0  # entries that came
    given: frozenset[str] = frozenset()  # incidents of which something was pushed that the server was not asked about


@dataclass
class Exchange:
    """Rounds with one server over one connection. A new connection begins a new one: refusals may be over."""

    server: Server
    local: Local
    call: Call
    limit: int = MOST  # entries in one request
    stopped: dict[str, Stopped] = field(default_factory=dict)  # by writer
    bound: frozenset[str] = frozenset()  # writers here whose next entry waits for the disk: it is not taken from there
    _there: dict[str, Vector] | None = None  # what the server answered last, over this connection
    _here: dict[str, Vector] = field(default_factory=dict)
    _given: dict[str, Head] = field(default_factory=dict)  # what was pushed since, by writer: where the next goes on

    async def look(self, incidents: Collection[str] | None = None) -> Outcome:
        """Compare only."""
        # The server first: what this host wrote and somebody has pushed meanwhile is then found here too.
        found = await self.server.heads(incidents)
        local, remote, plan = await self.call(lambda: self._compare(found, incidents))
        self._note(plan)
        if incidents is None:
            self._there, self._here, self._given = dict(remote), dict(local), {}
        return Outcome(local, remote, plan, 0)

    async def round(self, incidents: Collection[str] | None = None) -> Outcome:
        """Compare, give the server what it lacks, take what is missing here."""
        seen = await self.look(incidents)
        given, taken, trouble = 0, 0, ""
        if self.server.writable:
            for step in seen.plan.push:
                if step.writer not in self.stopped:
                    given += await self._push(step)
        try:
            taken = await self._pull(self._going(seen.plan.pull), seen.local)
        except _KeepError as error:
            trouble = str(error)
        local, plan = seen.local, seen.plan
        if taken:  # what the server had is known; what it was given, only it can say
            local, _, plan = await self.call(lambda: self._compare(seen.remote, incidents))
            taken = len(self._going(plan.pull))
        return Outcome(local, seen.remote, plan, given + taken, trouble)

    async def quick(self, told: Collection[str], *, written: bool) -> Outcome | None:
        """Give what is new here (`written`), take what is new of incidents that somebody else added to (`told`).

        None: that was not enough, `round` has to look. What was given counts when the server is asked about it.
        """
        if self._there is None or not all(key in self._here for key in told):
            return None
        fresh = await self.call(self._fresh) if written else {}
        if fresh is None:
            return None
        for step, lines in fresh.items():
            if self.server.writable and step.writer not in self.stopped:
                try:
                    await self.server.push(step.incident, step.writer, step.previous, lines)
                except (AgainError, StoppedError):
                    return None
                self._given[step.writer] = Head(lines[-1].seq, lines[-1].hash)
        given = frozenset(step.incident for step in fresh) - {*told}
        asked: dict[str, News] = {}
        for key in sorted(told):
            after = {writer: head.seq for writer, head in self._here.get(key, {}).items()}
            asked[key] = await self.server.news(key, after, _FEW)
        if not asked:
            return Outcome({}, {}, Plan((), (), ()), 0, given=given)
        return dataclasses.replace(await self.call(lambda: self._take(asked)), given=given)

    async def offer(self, incident: str, writer: str, line: Line) -> bool:
        """Give the server an entry that the disk here does not take, if it has all before it. Whether it was given."""
        there = self._given.get(writer) or (self._there or {}).get(incident, {}).get(writer, NOTHING)
        if not self.server.writable or writer in self.stopped or there.seq != line.seq - 1:
            return False
        try:
            await self.server.push(incident, writer, there.hash, [line])
        except (AgainError, StoppedError):
            return False
        self._given[writer] = Head(line.seq, line.hash)
        return True

    def _fresh(self) -> dict[Step, list[Line]] | None:
        """What this host has and the server had not when it answered last; None when that is much, or goes back."""
        assert self._there is not None
        gone, found = self.local.retired(), {}
        self._here = {key: dict(vector) for key, vector in self.local.heads(None).items() if key not in gone}
        for key, vector in self._here.items():
            known = self._there.get(key, {})
            for writer, head in vector.items():
                there = self._given.get(writer) or known.get(writer, NOTHING)
                if head.seq > there.seq + _FEW:
                    return None
                if head.seq > there.seq:
                    step = Step(key, writer, there.seq, head.seq - there.seq, there.hash)
                    found[step] = self.local.lines(key, writer, there.seq, step.count)
        return {step: lines for step, lines in found.items() if lines}

    def _take(self, asked: Mapping[str, News]) -> Outcome:
        """Compare some incidents with the server's answers and keep the entries that came with them."""
        assert self._there is not None
        heads = {key: news.heads for key, news in asked.items()}
        local, remote, plan = self._compare(heads, heads.keys())
        self._note(plan)
        taken, trouble = 0, ""
        for step in self._going(plan.pull):
            # What was here already came by another way meanwhile; if it differs, the next entry does not fit.
            lines = [line for line in asked[step.incident].lines.get(step.writer, ()) if line.seq > step.after]
            try:
                taken += self._keep(step, lines) if lines else 0
            except _KeepError as error:
                trouble = str(error)
        if taken:
            local, remote, plan = self._compare(heads, heads.keys())
        self._there |= remote
        self._here |= local
        for writer in {writer for vector in remote.values() for writer in vector}:
            self._given.pop(writer, None)
        left = len(self._going(plan.pull))  # what is written here meanwhile, somebody speaks of again
        return Outcome(local, remote, plan, left, trouble, taken)

    def _note(self, plan: Plan) -> None:
        for fork in plan.forks:
            self.stopped.setdefault(fork.writer, fork)

    def _going(self, steps: Sequence[Step]) -> list[Step]:
        return [step for step in steps if step.writer not in self.stopped and step.writer not in self.bound]

    def _compare(self, found: Vectors, incidents: Collection[str] | None) -> tuple[Vectors, Vectors, Plan]:
        gone = self.local.retired()
        remote = {key: vector for key, vector in found.items() if key not in gone}
        local = self.local.heads(incidents)

        def hash_at(incident: str, writer: str, seq: int) -> str:
            lines = self.local.lines(incident, writer, seq - 1, 1)
            return lines[0].hash if lines else ""  # unknown: the server compares too

        return local, remote, compare(local, remote, hash_at)

    async def _push(self, step: Step) -> int:
        after, previous, limit, moved = step.after, step.previous, self.limit, 0
        while after < step.after + step.count:
            lines = await self.call(lambda: self.local.lines(step.incident, step.writer, after, limit))  # noqa: B023
            if not lines:
                break
            try:
                await self.server.push(step.incident, step.writer, previous, lines)
            except AgainError:
                return moved + 1  # something moved, elsewhere
            except StoppedError as error:
                if len(lines) > 1 and error.kind == "refused":
                    limit = max(1, len(lines) // 2)  # find the one that it is about; the others go
                    continue
                self._stop(step, error, lines[0].seq)
                return moved
            moved += len(lines)
            after, previous = lines[-1].seq, lines[-1].hash
        return moved

    async def _pull(self, steps: Sequence[Step], local: Vectors) -> int:
        moved = 0
        # Of an incident that is new here its founder first: it says what the incident is.
        steps = [step for step in steps if step.incident in local or step.writer == founder(step.incident)]
        for some in _batches(steps, 500):
            found = await self.server.pull({step.writer: step.after for step in some}, self.limit)
            for step in some:
                lines = found.get(step.writer, [])
                if lines:
                    moved += await self.call(lambda: self._keep(step, lines))  # noqa: B023
        return moved

    def _keep(self, step: Step, lines: Sequence[Line]) -> int:
        try:
            check(step, lines)
        except StoppedError as error:
            self._stop(step, error, error.seq)
            lines = [line for line in lines if line.seq < error.seq] if error.kind == "damaged" else []
        try:
            return len(lines) if lines and self.local.append(step.incident, step.writer, lines) else 0
        except OSError as error:
            raise _KeepError(error.errno, f"what others wrote cannot be kept here: {error.strerror}") from None

    def _stop(self, step: Step, error: StoppedError, seq: int) -> None:
        self.stopped[step.writer] = Stopped(step.incident, step.writer, error.seq or seq, error.kind, error.message)


class _KeepError(OSError):
    """This host's disk, not the connection."""

    def __str__(self) -> str:
        return str(self.args[1])


def _batches(steps: Sequence[Step], size: int) -> Iterator[Sequence[Step]]:
    for start in range(0, len(steps), size):
        yield steps[start : start + size]
