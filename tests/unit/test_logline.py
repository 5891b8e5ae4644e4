"""What is read in a log line: level, time, message, continuation; measured over labelled lines."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

from console.watch.logline import Line, LineReader

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()
DATA = Path(__file__).parent / "data"
SETS = ("log_lines.txt", "log_lines_2.txt")  # each with lines that the other was not written from


@dataclass(frozen=True, slots=True)
class Sample:
    """A line and what a person reads in it. `source` is "" where nothing is labelled."""

    raw: str
    level: str | None
    when: datetime | None
    source: str
    continued: bool


@cache
def samples(name: str) -> tuple[Sample, ...]:
    found = []
    for line in (DATA / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("# ") or not line:
            continue
        told, when, raw = line.split("\t", 2)
        level, *more = told.split()
        raw = raw.replace("\\t", "\t").replace("\\x1b", "\x1b").replace("\\\\n", "\\n")
        found.append(
            Sample(
                raw,
                None if level == "-" else level,
                None if when == "-" else datetime.fromisoformat(when),
                next((word[1:] for word in more if word.startswith("@")), ""),
                "+" in more,
            )
        )
    return tuple(found)


def read(raw: str) -> Line:
    return LineReader(now=lambda: NOW).read(raw)


def same_time(found: datetime | None, wanted: datetime | None) -> bool:
    """Equal to the millisecond, with a zone or without."""
    if found is None or wanted is None or (found.tzinfo is None) != (wanted.tzinfo is None):
        return found is wanted
    return abs(found - wanted) < timedelta(milliseconds=1)


@pytest.mark.parametrize("name", SETS)
def test_levels_and_times_of_the_labelled_lines(name: str) -> None:
    levels, times, invented, others = [], [], [], []
    for one in samples(name):
        line = read(one.raw)
        if line.level != one.level:
            levels.append(f"{one.level} != {line.level}: {one.raw}")
        if not same_time(line.time, one.when):
            times.append(f"{one.when} != {line.time}: {one.raw}")
            if one.when is None:
                invented.append(one.raw)
        if one.source and line.source != one.source:
            others.append(f"{one.source} != {line.source}: {one.raw}")
        if one.continued and not line.continuation:
            others.append(f"continues: {one.raw}")
    count = len(samples(name))
    right = [f"{what} {1 - len(wrong) / count:.3f}" for what, wrong in (("level", levels), ("time", times))]
    print(f"{name}: {', '.join(right)}, invented {len(invented)}, of {count}")
    print("\n".join(levels + times + others))
    assert count >= 140
    assert len(levels) <= count * 0.05
    assert len(times) <= count * 0.05
    assert len(invented) <= 1
    assert len(others) <= 1


def test_messages_lose_their_header_and_keep_the_rest() -> None:
    assert read("2026-11-22 03:12:01,123 ERROR [worker-3] shop - refused").message == "[worker-3] shop - refused"
    assert read("WARNING: pool exhausted").message == "pool exhausted"
    assert read("Note that the disk fills").message == "Note that the disk fills"
    assert read("Failed to connect").message == "Failed to connect"
    assert read('time="2026-11-22T03:12:01Z" level=info msg="said \\"hi\\""').message == 'said "hi"'
    assert read('{"level":30,"time":1795317121123,"msg":"done"}').message == "done"
    line = read('{"stream":"stderr","log":"{\\"level\\":\\"error\\",\\"msg\\":\\"no route\\"}"}')
    assert (line.level, line.message) == ("error", "no route")
    line = read('{"date":1795508142.5,"log":"[WARN] slow\\n"}')
    assert (line.level, line.message) == ("warning", "slow")
    line = read('{"level":"error","time":"2026-11-24T08:15:42Z","msg":"cut off after the first ')
    assert (line.level, line.message) == ("error", "cut off after the first ")
    line = read("Nov 22 03:12:01 prod-1 sshd[1234]: error: too many attempts")
    assert (line.source, line.message) == ("sshd", "too many attempts")
    line = read("app-1       | 2026-11-22 03:12:01,100 WARNING pool exhausted")
    assert (line.source, line.message) == ("app-1", "pool exhausted")


def test_a_traceback_continues_the_record_before_it() -> None:
    reader = LineReader(now=lambda: NOW)
    for number in range(10):
        assert not reader.read(f"2026-11-22 03:12:0{number} INFO fine").continuation
    assert not reader.read("2026-11-22 03:12:10 ERROR failed").continuation
    for raw in (
        "Traceback (most recent call last):",
        '  File "/app/pay.py", line 88, in pay',
        "    raise TimeoutError",
        "TimeoutError: no answer in 5 s",
        "",
        "\tat com.shop.Checkout.pay(Checkout.java:88)",
        "Caused by: java.net.SocketTimeoutException: Read timed out",
        "\t... 17 more",
    ):
        assert reader.read(raw).continuation, raw
    assert not reader.read("2026-11-22 03:12:11 INFO fine again").continuation


def test_without_stamps_only_indented_lines_continue() -> None:
    reader = LineReader(now=lambda: NOW)
    assert not reader.read("listening on port 8080").continuation
    assert reader.read("  an indented detail").continuation
    assert not reader.read("connected").continuation


@pytest.mark.parametrize(
    ("now", "raw", "year"),
    [
        ("2026-01-01T00:05:00+00:00", "Dec 31 23:59:59 host app: x", 2025),
        ("2025-12-31T23:59:58+00:00", "Jan  1 00:00:01 host app: x", 2026),
        ("2026-11-25T12:00:00+00:00", "Nov 22 03:12:01 host app: x", 2026),
        ("2026-03-01T12:00:00+00:00", "Feb 29 03:12:01 host app: x", 2024),
        ("2026-11-25T12:00:00+00:00", "E1122 03:12:01.123456 1 a.go:1] x", 2026),
    ],
)
def test_a_year_that_is_missing_is_the_nearest(now: str, raw: str, year: int) -> None:
    moment = datetime.fromisoformat(now).timestamp()
    line = LineReader(UTC, now=lambda: moment).read(raw)
    assert line.time is not None and line.time.year == year


def test_the_order_of_day_and_month_is_learnt() -> None:
    reader = LineReader(now=lambda: NOW)
    first = reader.read("22/11/2026 03:12:01 INFO x").time
    second = reader.read("03/04/2026 03:12:01 INFO x").time
    assert first is not None and first.month == 11
    assert second is not None and (second.month, second.day) == (4, 3)


def test_a_format_may_change_in_the_middle() -> None:
    reader = LineReader(now=lambda: NOW)
    for _ in range(50):
        assert reader.read("2026-11-22 03:12:01 INFO x").time is not None
    for _ in range(50):
        assert reader.read("Nov 22 03:12:01 host app: x").time is not None


@pytest.mark.parametrize(
    "raw", ["", "{", "{}", "[", "\x1b[", "<999>x", '{"log":', "=" * 5000, "9" * 5000, "\x00" * 100]
)
def test_nothing_breaks_it(raw: str) -> None:
    assert read(raw).level is None


def test_one_line_stays_cheap() -> None:
    """A pattern that explodes would take minutes here; what a line costs is measured in tests/bench."""
    for raw in (one.raw for name in SETS for one in samples(name)):
        long = raw + " [" + "error warn info " * 4000
        reader = LineReader(now=lambda: NOW)
        began = time.process_time()
        reader.read(long)
        assert time.process_time() - began < 2.0, raw
