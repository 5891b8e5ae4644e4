"""The ring: order, numbers, what it drops, and how it bounds memory."""

from __future__ import annotations

from console.watch.logbuffer import PIECE, LogBuffer


def line(buffer: LogBuffer, seq: int) -> bytes | None:
    chunk = buffer.chunk_at(seq)
    return None if chunk is None else buffer.line(chunk, seq)[0]


def test_lines_are_numbered_in_order_of_arrival() -> None:
    buffer = LogBuffer()
    assert buffer.append("a", b"one\ntwo\n", 1.0) == 2
    assert buffer.append("b", b"three", 2.0) == 1
    assert [line(buffer, seq) for seq in range(4)] == [b"one", b"two", b"three", None]
    chunk = buffer.chunk_at(2)
    assert chunk is not None and chunk.source == "b"
    assert (buffer.first, buffer.next) == (0, 3)


def test_what_is_over_capacity_is_dropped_oldest_first_and_known_by_number() -> None:
    buffer = LogBuffer(capacity=100_000)
    for number in range(1000):
        buffer.append("a", b"%06d " % number + b"x" * 993 + b"\n", float(number))
    assert buffer.size <= 100_000
    assert buffer.next == 1000
    assert 890 < buffer.first < 930
    assert line(buffer, buffer.first - 1) is None
    kept = line(buffer, buffer.first)
    assert kept is not None and kept.startswith(b"%06d " % buffer.first)
    newest = line(buffer, 999)
    assert newest is not None and newest.startswith(b"000999")


def test_big_reads_are_cut_into_pieces_at_lines() -> None:
    buffer = LogBuffer()
    data = b"".join(b"line %d\n" % number for number in range(20_000))
    assert buffer.append("a", data, 1.0, offset=500) == 20_000
    for seq in (0, 1, 9_999, 19_999):
        chunk = buffer.chunk_at(seq)
        assert chunk is not None and len(chunk.data) <= PIECE
        raw, offset = buffer.line(chunk, seq)
        assert raw == b"line %d" % seq
        assert offset == 500 + data.find(raw + b"\n")


def test_a_line_longer_than_a_piece_stays_whole() -> None:
    buffer = LogBuffer()
    buffer.append("a", b"x" * (3 * PIECE) + b"\nshort\n", 1.0)
    assert [len(line(buffer, seq) or b"") for seq in (0, 1)] == [3 * PIECE, 5]


def test_small_pieces_of_one_source_become_one_chunk() -> None:
    buffer = LogBuffer()
    buffer.append("a", b"one\n", 1.0, 0)
    first = buffer.chunk_at(0)
    assert first is not None and buffer.lines(first) == [b"one"]
    buffer.append("a", b"two\n", 1.1, 4)
    chunk = buffer.chunk_at(1)
    assert chunk is not None
    assert buffer.lines(chunk) == [b"one", b"two"]
    assert buffer.line(chunk, 1) == (b"two", 4)
    buffer.append("a", b"after a gap in the file\n", 1.1, 100)
    other = buffer.chunk_at(2)
    assert other is not None and other.offset == 100
