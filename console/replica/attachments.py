"""What entries name by its hash and do not hold: playbooks as started, attachments, flight recordings.

They go over a connection of their own, which is there only while something is to be moved: a large file never holds
up an entry. The name is the content's hash, so nothing that fits it can be wrong and nothing is ever sent twice.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from console.errors import RecordError
from console.incident import blobs
from console.incident.attach import LIMIT
from console.incident.shelf import journal_files
from console.incident.store import IncidentStore
from console.replica.postgres import CONNECT, fault, keep_alive, transaction
from console.watch.lane import QueueLane
from console.watch.postgres import Postgres

if TYPE_CHECKING:
    import asyncpg

_log = logging.getLogger(__name__)

_EVERY = 2.0  # seconds between looks at what this host has and lacks
_PATIENCE = 60.0  # seconds for one file, and at most between two questions for what the server has
_SOON = 0.2  # seconds in which entries that come together make one look
_NAMED = re.compile(rb'"sha256":"([0-9a-f]{64})"')
_WHICH = "select sha256 from sevdeck.attachments where sha256 = any($1::text[])"
_CONTENT = "select content from sevdeck.attachments where sha256 = $1 and octet_length(content) <= $2"
_STORE = """
insert into sevdeck.attachments (sha256, content) values ($1, $2) on conflict (sha256) do nothing
"""


class Held(NamedTuple):
    """What the entries of this host name: where it lies, or would lie."""

    here: Mapping[str, Path]  # sha256 -> directory of an incident that has it
    missing: Mapping[str, tuple[Path, ...]]  # sha256 -> directories of incidents that name it and have it not


class Attachments:
    """Gives the server what this host has, and takes what its incidents name, while `run` runs."""

    def __init__(self, dsn: str, store: IncidentStore, *, every: float = _EVERY) -> None:
        self.waiting = 0  # files of this host that the server has not, as last known
        self.trouble = ""  # why the last exchange failed, in words
        self._postgres = Postgres(dsn, "replica attachments")
        self._store = store
        self._every = every
        self._lane = QueueLane("replica attachments")
        self._wake = asyncio.Event()
        self._read: dict[Path, tuple[int, set[str]]] = {}  # file -> bytes that were read, names in them
        self._there: set[str] = set()  # the server has it, as it said when it was asked last
        self._asked = 0.0  # monotonic
        self._resting: dict[
            str, tuple[float, float]
        ] = {}  # what it could not give: when to ask again, how long that is

    async def run(self) -> None:
        """Until cancelled. Raises nothing but CancelledError."""
        while True:
            self._wake.clear()
            try:
                await self.exchange()
                self.trouble = ""
            except Exception as error:
                found = fault(error).reason
                if found != self.trouble:
                    self.trouble = found
                    _log.info("attachments do not reach the server: %s", found)
            try:
                async with asyncio.timeout(self._every):
                    await self._wake.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(_SOON)

    def kick(self) -> None:
        """Something was written here or came from the server: look now. Cheap, from the loop's thread."""
        self._wake.set()

    def close(self) -> None:
        """Let the threads go. After `run` was cancelled."""
        self._lane.close()
        self._postgres.close()

    async def exchange(self) -> int:
        """Look, and move what is to be moved; how many files were."""
        held = await self._lane.call(self._look)
        if time.monotonic() - self._asked > _PATIENCE:
            self._there.clear()  # the server may be another one by now, or an older state of it
        unknown = set(held.here) - self._there
        self.waiting = len(unknown)
        now = time.monotonic()
        wanted = {name for name in held.missing if now >= self._resting.get(name, (0.0, 0.0))[0]}
        if not unknown and not wanted:
            return 0
        connection = await self._postgres.connect(CONNECT)
        try:
            keep_alive(connection)
            async with asyncio.timeout(_PATIENCE):
                there = await self._ask(connection, [*held.here, *wanted])
            for name in wanted - there:  # whoever has it may still be giving it
                self._rest(name, 2 * self._resting.get(name, (0.0, self._every / 2))[1])
            given = await self._give(connection, held, there)
            return given + await self._take(connection, {name: held.missing[name] for name in wanted & there})
        finally:
            connection.terminate()

    async def _ask(self, connection: asyncpg.Connection[Any], names: list[str]) -> set[str]:
        async with transaction(connection):
            rows = await connection.fetch(_WHICH, names)
        self._there = {row[0] for row in rows}
        self._asked = time.monotonic()
        return self._there

    async def _give(self, connection: asyncpg.Connection[Any], held: Held, there: set[str]) -> int:
        given = 0
        for name in sorted(held.here.keys() - there):
            try:
                content = await self._lane.call(blobs.get, held.here[name], name)
            except RecordError as error:  # damaged here: `incident verify` says so
                _log.info("%s is not given to the server: %s", name[:16], error)
                self._there.add(name)
                continue
            async with asyncio.timeout(_PATIENCE), transaction(connection):
                await connection.execute(_STORE, name, content)
            self._there.add(name)
            self.waiting -= 1
            given += 1
        return given

    def _rest(self, name: str, pause: float) -> None:
        pause = min(_PATIENCE, pause)
        self._resting[name] = (time.monotonic() + pause, pause)

    async def _take(self, connection: asyncpg.Connection[Any], wanted: Mapping[str, tuple[Path, ...]]) -> int:
        taken = 0
        for name, directories in sorted(wanted.items()):
            async with asyncio.timeout(_PATIENCE), transaction(connection):
                content = await connection.fetchval(_CONTENT, name, LIMIT)
            if content is None or hashlib.sha256(content).hexdigest() != name:
                _log.warning("the server's attachment %s is not what its name says", name[:16])
                self._rest(name, _PATIENCE)
                continue
            for directory in directories:
                await self._lane.call(blobs.put, directory, content)
            taken += 1
        return taken

    def _look(self) -> Held:
        """Names in all entries of this host; new bytes of files only."""
        here: dict[str, Path] = {}
        missing: dict[str, list[Path]] = {}
        for directory in self._store.directories():
            for name in self._names(directory):
                try:
                    size = blobs.path(directory, name).stat().st_size
                except FileNotFoundError:
                    missing.setdefault(name, []).append(directory)
                else:
                    if size <= LIMIT:
                        here[name] = directory
        return Held(here, {name: tuple(places) for name, places in missing.items()})

    def _names(self, directory: Path) -> set[str]:
        found: set[str] = set()
        for path in journal_files(directory):
            done, names = self._read.get(path, (0, set()))
            if path.stat().st_size > done:
                with path.open("rb") as file:
                    file.seek(done)
                    content = file.read()
                whole = content.rfind(b"\n") + 1  # a line that is being written has its names later
                names = names | {name.decode("ascii") for name in _NAMED.findall(content[:whole])}
                self._read[path] = (done + whole, names)
            found |= names
        return found
