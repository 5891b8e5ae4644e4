"""The hub from files to its reading: order, rates, faults, masks, names of containers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from console.config import LogConfig
from console.watch.logs import LogHub, LogRecord, LogsSource, whole_line
from tests.unit.readings_made import container


def wait_for(what: Callable[[], bool], seconds: float = 5.0) -> None:
    """Threads read the files; look until it is so."""
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it never became so"
        time.sleep(0.01)


def records(hub: LogHub) -> list[LogRecord]:
    found = [hub.record(seq) for seq in range(hub.buffer.first, hub.buffer.next)]
    return [record for record in found if record is not None]


@pytest.fixture
def started() -> Iterator[Callable[..., LogHub]]:
    hubs: list[LogHub] = []

    def start(*logs: LogConfig) -> LogHub:
        hub = LogHub(logs)
        hubs.append(hub)
        hub.start()
        return hub

    yield start
    for hub in hubs:
        hub.close()


def test_lines_of_two_files_come_in_order_of_arrival(tmp_path: Path, started: Callable[..., LogHub]) -> None:
    a, b = tmp_path / "a.log", tmp_path / "b.log"
    hub = started(LogConfig("a", path=str(a)), LogConfig("b", path=str(b)))
    wait_for(lambda: len(hub.stats().faults) == 2)  # looked for once, so what comes now is new
    for number, path in enumerate((a, b, a)):
        with path.open("a") as file:
            file.write(f"2026-11-22 03:12:0{number} WARNING event {number}\n")
        wait_for(lambda seen=number + 1: hub.buffer.next == seen)  # type: ignore[misc]
    assert [(record.source, record.level, record.message) for record in records(hub)] == [
        ("a", "warning", "event 0"),
        ("b", "warning", "event 1"),
        ("a", "warning", "event 2"),
    ]


def test_backlogs_are_put_in_order_of_time(tmp_path: Path, started: Callable[..., LogHub]) -> None:
    for name, seconds in (("a", (1, 3, 5)), ("b", (2, 4, 6))):
        lines = "".join(f"2026-11-22 03:12:0{s} INFO {name}{s}\n  more of {name}{s}\n" for s in seconds)
        (tmp_path / f"{name}.log").write_text(lines)
    hub = started(*(LogConfig(name, path=str(tmp_path / f"{name}.log")) for name in "ab"))
    wait_for(lambda: hub.buffer.next == 12)
    assert [record.message.strip() for record in records(hub)] == [
        text for name in ("a1", "b2", "a3", "b4", "a5", "b6") for text in (name, f"more of {name}")
    ]
    assert hub.backlog_end == 12


async def test_the_reading_tells_rates_errors_and_faults(tmp_path: Path, started: Callable[..., LogHub]) -> None:
    path = tmp_path / "app.log"
    path.write_text("2026-11-22 03:12:00 ERROR before\n")
    hub = started(LogConfig("app", path=str(path)), LogConfig("gone", path=str(tmp_path / "gone.log")))
    wait_for(lambda: hub.buffer.next == 1)
    source = LogsSource(hub)
    with path.open("a") as file:
        file.write(
            "2026-11-22 03:12:01 ERROR cannot pay, password=hunter2-is-long api_key=sk_live_51Habcdefghijklmnop\n"
        )
        file.write("2026-11-22 03:12:01 WARN \x1b]0;owned\x07slow\n" * 3)
    wait_for(lambda: hub.buffer.next == 5)
    stats = await source.read()
    assert stats.errors_per_minute == 1.0
    assert stats.warnings_per_minute == 3.0
    assert not stats.estimated
    assert stats.newest is not None
    (error,) = stats.last_errors
    assert (error.level, error.source) == ("error", "app")
    assert "hunter2" not in error.message and "sk_live" not in error.message
    assert [(one.name, one.fault) for one in stats.faults] == [("gone", "no such file")]
    shown = [record.message for record in records(hub)]
    assert not any("\x1b" in text or "\x07" in text for text in shown)
    assert "hunter2" not in whole_line(records(hub)[1])


def test_a_configured_zone_makes_times_right(tmp_path: Path, started: Callable[..., LogHub]) -> None:
    path = tmp_path / "app.log"
    path.write_text("2026-11-22 03:12:01 INFO hello\n")
    hub = started(LogConfig("app", path=str(path), timezone="Asia/Tokyo"))
    wait_for(lambda: hub.buffer.next == 1)
    assert records(hub)[0].at == 1795284721.0


def test_what_left_memory_is_known_by_number(tmp_path: Path) -> None:
    hub = LogHub(capacity=200_000)
    hub.buffer.append("a", b"".join(b"%06d %s\n" % (n, b"x" * 90) for n in range(10_000)), 1.0)
    assert hub.record(0) is None
    last = hub.record(9_999)
    assert last is not None and last.message.startswith("009999")


def test_containers_are_named_by_service_and_apart_where_there_are_several() -> None:
    hub = LogHub([LogConfig("web", container="edge"), LogConfig("app", path="/nowhere/app.log")])
    hub.set_containers(
        [
            container("edge", id="1" * 64, name="shop-edge-1"),
            container("worker", id="2" * 64, name="shop-worker-1"),
            container("worker", id="3" * 64, name="shop-worker-2"),
            container("app", id="4" * 64, name="shop-app-1"),
        ]
    )
    assert set(hub.sources) == {"web", "worker-1", "worker-2", "shop-app-1"}
    hub.set_containers([container("edge", id="1" * 64, name="shop-edge-1")])
    assert set(hub.sources) == {"web"}
    hub.close()


def test_a_configured_container_that_is_not_there_is_a_fault() -> None:
    hub = LogHub([LogConfig("web", container="edge")])
    assert hub.stats().faults == ()
    hub.set_containers([])
    assert [(one.name, one.fault) for one in hub.stats().faults] == [("web", "no such container")]


def test_a_private_key_in_a_log_is_masked_line_by_line() -> None:
    hub = LogHub()
    body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"
    hub.feed("app", f"-----BEGIN PRIVATE KEY-----\n{body}\n{'0123456789abcdef' * 4}\n".encode())
    shown = [record.message for record in records(hub)]
    assert body not in "".join(shown)
    assert "0123456789abcdef" in shown[2]  # a digest is no key
