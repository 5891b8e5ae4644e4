"""The incident's journal: every writing session appends to a file of its own, everybody reads all of them.

`append` returns when the event is on disk and not before. A file is never repaired, reopened for writing or
rewritten: bytes that were acknowledged stay as they are. When the disk fails the next spare place is written to.
All calls block; a screen makes them in a thread.
"""

from __future__ import annotations

import bisect
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from console.errors import RecordError
from console.incident import blobs
from console.incident.chain import ChainReader, Damage, writer_of
from console.incident.clock import HybridClock
from console.incident.disk import Disk, RealDisk
from console.incident.events import Actor, Event, admit, check_kind, check_time, draft, new_id, short
from console.incident.shelf import MIRROR, bring_home, journal_files, make_spare, spare_files, spare_places
from console.incident.writer import Bound, DiskFailedError, NotSavedError, Writer, lacking

__all__ = ["Journal", "NotSavedError", "Unsaved"]

_MANY = 100  # events that are sorted together rather than put in one by one
_MAX_SEEN = 16  # heads of others named in one event


class Unsaved(NamedTuple):
    """An event on its way to the disk, since when (unix seconds). Without a number while it is bound to none."""

    since: float
    event: Event


class Journal:
    """All events of one incident: reads every writer's file, writes to one that is made at the first append.

    Thread-safe; `poll` never waits for an `append` that waits for the disk.
    """

    def __init__(
        self,
        directory: Path,
        actor: Actor,
        *,
        disk: Disk | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        admit({})  # what masks secrets is loaded now: there may be no descriptor left when an entry has to be written
        self.directory = directory
        self.incident = directory.name
        self.actor = actor
        self.clock = HybridClock(wall)
        self._wall = wall
        self._disk = disk or RealDisk()
        self._places = (directory, *spare_places(directory))  # the first is written to
        self._moved = ""  # why it is not the directory any more
        self._writer: Writer | None = None
        self._append_lock = threading.Lock()
        self._read_lock = threading.Lock()
        self._keep_lock = threading.Lock()  # held for moments only, never while a disk is asked
        self._readers: dict[Path, ChainReader] = {}
        self._unreadable: dict[Path, Damage] = {}
        self._own_writers: set[str] = set()
        self._own_heads: dict[str, tuple[int, str]] = {}
        self._events: dict[str, Event] = {}
        self._arrived: list[Event] = []  # as they came, one of two with the same id perhaps twice
        self._polled = 0  # how many of them poll has given
        self._ordered: list[Event] = []  # `_events` in the total order as far as it was asked for
        self._unordered: list[Event] | None = []  # what came since; None: begin anew
        self._named: dict[str, int] = {}  # writer -> seq of the last head of it that we wrote down
        self._entered: set[Path] = set()  # others' files whose names in their directories are durable
        self._underway: dict[str, Unsaved] = {}  # by id, while an append waits for the disk

    def append(
        self,
        kind: str,
        data: Mapping[str, Any],
        *,
        id: str | None = None,
        at: float | None = None,
        actor: Actor | None = None,
    ) -> Event:
        """Record one event; it is durable when this returns.

        `at`: unix seconds when it happened, if not now. `id`: of a fact (`fact_id`), or one from `new_id` that is
        kept for trying again: the same id never counts twice. Raises NotSavedError (disk full, try again) and
        RecordError (this cannot be recorded, or not here). A failure touches nothing that was recorded before.
        """
        check_kind(kind, data)
        if at is not None:
            check_time(at)
        admitted = admit(data)
        entry, who, now = id or new_id(), actor or self.actor, self._wall()
        self._underway[entry] = Unsaved(now, draft(self.incident, kind, admitted, entry, who, now, at))
        try:
            with self._append_lock:
                while True:
                    try:
                        return self._append(kind, admitted, entry, at, who)
                    except DiskFailedError as error:
                        if not self._go_elsewhere(error.message):
                            raise
        finally:
            self._underway.pop(entry, None)

    def _append(self, kind: str, admitted: dict[str, Any], id: str, at: float | None, actor: Actor) -> Event:
        writer = self._ready_writer()
        finished = self._acknowledge(writer, writer.finish_pending())
        if finished is not None and finished.id == id:
            return finished
        seen = self._heads_to_name(_MAX_SEEN)
        event = writer.append(kind, admitted, id, at, actor, seen)
        self._named.update({w: seq for w, (seq, _) in seen.items()})
        self._acknowledge(writer, event)
        return event

    def unsaved(self) -> list[Unsaved]:
        """What is not durable yet: appends that wait for the disk, and an entry that a full disk did not take."""
        underway = self._underway.copy()
        pending = self._writer.pending if self._writer is not None else None
        if pending is not None and pending.kind != "genesis":
            since = underway[pending.id].since if pending.id in underway else pending.written_at
            underway[pending.id] = Unsaved(since, pending)
        return sorted(underway.values(), key=lambda one: one.since)

    def room(self) -> int | None:
        """Bytes that stay ours when the disk is full; None before the first entry of this session."""
        writer = self._writer
        return writer.room if writer is not None else None

    def bound(self) -> Bound | None:
        """The entry that the disk does not take, with the bytes that it will have there: for whoever can keep it."""
        writer = self._writer
        return writer.bound() if writer is not None else None

    @property
    def elsewhere(self) -> str:
        """Where entries are written now and why, in words; "" when it is the record's own directory."""
        return f"{self._moved}: recording in {self._places[0].parents[1]}" if self._moved else ""

    def go_elsewhere(self, reason: str) -> bool:
        """Write to the next spare place from now on; False when there is none, or the disk holds an append up.

        An entry that waits for room is written there when it is tried again with its id.
        """
        if not self._append_lock.acquire(timeout=1.0):
            return False
        try:
            return self._go_elsewhere(reason)
        finally:
            self._append_lock.release()

    def poll(self) -> list[Event]:
        """Verified events that were not given before, of all writers, this one included. Cheap: one stat a file."""
        with self._read_lock:
            self._read_others()
            fresh = self._arrived[self._polled :]
            self._polled += len(fresh)
            return sorted(fresh, key=lambda event: event.order)

    def arrived(self, start: int) -> list[Event]:
        """Verified events in the order they became known here, from the one of this number on; reads new ones first.

        For readers that keep what they made of the events before. One id may come again: the earlier in the total
        order counts.
        """
        with self._read_lock:
            self._read_others()
            return self._arrived[start:]

    def events(self) -> list[Event]:
        """Everything known by now in the one total order, each id once. Reads what is new first."""
        with self._read_lock:
            self._read_others()
            with self._keep_lock:
                late, self._unordered = self._unordered, []
                known = list(self._events.values()) if late is None else []
            if late is None or len(late) > _MANY:
                self._ordered = sorted(known or self._ordered + (late or []), key=lambda event: event.order)
            else:
                for event in late:
                    bisect.insort(self._ordered, event, key=lambda event: event.order)
            return self._ordered.copy()

    def damage(self) -> list[Damage]:
        """Places of other sessions' files that could not be served, unfinished last lines (`torn`) included."""
        with self._read_lock:
            found = list(self._unreadable.values())
            for reader in self._readers.values():
                torn = reader.torn()
                found += [*reader.damage, torn] if torn else reader.damage
            return found

    def has_copy(self, writer: str, seq: int) -> bool:
        """Whether some file serves this entry, though another one is damaged there."""
        with self._read_lock:
            found = [reader.hashes for reader in self._readers.values() if reader.writer == writer]
        return any(0 < seq <= len(hashes) and hashes[seq - 1] for hashes in found)

    def heads(self) -> dict[str, tuple[int, str]]:
        """Last verified entry of every writer: writer -> (seq, hash)."""
        with self._read_lock:
            self._read_others()
            return self._others_heads() | self._own_heads.copy()

    def put_blob(self, content: bytes) -> str:
        """Store something large; durable when this returns. The answer is its sha256, for an event to name."""
        return blobs.put(self.directory, content)

    def blob(self, sha256: str) -> bytes:
        """What `put_blob` stored, verified. Raises RecordError when it is missing or damaged."""
        return blobs.get(self.directory, sha256)

    def renew(self) -> None:
        """Leave the present file for good; the next append begins a new one, in the directory if that works again."""
        with self._append_lock:
            self._leave_file()
            self._places, self._moved = (self.directory, *spare_places(self.directory)), ""

    def close(self) -> None:
        """Give the reserve back. Nothing depends on this being called."""
        self.renew()

    def _leave_file(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _go_elsewhere(self, reason: str) -> bool:
        while len(self._places) > 1:
            self._places = self._places[1:]
            try:
                make_spare(self._places[0])
            except OSError:
                continue
            self._leave_file()
            self._moved = reason
            return True
        return False

    def _ready_writer(self) -> Writer:
        writer = self._writer
        if writer is not None and writer.pid != os.getpid():
            writer.abandon()  # a fork must not go on with its parent's file
            writer = None
        if writer is None:
            if not self.directory.is_dir() and not self._moved:
                raise RecordError(f"there is no record in {self.directory}")
            self.heads()  # reads everything, so that the clock stands after all that can be read
            self._named = {}
            heads = self._own_heads | self._heads_to_name(None)
            if not self._moved:
                bring_home(self.directory)
            writer = Writer(self._places[0], self.incident, self._disk, self.clock, self._wall)
            writer.create(self.actor)
            self._own_writers.add(writer.id)
            self._named = {w: seq for w, (seq, _) in heads.items()}
            self._writer = writer
            self._acknowledge(writer, writer.begin(self.actor, heads))
        return writer

    def _acknowledge(self, writer: Writer, event: Event | None) -> Event | None:
        if event is not None:
            self._own_heads[writer.id] = (event.seq, event.hash)
            self._keep(event)
        return event

    def _keep(self, event: Event) -> None:
        """Take a verified event in. Of two with one id the earlier in the total order counts."""
        if event.kind == "genesis":
            return
        with self._keep_lock:
            known = self._events.get(event.id)
            if known is not None and known.hash == event.hash:
                return  # the same entry in another copy of its file
            if known is None:
                self._events[event.id] = event
                if self._unordered is not None:
                    self._unordered.append(event)
            elif event.order < known.order:
                self._events[event.id] = event
                self._unordered = None
            self._arrived.append(event)

    def _heads_to_name(self, most: int | None) -> dict[str, tuple[int, str]]:
        """Heads of other writers that we read since we last named them: later they are our testimony.

        Their writers may have died before they synced them: what a power cut could take is not testified.
        """
        if self._moved:
            return {}  # the disk that they lie on is not asked for anything now
        with self._read_lock:
            furthest = sorted(self._furthest().items())
            found = [(w, r.path, (r.seq, short(r.head))) for w, r in furthest if r.seq > self._named.get(w, 0)]
        return {writer: head for writer, path, head in found[:most] if self._made_sure(path)}

    def _made_sure(self, path: Path) -> bool:
        """What was read of somebody else's file is on disk, and its name too."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                self._disk.sync(fd)
            finally:
                os.close(fd)
            if path not in self._entered:
                self._disk.sync_directory(path.parent)
                if path.parent.name == MIRROR:
                    self._disk.sync_directory(self.directory)
                self._entered.add(path)
        except OSError:
            return False
        return True

    def _others_heads(self) -> dict[str, tuple[int, str]]:
        """The last verified entry of each other writer."""
        return {writer: (reader.seq, reader.head) for writer, reader in self._furthest().items()}

    def _furthest(self) -> dict[str, ChainReader]:
        """Of each other writer whichever copy of its file goes furthest."""
        found: dict[str, ChainReader] = {}
        for reader in self._readers.values():
            if reader.seq > (found[reader.writer].seq if reader.writer in found else 0):
                found[reader.writer] = reader
        return found

    def _read_others(self) -> None:
        try:
            paths = journal_files(self.directory)
        except FileNotFoundError:
            return
        except OSError as error:
            what = "the record cannot be read"
            if (passing := lacking(error, self.directory, what)) is not None:
                raise passing from None
            if not self._moved:
                raise RecordError(f"{what}: {error.strerror}") from None
            paths = spare_files(self.directory)
        for path in paths:
            writer = writer_of(path)
            if writer is None or writer in self._own_writers:
                continue
            reader = self._readers.setdefault(path, ChainReader(path, writer))
            try:
                found = reader.poll()
            except OSError as error:  # somebody else's private file must not hide everybody's entries
                self._unreadable[path] = Damage(
                    path.name, writer, reader.seq, 0, 0, f"cannot be read: {error.strerror}"
                )
                continue
            self._unreadable.pop(path, None)
            self.clock.observe(event.hlc for event in found)
            for event in found:
                self._keep(event)
