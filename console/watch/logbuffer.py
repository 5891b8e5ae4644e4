"""The last megabytes of all logs in the order they arrived: raw chunks of whole lines, counted, dropped oldest first.

Lines are numbered from 0 for ever (`seq`); what was dropped is known by number. Nothing is parsed here: a chunk is
split into lines only when somebody looks at it.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from dataclasses import dataclass

CAPACITY = 8 << 20  # bytes over all sources
PIECE = 32 << 10  # bytes in one chunk: what is dropped at once
_OVERHEAD = 200  # bytes of memory a chunk costs beside its data
_MERGE_BELOW = 4096
_MERGE_WITHIN = 0.25  # seconds


@dataclass(slots=True)
class Chunk:
    """Whole lines of one source that were read together. `data` has no newline at its end."""

    source: str
    data: bytes
    seq: int  # of its first line
    count: int
    arrived: float  # unix seconds
    offset: int | None  # of its first byte in its file

    @property
    def end(self) -> int:
        """The seq after its last line."""
        return self.seq + self.count


class LogBuffer:
    """A ring of chunks. Writers are the threads that read logs; everybody may look at any time."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self._lock = threading.Lock()
        self._chunks: list[Chunk] = []
        self._head = 0  # chunks before it are dropped
        self._bytes = 0
        self._next = 0
        self._split: OrderedDict[int, list[bytes]] = OrderedDict()

    @property
    def first(self) -> int:
        """The oldest seq still kept; equals `next` when there is none. All before it were dropped."""
        with self._lock:
            return self._chunks[self._head].seq if self._head < len(self._chunks) else self._next

    @property
    def next(self) -> int:
        """The seq the next line will have."""
        return self._next

    @property
    def size(self) -> int:
        """Bytes kept, with what keeping them costs."""
        return self._bytes

    def append(self, source: str, data: bytes, arrived: float, offset: int | None = None) -> int:
        """Add whole lines, each ended by a newline (the last one may lack it). Returns how many lines."""
        added = 0
        start = 0
        total = len(data)
        while start < total:
            end = total
            if total - start > PIECE:
                end = data.rfind(b"\n", start, start + PIECE) + 1
                if end <= start:  # a line longer than a piece
                    end = data.find(b"\n", start) + 1 or total
            piece = data[start:end]
            if piece.endswith(b"\n"):
                piece = piece[:-1]
            added += self._add(source, piece, arrived, None if offset is None else offset + start)
            start = end
        return added

    def _add(self, source: str, piece: bytes, arrived: float, offset: int | None) -> int:
        count = piece.count(b"\n") + 1
        with self._lock:
            last = self._chunks[-1] if self._head < len(self._chunks) else None
            if last is not None and _joins(last, source, piece, arrived, offset):
                last.data = last.data + b"\n" + piece
                last.count += count
                self._bytes += len(piece) + 1
                self._split.pop(last.seq, None)
            else:
                self._chunks.append(Chunk(source, piece, self._next, count, arrived, offset))
                self._bytes += len(piece) + _OVERHEAD
            self._next += count
            while self._bytes > self.capacity and self._head < len(self._chunks) - 1:
                old = self._chunks[self._head]
                self._bytes -= len(old.data) + _OVERHEAD
                self._split.pop(old.seq, None)
                self._head += 1
            if self._head > 512 or self._head > len(self._chunks) // 2 > 8:
                del self._chunks[: self._head]
                self._head = 0
        return count

    def chunk_at(self, seq: int) -> Chunk | None:
        """The chunk that holds this line; None when it was dropped or has not arrived."""
        with self._lock:
            at = bisect_right(self._chunks, seq, lo=self._head, key=lambda chunk: chunk.seq) - 1
            if at < self._head or seq >= self._chunks[at].end:
                return None
            return self._chunks[at]

    def lines(self, chunk: Chunk) -> list[bytes]:
        """The lines of a chunk; the last few split chunks are remembered."""
        with self._lock:
            found = self._split.get(chunk.seq)
            if found is not None and len(found) == chunk.count:
                self._split.move_to_end(chunk.seq)
                return found
            lines = chunk.data.split(b"\n")
            self._split[chunk.seq] = lines
            if len(self._split) > 12:
                self._split.popitem(last=False)
            return lines

    def line(self, chunk: Chunk, seq: int) -> tuple[bytes, int | None]:
        """One line of a chunk and its offset in its file."""
        lines = self.lines(chunk)
        number = seq - chunk.seq
        if chunk.offset is None:
            return lines[number], None
        return lines[number], chunk.offset + sum(map(len, lines[:number])) + number


def _joins(last: Chunk, source: str, piece: bytes, arrived: float, offset: int | None) -> bool:
    """Small pieces that follow each other at once become one chunk."""
    if last.source != source or len(last.data) + len(piece) > _MERGE_BELOW:
        return False
    if arrived - last.arrived > _MERGE_WITHIN:
        return False
    if offset is None or last.offset is None:
        return offset is last.offset
    return last.offset + len(last.data) + 1 == offset
