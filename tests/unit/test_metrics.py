"""Business metrics from JSON pages, JSONL files and log lines; thresholds, windows, faults and history."""

from __future__ import annotations

import asyncio
import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from console.config import LogConfig, MetricConfig, StoreConfig
from console.watch.logs import LogHub
from console.watch.metrics import HubLines, MetricPoint, MetricsSource
from console.watch.metrics.lines import OpenFile
from console.watch.metrics.log_lines import LogLines
from console.watch.metrics.pattern import LinePattern, SlowPatternError, required_text
from console.watch.metrics.point import Sample
from console.watch.metrics.source import Follower, Past
from tests.unit.loopback import Asked, json_page, serve, silence, web

NOW = float(int(time.time()))  # files that were written long before are not opened


class Clock:
    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def metric(kind: str, **more: Any) -> MetricConfig:
    return MetricConfig(**{"name": "it", "kind": kind, **more})


class Measured:
    """A source that is measured when a test says so."""

    def __init__(self, *configs: MetricConfig, clock: Clock | None = None, logs: LogLines | None = None) -> None:
        self.clock = clock or Clock()
        self._source = MetricsSource(configs, StoreConfig(), logs, clock=self.clock)

    async def __aenter__(self) -> Measured:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._source.close()

    async def points(self) -> tuple[MetricPoint, ...]:
        return (await self._source.read_once()).metrics

    async def point(self) -> MetricPoint:
        return (await self.points())[0]


# --- http ---------------------------------------------------------------------------------------------------------

DOCUMENT = {
    "sla": {"p95": 1.5, "none": None, "word": "n/a", "text": "12.5", "yes": True},
    "list": [{"c": 7}],
    "a.b": {"c": 1},
}


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("sla.p95", 1.5, ""),
        ("sla.text", 12.5, ""),
        ("list[0].c", 7.0, ""),
        ("list[-1].c", 7.0, ""),
        ('["a.b"].c', 1.0, ""),
        ("sla.none", None, "sla.none is null"),
        ("sla.none.deeper", None, "sla.none.deeper is null"),
        ("sla.word", None, "sla.word is no number"),
        ("sla.yes", None, "sla.yes is no number"),
        ("sla.p99", None, 'no "p99" in sla'),
        ("list[3].c", None, "list has 1 items, no [3]"),
        ("sla[0]", None, "sla is no list"),
        ("sla..p95", None, 'field "sla..p95" is no path; write a.b[0].c'),
    ],
)
async def test_numbers_in_json(path: str, value: float | None, fault: str) -> None:
    async with (
        serve(json_page(DOCUMENT)) as port,
        Measured(metric("http", source=f"http://127.0.0.1:{port}/m", field=path)) as measured,
    ):
        point = await measured.point()
    assert (point.value, point.fault) == (value, fault)
    assert point.status == ("ok" if value is not None else "unknown")


async def test_metrics_of_one_page_share_one_request() -> None:
    asked: list[str] = []

    def reply(one: Asked) -> tuple[int, str]:
        asked.append(one.line)
        return 200, json.dumps(DOCUMENT)

    async with serve(web(reply)) as port:
        source = f"http://127.0.0.1:{port}/m"
        paths = ("sla.p95", "list[0].c", "sla.text")
        async with Measured(*(metric("http", source=source, field=path) for path in paths)) as measured:
            assert [point.value for point in await measured.points()] == [1.5, 7.0, 12.5]
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("status", "body", "fault"), [(500, "{}", "it answers 500"), (200, "<p>", "the answer is no JSON")]
)
async def test_pages_that_are_no_use(status: int, body: str, fault: str) -> None:
    async with (
        serve(web(lambda asked: (status, body))) as port,
        Measured(metric("http", source=f"http://127.0.0.1:{port}/", field="x")) as measured,
    ):
        assert (await measured.point()).fault == fault


async def test_a_hung_metric_delays_no_other() -> None:
    async with serve(silence) as deaf, serve(json_page({"v": 1})) as port:
        source = MetricsSource(
            [
                metric("http", name="hung", source=f"http://127.0.0.1:{deaf}/", field="v"),
                metric("http", name="well", source=f"http://127.0.0.1:{port}/", field="v"),
            ],
            StoreConfig(),
        )
        assert [point.fault for point in (await source.read()).metrics] == ["not measured yet"] * 2
        async with asyncio.timeout(3):
            await source.changed()
        hung, well = (await source.read()).metrics
        began = time.monotonic()
        await source.close()
    assert (hung.value, well.value) == (None, 1.0)
    assert time.monotonic() - began < 2


# --- thresholds and history ---------------------------------------------------------------------------------------


class Scripted:
    """A gauge that gives what it is told."""

    every = 15.0
    deadline = 1.0

    def __init__(self, *answers: float | Exception) -> None:
        self._answers = iter(answers)

    async def measure(self, now: float) -> Sample:
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return Sample(answer)

    async def close(self) -> None: ...


@pytest.mark.parametrize(
    ("direction", "value", "status", "limit"),
    [
        ("up", 5.0, "ok", ""),
        ("up", 10.0, "ok", ""),
        ("up", 10.1, "warn", "> 10 %"),
        ("up", 20.5, "crit", "> 20 %"),
        ("down", 25.0, "ok", ""),
        ("down", 19.0, "warn", "< 20 %"),
        ("down", 9.0, "crit", "< 10 %"),
    ],
)
async def test_thresholds_by_direction(direction: str, value: float, status: str, limit: str) -> None:
    warn, crit = (10.0, 20.0) if direction == "up" else (20.0, 10.0)
    config = metric("sql", unit="%", warn=warn, crit=crit, direction=direction)
    follower = Follower(config, lambda config, every: Scripted(value), Clock())
    await follower.measure()
    assert (follower.point.status, follower.point.limit) == (status, limit)


async def test_spark_and_the_window_before() -> None:
    clock = Clock()
    follower = Follower(metric("sql", window=100.0), lambda config, every: Scripted(*map(float, range(100))), clock)
    for _ in range(100):
        await follower.measure()
        clock.now += 10
    assert follower.point.spark == tuple(map(float, range(40, 100)))
    assert (follower.point.value, follower.point.previous) == (99.0, 89.0)
    assert follower.point.change == pytest.approx(100 * 10 / 89)


async def test_a_failure_keeps_the_last_value_and_says_why() -> None:
    clock = Clock()
    script = Scripted(4.0, ConnectionRefusedError(111, "refused"), 2.0)
    follower = Follower(metric("sql", warn=3.0), lambda config, every: script, clock)
    await follower.measure()
    assert (follower.point.status, follower.point.limit) == ("warn", "> 3")
    clock.now += 100
    await follower.measure()
    stale = follower.point
    assert (stale.value, stale.status, stale.fault, stale.taken_at) == (4.0, "unknown", "connection refused", NOW)
    assert stale.limit == ""
    await follower.measure()
    assert (follower.point.value, follower.point.fault, follower.point.taken_at) == (2.0, "", NOW + 100)


async def test_a_metric_that_keeps_failing_is_asked_less_and_less_and_at_once_again_when_well() -> None:
    script = Scripted(*[OSError("down")] * 5, 1.0)
    follower = Follower(metric("sql"), lambda config, every: script, Clock())
    assert [await follower.measure() for _ in range(6)] == [15, 30, 30, 30, 30, 15]


def test_the_past_knows_nothing_before_a_window_has_passed() -> None:
    past = Past(100.0)
    past.add(NOW, 1.0)
    assert past.before(NOW + 99) is None
    assert past.before(NOW + 100) == 1.0


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        (metric("sql", query="select 1"), "no database: set source, or dsn in [database]"),
        (metric("sql", source="postgresql://x/y"), "query: no SELECT"),
        (metric("jsonl", source="/x/*.jsonl", query="median"), 'there is no aggregate "median"'),
        (metric("log_count", source="x", query="("), "query is no regular expression"),
        (metric("log_count", query="x"), "no log named and no path"),
        (metric("snmp"), 'there is no kind of metric called "snmp"'),
    ],
)
async def test_metrics_that_are_configured_wrong_say_so_and_the_others_go_on(config: MetricConfig, fault: str) -> None:
    async with serve(json_page({"v": 1})) as port:
        good = metric("http", name="good", source=f"http://127.0.0.1:{port}/", field="v")
        async with Measured(config, good) as measured:
            bad, well = await measured.points()
    assert fault in bad.fault and bad.status == "unknown"
    assert well.value == 1.0


# --- jsonl --------------------------------------------------------------------------------------------------------


def line(value: object, at: float, name: str = "revenue") -> str:
    when = datetime.fromtimestamp(at, UTC).isoformat()
    return json.dumps({"metric_type": "x", "name": name, "value": value, "timestamp": when, "tags": []}) + "\n"


@pytest.fixture
def day(tmp_path: Path) -> Path:
    path = tmp_path / "metrics_20270115.jsonl"
    values = [line(float(n), NOW - 100 + n) for n in range(1, 101)]
    path.write_text("".join([line(7.0, NOW - 150), *values, line(99.0, NOW - 1, "other"), line(1.0, NOW - 5000)]))
    os.utime(path, (NOW, NOW))
    return path


def jsonl(path: Path, how: str, **more: Any) -> MetricConfig:
    return metric(
        "jsonl", source=str(path.parent / "metrics_*.jsonl"), query=how, **{"field": "revenue", "window": 100.0, **more}
    )


@pytest.mark.parametrize(
    ("how", "value"),
    [("sum", 5050), ("count", 100), ("avg", 50.5), ("min", 1), ("max", 100), ("last", 100), ("p95", 95), ("", 100)],
)
async def test_aggregates_over_the_window(day: Path, how: str, value: float) -> None:
    async with Measured(jsonl(day, how)) as measured:
        point = await measured.point()
    assert point.value == value
    assert point.previous == (1 if how == "count" else 7)


async def test_only_new_lines_are_read_and_torn_ones_wait_for_their_end(day: Path) -> None:
    async with Measured(jsonl(day, "count")) as measured:
        assert (await measured.point()).value == 100
        whole = line(5.0, NOW)
        with day.open("a") as file:
            file.write(whole + whole[:20])
        assert (await measured.point()).value == 101
        with day.open("a") as file:
            file.write(whole[20:])
        point = await measured.point()
    assert (point.value, point.note) == (102, "")


async def test_bad_lines_are_counted_and_harm_nothing(day: Path) -> None:
    with day.open("a") as file:
        file.write("{not json\n\n" + line(None, NOW) + line("n/a", NOW) + '{"name": "revenue", "value": 3}\n[1]\n')
        file.write('{"name": ["x"], "value": 1, "timestamp": "2026-01-01"}\n' + line(float("nan"), NOW))
    async with Measured(jsonl(day, "count")) as measured:
        point = await measured.point()
    assert point.value == 100
    assert point.note == "7 bad lines passed over"


def rename(path: Path, name: str) -> None:
    path.rename(path.with_name(name))


async def test_a_new_day_a_renamed_file_and_an_emptied_one(day: Path) -> None:
    async with Measured(jsonl(day, "count")) as measured:
        assert (await measured.point()).value == 100
        tomorrow = day.with_name("metrics_20270116.jsonl")
        tomorrow.write_text(line(1.0, NOW))
        assert (await measured.point()).value == 101
        rename(day, "metrics_old.jsonl")
        assert (await measured.point()).value == 101, "the same file under another name is not read again"
        tomorrow.write_text("")
        tomorrow.write_text(line(2.0, NOW))
        assert (await measured.point()).value == 102


async def test_files_that_are_not_there_and_names_that_are_not_in_them(day: Path) -> None:
    nothing = metric("jsonl", source=str(day.parent / "none" / "*.jsonl"), query="sum")
    absent = [jsonl(day, how, field="absent") for how in ("sum", "avg")]
    async with Measured(nothing, *absent) as measured:
        missing, total, average = await measured.points()
    assert missing.value is None and missing.fault.startswith("no file matches")
    assert (total.value, total.fault) == (0.0, "")
    assert (average.value, average.fault) == (None, 'no line named "absent" in the last 100 s')


# --- log_count ----------------------------------------------------------------------------------------------------


async def test_lines_a_minute_in_a_file_through_rotation(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_text("ERROR from before\n" * 50)
    clock = Clock()
    async with Measured(
        metric("log_count", source=str(log), query="ERROR|FATAL", window=300.0), clock=clock
    ) as measured:
        first = await measured.point()
        assert (first.value, first.fault) == (None, "counting; a full minute is there in 60 s")
        clock.now += 30
        with log.open("a") as file:
            file.write("ERROR a\nINFO b\nFATAL c\n")
        early = await measured.point()
        assert (early.value, early.note) == (2.0, "counted for 30 s so far")
        clock.now += 30
        with log.open("a") as file:
            file.write("ERROR last words\n")
        rename(log, "app.log.1")
        log.write_text("ERROR first words\n")
        assert (await measured.point()).value == 4.0
        clock.now += 60
        assert (await measured.point()).value == 0.0
        log.write_text("")
        assert (await measured.point()).value == 0.0
        log.write_text("ERROR after truncation\n")
        clock.now += 60
        point = await measured.point()
    assert (point.value, point.previous) == (1.0, 2.0), "four lines in the two minutes before"


async def test_where_low_is_bad_nothing_is_said_before_a_full_minute(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_text("")
    clock = Clock()
    config = metric("log_count", source=str(log), query="sent", warn=5.0, direction="down")
    async with Measured(config, clock=clock) as measured:
        for wait, status in ((0, "unknown"), (59, "unknown"), (1, "warn")):
            clock.now += wait
            assert (await measured.point()).status == status


async def test_a_file_that_is_not_there_yet(tmp_path: Path) -> None:
    log = tmp_path / "late.log"
    clock = Clock()
    async with Measured(metric("log_count", source=str(log), query="x"), clock=clock) as measured:
        assert (await measured.point()).fault == f"no such file: {log}"
        log.write_text("x\n")
        await measured.point()
        clock.now += 10
        with log.open("a") as file:
            file.write("x\nx\n")
        assert (await measured.point()).value == 2.0


async def test_lines_of_a_log_by_its_name_each_counted_once() -> None:
    clock = Clock()
    hub = LogHub([LogConfig(name="app", path="/nowhere/app.log")], clock=clock)
    hub.buffer.append("app", b"boom before\n", clock.now - 5)
    hub.start()
    try:
        config = metric("log_count", source="app", query="boom")
        async with Measured(config, clock=clock, logs=HubLines(hub)) as measured:
            await measured.point()
            for arrived in (0, 0, -600):  # the last is a backlog that is read late
                clock.now += 10
                hub.buffer.append("app", b"boom 1\nfine\nboom 2\n", clock.now + arrived)
                hub.buffer.append("other", b"boom\n", clock.now)
                await measured.point()
            assert (await measured.point()).value == 4.0
    finally:
        hub.close()


@pytest.mark.parametrize("expression", [r"(a+)+$", r"(\w+\s*)*x", r"(a|ab)*c", r"((ab)?c*)+", r"(?:x+y?){2,}z"])
def test_expressions_that_can_take_for_ever_are_refused(expression: str) -> None:
    with pytest.raises(SlowPatternError):
        LinePattern(expression)


@pytest.mark.parametrize(
    "expression", [r"a.*b.*c", r"[+*(]+", r"\(a+\)+", r"(ERROR|FATAL): \d+", r"(abc)+d", r"(?i:x)+"]
)
def test_ordinary_expressions_are_not(expression: str) -> None:
    LinePattern(expression)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("payment failed", "payment failed"),
        (r"user=\w+ failed", " failed"),
        (r"colou?r", "colo"),
        (r"ab{0,3}c", "a"),
        (r"a\.b\.log", "a.b.log"),
        (r"x(abc)?y", "x"),
        (r"(?x) a b", ""),
        (r"foo|bar", ""),
        (r"[abc]def", "def"),
    ],
)
def test_text_that_every_match_has(expression: str, text: str) -> None:
    assert required_text(expression) == text


def test_prefilter_and_expression_agree() -> None:
    lines = [b"user=anna failed", b"user= failed", b"failed", "größe user=ö failed".encode(), b"\xff user=x failed"]
    assert LinePattern(r"user=\w+ failed").count(lines) == 3


def test_an_expression_that_turns_out_slow_is_stopped() -> None:
    pattern = LinePattern(r"x*x*[y]")
    with pytest.raises(SlowPatternError):
        pattern.count([b"x" * 700] * 3)


def test_more_than_the_budget_is_left_for_the_next_look(tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_bytes(b"0123456789\n" * 1000)
    file = OpenFile(path)
    first = file.lines(5500)
    assert len(first) == 500 and file.unread == 5500
    assert len(file.lines(1 << 20)) == 500 and file.unread == 0
    file.close()


def test_a_file_read_from_its_middle_begins_with_a_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"first line\nsecond line\nthird\n")
    for back, expected in ((8, [b"third"]), (6, [b"third"]), (1000, [b"first line", b"second line", b"third"])):
        file = OpenFile(path, back=back)
        assert file.lines(1 << 20) == expected
        file.close()
