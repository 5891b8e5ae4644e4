"""What the record promised so far, and the checks that it is kept: I1 to I6 of three hosts and a server.

Nothing here knows how an entry is written or carried. It looks at bytes on disks and rows on the server.
"""

from __future__ import annotations

import re
from pathlib import Path

from console.incident.chain import START, Damage, digest, writer_of
from console.incident.events import Actor, Event
from console.incident.journal import Journal
from console.incident.records import Incident
from console.incident.shelf import MIRROR
from console.incident.state import fold
from console.incident.verify import verify
from tests.faults.server_twin import ServerTwin

_READER = Actor("reader", host="lab")


class BrokenError(AssertionError):
    """A promise was not kept."""


class Promises:
    """The memory of the test: everything that was acknowledged or seen, by all hosts."""

    def __init__(self) -> None:
        self.acknowledged: set[str] = set()  # ids of events
        self.forked: set[str] = set()  # writers whose program was copied and went on twice
        self.kept = True
        self._files: dict[Path, bytes] = {}  # own file -> its bytes up to the last acknowledged entry
        self._bound: dict[tuple[str, int], bytes] = {}  # (writer, seq) -> its line
        self._sessions: dict[str, object] = {}  # writer -> whoever writes as it
        self._folds: dict[frozenset[str], Incident] = {}

    def must(self, held: bool, invariant: str, words: str) -> None:
        if not held:
            self.kept = False
            raise BrokenError(f"{invariant}: {words}")

    def acknowledge(self, session: object, directory: Path, event: Event) -> None:
        """`session` just said that `event` is durable in this directory."""
        same = self._sessions.setdefault(event.writer, session) is session
        self.must(same or event.writer in self.forked, "I4", f"two sessions write as {event.writer[:8]}")
        (path,) = directory.glob(f"*{event.writer}.jsonl")
        lines = path.read_bytes().splitlines(keepends=True)[: event.seq]
        self.must(len(lines) == event.seq, "I1", f"entry {event.seq} was acknowledged and is not in {path.name}")
        self.must(event.hash.encode() in lines[-1][:80], "I1", f"entry {event.seq} is another one in {path.name}")
        content = b"".join(lines)
        self.must(content.startswith(self._files.get(path, b"")), "I2", f"{path.name} was rewritten")
        self._files[path] = content
        self.acknowledged.add(event.id)

    def copied(self, old: Path, new: Path) -> None:
        """A host's files were copied to another place: what was promised holds there too."""
        for path in [path for path in self._files if path.is_relative_to(old)]:
            self._files[new / path.relative_to(old)] = self._files[path]

    def check_host(self, root: Path, *, complete: bool = False) -> None:
        """Everything on one host's disk, whatever happened to it just now. `complete`: nothing is on its way."""
        for path, content in self._files.items():
            if path.is_relative_to(root):
                found = path.read_bytes() if path.exists() else b""
                self.must(len(found) >= len(content), "I1", f"acknowledged entries are gone from {path.name}")
                self.must(found.startswith(content), "I2", f"acknowledged bytes of {path.name} were changed")
        for directory in sorted(root.glob("INC-*")):
            for path in (*directory.glob("*.jsonl"), *directory.glob(f"{MIRROR}/*.jsonl")):
                self._check_file(path)
            damage = [place for place in verify(directory).damage if place.writer not in self.forked]
            own = {(writer_of(path) or "")[:8] for path in directory.glob("*.jsonl")}
            damage = [place for place in damage if complete or not _on_its_way(place, own)]
            self.must(not damage, "I6", f"nobody touched {directory.name}, and still: {', '.join(map(str, damage))}")
            self.check_fold(Journal(directory, _READER).events())

    def check_server(self, server: ServerTwin) -> None:
        for writer, chain in server.chains.items():
            previous = START
            for seq, (_, line) in enumerate(chain, 1):
                whole = line.seq == seq and digest(previous, line.body) == line.hash
                self.must(whole, "I3", f"entry {seq} of {writer[:8]} on the server does not follow the one before")
                self._bind(writer, seq, b'{"h":"%b","e":%b}' % (line.hash.encode(), line.body))
                previous = line.hash

    def check_fold(self, events: list[Event]) -> None:
        """Equal sets are equal incidents, in whatever order and however often they come."""
        key = frozenset(event.hash for event in events)
        if key not in self._folds:
            self._folds[key] = fold(events)
            self.must(fold([*reversed(events), *events[::2]]) == self._folds[key], "I5", "the order of arrival counts")
        else:
            self.must(fold(events) == self._folds[key], "I5", "two hosts make different incidents of equal entries")
        ids = [event.id for event in events]
        self.must(len(ids) == len(set(ids)), "I5", "an entry counts twice")

    def check_everything_is_in(self, directory: Path) -> None:
        ids = {event.id for event in Journal(directory, _READER).events()}
        lost = self.acknowledged - ids
        self.must(not lost, "I1", f"acknowledged somewhere and not in {directory}: {sorted(lost)}")

    def _check_file(self, path: Path) -> None:
        writer = writer_of(path) or ""
        for seq, line in enumerate(path.read_bytes().split(b"\n")[:-1], 1):
            self._bind(writer, seq, line)

    def _bind(self, writer: str, seq: int, line: bytes) -> None:
        if writer not in self.forked:
            known = self._bound.setdefault((writer, seq), line)
            self.must(known == line, "I3", f"entry {seq} of {writer[:8]} is two different ones")


def _on_its_way(place: Damage, own: set[str]) -> bool:
    """An entry is not here, and whoever has read it is of another host: what it had read may come later."""
    testified = re.search(r"is missing: entry \d+ of writer (\w{8}) had read", place.reason)
    return testified is not None and testified[1] not in own
