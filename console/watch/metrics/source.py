"""The source "metrics": every metric on a schedule of its own, judged by its thresholds, with a short history."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace

from console.config import MetricConfig, StoreConfig
from console.errors import SevdeckError
from console.redact import redact
from console.text import clean
from console.watch import postgres
from console.watch.metrics.jsonl import JsonlFiles, JsonlGauge
from console.watch.metrics.log_count import LogCountGauge
from console.watch.metrics.log_lines import LogLines
from console.watch.metrics.page import PageGauge, Pages
from console.watch.metrics.point import NOT_YET, Gauge, MetricPoint, MetricsReading, Sample, judge
from console.watch.metrics.sql import Database, SqlGauge
from console.watch.reasons import no_answer
from console.watch.rounds import Round, Rounds
from console.watch.web import Web

KINDS = ("sql", "http", "jsonl", "log_count")
_SPARK = 60
_FASTEST, _SLOWEST = 5.0, 15.0  # seconds between measurements of one metric
_SICK_PAUSE = 30.0  # a metric that keeps failing is asked this seldom; more, and its return would be noticed late
_TEXT = 160


class MetricsSource:
    """`read` never waits: it gives the last point of each metric; `changed` returns when there is a new one.

    `logs` gives lines of a configured log; without it `log_count` sources are paths.
    """

    name = "metrics"

    def __init__(
        self,
        metrics: Iterable[MetricConfig],
        database: StoreConfig,
        logs: LogLines | None = None,
        *,
        trust: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.every = 1.0
        self.deadline = 3.0
        self._gauges = _Gauges(database, logs, trust)
        self._followers = [Follower(config, self._gauges.make, clock) for config in metrics]
        self._rounds = Rounds([_round(follower) for follower in self._followers])

    async def read(self) -> MetricsReading:
        self._rounds.start()
        return MetricsReading(tuple(follower.point for follower in self._followers))

    async def read_once(self) -> MetricsReading:
        """Measure every metric once, all at the same time, and wait for all: one picture without a schedule."""
        await asyncio.gather(*(follower.measure() for follower in self._followers))
        return MetricsReading(tuple(follower.point for follower in self._followers))

    async def changed(self) -> None:
        await self._rounds.changed()

    async def close(self) -> None:
        await self._rounds.close()
        for follower in self._followers:
            await follower.close()
        await self._gauges.close()


def _round(follower: Follower) -> Round:
    return follower.measure


class Follower:
    """One metric over time: measures, judges, remembers."""

    def __init__(
        self, config: MetricConfig, make: Callable[[MetricConfig, float], Gauge], clock: Callable[[], float]
    ) -> None:
        self._config = config
        self._clock = clock
        self._every = min(_SLOWEST, max(_FASTEST, config.window / _SPARK))
        self._spark: deque[float] = deque(maxlen=_SPARK)
        self._past = Past(config.window)
        self._failures = 0
        self._gauge: Gauge | None = None
        self.point = MetricPoint(
            name=clean(config.name, 64),
            unit=clean(config.unit, 16),
            value=None,
            previous=None,
            status="unknown",
            limit="",
            spark=(),
            direction=config.direction,
            fault=NOT_YET,
            taken_at=None,
        )
        try:
            self._gauge = make(config, self._every)
        except ValueError as error:  # a fault of the configuration: no measurement will mend it
            self._failed(str(error))

    async def measure(self) -> float:
        """One measurement, which never raises; returns how many seconds later the next is due."""
        if self._gauge is None:
            return _SICK_PAUSE
        now = self._clock()
        try:
            async with asyncio.timeout(self._gauge.deadline + 1.0):
                sample = await self._gauge.measure(now)
        except TimeoutError:
            self._failed(no_answer(self._gauge.deadline))
        except (SevdeckError, ValueError) as error:
            self._failed(str(error))
        except Exception as error:  # each library has its own tree
            self._failed(postgres.plain(error, self._gauge.deadline))
        else:
            self._took(sample, now)
            return self._gauge.every
        self._failures += 1
        return float(min(_SICK_PAUSE, self._gauge.every * 2 ** (self._failures - 1)))

    async def close(self) -> None:
        if self._gauge is not None:
            await self._gauge.close()

    def _failed(self, why: str) -> None:
        self.point = replace(self.point, status="unknown", limit="", fault=clean(redact(why), _TEXT).rstrip("."))

    def _took(self, sample: Sample, now: float) -> None:
        self._failures = 0
        previous = sample.previous
        if sample.value is None:
            self.point = replace(
                self.point, value=None, previous=previous, status="unknown", limit="",
                fault=clean(redact(sample.fault), _TEXT), note=sample.note,
            )  # fmt: skip
            return
        self._spark.append(sample.value)
        if previous is None:
            previous = self._past.before(now)
        self._past.add(now, sample.value)
        status, limit = judge(self._config, sample.value)
        self.point = replace(
            self.point, value=sample.value, previous=previous, status=status, limit=clean(limit, 40), fault="",
            spark=tuple(self._spark), taken_at=now, note=sample.note,
        )  # fmt: skip


class Past:
    """Values of the last two windows, thinned, for sources that cannot tell what was before."""

    def __init__(self, window: float) -> None:
        self._window = window
        self._points: deque[tuple[float, float]] = deque()

    def add(self, now: float, value: float) -> None:
        if not self._points or now - self._points[-1][0] >= self._window / 120:
            self._points.append((now, value))
        while self._points and self._points[0][0] < now - 2 * self._window:
            self._points.popleft()

    def before(self, now: float) -> float | None:
        """The newest value that is at least a window old; None when this console does not know one."""
        old = [value for at, value in self._points if at <= now - self._window]
        return old[-1] if old else None


class _Gauges:
    """Makes a gauge for each metric and owns what several share: databases, pages, files."""

    def __init__(self, database: StoreConfig, logs: LogLines | None, trust: ssl.SSLContext | None) -> None:
        self._default = database.dsn
        self._logs = logs
        self._pages = Pages(Web("metrics", trust))
        self._databases: dict[str, Database] = {}
        self._files: dict[str, JsonlFiles] = {}

    def make(self, config: MetricConfig, every: float) -> Gauge:
        """Raises ValueError for a metric that cannot be measured as it is configured."""
        match config.kind:
            case "sql":
                dsn = config.source or self._default
                if not dsn:
                    raise ValueError("no database: set source, or dsn in [database]")
                if not config.query.strip():
                    raise ValueError("query: no SELECT")
                return SqlGauge(config, self._databases.setdefault(dsn, Database(dsn)), every)
            case "http":
                return PageGauge(config, self._pages, every)
            case "jsonl":
                files = self._files.setdefault(config.source, JsonlFiles(config.source))
                return JsonlGauge(config, files, every)
            case "log_count":
                return LogCountGauge(config, self._logs, _FASTEST)
        raise ValueError(f'there is no kind of metric called "{config.kind}"; there are {", ".join(KINDS)}')

    async def close(self) -> None:
        for database in self._databases.values():
            await database.close()
        for files in self._files.values():
            await files.close()
        await self._pages.close()
