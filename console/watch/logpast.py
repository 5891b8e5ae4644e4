"""Put the ends of several inputs' backlogs into one order, by the times their lines tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from console.watch.logline import LineReader

ORDERED = 2000  # lines over all sources that are put in order: about 30 ms; older ones are left to their files

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
        entries += _timed(source, _last(pieces, share), reader_of(source), len(entries))
    entries.sort(key=lambda entry: (entry[0], entry[1]))
    for at, _, source, data, offset in entries:
        yield source, data, at, offset


def _last(pieces: list[Piece], lines: int) -> list[Piece]:
    """The last `lines` lines of the pieces."""
    kept: list[Piece] = []
    for source, data, offset in reversed(pieces):
        count = data.count(b"\n") + (0 if data.endswith(b"\n") else 1)
        if count <= lines:
            kept.insert(0, (source, data, offset))
            lines -= count
            continue
        if lines:
            at = len(data) - 1 if data.endswith(b"\n") else len(data)
            for _ in range(lines):
                at = data.rfind(b"\n", 0, at)
            kept.insert(0, (source, data[at + 1 :], None if offset is None else offset + at + 1))
        break
    return kept


def _timed(
    source: str, pieces: list[Piece], reader: LineReader, number: int
) -> Iterator[tuple[float, int, str, bytes, int | None]]:
    """Each record with the lines that continue it; a line that tells no time has that of the one before."""
    at = 0.0
    for _, data, offset in pieces:
        position = 0
        for raw in _split(data):
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
