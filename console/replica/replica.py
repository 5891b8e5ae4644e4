"""The replica's one task: connects, compares, gives and takes, says where it stands, and tries again.

It never holds up a local entry: an entry is durable here first, and `kick` only says that there is something to
fetch from the disk. A hint of the server makes others' entries come at once; without hints they come by polling.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import math
import random
import time
from collections.abc import Callable, Collection, Iterable
from typing import Any

from console.config import Config
from console.errors import RecordError, SevdeckError
from console.incident.store import IncidentStore
from console.incident.writer import Bound
from console.replica.core import MOST, NOTHING, Line, Stopped, Vector, Vectors, entries
from console.replica.exchange import Exchange, Outcome
from console.replica.files import Files
from console.replica.postgres import PostgresServer, fault
from console.replica.words import AWAY, WELL, Fault, Status
from console.watch.lane import QueueLane
from console.watch.postgres import Postgres

_log = logging.getLogger(__name__)

POLL = 5.0  # seconds between comparisons of everything
_POLL_POOLED = 1.0  # behind a pooler no hint comes
_BACKOFF = (0.25, 5.0)  # seconds: first wait, longest wait
_SOON = 0.1  # seconds until what another console of this host is writing down is asked for again
_ASK = 0.05  # seconds after something was given until the server is asked about it: others want it first
_COUNT = 1.0  # seconds for counting what waits; a disk that stands still must not keep anybody from leaving
_POOLER = ("26000", "42P05")  # a prepared statement is not there, or one that we did not make is
_STOPPED = 60.0  # seconds until a writer that was stopped is tried again
_LEAST = 10  # entries in one request on a line that is too slow for more
_BUSY_ROUNDS = 50  # rounds in a row after which others get a turn


def replica(config: Config, store: IncidentStore, changed: Callable[[], None] = lambda: None) -> Replica | None:
    """The replica that [replica] asks for; None when it names no server."""
    section = config.extra.get("replica", {})
    return Replica(section["dsn"], store, changed, pooler=section.get("pooler", False)) if section.get("dsn") else None


class Replica:
    """Synchronises every incident of a store with the server of `dsn` (or a reference to one) while `run` runs.

    `status` is replaced whenever something about it changes; then `changed` is called, on the loop's thread.
    `pending` may be set: entries that this host's disk does not take now (`Journal.bound`). They are given to the
    server with the bytes they will have on the disk, once it has all before them. It is called on the loop's thread.
    """

    def __init__(
        self,
        dsn: str,
        store: IncidentStore,
        changed: Callable[[], None] = lambda: None,
        *,
        pooler: bool = False,
        poll: float = POLL,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.status = Status(since=clock())
        self.pending: Callable[[], Iterable[Bound]] = tuple
        self._postgres = Postgres(dsn, "replica")
        self._files = Files(store)
        self._lane = QueueLane("replica files")
        self._pooler = pooler
        self._poll = poll
        self._clock = clock
        self._changed = changed
        self._wake = asyncio.Event()
        self._hints: set[str] = set()
        self._written = False
        self._thorough = False
        self._given: frozenset[str] = frozenset()  # incidents that something was given of, not yet asked about
        self._try_stopped_at = math.inf
        self._remote: dict[str, Vector] | None = None  # what the server said last
        self._local: dict[str, Vector] = {}
        self._limit = MOST
        self._failures = 0  # since the last comparison that succeeded
        self._begun = 0  # rounds of everything that began, and the last one that found nothing to do
        self._settled = 0
        self._news = asyncio.Condition()

    # -- what others call

    async def run(self) -> None:
        """Until cancelled. Raises nothing but CancelledError."""
        while True:
            try:
                await self._connected()
            except Exception as error:
                if getattr(error, "sqlstate", None) in _POOLER and not self._pooler:
                    _log.warning("replica: a pooler does not keep prepared statements; none are used from now on")
                    self._pooler = True
                if isinstance(error, TimeoutError):
                    self._limit = max(_LEAST, self._limit // 2)
                await self._away(_fault(error))

    def kick(self) -> None:
        """Something was written here: look now. Cheap, from the loop's thread."""
        self._written = True
        self._wake.set()

    def retry(self) -> None:
        """Compare everything now, and try again what the server refused. Cheap, from the loop's thread."""
        self._try_stopped_at = 0.0
        self._compare()

    async def drain(self, deadline: float) -> int | None:
        """Give the server what waits, for at most `deadline` seconds, while `run` runs.

        The answer is how many entries of this host are not there: 0 is well, None is unknown.
        """
        wanted = self._begun + 1
        try:
            async with asyncio.timeout(deadline), self._news:
                while self._settled < wanted:
                    self._compare()
                    await self._news.wait()
        except TimeoutError:
            return await self._count()  # the last comparison may be older than what waits
        return await self._count() if self.status.away else self.status.waiting

    async def look(self) -> tuple[Status, Outcome | None]:
        """Connect, compare and leave; nothing is given or taken. For a command."""
        server = PostgresServer(self._postgres, pooler=self._pooler)
        try:
            await server.open(lambda _: None, lambda: None)
            exchange = Exchange(server, self._files, self._lane.call)
            outcome = await exchange.look()
            self._publish(exchange, server, outcome)
            return self.status, outcome
        except Exception as error:
            found = _fault(error)
            reason = f"{found.reason}. {found.remedy}" if found.remedy else found.reason
            return Status(found.state, reason, self._clock()), None
        finally:
            server.terminate()

    def names(self) -> dict[str, str]:
        """Key of an incident on the server -> its id on this host."""
        return self._files.names()

    def close(self) -> None:
        """Let the threads go. After `run` was cancelled."""
        self._lane.close()
        self._postgres.close()

    # -- while there is a connection

    async def _connected(self) -> None:
        """Exchange with the server until something fails, or it deserves a new connection."""
        server = PostgresServer(self._postgres, pooler=self._pooler)
        try:
            await server.open(self._told, self._compare)
            exchange = Exchange(server, self._files, self._lane.call)
            poll = min(self._poll, _POLL_POOLED) if server.pooled else self._poll
            busy, next_full = 0, 0.0
            while True:
                self._wake.clear()
                now = time.monotonic()
                told, self._hints = self._hints, set()
                written, self._written = self._written, False
                await self._offer(exchange)
                if not (self._thorough or now >= next_full or not (told or written)):
                    left = await self._quick(exchange, server, told, written)
                    if left is not None:
                        await self._rest(max(0.0, min(left, next_full - time.monotonic())))
                        continue
                next_full = now + poll
                if server.read_only and await server.may_write():
                    return  # a connection that listens, too
                if await self._everything(exchange, server):
                    self._thorough = True  # in step is what a comparison says, not what was sent
                    busy += 1
                    if busy % _BUSY_ROUNDS == 0:
                        await asyncio.sleep(0.05)
                    continue
                busy = 0
                await self._rest(max(0.05, next_full - time.monotonic()))
        finally:
            server.terminate()

    async def _everything(self, exchange: Exchange, server: PostgresServer) -> int:
        """One round of everything; not 0 when something moved."""
        self._thorough = False
        self._begun += 1
        begun = self._begun
        exchange.limit = self._limit
        if time.monotonic() >= self._try_stopped_at:
            exchange.stopped.clear()  # what is still so is found again in this round
            self._try_stopped_at = math.inf
        outcome = await exchange.round()
        self._failures = 0
        self._try_stopped_at = min(self._try_stopped_at, time.monotonic() + _STOPPED) if exchange.stopped else math.inf
        self._publish(exchange, server, outcome)
        if outcome.moved:
            self._limit = min(MOST, self._limit * 2)
        else:
            await self._settle(begun)
        return outcome.moved

    async def _quick(
        self, exchange: Exchange, server: PostgresServer, told: Collection[str], written: bool
    ) -> float | None:
        """Only what somebody spoke of. How long nothing needs to be asked after it; None: everything, now."""
        outcome = await exchange.quick(told, written=written)
        if outcome is None:
            return None
        keys = {*outcome.local, *outcome.remote}
        self._given = (self._given | outcome.given) - keys
        if outcome.given:
            asyncio.get_running_loop().call_later(_ASK, self._ask)
        if keys:
            self._publish(exchange, server, outcome, keys)
        if not outcome.moved:
            return math.inf
        if outcome.taken:
            return None  # there is more than one question brings
        self._hints |= keys
        return _SOON

    async def _offer(self, exchange: Exchange) -> None:
        """Give what the disk does not take, and ask about it a moment later like about all that is given."""
        here = {name: key for key, name in self._files.names().items()}
        found = [one for one in self.pending() if one.incident in here]
        exchange.bound = frozenset(one.writer for one in found)
        for one in found:
            key = here[one.incident]
            if await exchange.offer(key, one.writer, Line(one.seq, one.hash, one.body)):
                self._given |= {key}
                asyncio.get_running_loop().call_later(_ASK, self._ask)

    def _compare(self) -> None:
        """Compare everything at the next opportunity, which is now."""
        self._thorough = True
        self._wake.set()

    def _told(self, incident: str) -> None:
        self._hints.add(incident)
        self._wake.set()

    def _ask(self) -> None:
        """See whether the server has what was given; a hint about the same incident may have led to that already."""
        if self._given:
            self._hints |= self._given
            self._given = frozenset()
            self._wake.set()

    async def _rest(self, seconds: float) -> None:
        """Until somebody wakes us, or it is time to ask anyway."""
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _settle(self, begun: int) -> None:
        async with self._news:
            self._settled = begun
            self._news.notify_all()

    def _publish(
        self, exchange: Exchange, server: PostgresServer, outcome: Outcome, incidents: Collection[str] | None = None
    ) -> None:
        """What a comparison of some incidents says stands beside what is known of the others."""
        others = {key for key in self._remote or {} if incidents is not None and key not in incidents}
        self._remote = {key: self._remote[key] for key in others if self._remote} | dict(outcome.remote)
        self._local = {key: self._local[key] for key in others if key in self._local} | dict(outcome.local)
        stopped = tuple(exchange.stopped.values())
        waiting = behind(self._local, self._remote, stopped)
        forked = {stop.writer for stop in stopped if stop.kind == "fork"}
        missing = sum(
            max(0, entries(head) - entries(self._local.get(key, {}).get(writer, NOTHING)))
            for key, vector in self._remote.items()
            for writer, head in vector.items()
            if writer not in forked
        )
        state, reason = _state(stopped, server.read_only, waiting, missing)
        self._say(
            state,
            reason,
            waiting=waiting,
            missing=missing,
            stopped=stopped,
            trouble=outcome.trouble,
            pooled=server.pooled,
        )

    # -- while there is none

    async def _away(self, why: Fault) -> None:
        """Say so, and wait before the next try; count what is written meanwhile."""
        pause = min(_BACKOFF[1], _BACKOFF[0] * 2.0 ** min(self._failures, 10)) * random.uniform(0.5, 1.0)
        self._failures += 1
        until = time.monotonic() + pause
        reason = f"{why.reason}. {why.remedy}" if why.remedy else why.reason
        while True:
            waiting = await self._count()
            retry_at = self._clock() + max(0.0, until - time.monotonic())
            self._say(why.state, reason, retry_at=retry_at, waiting=waiting)
            async with self._news:
                self._news.notify_all()
            self._wake.clear()
            left = until - time.monotonic()
            if left <= 0:
                return
            await self._rest(left)
            await asyncio.sleep(max(0.0, min(0.2, until - time.monotonic())))  # many entries, one count

    async def _count(self) -> int | None:
        """What waits, from the files and from what the server said last; unknown when it never said anything."""
        remote = self._remote
        if remote is None:
            return None
        try:
            return await self._lane.call(
                lambda: behind(self._files.heads(), remote, self.status.stopped), deadline=_COUNT
            )
        except (SevdeckError, OSError):
            return None

    # -- saying it

    def _say(self, state: str, reason: str, **more: Any) -> None:
        same = _sort(state) == _sort(self.status.state)
        since = self.status.since if same else self._clock()
        if not same:
            _log.log(logging.INFO if state in WELL else logging.WARNING, "replica %s: %s", state, reason)
        self._update(**{"state": state, "reason": reason, "since": since, "retry_at": None, **more})

    def _update(self, **values: Any) -> None:
        names = self._files.names()
        forked = {stop.writer for stop in self.status.stopped if stop.kind == "fork"}
        forked |= {stop.writer for stop in values.get("stopped", ()) if stop.kind == "fork"}
        vectors = {
            names[key]: {writer: head for writer, head in vector.items() if writer not in forked}
            for key, vector in (self._remote or {}).items()
            if key in names
        }
        fresh = dataclasses.replace(self.status, vectors=vectors, collisions=collisions(names), **values)
        if fresh != self.status:
            self.status = fresh
            self._changed()


def collisions(names: dict[str, str]) -> tuple[str, ...]:
    """Numbers that two hosts gave to different incidents, in words; both stand in the list, nothing is merged.

    >>> collisions({"INC-2026-0001/" + "ab" * 16: "INC-2026-0001-ABABABAB"})
    ('INC-2026-0001 was declared on two hosts; the other one is INC-2026-0001-ABABABAB here',)
    """
    found = sorted((key.partition("/")[0], name) for key, name in names.items())
    return tuple(
        f"{number} was declared on two hosts; the other one is {name} here" for number, name in found if name != number
    )


def _state(stopped: tuple[Stopped, ...], read_only: str, waiting: int, missing: int) -> tuple[str, str]:
    for kind in ("fork", "damaged", "refused"):
        found = [stop for stop in stopped if stop.kind == kind]
        if found:
            return kind, str(found[0])
    if read_only:
        return "read only", read_only
    return ("catching up", "") if waiting or missing else ("in step", "")


def behind(local: Vectors, remote: Vectors, stopped: tuple[Stopped, ...] = ()) -> int:
    """Entries of this host that the server has not. Of a forked writer that is at least one, whatever the numbers."""
    least = {stop.writer: 1 for stop in stopped if stop.kind == "fork"}
    return sum(
        max(least.get(writer, 0), entries(head) - entries(remote.get(key, {}).get(writer, NOTHING)))
        for key, vector in local.items()
        for writer, head in vector.items()
    )


def _sort(state: str) -> str:
    """States between which "since when" goes on: the server is away, whatever the reason is by now."""
    return "away" if state in AWAY else "well" if state in WELL else state


def _fault(error: BaseException) -> Fault:
    if isinstance(error, RecordError):
        return Fault("offline", error.message, error.remedy)
    found = fault(error)
    if found.state == "offline" and not isinstance(error, OSError) and not getattr(error, "sqlstate", None):
        _log.info("the replica's connection failed", exc_info=error)
    return found
