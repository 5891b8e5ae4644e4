"""Automatic facts for the timeline: what changed between two looks, each with an id made from the fact itself.

Any number of consoles may write them down; the fold sees each once. What the engine reports carries its own
time, equal for every console. What each console finds out by itself (a probe, a threshold) has a `key` and a
`state`: its id rounds the time to a minute, and `unsaid` drops a fact whose state the incident already has.
Pure functions; `FactStream` remembers what hysteresis needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from console.checks.alarms import Alarm, alarms
from console.checks.connectivity import ended
from console.checks.containers import own_deaths
from console.checks.topology import topology
from console.checks.wording import exit_text
from console.config import Config
from console.incident.events import fact_id
from console.incident.records import Incident
from console.watch.containers import EngineEvent
from console.watch.probes import ProbeResult
from console.watch.readings import Readings

CONFIRMED = 2  # failures in a row that make a probe's failure a fact: a hiccup is none
BUCKET = 60.0  # seconds within which consoles that look for themselves agree on when
TOGETHER = 3.0  # seconds between events that the engine tells of one act
LOOP_DEATHS = 3  # in LOOP_SECONDS: from then on one fact says "crash loop", and not each death
LOOP_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that happened. `bad` None: neither good nor bad news.

    `key` and `state` are set for what is either one way or the other (a probe is up or down); "" otherwise.
    """

    kind: str  # container.die, probe.down, threshold.crossed ...
    at: float  # unix seconds when it happened
    subject: str
    summary: str
    id: str
    bad: bool | None = None
    key: str = ""
    state: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)

    def event(self, noticed_at: float | None = None) -> dict[str, Any]:
        """The data of a "fact" event; append it with `id=fact.id, at=fact.at`."""
        data: dict[str, Any] = {"fact": self.kind, "subject": self.subject, "text": self.summary, "bad": self.bad}
        if self.key:
            data |= {"key": self.key, "state": self.state}
        if noticed_at is not None:
            data["noticed_at"] = noticed_at
        return data | dict(self.data)


def facts(
    before: Readings, after: Readings, config: Config | None = None, raised: frozenset[str] = frozenset()
) -> list[Fact]:
    """What changed, oldest first. `raised`: keys of thresholds known to be over (see `FactStream`).

    A source that `before` never read has no past to compare with and gives no facts; `backlog` tells its state.
    """
    settings = config or Config()
    found: list[Fact] = []
    # Sources answer one after the other, so most readings are those of the call before.
    if before.containers is not after.containers:
        found += _engine(before, after)
        found += _containers(before, after, settings)
    if before.probes is not after.probes:
        found += _probes(before, after)
    if any(getattr(before, name) is not getattr(after, name) for name in ("host", "metrics", "logs")):
        found += _crossings(before, after, settings, raised)
    return sorted(found, key=lambda fact: (fact.at, fact.id))


def backlog(after: Readings, config: Config | None, now: float, seconds: float = 1800.0) -> list[Fact]:
    """What is known at declaration: engine events of the last `seconds`, and everything that is bad already."""
    settings = config or Config()
    found: list[Fact] = []
    reading = after.containers.value
    if reading is not None:
        events = [event for event in reading.events if now - event.at <= seconds]
        found += _told(events, reading.events, _watched(after, settings))
    for probe in after.probes.value.probes if after.probes.value else ():
        if confirmed_down(probe):
            found.append(_down(probe))
    for alarm in alarms(after, settings):
        if alarm.over:
            found.append(_crossed(alarm))
    return sorted(found, key=lambda fact: (fact.at, fact.id))


def unsaid(found: Iterable[Fact], incident: Incident) -> list[Fact]:
    """The facts that the incident does not have yet: neither by id nor, for two-state facts, by state.

    A second change within the same minute would get the first one's id: it is given the next free one.
    """
    ids = {entry.id for entry in incident.timeline}
    states: dict[str, str] = {}
    for entry in incident.timeline:
        if entry.kind == "fact" and isinstance(entry.data.get("key"), str):
            states[entry.data["key"]] = str(entry.data.get("state", ""))
    new: list[Fact] = []
    for fact in found:
        if fact.key and states.get(fact.key, "well") == fact.state:
            continue
        if fact.id in ids:
            if not fact.key:
                continue
            fact = replace(fact, id=_next_id(fact, ids))
        ids.add(fact.id)
        if fact.key:
            states[fact.key] = fact.state
        new.append(fact)
    return new


class FactStream:
    """Facts of one reading after the other, with the memory that hysteresis needs."""

    def __init__(self, config: Config | None = None) -> None:
        self._config = config
        self._before = Readings()
        self._raised: frozenset[str] = frozenset()

    def step(self, after: Readings) -> list[Fact]:
        """What changed since the last call."""
        found = facts(self._before, after, self._config, self._raised)
        self._before = after
        crossed = {fact.key for fact in found if fact.kind == "threshold.crossed" or fact.state == "burst"}
        cleared = {fact.key for fact in found if fact.state == "well"}
        self._raised = (self._raised | crossed) - cleared
        return found


def _next_id(fact: Fact, taken: set[str]) -> str:
    number = 2
    while (id := fact_id(fact.kind, fact.subject, fact.id, number)) in taken:
        number += 1
    return id


def _minute(at: float) -> int:
    return int(at // BUCKET)


# the engine and its containers


def _engine(before: Readings, after: Readings) -> Iterator[Fact]:
    was, now = before.containers.fault, after.containers.fault
    if before.containers.value is None:
        return
    if was is None and now is not None:
        text = f"the Docker engine is out of reach: {now.reason}"
        id = fact_id("engine.away", "engine", _minute(now.since))
        yield Fact("engine.away", now.since, "engine", text, id, True, "engine", "away")
    elif was is not None and now is None and after.containers.taken_at is not None:
        at = after.containers.taken_at
        id = fact_id("engine.back", "engine", _minute(at))
        yield Fact("engine.back", at, "engine", "the Docker engine answers again", id, False, "engine", "well")


def _containers(before: Readings, after: Readings, config: Config) -> list[Fact]:
    old, new = before.containers.value, after.containers.value
    if old is None or new is None or not new.events:
        return []
    fresh = _fresh(old.events, new.events, before.containers.taken_at, after.containers.taken_at)
    return _told(fresh, new.events, _watched(after, config)) if fresh else []


def _fresh(
    old: tuple[EngineEvent, ...], new: tuple[EngineEvent, ...], then: float | None, now: float | None
) -> list[EngineEvent]:
    """Events to tell now: the new ones; those that a later one may swallow only when it had time to come."""
    known = set(old)
    told_until, tell_until = (then or 0.0) - TOGETHER, (now or 0.0) - TOGETHER
    found = []
    for event in new:
        if event.action not in _IMPLIED_BY:
            due = event not in known
        else:
            due = event.at <= tell_until and (event not in known or event.at > told_until)
        if due:
            found.append(event)
    return found


@dataclass(frozen=True, slots=True)
class _Watched:
    """Whose life belongs into the timeline: containers by id, and removed ones by their project. None: everybody's."""

    ids: frozenset[str] | None
    projects: frozenset[str] = frozenset()

    def has(self, event: EngineEvent) -> bool:
        return self.ids is None or event.container in self.ids or event.project in self.projects


def _watched(readings: Readings, config: Config) -> _Watched:
    stack = topology(readings.containers.value, config)
    if not config.docker.project and not stack.watched:
        return _Watched(None)
    ours = [c for label in stack.watched for c in stack.services[label]]
    projects = {config.docker.project} if config.docker.project else {c.project for c in ours}
    return _Watched(frozenset(c.id for c in ours), frozenset(projects - {""}))


def _told(fresh: Iterable[EngineEvent], every: Iterable[EngineEvent], watched: _Watched) -> list[Fact]:
    times: dict[tuple[str, str], list[float]] = {}
    for event in every:
        times.setdefault((event.container, event.action), []).append(event.at)
    found: list[Fact] = []
    for event in fresh:
        if not watched.has(event):
            continue
        own = own_deaths(times.get((event.container, "die"), ()), times.get((event.container, "stop"), ()))
        earlier = [at for at in own if event.at - LOOP_SECONDS <= at < event.at]
        if _part_of_another(event, times):
            continue
        fact = _of_event(event, len(earlier), event.at in own)
        # The engine tells some things twice, milliseconds apart.
        if fact is not None and not any(_same(fact, other) for other in found[-5:]):
            found.append(fact)
    return found


def _same(a: Fact, b: Fact) -> bool:
    return (
        (a.kind, a.subject, a.summary) == (b.kind, b.subject, b.summary) and abs(a.at - b.at) < 1.0 and a.kind in _TWICE
    )


_TWICE = ("container.disconnect", "container.connect")

# An event that only says again what another one says: a restart is a stop and a start, a death leaves networks.
_IMPLIED_BY = {
    "stop": ("restart",),
    "start": ("restart",),
    "network disconnect": ("die", "destroy"),
    "network connect": ("start", "restart"),
}


def _part_of_another(event: EngineEvent, times: Mapping[tuple[str, str], list[float]]) -> bool:
    others = _IMPLIED_BY.get(event.action, ())
    return any(abs(at - event.at) <= TOGETHER for other in others for at in times.get((event.container, other), ()))


# action -> (kind, words, bad)
_ACTIONS: dict[str, tuple[str, str, bool | None]] = {
    "oom": ("container.oom", "ran out of memory", True),
    "start": ("container.start", "started", None),
    "restart": ("container.restart", "was restarted", None),
    "stop": ("container.stop", "was stopped", None),
    "pause": ("container.pause", "was paused", True),
    "unpause": ("container.unpause", "goes on", False),
    "destroy": ("container.remove", "was removed", None),
    "network disconnect": ("container.disconnect", "was disconnected from", None),
    "network connect": ("container.connect", "was connected to", None),
}


def _of_event(event: EngineEvent, deaths_before: int, own: bool) -> Fact | None:
    name = event.service or event.name
    looping = deaths_before >= LOOP_DEATHS
    if event.action == "die":
        if looping and own:
            return None
        kind, text = "container.die", f"{name} died ({_exit(event.detail)})"
        if deaths_before == LOOP_DEATHS - 1 and own:
            kind, text = "container.loop", f"{name} is in a crash loop: died {LOOP_DEATHS} times in 2 min"
        return _fact(event, kind, text, True)
    if event.action == "health_status":
        bad = event.detail == "unhealthy"
        if event.detail not in ("unhealthy", "healthy"):
            return None
        return _fact(event, f"container.{event.detail}", f"{name} is {event.detail}", bad)
    if event.action not in _ACTIONS or (event.action == "start" and looping):
        return None
    kind, words, bad_ = _ACTIONS[event.action]
    network = f" {event.detail}" if event.action.startswith("network") else ""
    return _fact(event, kind, f"{name} {words}{network}", bad_)


def _fact(event: EngineEvent, kind: str, text: str, bad: bool | None) -> Fact:
    # Microseconds: the engine tells nanoseconds, of which a float keeps about 240.
    id = fact_id(kind, event.container, round(event.at * 1_000_000))
    data = {"container": event.name, "detail": event.detail}
    return Fact(kind, event.at, event.service or event.name, text, id, bad, data=data)


def _exit(detail: str) -> str:
    last = detail.split()[-1:] or [""]
    return exit_text(int(last[0])) if last[0].isdigit() else detail or "exit code unknown"


# probes


def confirmed_down(probe: ProbeResult) -> bool:
    """Failing, and not for the first time in a row. A certificate only when it has ended: then users are hit."""
    if probe.kind == "tls" and not ended(probe):
        return False
    return probe.ok is False and len(probe.history) >= CONFIRMED and not any(probe.history[-CONFIRMED:])


def _probes(before: Readings, after: Readings) -> Iterator[Fact]:
    old, new = before.probes.value, after.probes.value
    if old is None or new is None or old is new:
        return
    past = {probe.name: probe for probe in old.probes}
    for probe in new.probes:
        was = past.get(probe.name)
        if confirmed_down(probe) and (was is None or not confirmed_down(was)):
            yield _down(probe)
        elif probe.ok and was is not None and confirmed_down(was):
            text = f"probe {probe.name} is well again: {probe.detail}"
            id = fact_id("probe.up", probe.name, _minute(probe.since))
            data = {"target": probe.target, "detail": probe.detail}
            yield Fact("probe.up", probe.since, probe.name, text, id, False, f"probe:{probe.name}", "well", data)


def _down(probe: ProbeResult) -> Fact:
    id = fact_id("probe.down", probe.name, _minute(probe.since))
    data = {"target": probe.target, "detail": probe.detail, "business": probe.business}
    text = f"probe {probe.name} fails: {probe.detail}"
    return Fact("probe.down", probe.since, probe.name, text, id, True, f"probe:{probe.name}", "down", data)


# thresholds, metrics and error bursts


def _crossings(before: Readings, after: Readings, config: Config, raised: frozenset[str]) -> Iterator[Fact]:
    past = {alarm.key: alarm for alarm in alarms(before, config)}
    for alarm in alarms(after, config):
        was = past.get(alarm.key)
        if was is None:
            continue  # nothing to compare with
        standing = alarm.key in raised
        if alarm.over and not standing and not was.over:
            yield _crossed(alarm)
        elif alarm.clear and (standing or (was.over and not was.clear)):
            kind = "log.calm" if alarm.state == "burst" else "threshold.cleared"
            id = fact_id(kind, alarm.key, _minute(alarm.at))
            yield Fact(kind, alarm.at, alarm.subject, f"back to normal: {alarm.text}", id, False, alarm.key, "well")


def _crossed(alarm: Alarm) -> Fact:
    kind = "log.burst" if alarm.state == "burst" else "threshold.crossed"
    id = fact_id(kind, alarm.key, _minute(alarm.at))
    return Fact(kind, alarm.at, alarm.subject, alarm.text, id, True, alarm.key, alarm.state)
