"""Put the backlogs of several inputs into one order, by the times their lines tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from console.watch.logline import LineReader

ORDERED = 800  # lines over all sources that are put in order; older ones stand before, source by source

Piece = tuple[str, bytes, int | None]  # source, whole lines, offset of the first byte


def merged(
    past: Sequence[Piece], reader_of: Callable[[str], LineReader]
) -> Iterator[tuple[str, bytes, float, int | None]]:
    """(source, lines, time told or 0, offset) in order. One source alone stays as it is."""
    by_source: dict[str, list[Piece]] = {}
    for piece in past:
        by_source.setdefault(piece[0], []).append(piece)
    if len(by_source) < 2:
        for source, data, offset in past:
            yield source, data, 0.0, offset
        return
    share = max(20, ORDERED // len(by_source))
    entries: list[tuple[float, int, str, bytes, int | None]] = []
    for source, pieces in by_source.items():
        older, newer = _cut(pieces, share)
        for _, data, offset in older:
            yield source, data, 0.0, offset
        entries += _timed(source, newer, reader_of(source), len(entries))
    entries.sort(key=lambda entry: (entry[0], entry[1]))
    for at, _, source, data, offset in entries:
        yield source, data, at, offset


def _cut(pieces: list[Piece], lines: int) -> tuple[list[Piece], list[Piece]]:
    """The pieces without their last `lines` lines, and those."""
    newer: list[Piece] = []
    for number in range(len(pieces) - 1, -1, -1):
        source, data, offset = pieces[number]
        count = data.count(b"\n")
        if count <= lines:
            newer.insert(0, pieces[number])
            lines -= count
            continue
        at = len(data) - 1 if data.endswith(b"\n") else len(data)
        for _ in range(lines):
            at = data.rfind(b"\n", 0, at)
        cut = at + 1 if lines else len(data)
        if cut < len(data):
            newer.insert(0, (source, data[cut:], None if offset is None else offset + cut))
        return [*pieces[:number], (source, data[:cut], offset)], newer
    return [], newer


def _timed(
    source: str, pieces: list[Piece], reader: LineReader, number: int
) -> Iterator[tuple[float, int, str, bytes, int | None]]:
    """Each record with the lines that continue it; a line that tells no time has that of the one before."""
    at = 0.0
    for _, data, offset in pieces:
        position = 0
        for raw in data.splitlines(keepends=True) if b"\r" not in data else _split(data):
            line = reader.read(raw[:4096].rstrip(b"\r\n").decode("utf-8", "replace"))
            if line.time is not None and not line.continuation:
                at = max(at, reader.seconds(line.time))
            number += 1
            yield at, number, source, raw, None if offset is None else offset + position
            position += len(raw)


def _split(data: bytes) -> list[bytes]:
    parts = data.split(b"\n")
    last = parts.pop()
    return [part + b"\n" for part in parts] + ([last] if last else [])
