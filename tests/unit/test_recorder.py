"""The flight recorder: bounded, true to gaps and spikes, frozen without stopping, readable back."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from typing import Any

import pytest

from console.watch.containers import Container, ContainersReading
from console.watch.metrics import MetricsReading
from console.watch.probes import ProbesReading
from console.watch.readings import Readings
from console.watch.recorder import FlightRecorder, Series, Transition, series, transitions
from console.watch.source import Fault, Reading
from console.watch.track import thin
from tests.unit.readings_made import NOW, container, disk, errors, event, failing, host, metric, probe, stopped


class Flight:
    """A recorder and a clock that moves as the test says."""

    def __init__(self) -> None:
        self.now = NOW
        self.recorder = FlightRecorder(clock=lambda: self.now)

    def add(self, name: str, value: Any, after: float = 1.0) -> None:
        self.now += after
        self.recorder.add(name, Reading(value, self.now))

    def fail(self, name: str, value: Any, after: float = 1.0) -> None:
        self.now += after
        self.recorder.add(name, Reading(value, NOW, Fault("no answer in 3 s", "", self.now)))

    def containers(self, *containers: Container, events: tuple[Any, ...] = ()) -> None:
        self.add("containers", ContainersReading("Docker", "unix:///x", containers, events))

    def frozen(self) -> dict[str, Any]:
        return self.recorder.freeze()

    def series(self, group: str, name: str, subject: str = "") -> Series:
        found = [one for one in series(self.frozen()) if (one.group, one.subject, one.name) == (group, subject, name)]
        assert len(found) == 1, f"{len(found)} series {group} {subject} {name}"
        return found[0]

    def values(self, group: str, name: str, subject: str = "") -> list[float | None]:
        return [value for _, value in self.series(group, name, subject).points]

    def turns(self, kind: str) -> list[tuple[str, str, str, str]]:
        return [(one.subject, one.before, one.after, one.detail) for one in self._transitions() if one.kind == kind]

    def _transitions(self) -> tuple[Transition, ...]:
        return transitions(self.frozen())


@pytest.fixture
def flight() -> Flight:
    return Flight()


def test_figures_of_the_host_with_their_times(flight: Flight) -> None:
    for cpu in (10.0, 90.0, 20.0):
        flight.add("host", host(cpu=cpu, net_in=None))
    found = flight.series("host", "cpu")
    assert found.unit == "%"
    assert found.points == ((NOW + 1, 10.0), (NOW + 2, 90.0), (NOW + 3, 20.0))
    assert flight.values("host", "disk", "/") == [60.0], "disks change slowly"
    assert not [one for one in series(flight.frozen()) if one.name == "network in"], "never known, never drawn"


def test_at_most_one_point_a_second_and_the_same_reading_only_once(flight: Flight) -> None:
    for step in range(40):
        flight.add("host", host(cpu=float(step)), after=0.25)
    flight.recorder.add("host", Reading(host(cpu=99.0), flight.now))
    assert 9 <= len(flight.series("host", "cpu").points) <= 12
    assert 99.0 not in flight.values("host", "cpu")


def test_a_dead_source_leaves_a_gap_and_two_transitions(flight: Flight) -> None:
    flight.add("host", host(cpu=10.0))
    for _ in range(5):
        flight.fail("host", host(cpu=10.0))
    flight.add("host", host(cpu=30.0))
    assert flight.values("host", "cpu") == [10.0, None, 30.0]
    assert flight.turns("source") == [("host", "fresh", "stale", "no answer in 3 s"), ("host", "stale", "fresh", "")]


def test_flat_stretches_are_two_points_and_spikes_stay(flight: Flight) -> None:
    for step in range(600):
        flight.add("host", host(cpu=77.0 if step == 300 else 5.0))
    assert flight.values("host", "cpu") == [5.0, 5.0, 77.0, 5.0, 5.0]


def test_states_of_containers(flight: Flight) -> None:
    flight.containers(container("app"), container("redis"))
    flight.containers(container("app", health="unhealthy", health_detail="timeout"), container("redis"))
    flight.containers(stopped("app", 137, oom_killed=True), container("redis"))
    flight.containers(container("app", started_at=flight.now), container("redis"))
    flight.containers(container("app", started_at=flight.now + 1))
    assert flight.turns("container") == [
        ("shop-app-1", "", "running healthy", ""),
        ("shop-redis-1", "", "running healthy", ""),
        ("shop-app-1", "running healthy", "running unhealthy", "timeout"),
        ("shop-app-1", "running unhealthy", "exited", "exit 137, out of memory"),
        ("shop-app-1", "exited", "running healthy", ""),
        ("shop-app-1", "running healthy", "running healthy", "started again"),
        ("shop-redis-1", "running healthy", "removed", ""),
    ]
    states = {one["subject"]: one["state"] for one in flight.frozen()["states"] if one["kind"] == "container"}
    assert states == {"shop-app-1": "running healthy", "shop-redis-1": "removed"}


def test_figures_of_containers_every_five_seconds_and_a_gap_when_stopped(flight: Flight) -> None:
    for step in range(11):
        flight.containers(container("app", cpu=float(step)))
    flight.containers(stopped("app", 1))
    assert flight.values("container", "cpu", "shop-app-1") == [0.0, 5.0, 10.0, None]


def test_events_of_the_engine_each_once_in_order(flight: Flight) -> None:
    events = tuple(event("app", action, ago) for action, ago in (("die", 9.0), ("start", 8.0), ("oom", 7.0)))
    for count in (1, 3, 3):
        flight.containers(container("app"), events=events[:count])
    found = flight.frozen()["events"]
    assert [(one["action"], one["service"]) for one in found] == [("die", "app"), ("start", "app"), ("oom", "app")]


def test_probes_turn_and_their_latency(flight: Flight) -> None:
    up = probe("edge", "http://127.0.0.1/", at=NOW + 1, latency=0.02, since=NOW)
    flight.add("probes", ProbesReading((replace(up, ok=None, history=(), detail="not tried yet"),)))
    flight.add("probes", ProbesReading((up,)))
    flight.add("probes", ProbesReading((failing("edge", "connection refused", ago=-4.0, at=NOW + 5),)), after=5.0)
    assert flight.turns("probe") == [("edge", "", "up", "200 in 12 ms"), ("edge", "up", "down", "connection refused")]
    assert [one.at for one in transitions(flight.frozen()) if one.kind == "probe"] == [NOW, NOW + 4]
    assert flight.series("probe", "latency", "edge").points == ((NOW + 1, 20.0), (NOW + 5, None))


def test_metrics_and_their_status(flight: Flight) -> None:
    for at, value, status in ((1, 10.0, "ok"), (2, 3.0, "crit")):
        point = metric("bookings", status, value=value, unit="/h", limit="< 5 /h" if status == "crit" else "")
        flight.add("metrics", MetricsReading((replace(point, taken_at=NOW + at),)))
    flight.add("metrics", MetricsReading((metric("bookings", "unknown", fault="connection refused"),)))
    assert flight.turns("metric") == [
        ("bookings", "", "ok", "10 /h"),
        ("bookings", "ok", "crit", "3 /h < 5 /h"),
        ("bookings", "crit", "unknown", "connection refused"),
    ]
    assert flight.values("metric", "value", "bookings") == [10.0, 3.0, None]


def test_error_lines_are_bounded_and_each_kept_once(flight: Flight) -> None:
    stats = errors("app", per_minute=4.0)
    lines = [replace(errors("app", f"boom {n}").last_errors[0], seq=n, arrived=NOW + n / 100) for n in range(500)]
    for end in range(20, 501, 10):
        flight.add("logs", replace(stats, last_errors=tuple(lines[end - 20 : end])))
    kept = [line["message"] for line in flight.frozen()["log"]]
    assert kept == [f"boom {n}" for n in range(300, 500)]
    assert flight.values("logs", "errors")[0] == 4.0


def test_a_line_that_comes_in_between_is_not_lost(flight: Flight) -> None:
    first, late, last = (replace(errors("app", text).last_errors[0], arrived=NOW) for text in ("a", "late", "z"))
    flight.add("logs", replace(errors("app"), last_errors=(first, last)))
    flight.add("logs", replace(errors("app"), last_errors=(first, late, last)))
    assert sorted(line["message"] for line in flight.frozen()["log"]) == ["a", "late", "z"]


def test_secrets_are_masked_in_what_is_frozen(flight: Flight) -> None:
    flight.containers(container("app"), events=(event("app", "die", 1.0, "started with password=hunter2-and-more"),))
    assert "hunter2" not in json.dumps(flight.frozen())


def test_nothing_older_than_the_window_and_recording_goes_on(flight: Flight) -> None:
    for step in range(3000):
        flight.add("host", host(cpu=float(step % 100)))
        if step == 100:
            flight.containers(container("old"))
            flight.containers()
    frozen = flight.frozen()
    points = flight.series("host", "cpu").points
    assert points[0][0] >= frozen["to"] - 1800 and len(points) == pytest.approx(1800, abs=2)
    assert not frozen["transitions"] and "shop-old-1" not in json.dumps(frozen)
    kept = json.dumps(frozen)
    flight.add("host", host(cpu=55.5))
    assert json.dumps(frozen) == kept, "a frozen record does not change"
    assert flight.values("host", "cpu")[-1] == 55.5


def test_half_an_hour_of_a_hundred_containers_stays_small() -> None:
    flight = Flight()
    made = [container(f"service{n}") for n in range(100)]
    variants = [
        tuple(replace(one, cpu=n * 13 + m / 7, memory=m << 20 | n) for m, one in enumerate(made)) for n in range(7)
    ]
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for step in range(1800):
        flight.add("host", host(cpu=step % 97 + 0.5, net_in=step * 7919.0 % 99991, disk_write=step * 31.0 % 977))
        if step % 5 == 0:
            flight.containers(*variants[step % 7])
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    frozen = flight.frozen()
    assert used < 2 << 20
    assert len(json.dumps(frozen)) < 2 << 20
    assert sum(len(one["points"]) for one in frozen["series"]) < 62_000


def test_thinning_keeps_the_lowest_the_highest_and_the_gaps() -> None:
    points = [(float(n), float(n % 10)) for n in range(1000)]
    points[500] = (500.0, 1000.0)
    points[501] = (501.0, -1000.0)
    gapped = [*points[:700], (700.0, None), *points[701:]]
    kept = thin(gapped, 40)
    assert len(kept) <= 41
    assert {(500.0, 1000.0), (501.0, -1000.0), (700.0, None)} <= set(kept)
    assert [at for at, _ in kept] == sorted(at for at, _ in kept)


@pytest.mark.parametrize(
    "broken", [{}, {"from": 1}, {"from": "x", "series": []}, {"from": 1, "series": [{"group": 1}]}]
)
def test_what_is_no_flight_record_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no flight record"):
        series(broken)
    with pytest.raises(ValueError, match="no flight record"):
        transitions(broken)


def test_readings_are_replaced_by_name() -> None:
    changed = Readings().with_("host", Reading(host(), NOW)).with_("logs", Reading(errors("app"), NOW))
    assert changed.host.value == host(disks=(disk("/", 60),)) and changed.logs.taken_at == NOW
    assert changed.containers.value is None
    with pytest.raises(KeyError):
        changed.with_("weather", Reading())
