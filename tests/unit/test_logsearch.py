"""Words found in files: from the end, in any case, over block borders, counted, cancelled."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from console.watch.logsearch import BLOCK, FileSearch


def found(search: FileSearch) -> list[int]:
    """All hits by walking from the newest to the oldest."""
    places = []
    place, certain = search.older(search.size + 1)
    while place is not None:
        assert certain
        places.append(place)
        place, certain = search.older(place)
    return places


@pytest.fixture
def big(tmp_path: Path) -> tuple[Path, bytes]:
    path = tmp_path / "big.log"
    data = b"".join(
        b"%07d INFO all is well and nothing happens here%s\n" % (number, b" TimeOut" if number % 1000 == 7 else b"")
        for number in range(60_000)
    )
    path.write_bytes(data)
    return path, data


def offsets(data: bytes, needle: bytes) -> list[int]:
    places, at = [], data.find(needle)
    while at >= 0:
        places.append(at)
        at = data.find(needle, at + len(needle))
    return places


def test_all_hits_from_the_end_in_any_case(big: tuple[Path, bytes]) -> None:
    path, data = big
    assert len(data) > 4 * BLOCK
    search = FileSearch(path, "timeout").start()
    search.join()
    assert search.count == 60
    assert search.share == 1.0
    assert found(search) == offsets(data, b"TimeOut")[::-1]


def test_a_capital_makes_case_count(big: tuple[Path, bytes]) -> None:
    path, _ = big
    assert run(FileSearch(path, "TimeOut")).count == 60
    assert run(FileSearch(path, "TIMEOUT")).count == 0


def run(search: FileSearch) -> FileSearch:
    search.start().join()
    return search


def test_hits_across_block_borders_count_once(tmp_path: Path) -> None:
    path = tmp_path / "edge.log"
    for shift in range(6):
        size = 3 * BLOCK
        data = bytearray(b"." * size)
        at = size - (64 << 10) - shift  # the first border from the end
        data[at : at + 6] = b"needle"
        data[at - BLOCK : at - BLOCK + 6] = b"needle"
        path.write_bytes(bytes(data))
        search = run(FileSearch(path, "needle"))
        assert (search.count, found(search)) == (2, [at, at - BLOCK])


def test_from_the_middle_it_goes_back_first_and_then_over_the_rest(big: tuple[Path, bytes]) -> None:
    path, data = big
    places = offsets(data, b"TimeOut")
    search = run(FileSearch(path, "timeout", origin=places[30]))
    assert search.older(places[30]) == (places[29], True)
    assert search.older(places[31] + 1) == (places[31], True)
    assert search.newer(places[29]) == (places[30], True)
    assert search.newer(places[59]) == (None, True)
    assert search.older(places[0]) == (None, True)
    assert search.count == 60


def test_the_docker_json_file_is_searched_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "x-json.log"
    path.write_text('{"log":"say \\"hello\\" \\u003cb\\u003e\\n","stream":"stdout"}\n')
    assert run(FileSearch(path, 'say "hello" <b>', json_file=True)).count == 1
    assert run(FileSearch(path, 'say "hello"')).count == 0


def test_a_cancelled_search_ends(big: tuple[Path, bytes]) -> None:
    path, _ = big
    begun, go_on = threading.Event(), threading.Event()

    def progress() -> None:
        begun.set()
        go_on.wait(10)

    search = FileSearch(path, "timeout", on_progress=progress).start()
    assert begun.wait(10)
    search.cancel()
    go_on.set()
    search.join(10)
    assert search.done
    assert search.count < 60


def test_a_missing_file_is_a_fault(tmp_path: Path) -> None:
    search = run(FileSearch(tmp_path / "none.log", "x"))
    assert search.done and search.fault == "no such file or directory"
