"""The flight recorder: the last half hour of readings in bounded memory, frozen into an incident when declared.

Evidence then predates the human. A frozen record is JSON-able; `series` and `transitions` read it back:

    {"version": 1, "from": unix, "to": unix,
     "series": [{"group", "subject", "name", "unit", "points": [[seconds after "from", value or null], ...]}],
     "transitions": [{"at", "kind", "subject", "before", "after", "detail"}],   changes of state
     "states": [{"kind", "subject", "state", "since"}],                         as they are at "to"
     "events": [{"at", "action", "container", "name", "service", "project", "detail"}],   of the engine
     "log": [{"at", "level", "source", "message"}]}                             lines of level error and worse

Groups are host, container, probe, metric and logs; kinds are source, container, probe and metric. `before` is
"" for what was seen for the first time. Nothing is written to disk here.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

from console.redact import redact_data
from console.watch.containers import Container, ContainersReading, EngineEvent
from console.watch.host import HostReading
from console.watch.logrecord import LogRecord, LogStats
from console.watch.metrics import MetricsReading
from console.watch.probes import ProbesReading
from console.watch.source import Reading
from console.watch.track import Point, Track, thin

VERSION = 1
_HOST_EVERY = 1.0
_SLOW_EVERY = 5.0  # containers, logs; at more than 25 containers it grows with their number
_DISK_EVERY = 10.0
_MANY_CONTAINERS = 25
_MOST_POINTS = 60_000  # in a frozen record: about 1 MB of JSON
_TRANSITIONS = 2000
_EVENTS = 1000
_LOG_LINES = 200
_OVERLAP = 20  # known items after which a list holds nothing new; it may be in order of time, not of arrival
_TIDY_EVERY = 30.0

T = TypeVar("T")

Key = tuple[str, str, str]  # group, subject, name


@dataclass(frozen=True, slots=True)
class Series:
    """One figure over time. Points are (unix seconds, value), None from where it was unknown."""

    group: str
    subject: str
    name: str
    unit: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Transition:
    """A state changed."""

    at: float  # unix seconds
    kind: str
    subject: str
    before: str
    after: str
    detail: str


@dataclass(slots=True)
class _State:
    state: str
    since: float
    mark: float | None = None  # start of a container: a restart that looks like no change


class _Recent(Generic[T]):
    """The last things of a list that every reading repeats, each once, in the order they came."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: dict[T, None] = {}

    def __iter__(self) -> Iterator[T]:
        return iter(self._kept)

    def take(self, newest: Sequence[T]) -> None:
        fresh: list[T] = []
        known = 0
        for item in reversed(newest):
            if item not in self._kept:
                fresh.append(item)
            elif (known := known + 1) > _OVERLAP:
                break
        self._kept.update(dict.fromkeys(reversed(fresh)))
        while len(self._kept) > self._most:
            del self._kept[next(iter(self._kept))]


class FlightRecorder:
    """Takes every published reading (`add` costs microseconds) and goes on recording after a `freeze`."""

    def __init__(self, seconds: float = 1800.0, clock: Callable[[], float] = time.time) -> None:
        self._seconds = seconds
        self._clock = clock
        self._tracks: dict[Key, Track] = {}
        self._states: dict[tuple[str, str], _State] = {}
        self._transitions: deque[Transition] = deque(maxlen=_TRANSITIONS)
        self._events: _Recent[EngineEvent] = _Recent(_EVENTS)
        self._log: _Recent[LogRecord] = _Recent(_LOG_LINES)
        self._taken: dict[str, float] = {}
        self._tidied = 0.0

    def add(self, name: str, reading: Reading[Any]) -> None:
        """Remember what is new in a reading of the source `name`."""
        now = self._clock()
        fault = reading.fault
        self._state(now, "source", name, "stale" if fault else "fresh", fault.reason if fault else "")
        if fault is not None:
            self._gap(name, now)
        elif reading.taken_at is not None and reading.taken_at > self._taken.get(name, 0.0):
            self._taken[name] = reading.taken_at
            self._take(reading.value, reading.taken_at)
        if now - self._tidied >= _TIDY_EVERY:
            self._tidy(now)

    def freeze(self, now: float | None = None) -> dict[str, Any]:
        """The half hour before `now`, in the shape that the module describes."""
        until = self._clock() if now is None else now
        since = until - self._seconds
        found = {key: points for key, track in self._tracks.items() if (points := track.points(since, until))}
        total = sum(map(len, found.values()))
        share = min(1.0, _MOST_POINTS / total) if total else 1.0
        series = [
            {
                "group": key[0],
                "subject": key[1],
                "name": key[2],
                "unit": self._tracks[key].unit,
                "points": [[round(at - since, 1), value] for at, value in thin(points, int(len(points) * share))],
            }
            for key, points in found.items()
        ]
        rest: dict[str, Any] = redact_data(
            {
                "transitions": [asdict(one) for one in self._transitions if since <= one.at <= until],
                "states": [
                    {"kind": kind, "subject": subject, "state": one.state, "since": one.since}
                    for (kind, subject), one in self._states.items()
                ],
                "events": [asdict(event) for event in self._events if since <= event.at <= until],
                "log": [
                    {"at": _when(line), "level": line.level, "source": line.source, "message": line.message}
                    for line in self._log
                    if since <= line.arrived <= until
                ],
            }
        )
        return {"version": VERSION, "from": since, "to": until, "series": series, **rest}

    def _take(self, value: object, at: float) -> None:
        match value:
            case HostReading():
                self._host(value, at)
            case ContainersReading():
                self._containers(value, at)
            case ProbesReading():
                self._probes(value)
            case MetricsReading():
                self._metrics(value, at)
            case LogStats():
                self._logs(value, at)

    def _host(self, host: HostReading, at: float) -> None:
        pressure = host.pressure
        swap = 100.0 * host.swap_used / host.swap_total if host.swap_total else None
        for name, unit, value in (
            ("cpu", "%", host.cpu),
            ("memory", "%", host.memory_percent),
            ("swap", "%", swap),
            ("load", "", host.load[0]),
            ("pressure cpu", "%", pressure.cpu_some),
            ("pressure io", "%", pressure.io_some),
            ("pressure io full", "%", pressure.io_full),
            ("pressure memory", "%", pressure.memory_some),
            ("pressure memory full", "%", pressure.memory_full),
            ("network in", "B/s", host.net_in),
            ("network out", "B/s", host.net_out),
            ("disk read", "B/s", host.disk_read),
            ("disk write", "B/s", host.disk_write),
        ):
            self._point(("host", "", name), unit, _HOST_EVERY, at, value)
        for disk in host.disks:
            self._point(("host", disk.mount, "disk"), "%", _DISK_EVERY, at, None if disk.fault else disk.percent)

    def _containers(self, reading: ContainersReading, at: float) -> None:
        every = _SLOW_EVERY * max(1.0, len(reading.containers) / _MANY_CONTAINERS)
        for container in reading.containers:
            self._container_state(container, at)
            for name, unit, value in (
                ("cpu", "%", container.cpu),
                ("memory", "B", container.memory),
                ("network in", "B/s", container.net_in),
                ("network out", "B/s", container.net_out),
            ):
                self._point(("container", container.name, name), unit, every, at, value)
        present = {container.name for container in reading.containers}
        for kind, subject in list(self._states):
            if kind == "container" and subject not in present:
                self._state(at, kind, subject, "removed", "")
                self._gap("container", at, subject)
        self._events.take(reading.events)

    def _container_state(self, container: Container, at: float) -> None:
        state, detail = container.status, ""
        if container.running and container.health:
            state, detail = f"{state} {container.health}", container.health_detail
        elif container.exit_code is not None:
            detail = f"exit {container.exit_code}" + (", out of memory" if container.oom_killed else "")
        known = self._states.get(("container", container.name))
        if known is not None and known.state == state and container.running and known.mark != container.started_at:
            self._transitions.append(Transition(at, "container", container.name, state, state, "started again"))
            known.since = container.started_at or at
        self._state(at, "container", container.name, state, detail)
        self._states["container", container.name].mark = container.started_at

    def _probes(self, reading: ProbesReading) -> None:
        for probe in reading.probes:
            if probe.ok is None and not probe.history:
                continue  # not tried yet
            state = "unknown" if probe.ok is None else "up" if probe.ok else "down"
            self._state(probe.since, "probe", probe.name, state, probe.detail)
            value = None if probe.latency is None else probe.latency * 1000
            self._point(("probe", probe.name, "latency"), "ms", 0.0, probe.at, value)

    def _metrics(self, reading: MetricsReading, at: float) -> None:
        for metric in reading.metrics:
            detail = metric.fault or (f"{metric.value:g} {metric.unit}".strip() if metric.value is not None else "")
            if metric.value is None and metric.taken_at is None and metric.status == "unknown":
                continue  # never measured
            self._state(at, "metric", metric.name, metric.status, f"{detail} {metric.limit}".strip())
            key = ("metric", metric.name, "value")
            if metric.fault:
                self._point(key, metric.unit, 0.0, at, None)
            elif metric.taken_at is not None:
                self._point(key, metric.unit, 0.0, metric.taken_at, metric.value)

    def _logs(self, stats: LogStats, at: float) -> None:
        self._point(("logs", "", "errors"), "/min", _SLOW_EVERY, at, stats.errors_per_minute)
        self._point(("logs", "", "lines"), "/s", _SLOW_EVERY, at, stats.lines_per_second)
        self._log.take(stats.last_errors)

    def _point(self, key: Key, unit: str, every: float, at: float, value: float | None) -> None:
        track = self._tracks.get(key)
        if track is None:
            if value is None:
                return
            track = self._tracks[key] = Track(unit, every)
        track.every = every
        track.add(at, value)

    def _gap(self, source: str, at: float, subject: str | None = None) -> None:
        """From here on the figures of a source (or of one subject of it) are unknown."""
        group = {"containers": "container", "probes": "probe", "metrics": "metric"}.get(source, source)
        for key, track in self._tracks.items():
            if key[0] == group and (subject is None or key[1] == subject):
                track.add(at, None)

    def _state(self, at: float, kind: str, subject: str, state: str, detail: str) -> None:
        known = self._states.get((kind, subject))
        if known is not None and known.state == state:
            return
        before = known.state if known else ""
        self._states[kind, subject] = _State(state, at)
        if kind != "source" or before or state != "fresh":  # that a source began well is no news
            self._transitions.append(Transition(at, kind, subject, before, state, detail))

    def _tidy(self, now: float) -> None:
        """Forget what is older than the window: points, and subjects that are long gone."""
        self._tidied = now
        oldest = now - self._seconds
        for key, track in list(self._tracks.items()):
            track.forget(oldest)
            if not len(track):
                del self._tracks[key]
        for state_key, one in list(self._states.items()):
            if one.state == "removed" and one.since < oldest:
                del self._states[state_key]


def _when(line: LogRecord) -> float:
    return line.at if line.at is not None else line.arrived


def series(frozen: Mapping[str, Any]) -> tuple[Series, ...]:
    """The figures of a frozen record, with times as unix seconds. Raises ValueError for what is none."""
    try:
        start = float(frozen["from"])
        return tuple(
            Series(
                one["group"],
                one["subject"],
                one["name"],
                one["unit"],
                tuple((start + at, value) for at, value in one["points"]),
            )
            for one in frozen["series"]
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"this is no flight record: {error}") from error


def transitions(frozen: Mapping[str, Any]) -> tuple[Transition, ...]:
    """The changes of state in a frozen record, oldest first. Raises ValueError for what is none."""
    try:
        found = [Transition(**one) for one in frozen["transitions"]]
        return tuple(sorted(found, key=lambda one: one.at))
    except (KeyError, TypeError) as error:
        raise ValueError(f"this is no flight record: {error}") from error
