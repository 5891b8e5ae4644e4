"""The desk: where a console follows one incident, writes to it, and lets the machine write what it saw.

One thread reads the record and one writes it, so that a slow disk never holds the caller's loop. An entry that
cannot be saved yet (disk full) is kept, counted in `unsaved`, and tried again with the same id until it is.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from console.checks.check import Finding
from console.checks.facts import Fact, FactStream, backlog, unsaid
from console.checks.topology import topology
from console.config import Config
from console.errors import RecordError
from console.guide.bindings import Host
from console.guide.deputy import call_out
from console.guide.evidence import Evidence, evidence
from console.guide.run import PlaybookRun
from console.guide.schema import Playbook
from console.incident.attach import attach_content, attach_file
from console.incident.durability import Heads, damage_words
from console.incident.events import Actor, Event, admit, draft, fact_id, new_id, short
from console.incident.folding import incident_of
from console.incident.journal import Journal, Unsaved
from console.incident.records import Entry, Incident, RunState
from console.incident.room import full_disk
from console.incident.skew import skew
from console.incident.state import plain_entry
from console.incident.store import IncidentStore
from console.incident.verify import combined_head
from console.incident.writer import Bound, NotSavedError
from console.watch.lane import QueueLane
from console.watch.readings import Readings
from console.watch.recorder import FlightRecorder

T = TypeVar("T")

_log = logging.getLogger(__name__)

POLL = 0.2  # seconds between looks at the record; others' entries appear within it
_LOOK_FOR_NEW = 1.0  # seconds between looks for another incident
_CLOCKS_EVERY = 10.0  # seconds between looks at what the record says of clocks
_LATE = 1.0  # seconds after which an entry that waits for the disk is called not saved
_RETRY = 1.0  # seconds between tries to save what could not be saved
_FLIGHT_EVERY = 1200.0  # seconds; the recorder holds 30 minutes, so no reading falls between two
_BEFORE = 1800.0  # seconds of facts from before the declaration that belong to the incident


class Desk:
    """Follows the incident that matters most, or the one a person chose."""

    def __init__(
        self,
        store: IncidentStore,
        config: Config,
        changed: Callable[[], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self.recorder = FlightRecorder(clock=clock)
        self.incident: Incident | None = None
        self.preview: Incident | None = None  # to be shown while a long record is read; never to act upon
        self.heads: Heads = {}  # the last entry of every writer, as it lies on this host
        self.trouble = ""  # why the record cannot be read or written, in words
        self._config = config
        self._changed = changed
        self._clock = clock
        self._journal: Journal | None = None
        self._chosen = ""
        self._reader = QueueLane("record reader")
        self._writer = QueueLane("record writer")
        self._clocks: tuple[str, ...] = ()  # hosts whose clocks disagree, in words
        self._clocks_at = -math.inf  # monotonic; when the record was looked through for that
        self._full = ""
        self._damage = ""  # what of the record cannot be served, in words
        self._order = asyncio.Lock()  # what was said first is written first, also when the disk refuses it for a while
        self._waiting: dict[str, Unsaved] = {}  # by id: refused by a full disk, or behind something that hangs
        self._readings = Readings()
        self._facts = FactStream(config)
        self._recent: deque[Fact] = deque(maxlen=500)
        self._automatic = Actor.current("watch")
        self._flight_at: float | None = None
        self._said = ("", 0.0)  # what was called out last: incident, when
        self._runs: dict[str, PlaybookRun] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._leaving = False
        self._joined: list[Journal] = []  # where this person said that they are present

    @property
    def unsaved(self) -> str:
        """What is not on disk yet, in words; "" when everything is."""
        late = self._late()
        if not late:
            stuck = self._writer.stuck_for or 0.0
            return f"the disk is slow: what you do now waits for it, since {stuck:.0f} s" if stuck > _LATE else ""
        entries = "entry" if len(late) == 1 else "entries"
        why = self.trouble.removeprefix("not saved: ") or "the disk is slow"
        return f"{len(late)} {entries} NOT SAVED (^W writes elsewhere): {why}"

    @property
    def warnings(self) -> tuple[str, ...]:
        """What people must know of this record besides, in sentences."""
        return (*([self._damage] if self._damage else []), *self._clocks)

    @property
    def unsaved_entries(self) -> tuple[Entry, ...]:
        """The same as lines of the timeline, oldest first."""
        return tuple(plain_entry(one.event) for one in self._late())

    def bound(self) -> tuple[Bound, ...]:
        """The entry that the disk does not take, for a server to keep meanwhile."""
        found = self._journal.bound() if self._journal is not None else None
        return (found,) if found is not None else ()

    def _late(self) -> list[Unsaved]:
        """What a disk that is well would have taken by now."""
        return [one for one in self._held() if self._clock() - one.since > _LATE]

    def _held(self) -> list[Unsaved]:
        """What is on its way to the disk, in the order in which it was said."""
        waiting = dict(self._waiting)
        for one in self._journal.unsaved() if self._journal is not None else ():
            known = waiting.get(one.event.id, one)
            waiting[one.event.id] = Unsaved(known.since, one.event)
        return sorted(waiting.values(), key=lambda one: one.since)

    @property
    def full(self) -> str:
        """That the disk is full and how much can be recorded all the same, in words; "" while it is not."""
        return self._full

    @property
    def elsewhere(self) -> str:
        """That the record goes on in a spare place, in words; "" when it is where it belongs."""
        return self._journal.elsewhere if self._journal is not None else ""

    async def go_elsewhere(self) -> str:
        """Record in a spare place from now on; why not, in words, or ""."""
        journal = self._journal
        if journal is None or not self.unsaved:
            return "everything is saved where it belongs"
        # Not in the writer's thread: that one may be waiting for the disk.
        why = self.trouble.removeprefix("not saved: ").split(" (")[0] or "the disk does not answer"
        if (self._writer.stuck_for or 0.0) > _LATE:
            moved = await self._leave_behind(journal, why)
        else:
            moved = await asyncio.to_thread(journal.go_elsewhere, why)
        return "" if moved else "there is no other place that can be written to"

    async def _leave_behind(self, journal: Journal, why: str) -> bool:
        """Go on in a spare place with a journal and a thread anew: the present ones wait in the kernel, nobody knows
        how long. What they hold is written there under the same ids; when the disk answers, both are one entry.
        """
        fresh, held = Journal(journal.directory, journal.actor), self._held()
        if not await asyncio.to_thread(fresh.go_elsewhere, why):
            return False
        self._journal, self._writer, self._order = fresh, QueueLane("record writer"), asyncio.Lock()
        self._joined = [fresh if one is journal else one for one in self._joined]
        self._runs.clear()  # they write to the journal that is left
        for one in held:
            event = one.event
            await self._writer.call(
                lambda: fresh.append(event.kind, event.data, id=event.id, at=one.since, actor=event.actor)  # noqa: B023
            )
            self._waiting.pop(event.id, None)
        await self._poll()
        return True

    # -- following

    async def run(self) -> None:
        """Follow until cancelled."""
        looked = 0.0
        while True:
            now = time.monotonic()
            try:
                if now - looked >= _LOOK_FOR_NEW:
                    looked = now
                    await self._look()
                await self._poll()
                self._record_flight()
            except RecordError as error:
                if self.trouble != error.message:
                    self.trouble = error.message
                    self._changed()
            except Exception:
                _log.exception("following the incident failed")
            # Each turn wakes the loop; with nothing to follow there is only the look for a new incident.
            await asyncio.sleep(POLL if self._journal is not None else _LOOK_FOR_NEW / 2)

    async def follow(self, id: str) -> None:
        """Follow this incident, also when another one matters more. Raises UsageError for no such incident."""
        await self._open(id)
        self._chosen = id
        await self._poll()

    async def _look(self) -> None:
        if self._chosen and self.incident is not None and self.incident.open:
            return
        current = await self._reader.call(self.store.current)
        if current is None:
            if self.incident is not None and not self.incident.open:
                return  # it stays on the screen until the next one, so that it can be exported
            return
        if self._journal is None or current != self._journal.incident:
            if self.incident is not None and self.incident.open and self._journal is not None:
                known = {
                    entry.id for entry in await self._reader.call(lambda: self.store.list(open_only=True, keep=False))
                }
                if self._journal.incident in known:
                    return  # stay with what the person is looking at
            await self._open(current)

    async def _open(self, id: str) -> None:
        self._journal = await self._reader.call(self.store.open, id)
        self._flight_at = None
        self.incident = None
        self._clocks, self._clocks_at = (), -math.inf
        self.preview = await self._reader.call(self.store.preview, id)
        if self.preview is not None:
            self._changed()

    async def _poll(self) -> None:
        journal = self._journal
        if journal is None:
            return
        incident, heads, damage, full = await self._reader.call(
            lambda: (
                incident_of(journal),
                journal.heads(),
                damage_words(journal.damage(), journal.has_copy),
                full_disk(journal.directory, journal.room()),
            )
        )
        if journal is not self._journal or (incident is self.incident and (damage, full) == (self._damage, self._full)):
            return
        self._full = full
        self.incident, self.heads, self._damage, self.preview = incident, heads, damage, None
        self._changed()
        if time.monotonic() - self._clocks_at > _CLOCKS_EVERY:
            self._clocks_at = time.monotonic()
            self._clocks = await self._reader.call(lambda: skew(journal.events()))

    # -- writing

    async def declare(self, title: str, severity: int, **more: Any) -> Incident:
        """Declare, with what the machine saw in the half hour before. Durable when it returns."""
        journal: Journal = await self._reader.call(lambda: self.store.create(title, severity, **more))
        self._journal, self._chosen, self._flight_at = journal, "", None
        declared = await self._read(journal)
        self._later(self._backfill())
        return declared

    async def _read(self, journal: Journal) -> Incident:
        """Everything in the record, folded, and on to the screen."""
        incident, self.heads = await self._reader.call(lambda: (incident_of(journal), journal.heads()))
        self.incident, self.preview = incident, None
        self._changed()
        return incident

    async def append(
        self, kind: str, data: Mapping[str, Any], *, id: str = "", at: float | None = None, actor: Actor | None = None
    ) -> Event:
        """Write one event; it is durable when this returns. Raises RecordError for what can never be saved.

        Who is cancelled while the disk holds it up stops waiting; the entry goes on to be saved.
        """
        journal = self._journal
        if journal is None:
            raise RecordError("no incident is open", remedy="Declare one first (D)")
        written = self._later(self._append(journal, kind, data, id or new_id(), at, actor))
        event: Event = await asyncio.shield(written)
        return event

    async def _append(
        self, journal: Journal, kind: str, data: Mapping[str, Any], entry: str, at: float | None, actor: Actor | None
    ) -> Event:
        began = self._clock()

        def wait() -> None:
            drafted = draft(journal.incident, kind, admit(data), entry, actor or journal.actor, began, at)
            self._waiting[entry] = Unsaved(began, drafted)
            self._changed()

        def write() -> Event:
            """When it was said, where that is not now."""
            when = began if at is None and self._clock() - began > _LATE else at
            return journal.append(kind, data, id=entry, at=when, actor=actor)

        # Not only the disk may hold it up: it waits for its turn behind whatever hangs there.
        late = asyncio.get_running_loop().call_later(_LATE, wait)
        try:
            async with self._order:
                while True:
                    try:
                        event: Event = await self._writer.call(write)
                        break
                    except NotSavedError as error:
                        self.trouble = error.message
                        wait()
                        await asyncio.sleep(_RETRY)
        finally:
            late.cancel()
            self._waiting.pop(entry, None)
        self.trouble = ""
        await self._poll()
        return event

    @property
    def joined(self) -> bool:
        """Whether `join` has nothing left to say, also because this person is leaving."""
        return self._leaving or self._journal is None or self._journal in self._joined

    async def join(self) -> None:
        """Say that this person has the incident before them; once for each incident until `leave`."""
        self._leaving = False
        journal = self._journal
        if journal is None or self.joined or self.incident is None or not self.incident.open:
            return
        self._joined.append(journal)
        await self.append("joined", {})

    async def leave(self, deadline: float = 1.0) -> None:
        """Say that this person leaves what they joined, and close the files. A full disk hears nothing."""
        self._leaving = True
        joined, self._joined = self._joined, []
        mine = [*joined, *([self._journal] if self._journal is not None and self._journal not in joined else [])]

        def say() -> None:
            for journal in mine:
                if journal in joined:
                    with suppress(RecordError):
                        journal.append("left", {})
                journal.close()

        with suppress(TimeoutError):
            await asyncio.wait_for(self._writer.call(say), deadline)

    async def act(self, do: Callable[[Journal], T]) -> T:
        """Run something that writes to the record, in the thread that does, and show what came of it."""
        journal = self._journal
        if journal is None:
            raise RecordError("no incident is open", remedy="Declare one first (D)")
        answer: T = await self._writer.call(do, journal)
        await self._poll()
        return answer

    async def put_blob(self, content: bytes) -> str:
        """Store something large beside the events; answers its sha256."""
        return await self.act(lambda journal: journal.put_blob(content))

    async def attach(self, path: Path) -> Event:
        """Store a file as evidence, masked where it is text."""
        return await self.act(lambda journal: attach_file(journal, path))

    async def attach_masked(self, name: str, content: bytes, text: str) -> Event:
        """Store bytes as evidence that were masked before."""
        return await self.act(lambda journal: attach_content(journal, name, content, masked=True, text=text))

    async def events(self) -> list[Event]:
        """The record of the incident, in order."""
        return await self.act(lambda journal: list(journal.events()))

    async def head(self) -> str:
        """The head of the record: 16 digits to keep elsewhere, a witness against later changes."""
        return short(await self.act(lambda journal: combined_head(journal.heads())))

    # -- checklists

    @property
    def readings(self) -> Readings:
        """What was read last."""
        return self._readings

    async def begin(self, playbook: Playbook) -> PlaybookRun:
        """Start a checklist in the incident."""
        run = await self.act(lambda journal: PlaybookRun.start(journal, playbook))
        self._runs[run.id] = run
        return run

    async def playbook_run(self, state: RunState) -> PlaybookRun:
        """The checklist of this state, as it was when it was started. Raises RecordError."""
        if state.id not in self._runs:
            self._runs[state.id] = await self.act(
                lambda journal: PlaybookRun.resume(journal, state, data_dir=self.store.data_dir)
            )
        return self._runs[state.id]

    def host(self) -> Host:
        """What command steps may know of this host."""
        stack = topology(self._readings.containers.value, self._config)
        return Host(
            project=self._config.docker.project or _project(self._readings),
            service=self._config.service.name,
            url=self._config.service.url,
            roles={role: stack.with_role(role) for role in ("edge", "app", "database", "cache")},
            containers={label: [c.name for c in found if c.running] for label, found in stack.services.items()},
        )

    def evidence(self, findings: Sequence[Finding] | None) -> Evidence:
        """What is known now, for steps that are verified by evidence."""
        readings = self._readings
        return evidence(
            readings.probes.value if readings.probes.fault is None else None,
            readings.containers.value if readings.containers.fault is None else None,
            readings.metrics.value if readings.metrics.fault is None else None,
            findings,
            self.host().roles,
        )

    async def tick_by_evidence(self, findings: Sequence[Finding] | None) -> None:
        """Tick what the evidence settles: checks, verifications, waits, decisions nobody took."""
        incident = self.incident
        if incident is None or incident.over:
            return
        known = self.evidence(findings)
        for state in incident.runs:
            if any(not step.settled for step in state.steps):
                run = await self.playbook_run(state)
                await self.act(lambda _, run=run: run.observe(known))  # type: ignore[misc]

    async def call_out(self, findings: Sequence[Finding] | None) -> str:
        """What the deputy of somebody alone says now, "" for nothing; written down so that the scribe has it."""
        incident = self.incident
        if incident is None or not incident.open:
            return ""
        said = call_out(incident, findings, self._clock())
        if said is None or (incident.id, said.at) == self._said:
            return ""
        self._said = (incident.id, said.at)
        fact = Fact(
            "callout", said.at, incident.id, said.text, fact_id("callout", incident.id, int(said.at), said.number)
        )
        await self.append("fact", fact.event(), id=fact.id, at=fact.at, actor=self._automatic)
        return said.text

    @property
    def journal(self) -> Journal | None:
        """The record of the incident that is followed."""
        return self._journal

    # -- what the machine saw

    def observe(self, name: str, readings: Readings) -> None:
        """Take what is newly known of the source `name`: for the recorder, and as facts for an open incident."""
        self.recorder.add(name, getattr(readings, name))
        self._readings = readings
        fresh = self._facts.step(readings)
        self._recent.extend(fresh)
        if fresh and self.incident is not None and not self.incident.over:
            self._later(self._write_facts(fresh))

    async def _write_facts(self, found: list[Fact]) -> None:
        incident = self.incident
        if incident is None:
            return
        now = self._clock()
        for fact in unsaid(found, incident):
            try:
                await self.append("fact", fact.event(now), id=fact.id, at=fact.at, actor=self._automatic)
            except RecordError:
                _log.exception("a fact was not recorded")

    async def _backfill(self) -> None:
        """What was seen in the half hour before the declaration, and what is bad at this moment."""
        now = self._clock()
        seen = [fact for fact in self._recent if fact.at >= now - _BEFORE]
        known = {fact.id for fact in seen}
        seen += [fact for fact in backlog(self._readings, self._config, now, _BEFORE) if fact.id not in known]
        await self._write_facts(sorted(seen, key=lambda fact: fact.at))

    def _record_flight(self) -> None:
        """Freeze the recorder at declaration, every twenty minutes, and when it is over; the disk may take its time."""
        incident, now = self.incident, self._clock()
        if incident is None:
            return
        if self._flight_at is None:
            self._flight_at = now
            if not incident.over and not any(a.kind == "flight" for a in incident.attachments):
                self._later(self._freeze("declared"))
            return
        ended = incident.over and self._flight_at < incident.status_path[-1].at
        if ended or (not incident.over and now - self._flight_at >= _FLIGHT_EVERY):
            self._flight_at = now
            self._later(self._freeze("over" if ended else "periodic"))

    async def _freeze(self, moment: str) -> None:
        try:
            await self.freeze(moment)
        except RecordError as error:
            _log.warning("the readings were not frozen: %s", error)

    async def freeze(self, moment: str) -> None:
        """Put the last half hour of readings into the incident."""
        frozen = self.recorder.freeze(self._clock())
        content = json.dumps(frozen, separators=(",", ":"), ensure_ascii=False).encode()
        incident = self.incident
        if incident is None:
            return
        sha256 = await self.put_blob(content)
        host = self._automatic.host
        id = fact_id("flight", host, incident.id, moment) if moment != "periodic" else ""
        span = {"from": frozen.get("from"), "to": frozen.get("to"), "moment": moment}
        data = {"sha256": sha256, "size": len(content), **span}
        await self.append("flight", data, id=id, actor=self._automatic)

    def _later(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def drain(self, deadline: float = 1.5) -> None:
        """Give what is on its way to disk a moment to get there."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=deadline)
        self._reader.close()
        self._writer.close()


def _project(readings: Readings) -> str:
    """The only Compose project of this host; "" when there are several."""
    containers = readings.containers.value.containers if readings.containers.value else ()
    projects = {c.project for c in containers if c.project}
    return projects.pop() if len(projects) == 1 else ""
