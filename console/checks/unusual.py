"""Figures that are unlike their own past: metrics and how long probes take, followed minute by minute.

Who writes the history follows it and leaves what is under way in a small file; everybody else reads that. What a
detector knows is made again from the history at a start, a few figures a minute, so that nothing waits for it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from console.checks.anomaly import Detector, Episode
from console.checks.check import Finding, Status, Suggestion
from console.checks.trends import forecasts
from console.checks.wording import clock, figure
from console.config import DEFAULT_THRESHOLDS, Limits
from console.watch.history import Known, Series, place
from console.watch.history.files import write_whole
from console.watch.history.series import Key

FILE = "unusual.json"
GROUPS = (("metric", "value"), ("probe", "latency"))
SHOWN = 3600.0  # seconds: what is so for longer is no news
_RECENT = 1200.0  # seconds that are read each minute
_ALL = 1e9
_ANEW = 600.0  # seconds between two looks at all of it: forecasts go by tens of minutes
_BUDGET = 0.2  # seconds of each minute for making detectors again
_GRACE = 300.0  # seconds after which a file that nobody renewed says nothing
_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Unusual:
    """An episode of one series."""

    key: Key
    unit: str
    episode: Episode


class Trends:
    """All findings of the history, kept up to date. Call it once a minute, in a thread of its own."""

    def __init__(
        self,
        data_dir: Path,
        limits: Mapping[str, Limits] = DEFAULT_THRESHOLDS,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._limits = limits
        self._file = place(data_dir) / FILE
        self._clock = clock
        self._detectors: dict[Key, tuple[Detector, float]] = {}  # and the newest minute that it was given
        self._forecasts: tuple[Finding, ...] = ()
        self._looked = float("-inf")
        self._behind = True  # detectors are still to be made again from all there is

    def __call__(self, recall: Callable[[float], Known], writing: bool) -> tuple[Finding, ...]:
        now = self._clock()
        whole = abs(now - self._looked) >= _ANEW
        known = recall(_ALL if whole or (writing and self._behind) else _RECENT)
        if whole:
            self._looked, self._forecasts = now, forecasts(known, now, self._limits)
        if not writing:
            self._detectors, self._behind = {}, True
            return (*self._forecasts, *findings(read(self._file, now), now))
        self._follow(known)
        present = tuple(
            Unusual(key, one.unit, detector.episode)
            for key, (detector, _) in self._detectors.items()
            if detector.episode is not None and (one := known.series.get(key)) is not None
        )
        if self._detectors:
            with suppress(OSError):  # the findings here do not need it
                write(self._file, present, now)
        return (*self._forecasts, *findings(present, now))

    def _follow(self, known: Known) -> None:
        """Give each detector the minutes that are whole and that it does not know."""
        began = time.monotonic()
        series = {one.key: one for one in followed(known)}
        self._behind = False
        for key in self._detectors.keys() - series.keys():
            del self._detectors[key]
        for key, one in series.items():
            if key not in self._detectors:
                if time.monotonic() - began > _BUDGET:
                    self._behind = True
                    continue
                self._detectors[key] = (_made(one), float("-inf"))
            detector, last = self._detectors[key]
            last = min(last, one.minutes.end)  # a clock that stepped back goes on from where it is
            for at, value in one.minutes.known:
                if at > last:
                    detector.add(at, value)
                    last = at
            self._detectors[key] = (detector, last)


def _made(one: Series) -> Detector:
    """A new one that knows what is usual at each hour of the day; the minutes come after it."""
    detector = Detector()
    first = one.minutes.start
    for at, value in one.tens.known:
        if at < first:
            detector.remember(at, value)
    return detector


def followed(known: Known) -> Iterable[Series]:
    for group, name in GROUPS:
        yield from known.of(group, name)


def findings(present: Iterable[Unusual], now: float) -> tuple[Finding, ...]:
    return tuple(_finding(one, now) for one in present if 0 <= now - one.episode.since <= SHOWN)


def _finding(one: Unusual, now: float) -> Finding:
    episode, subject = one.episode, one.key[1]
    unit = f" {one.unit}" if one.unit else ""
    what = f"{subject} took" if one.key[0] == "probe" else f"{subject} was"
    usual = f"{figure(episode.low)} to {figure(episode.high)}{unit}"
    at = clock(episode.since, now)
    fix = Suggestion(
        f"see what began at {at}",
        "a figure that leaves its own past is a sign and no cause: a release, a job, other traffic",
        "none",
        0.3,
        falsified_by="it does so at this hour of other weeks",
    )
    text = f"{what} {figure(episode.value)}{unit} at {at}, usually {usual}"
    evidence = (f"{episode.score:.1f} times what one minute of a hundred has, against the last hour, the last 16 hours "
                "and this hour of other days",)  # fmt: skip
    return Finding(
        "trends.anomaly", "performance", Status.WARN, text, evidence, (fix,), subject=subject, since=episode.since
    )


def write(file: Path, present: Iterable[Unusual], now: float) -> None:
    """Leave it for those who only read. Raises OSError."""
    rows = [[*one.key, one.unit, e.since, e.value, e.low, e.high, e.score] for one in present for e in (one.episode,)]
    write_whole(file, json.dumps({"version": 1, "at": now, "episodes": rows}).encode())


def read(file: Path, now: float) -> tuple[Unusual, ...]:
    """What is under way, as whoever writes said last; nothing where nobody has for minutes, or it is damaged."""
    try:
        with file.open("rb") as opened:
            data: dict[str, Any] = json.loads(opened.read(_LIMIT))
        if data["version"] != 1 or abs(now - float(data["at"])) > _GRACE:
            return ()
        return tuple(
            Unusual((str(a), str(b), str(c)), str(unit), Episode(*(float(n) for n in numbers)))
            for a, b, c, unit, *numbers in data["episodes"]
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return ()
