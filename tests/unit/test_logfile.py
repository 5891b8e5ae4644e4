"""Files followed through everything that happens to log files, on a real file system."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from console.watch.logfile import FileLines, FileTail, GlobTail, Piece


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def text(pieces: list[Piece]) -> str:
    return b"".join(piece.data for piece in pieces).decode()


def append(path: Path, data: str) -> None:
    with path.open("a") as file:
        file.write(data)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "app.log"
    path.write_text("one\n")
    return path


def test_growth_is_handed_on_in_whole_lines_with_offsets(log: Path) -> None:
    tail = FileTail(log)
    assert text(tail.poll()) == "one\n"
    append(log, "two\nthr")
    assert tail.poll() == [Piece(b"two\n", 4)]
    append(log, "ee\n")
    assert tail.poll() == [Piece(b"three\n", 8)]
    assert tail.poll() == []


def test_a_line_without_newline_is_shown_after_a_silence(log: Path) -> None:
    clock = Clock()
    tail = FileTail(log, clock=clock)
    tail.poll()
    append(log, "prompt> ")
    assert tail.poll() == []
    clock.now += 2
    assert text(tail.poll()) == "prompt> "
    append(log, "yes\n")
    assert text(tail.poll()) == "yes\n"


def test_a_big_file_begins_near_its_end_at_a_line(tmp_path: Path) -> None:
    path = tmp_path / "big.log"
    path.write_text("".join(f"line {number:06d}\n" for number in range(100_000)))
    pieces = FileTail(path, backlog=1000).poll()
    lines = text(pieces).splitlines()
    assert lines[-1] == "line 099999"
    assert all(len(line) == 11 for line in lines)
    assert 80 <= len(lines) <= 84
    with path.open("rb") as file:
        file.seek(pieces[0].offset)
        assert file.readline().decode().strip() == lines[0]


def test_rename_rotation_loses_nothing(log: Path) -> None:
    tail = FileTail(log)
    tail.poll()
    with log.open("a") as writer:
        writer.write("last of the old\n")
        writer.flush()
        log.rename(log.with_suffix(".log.1"))
        log.write_text("first of the new\n")
        assert text(tail.poll()) == "last of the old\nfirst of the new\n"
        writer.write("a late writer\n")
        writer.flush()
        assert text(tail.poll()) == "a late writer\n"
    append(log, "second of the new\n")
    assert text(tail.poll()) == "second of the new\n"


def test_copytruncate_begins_anew(log: Path) -> None:
    tail = FileTail(log)
    tail.poll()
    append(log, "before\n")
    tail.poll()
    os.truncate(log, 0)
    append(log, "after\n")
    assert text(tail.poll()) == "after\n"


def test_copytruncate_that_grew_beyond_the_old_size_is_noticed(log: Path) -> None:
    tail = FileTail(log)
    append(log, "before\n")
    tail.poll()
    log.write_text("a much longer first line than all that was there before\nsecond\n")
    assert text(tail.poll()).startswith("a much longer first line")


def test_a_file_that_appears_late_is_read_from_its_start(tmp_path: Path) -> None:
    path = tmp_path / "late.log"
    tail = FileTail(path)
    assert tail.poll() == []
    assert tail.fault == "no such file"
    path.write_text("hello\n")
    assert text(tail.poll()) == "hello\n"
    assert tail.fault == ""


def test_a_deleted_file_is_a_fault_until_it_comes_back(log: Path) -> None:
    tail = FileTail(log)
    tail.poll()
    log.unlink()
    tail.poll()
    assert tail.fault == "the file was deleted"
    log.write_text("again\n")
    assert text(tail.poll()) == "again\n"
    assert tail.fault == ""


def test_what_reading_fell_behind_on_is_counted(log: Path) -> None:
    tail = FileTail(log)
    tail.poll()
    with log.open("a") as file:
        for _ in range(100):
            file.write(("x" * 99 + "\n") * 1000)
    kept = sum(piece.data.count(b"\n") for piece in tail.poll())
    assert tail.dropped > 50_000
    assert kept + tail.dropped == 100_000


def test_a_directory_and_a_fifo_are_faults_and_do_not_hang(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo.log"
    os.mkfifo(fifo)
    for path in (tmp_path, fifo):
        tail = FileTail(path)
        assert tail.poll() == []
        assert tail.fault == "not a regular file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission_is_said(log: Path) -> None:
    log.chmod(0)
    tail = FileTail(log)
    tail.poll()
    assert tail.fault == "permission denied"
    assert "group" in tail.remedy


def test_a_glob_gains_files_and_names_them(tmp_path: Path) -> None:
    clock = Clock()
    (tmp_path / "a.log").write_text("a1\n")
    tail = GlobTail(str(tmp_path / "*.log"), clock=clock)
    assert [(name, piece.data) for name, piece in tail.poll()] == [("a.log", b"a1\n")]
    (tmp_path / "b.log").write_text("b1\n")
    assert tail.poll() == []
    clock.now += 3
    assert [(name, piece.data) for name, piece in tail.poll()] == [("b.log", b"b1\n")]


def test_a_file_renamed_within_a_glob_is_not_read_twice(tmp_path: Path) -> None:
    clock = Clock()
    path = tmp_path / "app.log"
    path.write_text("one\n")
    tail = GlobTail(str(tmp_path / "app.log*"), clock=clock)
    assert len(tail.poll()) == 1
    path.rename(tmp_path / "app.log.1")
    path.write_text("two\n")
    found = tail.poll()
    clock.now += 3
    found += tail.poll()
    clock.now += 3
    found += tail.poll()
    assert [piece.data for _, piece in found] == [b"two\n"]


def test_a_glob_without_files_says_so(tmp_path: Path) -> None:
    tail = GlobTail(str(tmp_path / "no" / "*.log"))
    assert tail.poll() == []
    assert tail.fault == "no file matches"


def test_lines_are_read_back_by_offset(tmp_path: Path) -> None:
    path = tmp_path / "back.log"
    path.write_text("".join(f"line {number}\n" for number in range(20_000)))
    lines = FileLines(path)
    seen: list[bytes] = []
    end = lines.size
    while end > 0:
        block = lines.before(end)
        seen = [raw for _, raw in block] + seen
        end = block[0][0]
    assert seen == [f"line {number}".encode() for number in range(20_000)]
    forth: list[bytes] = []
    start = 0
    while block := lines.after(start):
        forth += [raw for _, raw in block]
        start = block[-1][0] + len(block[-1][1]) + 1
    assert forth == seen
    assert lines.line_start(100) == path.read_bytes().rfind(b"\n", 0, 100) + 1
    lines.close()


def test_a_line_longer_than_a_block_is_read_back_whole(tmp_path: Path) -> None:
    path = tmp_path / "long.log"
    path.write_bytes(b"first\n" + b"x" * 200_000 + b"\nlast\n")
    lines = FileLines(path)
    assert [len(raw) for _, raw in lines.before(lines.size)] == [4]
    assert [len(raw) for _, raw in lines.before(200_007)] == [5, 200_000]
    assert [len(raw) for _, raw in lines.after(0)] == [5]
    assert [len(raw) for _, raw in lines.after(6)] == [200_000, 4]
    lines.close()
