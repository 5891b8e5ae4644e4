"""One host of the test: the real journals, writers and exchange on a disk that can lose its power."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

from console.incident.events import Actor, Event, admit
from console.incident.journal import Journal, NotSavedError
from console.incident.store import IncidentStore
from console.incident.writer import Writer
from console.replica.core import Head
from console.replica.exchange import Exchange
from console.replica.files import Files
from tests.faults.crash_disk import CrashDisk, DiedError, Draw
from tests.faults.promises import Promises
from tests.faults.server_twin import Connection, CutError, ServerTwin

T = TypeVar("T")


class Console:
    """A program with an incident open. What the disk did not take is tried again with the same id."""

    def __init__(self, session: Journal | Writer, directory: Path, actor: Actor) -> None:
        self.session = session
        self.directory = directory
        self.waits: list[tuple[str, str, Mapping[str, Any]]] = []
        self._actor = actor

    def append(self, id: str, kind: str, data: Mapping[str, Any]) -> Event:
        """Raises NotSavedError; the entry waits then."""
        self.waits.append((id, kind, data))
        return self.retry()

    def retry(self) -> Event:
        id, kind, data = self.waits[0]
        if isinstance(self.session, Journal):
            event = self.session.append(kind, data, id=id)
        else:
            finished = self.session.finish_pending()
            again = finished is not None and finished.id == id
            event = (finished if again else None) or self.session.append(kind, admit(data), id, None, self._actor, {})
        del self.waits[0]
        return event


class HostTwin:
    """A host with its data directory, its consoles, and its connection to the server."""

    def __init__(self, name: str, home: Path, server: ServerTwin, promises: Promises, wall: Callable[[], float]):
        self.name = name
        self.home = home
        home.mkdir(exist_ok=True)
        self.disk = CrashDisk(home)
        self.actor = Actor(name, host=name)
        self.reachable = True
        self.touched = True
        self.consoles: list[Console] = []
        self._server = server
        self._promises = promises
        self._wall = wall
        self.store = IncidentStore(home / "data", self.actor, disk=self.disk, wall=wall)
        self._files = Files(self.store)
        self._exchange: Exchange | None = None

    # -- people

    def declare(self) -> None:
        journal = self.store.create("Checkout returns 502", 1)
        self.consoles.append(Console(journal, journal.directory, self.actor))
        for event in journal.events():
            self._promises.acknowledge(journal, journal.directory, event)

    def open(self) -> Console | None:
        """Another console; None where the incident is not known yet."""
        self._files.heads()
        for name in self._files.names().values():
            journal = self.store.open(name)
            self.consoles.append(Console(journal, journal.directory, self.actor))
            return self.consoles[-1]
        return None

    def append(self, console: int, id: str, kind: str, data: Mapping[str, Any]) -> None:
        """It succeeds, however the server stands, unless the disk is full; what waits goes before."""
        who = self.consoles[console % len(self.consoles)] if self.consoles else self.open()
        if who is None:
            return
        self.touched = True
        try:
            while who.waits:
                self._promises.acknowledge(who.session, who.directory, who.retry())
            self._promises.acknowledge(who.session, who.directory, who.append(id, kind, data))
        except NotSavedError:
            self._promises.must(bool(self.disk.full_at), "I9", "an entry was refused without a reason")

    # -- misfortune

    def killed(self) -> None:
        """No process is left; the system's cache is."""
        self.touched = True
        self.disk.let_go()
        self._all_is_new()

    def lose_power(self, draw: Draw) -> None:
        self.touched = True
        self.disk.lose_power(draw)
        self._all_is_new()

    def dies_within(self, calls: int, act: Callable[[], None]) -> bool:
        """Every process ends in the middle of `act`, at this call of the disk; False when it had fewer."""
        self.disk.dies_after = calls
        try:
            act()
        except DiedError:
            self.killed()
            return True
        finally:
            self.disk.dies_after = None
        return False

    def copy_to(self, other: HostTwin, *, running: bool) -> None:
        """All of the disk; with the programs as they run, as when a virtual machine is cloned."""
        shutil.rmtree(other.home)
        shutil.copytree(self.home, other.home)
        other.disk.settle()
        self._promises.copied(self.home, other.home)
        for console in self.consoles if running else []:
            writer = console.session._writer if isinstance(console.session, Journal) else console.session
            if writer is not None:
                self._promises.forked.add(writer.id)
                place = other.home / console.directory.relative_to(self.home)
                other.consoles.append(Console(_gone_on(writer, place, other.disk), place, other.actor))

    def _all_is_new(self) -> None:
        self.consoles.clear()
        self._files = Files(self.store)
        self._exchange = None

    # -- the replica

    def round(self, connection: Connection, limit: int = 3, *, quick: bool = False) -> int:
        """One comparison and what follows from it; the answer is what moved. A cut connection ends it.

        `quick`: first the short way that is taken after something was written or told of.
        """
        if not self.reachable:
            return 0
        self.touched = True
        before = {path: path.read_bytes() for path in self._own_files()}
        if self._exchange is None:
            self._exchange = Exchange(connection, self._files, _directly, limit=limit)
        self._exchange.server = connection
        self._exchange.limit = limit
        try:
            outcome = _finished(self._exchange.quick(list(self._exchange._here), written=True)) if quick else None
            outcome = outcome or _finished(self._exchange.round())
        except CutError:
            self._exchange = None  # a new connection begins a new one
            return 0
        finally:
            for path, content in before.items():
                whole = path.read_bytes().startswith(content)
                self._promises.must(whole, "I9", f"the exchange changed {path.name}")
        self._promises.must(not outcome.trouble or bool(self.disk.full_at), "I9", outcome.trouble)
        return outcome.moved

    def forks(self) -> set[str]:
        """Writers that this host's replica names as forked, over the connection that it has."""
        stopped = self._exchange.stopped if self._exchange else {}
        return {writer for writer, stop in stopped.items() if stop.kind == "fork"}

    def others_stopped(self) -> list[str]:
        stopped = self._exchange.stopped.values() if self._exchange else ()
        return [f"{stop.kind}: {stop}" for stop in stopped if stop.writer not in self._promises.forked]

    def chains(self) -> dict[str, Head]:
        """Writer -> how far it is known here, and its last hash."""
        files = Files(self.store)
        return {writer: head for vector in files.heads().values() for writer, head in vector.items()}

    def directory(self) -> Path:
        """Where the incident lies here: not what a claim that was never finished has left behind."""
        self._files.heads()
        (name,) = self._files.names().values()
        return self.store.root / name

    def _own_files(self) -> list[Path]:
        return list(self.store.root.glob("INC-*/*.jsonl"))


def _gone_on(writer: Writer, place: Path, disk: CrashDisk) -> Writer:
    """The same program with the same memory, on the copied disk."""
    other = copy.copy(writer)
    other.path = place / writer.path.name
    other._directory, other._disk = place, disk
    other._fd = disk.reopen(other.path)
    return other


async def _directly(fn: Callable[[], T], /) -> T:
    return fn()


def _finished(work: Coroutine[Any, Any, T]) -> T:
    """The result of something that never really waits."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("it waits for something")
