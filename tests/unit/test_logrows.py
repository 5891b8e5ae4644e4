"""Walking over lines in memory and on disk: filters, tracebacks, times, bounds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from console.config import LogConfig
from console.watch.logrecord import RANK
from console.watch.logrows import FileRows, LineFilter, RingRows, find_time, walk_back, walk_forth
from console.watch.logs import LogHub

LEVELS = ("INFO", "WARN", "ERROR", "DEBUG")


def hub_with(lines: list[tuple[str, str]]) -> LogHub:
    hub = LogHub([LogConfig("app", path="/nowhere/app.log", timezone="UTC")])
    for source, text in lines:
        hub.buffer.append(source, text.encode() + b"\n", 1000.0)
    return hub


def messages(found: object) -> list[str]:
    return [record.message for record in found.records]  # type: ignore[attr-defined]


@pytest.fixture
def mixed() -> LogHub:
    return hub_with(
        [
            (("app", "edge")[number % 2], f"2026-11-22 03:12:{number % 60:02d} {LEVELS[number % 4]} line {number}")
            for number in range(200)
        ]
    )


def test_the_last_lines_that_pass_oldest_first(mixed: LogHub) -> None:
    rows = RingRows(mixed)
    assert messages(walk_back(rows, rows.end, 3, LineFilter())) == ["line 197", "line 198", "line 199"]
    warn = LineFilter(RANK["warning"])
    assert messages(walk_back(rows, rows.end, 3, warn)) == ["line 194", "line 197", "line 198"]
    edge = LineFilter(0, "edge")
    assert messages(walk_back(rows, rows.end, 2, edge)) == ["line 197", "line 199"]
    both = LineFilter(RANK["error"], "app", "line 19")
    assert messages(walk_back(rows, rows.end, 9, both)) == ["line 190", "line 194", "line 198"]


def test_forth_is_the_mirror_of_back(mixed: LogHub) -> None:
    rows = RingRows(mixed)
    for wanted in (LineFilter(), LineFilter(RANK["warning"]), LineFilter(RANK["info"], "edge")):
        everything = walk_back(rows, rows.end, 1000, wanted).records
        assert walk_forth(rows, rows.first, 1000, wanted).records == everything
        middle = everything[len(everything) // 2]
        assert walk_forth(rows, rows.key(middle), 2, wanted).records == everything[len(everything) // 2 :][:2]


def test_a_walk_stops_within_its_budget_and_says_how_far_it_came(mixed: LogHub) -> None:
    rows = RingRows(mixed)
    walk = walk_back(rows, rows.end, 10, LineFilter(0, "", "no such text"), budget=50)
    assert walk.records == []
    assert walk.reached == 150
    walk = walk_back(rows, rows.end, 10, LineFilter(), stop=196)
    assert messages(walk) == ["line 196", "line 197", "line 198", "line 199"]


def test_a_traceback_passes_with_its_error_also_between_lines_of_others() -> None:
    hub = hub_with(
        [
            ("app", "2026-11-22 03:12:01 INFO fine"),
            ("app", "2026-11-22 03:12:02 ERROR failed"),
            ("edge", "2026-11-22 03:12:02 INFO other"),
            ("app", '  File "a.py", line 3, in run'),
            ("app", "    raise ValueError"),
            ("edge", "2026-11-22 03:12:03 INFO other again"),
            ("app", "2026-11-22 03:12:04 INFO fine again"),
            ("app", "  a detail of what is fine"),
        ]
    )
    rows = RingRows(hub)
    errors = LineFilter(RANK["error"])
    expected = ["failed", 'File "a.py", line 3, in run', "raise ValueError"]
    assert [m.strip() for m in messages(walk_back(rows, rows.end, 20, errors))] == expected
    assert [m.strip() for m in messages(walk_forth(rows, 0, 20, errors))] == expected
    assert [m.strip() for m in messages(walk_forth(rows, 4, 20, errors))] == expected[2:]


@pytest.fixture
def file(tmp_path: Path) -> Iterator[tuple[LogHub, FileRows]]:
    path = tmp_path / "app.log"
    start = int(datetime(2026, 11, 22, tzinfo=UTC).timestamp())
    with path.open("w") as out:
        for number in range(50_000):
            stamp = datetime.fromtimestamp(start + number, UTC).strftime("%Y-%m-%d %H:%M:%S")
            out.write(f"{stamp} {LEVELS[number % 4]} line {number}\n")
            if number % 100 == 0:
                out.write("  continued\n")
    hub = LogHub([LogConfig("app", path=str(path), timezone="UTC")])
    rows = FileRows(hub, "app", path)
    yield hub, rows
    rows.close()


def test_a_file_is_walked_by_offset(file: tuple[LogHub, FileRows]) -> None:
    _, rows = file
    assert messages(walk_back(rows, rows.end, 2, LineFilter())) == ["line 49998", "line 49999"]
    assert messages(walk_forth(rows, 0, 2, LineFilter(RANK["error"]))) == ["line 2", "line 6"]
    last = walk_back(rows, rows.end, 3000, LineFilter(), budget=10_000).records
    again = walk_forth(rows, rows.key(last[0]), 3000, LineFilter(), budget=10_000).records
    assert again == last


def test_the_first_line_at_a_time_is_found_by_halving(file: tuple[LogHub, FileRows]) -> None:
    _, rows = file
    start = datetime(2026, 11, 22, tzinfo=UTC).timestamp()
    for number in (0, 1, 100, 31_415, 49_999):
        place = find_time(rows, start + number, "app")
        assert messages(walk_forth(rows, place, 1, LineFilter())) == [f"line {number}"]
    assert find_time(rows, start + 60_000, "app") == rows.end
    assert find_time(rows, start - 60_000, "app") == 0


def test_a_record_is_recognised_in_its_file(file: tuple[LogHub, FileRows]) -> None:
    hub, rows = file
    record = walk_back(rows, rows.start_of(5000), 1, LineFilter()).records[0]
    assert rows.holds(record)
    assert not rows.holds(hub.read_back("app", b"another line", rows.key(record)))


def test_walking_while_lines_arrive_never_breaks() -> None:
    hub = hub_with([])
    rows = RingRows(hub)
    going = threading.Event()

    def write() -> None:
        for number in range(20_000):
            hub.buffer.append("app", b"INFO %d\n" % number, 1000.0)
        going.set()

    thread = threading.Thread(target=write)
    thread.start()
    while not going.is_set():
        forth = walk_forth(rows, max(0, rows.end - 50), 100, LineFilter()).records
        assert [record.seq for record in forth] == sorted(record.seq or 0 for record in forth)
        walk_back(rows, rows.end, 100, LineFilter())
    thread.join()
    last = walk_forth(rows, 0, 20_000, LineFilter(), budget=30_000).records
    assert [record.message for record in last] == [str(number) for number in range(20_000)]
