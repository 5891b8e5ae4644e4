"""Files that are cut, flipped, shuffled: nothing wrong is ever served, and every damage is named."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.incident.chain import ChainReader
from console.incident.events import Actor, Event
from console.incident.journal import Journal
from console.incident.verify import verify

ANA = Actor("ana", host="lab")


def written(directory: Path, count: int, word: str = "entry") -> tuple[Path, str, list[Event]]:
    directory.mkdir(exist_ok=True)
    journal = Journal(directory, ANA)
    last = [journal.append("note", {"text": f"{word} {number} ünïcode"}) for number in range(count)][-1]
    journal.close()
    (path,) = directory.glob(f"*{last.writer}.jsonl")
    return path, last.writer, ChainReader(path, last.writer).poll()


def read(path: Path, writer: str) -> tuple[list[Event], ChainReader]:
    reader = ChainReader(path, writer)
    return reader.poll(), reader


def test_a_tail_torn_at_any_byte_loses_only_what_was_torn(tmp_path: Path) -> None:
    path, writer, whole = written(tmp_path / "INC-2026-0001", 5)
    content = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(content) if byte == 0x0A]
    for cut in range(len(content) + 1):
        path.write_bytes(content[:cut])
        events, reader = read(path, writer)
        complete = sum(end <= cut for end in ends)
        assert events == whole[:complete], f"cut at {cut}"
        torn = reader.torn()
        assert reader.damage == [] and (torn is None) == (cut in (0, *ends)), f"cut at {cut}"
        assert torn is None or (torn.torn and torn.offset == (0, *ends)[complete])
        path.write_bytes(content)
        assert reader.poll() == whole[complete:], "a line that is finished later is read then"


def test_every_flipped_bit_is_noticed_and_nothing_wrong_is_served(tmp_path: Path) -> None:
    path, writer, whole = written(tmp_path / "INC-2026-0001", 3)
    content = path.read_bytes()
    for place in range(len(content)):
        for bit in range(8):
            flipped = bytearray(content)
            flipped[place] ^= 1 << bit
            path.write_bytes(flipped)
            events, reader = read(path, writer)
            assert all(event in whole for event in events), f"byte {place} bit {bit}: a wrong event was served"
            assert len(events) >= len(whole) - 3, f"byte {place} bit {bit}: too much was lost"
            torn = reader.torn()
            assert reader.damage or (torn is not None and not torn.torn), f"byte {place} bit {bit}: not noticed"
            if bit == place % 8:  # the command says the same as the reader
                assert not verify(path.parent).ok


LINES = 8


def mangled(lines: list[bytes], foreign: list[bytes], chance: random.Random) -> list[bytes]:
    """Whole lines deleted, doubled, swapped, spliced in from another file, or made junk."""
    lines = list(lines)
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(lines))
        kind = chance.choice(["delete", "double", "swap", "splice", "junk"])
        if kind == "delete" and len(lines) > 2:
            del lines[place]
        elif kind == "double":
            lines.insert(place, lines[place])
        elif kind == "swap":
            other = chance.randrange(len(lines))
            lines[place], lines[other] = lines[other], lines[place]
        elif kind == "splice":
            lines.insert(place, chance.choice(foreign))
        else:
            lines.insert(place, bytes(chance.randrange(32, 127) for _ in range(60)))
    return lines


@pytest.fixture(scope="module")
def two_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, list[Event], list[bytes], list[bytes]]:
    base = tmp_path_factory.mktemp("two")
    foreign, _, _ = written(base / "INC-2026-0002", LINES, "foreign")
    path, writer, whole = written(base / "INC-2026-0001", LINES)
    return path, writer, whole, path.read_bytes().splitlines(), foreign.read_bytes().splitlines()


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_lines_that_are_moved_lost_or_foreign(
    two_files: tuple[Path, str, list[Event], list[bytes], list[bytes]], seed: int
) -> None:
    path, writer, whole, lines, foreign = two_files
    changed = mangled(lines, foreign, random.Random(seed))
    path.write_bytes(b"".join(line + b"\n" for line in changed))
    events, reader = read(path, writer)
    assert all(event in whole for event in events)
    assert [event.seq for event in events] == sorted({event.seq for event in events})
    if changed != lines:
        prefix = changed == lines[: len(changed)]  # a clean cut of the tail needs a witness: see test_journal
        assert prefix or reader.damage


def test_the_reader_of_a_file_that_becomes_shorter_says_so(tmp_path: Path) -> None:
    path, writer, whole = written(tmp_path / "INC-2026-0001", 3)
    events, reader = read(path, writer)
    assert events == whole
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert reader.poll() == [] and "shorter" in reader.damage[0].reason
    assert reader.poll() == [] and len(reader.damage) == 1


def test_a_copied_directory_is_not_continued(tmp_path: Path) -> None:
    """A restored copy gets a writer of its own: no two files ever have the same entry number of one writer."""
    path, writer, _ = written(tmp_path / "INC-2026-0001", 2)
    copy = tmp_path / "copy" / "INC-2026-0001"
    copy.mkdir(parents=True)
    (copy / path.name).write_bytes(path.read_bytes())
    before = path.read_bytes()
    event = Journal(copy, ANA).append("note", {"text": "after the restore"})
    assert event.writer != writer and (copy / path.name).read_bytes() == before
