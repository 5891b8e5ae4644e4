"""The line reader meets anything: no exception, fields that are what they say, time that grows with the length.

Cases are drawn at random with a fixed seed for the shapes that logs have, and by hypothesis for the rest.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from console.watch.logjoin import Event, Joiner, OrderedReader
from console.watch.logline import PARSE_LIMIT, Line, LineReader
from console.watch.logrecord import LEVELS
from tests.unit.test_logline import SETS, samples

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()
RAW = [one.raw for name in SETS for one in samples(name)]
PIECES = [
    *("2026-11-24T08:15:42.902Z", "2026-11-24 08:15:42", "Nov 24 08:15:42", "[24/Nov/2026:08:15:42 +0000]", "E1124 08:15:42.1"),
    *("9999-12-31T23:59:59-23:59", "0000-00-00 00:00:00", "1000-01-01 00:00:00+14:00", "29/Feb/2027:01:02:03", "Feb 29 01:02:03"),
    *("12/31/99 11:59:59 PM", "@400000006b0547b81dcd6500", "@4fffffffffffffffffffffff", "1795508142", "99999999999999999999"),
    *('{"log":"', '{"level":', '"time":1e400', '{"t":{"$date":', '"s":"E"', "[" * 40, "{" * 40, '"' * 9, "\\" * 9, "}"),
    *("level=", "ERROR", "[error]", "<11>", "<11>1 ", "web-1  | ", " stdout P ", " stderr F ", "\x1b[31m", "\x1b[", "\x9b"),
    *("²³", "٢٠٢٦", "年", "\ud800", "\u202e", "\x00", "\t", "\r", " ", ":", "=", "a=b ", "Caused by: ", "%LINK-3-UPDOWN: "),
    *("__REALTIME_TIMESTAMP=", '{"__REALTIME_TIMESTAMP":"²"}', '{"__REALTIME_TIMESTAMP":[1],"MESSAGE":[300,"x",104],"PRIORITY":[3]}'),
]  # fmt: skip


def check(line: Line) -> None:
    assert line.level is None or line.level in LEVELS
    assert line.time is None or isinstance(line.time, datetime)
    assert line.time is None or line.time.tzinfo is None or line.time.astimezone(UTC)
    assert isinstance(line.message, str)
    assert isinstance(line.source, str)
    assert len(line.message) <= 2 * PARSE_LIMIT
    json.dumps([line.message, line.source])


def read_all(text: str) -> None:
    check(LineReader(now=lambda: NOW).read(text))


@settings(max_examples=600, deadline=None, database=None)
@given(st.binary(max_size=400))
@example(bytes(range(256)))
def test_any_bytes(raw: bytes) -> None:
    read_all(raw.decode("utf-8", "replace"))


@settings(max_examples=2000, deadline=None, database=None)
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=12), max_size=9).map("".join))
def test_pieces_of_log_lines_in_any_order(text: str) -> None:
    read_all(text)


@settings(max_examples=1000, deadline=None, database=None)
@given(st.sampled_from(RAW), st.data())
def test_log_lines_with_damage(raw: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(at, len(raw)))
    text = raw[:at] + data.draw(st.sampled_from(PIECES) | st.text(max_size=6)) + raw[end:]
    check(LineReader(UTC, now=lambda: NOW).read(text))


_SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.sampled_from(PIECES)
_VALUE = _SCALAR | st.lists(_SCALAR, max_size=3) | st.dictionaries(st.sampled_from(("$date", "name", "x")), _SCALAR)
_KEY = st.text(max_size=8) | st.sampled_from(
    [
        "level",
        "severity",
        "time",
        "ts",
        "@t",
        "@mt",
        "msg",
        "message",
        "log",
        "fields",
        "tags",
        "status",
        "levelno",
        "severityNumber",
        "s",
        "l",
        "instant",
        "timeUnixNano",
        "__REALTIME_TIMESTAMP",
        "MESSAGE",
        "PRIORITY",
        "SYSLOG_IDENTIFIER",
        "stream",
    ]
)


@settings(max_examples=800, deadline=None, database=None)
@given(st.dictionaries(_KEY, _VALUE, max_size=5), st.integers(0, 400))
def test_any_object(data: dict[str, object], cut: int) -> None:
    text = json.dumps(data)
    read_all(text)
    read_all(text[:cut])


@settings(max_examples=300, deadline=None, database=None)
@given(st.lists(st.sampled_from(PIECES + RAW) | st.text(max_size=20), max_size=30))
def test_lines_in_order_are_all_read_and_all_joined(lines: list[str]) -> None:
    reader, joiner = OrderedReader(now=lambda: NOW), Joiner(now=lambda: NOW)
    events: list[Event] = []
    for text in lines:
        check(reader.read(text))
        events += joiner.add(text)
    events += joiner.flush()
    assert len(events) <= len(lines)
    assert not list(joiner.flush())
    for event in events:
        assert event.level is None or event.level in LEVELS


@pytest.mark.parametrize("code", [*range(0x20), *range(0x7F, 0xA0)])
def test_every_control_character(code: int) -> None:
    char = chr(code)
    for text in (
        char,
        char * 300,
        f"2026-11-24 08:15:42 ERROR a{char}b",
        f"{char}ERROR{char}: x",
        f'{{"msg":"{char}"}}',
    ):
        read_all(text)
    assert LineReader(now=lambda: NOW).read(f"2026-11-24 08:15:42 ERROR a{char}b").level == "error"


def test_deep_objects() -> None:
    for deep in (100, 5000, 30000):
        read_all('{"a":' * deep + "1" + "}" * deep)
        read_all('{"level":"error","a":' + "[" * deep)


UNITS = (
    *("1", " ", "[", "]", "(", '"', "'", "\\", "=", "a=", 'a="', "a=b ", ":", ": ", "/", ".", "-", "|", "<", "{", '{"', '"":'),
    *("a", "A", "a ", "a.", "a:", "1:", "1.", "1-", "00:", "2026-11-24 ", "00:00:00 ", "ERROR", "error ", "\\\"", "\x1b[", "\x1b[0m"),
    *("x | ", " - ", "at ", "Error: ", "%A-", "(a", "[a", "<1>", "\t", "\u00e9", "年", "Jan ", "info/", '"level":', "0000000000 "),
)  # fmt: skip


def _cost(read: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(3):
        began = time.thread_time()
        read()
        best = min(best, time.thread_time() - began)
    return best


def _over_time(prefix: str, unit: str) -> str:
    """Why reading this takes more than its length allows; "" when it does not. Twice the length, four times the time."""
    sizes = (PARSE_LIMIT // 4, PARSE_LIMIT // 2, PARSE_LIMIT)
    texts = [prefix + (unit * (size // len(unit) + 1))[:size] for size in sizes]
    costs = [_cost(lambda text=text: LineReader(now=lambda: NOW).read(text)) for text in texts]  # type: ignore[misc]
    if costs[2] < 0.02 or costs[2] < 4 * costs[1] or costs[1] < 4 * costs[0]:
        return "" if costs[2] < 0.5 else f"{unit!r} after {prefix!r}: {costs[2]:.2f} s for one line"
    return f"{unit!r} after {prefix!r}: {', '.join(f'{cost * 1e3:.1f} ms' for cost in costs)}"


@pytest.mark.parametrize(
    "prefix", ["", "2026-11-24 08:15:42 ", '{"level":"error","msg":"', "a=", "web-1 | ", "<11>1 - "]
)
def test_no_repetition_costs_more_than_its_length(prefix: str) -> None:
    assert not [why for unit in UNITS if (why := _over_time(prefix, unit))]


def test_a_million_characters() -> None:
    reader = LineReader(now=lambda: NOW)
    for unit in UNITS:
        text = (unit * (1_000_000 // len(unit)))[:1_000_000]
        began = time.thread_time()
        check(reader.read(text))
        check(reader.read("2026-11-24 08:15:42 ERROR " + text))
        assert time.thread_time() - began < 1.0, unit
