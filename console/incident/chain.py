"""One writer's file as it lies on disk: framing, hash chain, and a reader that serves only verified events.

A line is `{"h":"<sha256>","e":<body>}`; the hash covers the hash of the line before, a line feed, and the body's
exact bytes. Nothing here writes: a damaged file is skipped over and reported, never repaired.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from console.incident.events import Event, decode_event

START = "0" * 64  # what the first line of a file is chained to
_FRAME = re.compile(rb'\{"h":"([0-9a-f]{64})","e":(\{.*\})\}', re.DOTALL)
_STATED = re.compile(rb'\{"h":"([0-9a-f]{64})"')
_CHUNK = 4 << 20
_NAME = re.compile(r"^(?:.*-)?([0-9a-f]{32})$")


def digest(previous: str, body: bytes) -> str:
    """The chained hash of one body."""
    return hashlib.sha256(previous.encode("ascii") + b"\n" + body).hexdigest()


def frame(previous: str, body: bytes) -> tuple[str, bytes]:
    """The hash of a body and the bytes of its line."""
    h = digest(previous, body)
    return h, b'{"h":"%b","e":%b}\n' % (h.encode("ascii"), body)


def writer_of(path: Path) -> str | None:
    """The writer a journal file belongs to, from its name; None for any other file.

    >>> writer_of(Path("prod-1-" + "ab" * 16 + ".jsonl")) == "ab" * 16
    True
    """
    match = _NAME.match(path.stem)
    return match[1] if match and path.suffix == ".jsonl" else None


@dataclass(frozen=True, slots=True)
class Damage:
    """A place in a file that could not be served. `torn`: an unfinished last line, which was never acknowledged."""

    file: str
    writer: str
    after_seq: int  # the last good entry before it
    offset: int  # bytes from the start of the file
    size: int
    reason: str
    torn: bool = False

    def __str__(self) -> str:
        what = "unfinished last line" if self.torn else "damaged entry"
        return f"{what} in {self.file} after entry {self.after_seq} (byte {self.offset}): {self.reason}"


class ChainReader:
    """Reads one file as it grows. `poll` gives new verified events; `damage` lists what it had to skip."""

    def __init__(self, path: Path, writer: str) -> None:
        self.path = path
        self.writer = writer
        self.seq = 0
        self.head = START
        self.damage: list[Damage] = []
        self.hashes: list[str] = []  # of entry 1, 2, 3 ...; "" where an entry is missing
        self._offset = 0
        self._size = -1
        self._candidates: tuple[str, ...] = (START,)  # what the next line may be chained to
        self._tail = b""

    @classmethod
    def of_tail(cls, path: Path, size: int) -> ChainReader:
        """A reader of the last `size` bytes alone: it believes the hash of the first whole line in them."""
        reader = cls(path, writer_of(path) or "")
        with path.open("rb") as file:
            start = path.stat().st_size - size
            if start > 0:
                file.seek(start)
                file.readline()
                first = file.readline()
                stated = _STATED.match(first)
                reader._offset = file.tell()
                reader.head = stated[1].decode("ascii") if stated else START
                reader._candidates = (reader.head, "")  # entries are missing before it
        return reader

    def poll(self) -> list[Event]:
        """Events that were added since the last call. Raises OSError when the file cannot be read."""
        return list(self.fresh())

    def fresh(self) -> Iterator[Event]:
        """The same one by one, for those who need not keep them."""
        size = self.path.stat().st_size
        if size == self._size:
            return
        if size < self._offset:
            if self._size >= self._offset:
                self.damage.append(self._damage(self._offset - size, "the file has become shorter"))
            self._size = size
            return
        with self.path.open("rb") as file:
            file.seek(self._offset)
            pending = b""
            while chunk := file.read(_CHUNK):
                pending += chunk
                lines = pending.split(b"\n")
                pending = lines.pop()
                for line in lines:
                    event = self._line(line)
                    self._offset += len(line) + 1
                    if event is not None:
                        yield event
        self._tail = pending
        self._size = self._offset + len(pending)

    def torn(self) -> Damage | None:
        """The unfinished last line, if there is one now. Of a living writer it may be finished in a moment."""
        if not self._tail:
            return None
        whole = self._verified(self._tail[:-1]) is not None
        reason = "its line ending is damaged" if whole else f"{len(self._tail)} bytes, never acknowledged"
        return self._damage(len(self._tail), reason, torn=not whole)

    def _line(self, line: bytes) -> Event | None:
        found = self._verified(line)
        if found is None:
            self._skip(line)
            return None
        h, body, previous = found
        try:
            event = decode_event(body, h)
        except ValueError as error:
            self.damage.append(self._damage(len(line) + 1, str(error)))
            self._candidates = (h,)
            return None
        resumed = len(self._candidates) > 1 or previous != self.head
        if event.writer != self.writer or (event.seq != self.seq + 1 and not (resumed and event.seq > self.seq)):
            self.damage.append(self._damage(len(line) + 1, f"entry {event.seq} does not belong here"))
            self._candidates = (h,)
            return None
        self.hashes.extend([""] * (event.seq - 1 - len(self.hashes)))
        self.hashes.append(h)
        self.seq, self.head, self._candidates = event.seq, h, (h,)
        return event

    def _verified(self, line: bytes) -> tuple[str, bytes, str] | None:
        match = _FRAME.fullmatch(line)
        if match is None:
            return None
        h, body = match[1].decode("ascii"), match[2]
        for previous in self._candidates:
            if digest(previous, body) == h:
                return h, body, previous
        return None

    def _skip(self, line: bytes) -> None:
        """Note the damage, and what the next line may be chained to: a hash that stands there, or one that should.

        A lost line feed joins two lines, so the last hash that stands in the line counts too.
        """
        match = _FRAME.fullmatch(line)
        reason = "its hash does not match" if match else "not a line of a journal"
        self.damage.append(self._damage(len(line) + 1, reason))
        stated = [h.decode("ascii") for h in _STATED.findall(line)]
        made = [digest(previous, match[2]) for previous in self._candidates[-2:]] if match else []
        self._candidates = (*self._candidates[-2:], *stated[:1], *stated[1:][-1:], *made)

    def _damage(self, size: int, reason: str, *, torn: bool = False) -> Damage:
        return Damage(self.path.name, self.writer, self.seq, self._offset, size, reason, torn)
