"""The hub of all logs: which inputs there are, one thread that polls files, one ring that holds what arrived.

`LogHub` is what a screen asks for lines; `LogsSource` publishes its `LogStats` as the reading "logs". Containers
whose json-file can be read here are followed as files: that costs no connection, and goes on while the engine is
frozen. The others are read through the engine's API (`console.watch.logstream`).
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from console.config import DockerConfig, LogConfig
from console.watch.containers import Container
from console.watch.engine_api import Engine
from console.watch.logbuffer import CAPACITY, LogBuffer
from console.watch.logcount import LineCounter
from console.watch.logfile import has_wildcard
from console.watch.loginput import ContainerInput, FileInput, GlobInput, Input, JournalInput
from console.watch.logline import Line
from console.watch.logpast import merged
from console.watch.logread import RecordReader, whole_line
from console.watch.logrecord import LEVELS, RANK, InputStats, LogRecord, LogStats
from console.watch.mining.live import LogPatterns, PatternSummary

__all__ = ["LEVELS", "RANK", "InputStats", "LogHub", "LogRecord", "LogStats", "LogsSource", "whole_line"]

_BUSY = 0.05  # seconds between polls of files while something arrives ...
_IDLE = 0.1  # ... and while nothing does
_SILENCE = 0.125  # an input is looked at again after this share of its silence (a look takes 30 us) ...
_LONGEST = 0.5  # ... and at least so often, in seconds
_ERRORS_OF_EACH = 5
_LAST_ERRORS = 40
_CACHE = 4096  # records kept understood
_PAST_WAIT = 0.5  # seconds that the past of inputs is held back, so that it can be put in order of time
_LOOK_BACK_AFTER = 1.0  # seconds after which a backlog is searched for errors; the first frame comes first
_RETRY = 2.0


class LogHub:
    """All logs of one console.

    `logs` are the configured inputs; containers are given by `set_containers`. Nothing is read before `start`.
    Lines are asked for from one thread (the event loop's).
    """

    def __init__(
        self,
        logs: Sequence[LogConfig] = (),
        docker: DockerConfig | None = None,
        *,
        capacity: int = CAPACITY,
        clock: Callable[[], float] = time.time,
        engine: Engine | None = None,
        patterns: LogPatterns | None = None,
    ) -> None:
        self.buffer = LogBuffer(capacity)
        self.backlog_end = 0  # seq after the newest line that was there before this console looked
        self._configured = {log.container: log for log in logs if log.container}
        self._logs = tuple(logs)
        self._docker = docker
        self._engine = engine
        self._clock = clock
        self._patterns = patterns
        self._inputs: list[Input] = []
        self._gone: list[Input] = []
        self._heard_at: dict[Input, float] = {}  # when something was last read of it
        self._looked_at: dict[Input, float] = {}
        self._containers: dict[str, tuple[tuple[object, ...], ContainerInput]] = {}
        self._told_containers = False
        self._zones = {log.name: log.timezone for log in logs}
        self._counters: dict[str, LineCounter] = {}
        self._of: dict[str, Input] = {}
        self._reader = RecordReader(self._zones, clock)
        self._records: OrderedDict[int, LogRecord] = OrderedDict()
        self._errors: dict[str, deque[tuple[str, bytes, float]]] = {}
        self._shown_errors: tuple[LogRecord, ...] = ()
        self._errors_of: tuple[tuple[str, bytes, float], ...] = ()
        self._past: list[tuple[str, bytes, int | None]] = []
        self._past_since: float | None = None
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._wake = threading.Event()
        self._ask = threading.Event()
        self._threads: list[threading.Thread] = []
        self._began = 0.0
        self._newest: float | None = None

    @property
    def configured(self) -> frozenset[str]:
        """Names of [[logs]]: those of containers become sources when the engine has told which there are."""
        return frozenset(log.name for log in self._logs)

    # -- life

    def start(self) -> None:
        """Begin to read. Called once."""
        self._began = time.monotonic()
        for log in self._logs:
            if log.path:
                path = Path(log.path).expanduser()
                if has_wildcard(log.path):
                    self._inputs.append(GlobInput(log.name, str(path)))
                else:
                    self._inputs.append(FileInput(log.name, path.absolute()))
            elif log.unit:
                self._inputs.append(JournalInput(log.name, log.unit, self.feed))
        self._thread(self._poll_files, "log-files")
        if self._patterns is not None:
            self._patterns.start()

    def close(self) -> None:
        """Stop all threads. Never waits for a sick input."""
        self._ended.set()
        self._wake.set()
        self._ask.set()
        for thread in self._threads:
            thread.join(0.15)
        if self._patterns is not None:
            self._patterns.close()

    def _thread(self, target: Callable[[], None], name: str) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    # -- containers

    def set_containers(self, containers: Sequence[Container]) -> None:
        """Follow exactly these containers. Cheap when nothing changed; call it with each reading."""
        self._told_containers = True
        names = self._names(containers)
        fresh = False
        for one in containers:
            state = (one.status, one.started_at, names[one.id])
            known = self._containers.get(one.id)
            if known is not None and known[0] == state:
                continue
            if known is not None and known[1].name == names[one.id]:
                self._containers[one.id] = (state, known[1])
                known[1].wake()
                continue
            if known is not None:
                self._drop(one.id)
            added = ContainerInput(names[one.id], one.id, self.feed)
            self._containers[one.id] = (state, added)
            with self._lock:
                self._inputs.append(added)
            fresh = True
        ids = {one.id for one in containers}
        for gone in [key for key in self._containers if key not in ids]:
            self._drop(gone)
        if fresh:
            if not any(thread.name == "log-engine" for thread in self._threads):
                self._thread(self._resolve, "log-engine")
            self._ask.set()

    def _names(self, containers: Sequence[Container]) -> dict[str, str]:
        """What each container's source is called: as configured, else its service where that is one container."""
        count = Counter(one.label for one in containers)
        files = {log.name for log in self._logs if not log.container}
        names = {}
        for one in containers:
            configured = self._configured.get(one.service) or self._configured.get(one.name)
            if count[one.label] > 1:
                names[one.id] = one.name.removeprefix(f"{one.project}-") if one.project else one.name
            elif configured is not None:
                names[one.id] = configured.name
            else:
                names[one.id] = one.name if one.label in files else one.label
        return names

    def _drop(self, container: str) -> None:
        _, gone = self._containers.pop(container)
        with self._lock:
            self._inputs.remove(gone)
            self._gone.append(gone)
        self._wake.set()

    def _resolve(self) -> None:
        """Ask the engine where each new container's lines are; again later while it does not answer."""
        while not self._ended.is_set():
            waiting = [one for one in self._all_inputs() if isinstance(one, ContainerInput) and not one.resolved]
            silent: ContainerInput | None = None
            for one in waiting:
                if self._ended.is_set():
                    return
                if silent is not None:  # this one would wait for the same deadline
                    one.not_asked(silent)
                elif not one.resolve(self._engine_of()):
                    silent = one
            self._wake.set()
            self._ask.wait(None if silent is None else _RETRY)
            self._ask.clear()

    def _engine_of(self) -> Engine:
        if self._engine is None:
            self._engine = Engine(self._docker or DockerConfig())
        return self._engine

    # -- reading

    def _all_inputs(self) -> list[Input]:
        with self._lock:
            return list(self._inputs)

    def _poll_files(self) -> None:
        while not self._ended.is_set():
            busy = False
            inputs = self._all_inputs()
            for one in self._due(inputs):
                for source, piece in one.poll():
                    busy = True
                    self._heard_at[one] = time.monotonic()
                    self._of[source] = one
                    self._take(source, piece.data, piece.offset, piece.old)
            with self._lock:
                gone, self._gone = self._gone, []
            for one in gone:
                for source, piece in one.poll():
                    self._take(source, piece.data, piece.offset, False)
                one.close()
                self._heard_at.pop(one, None)
                self._looked_at.pop(one, None)
            self._settle_past(inputs)
            if time.monotonic() - self._began > _LOOK_BACK_AFTER:
                for counter in list(self._counters.values()):
                    counter.look_back()
            if self._wake.wait(_BUSY if busy else _IDLE):
                self._wake.clear()
        for one in self._all_inputs():
            one.close()

    def _due(self, inputs: Sequence[Input]) -> Iterator[Input]:
        """Inputs to look at now. A hundred silent containers ten times a second would take 3 % of a core."""
        now = time.monotonic()
        for one in inputs:
            pause = min(_LONGEST, _SILENCE * (now - self._heard_at.setdefault(one, now)))
            if now - self._looked_at.get(one, -math.inf) >= pause:
                self._looked_at[one] = now
                yield one

    def feed(self, source: str, data: bytes, old: bool = False) -> None:
        """Whole lines of a source that is not polled, from any thread. `old`: from before this console looked."""
        self._take(source, data, None, old)

    def _take(self, source: str, data: bytes, offset: int | None, old: bool) -> None:
        counter = self._counters.get(source)
        if counter is None:
            counter = LineCounter(
                self._reader.fresh(source), lambda raw: self._error(source, raw), on_line=self._listener(source)
            )
            self._counters[source] = counter
        counter.add(data, old=old)
        with self._lock:
            if old or any(held[0] == source for held in self._past):
                self._past.append((source, data, offset))
                self._past_since = self._past_since or time.monotonic()
                return
        now = self._clock()
        self.buffer.append(source, data, now, offset)
        self._newest = now

    def _listener(self, source: str) -> Callable[[Line, float], None] | None:
        """What hears the lines of a source. The files of a glob are one source: rotated ones fall silent."""
        if self._patterns is None:
            return None
        heard, owner = self._patterns.heard, self._of.get(source)
        name = owner.name if owner is not None else source
        return lambda line, weight: heard(name, line, weight)

    def pattern_of(self, record: LogRecord) -> str | None:
        """The id of the pattern that a line is of; None for one that continues another, or while it is of none."""
        if self._patterns is None or record.continuation:
            return None
        owner = self._of.get(record.source)
        return self._patterns.id_of(owner.name if owner is not None else record.source, record.message, record.level)

    def _settle_past(self, inputs: Sequence[Input]) -> None:
        """Put the backlog of all inputs into the ring by time, once all that can come soon has come."""
        with self._lock:
            if self._past_since is None:
                return
            waited = time.monotonic() - self._past_since
            soon = any(isinstance(one, ContainerInput) and (not one.resolved or one.streams) for one in inputs)
            if soon and waited < _PAST_WAIT:
                return
            past, self._past, self._past_since = self._past, [], None
            for source, data, arrived, offset in merged(past, self._reader.fresh):
                self.buffer.append(source, data, arrived, offset)
            self.backlog_end = self.buffer.next
        if self._newest is None:
            self._newest = self._clock()

    def _error(self, source: str, raw: bytes) -> None:
        # A few of each source: a flood of one must not hide the line of another that names the cause.
        kept = self._errors.setdefault(source, deque(maxlen=_ERRORS_OF_EACH))
        kept.append((source, raw[:4096], self._clock()))

    # -- what screens and checks ask

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of all sources that sent lines or are to, in a fixed order."""
        named = {one.name for one in self._all_inputs() if not isinstance(one, GlobInput)}
        return tuple(sorted(named | set(self._counters)))

    def path_of(self, source: str) -> Path | None:
        """The file that holds this source's older lines, None for streams."""
        one = self._of.get(source)
        return one.path_of(source) if one is not None else None

    def record(self, seq: int) -> LogRecord | None:
        """The line with this number understood; None when it was dropped or is not there yet."""
        found = self._records.get(seq)
        if found is not None:
            self._records.move_to_end(seq)
            return found
        chunk = self.buffer.chunk_at(seq)
        if chunk is None:
            return None
        raw, offset = self.buffer.line(chunk, seq)
        record = self._reader.read(chunk.source, raw, arrived=chunk.arrived, offset=offset, seq=seq)
        self._records[seq] = record
        if len(self._records) > _CACHE:
            self._records.popitem(last=False)
        return record

    def read_back(self, source: str, raw: bytes, offset: int) -> LogRecord:
        """A line read from its file understood."""
        return self._reader.read(source, raw, offset=offset)

    def may_pass(self, source: str, raw: bytes, minimum: int) -> bool:
        """False when a line of this source surely has a level below the rank `minimum`, found without reading it."""
        return self._reader.may_pass(source, raw, minimum)

    def stats(self) -> LogStats:
        """What all inputs did lately."""
        owned: dict[Input, list[str]] = {}
        for source, owner in list(self._of.items()):
            owned.setdefault(owner, []).append(source)
        rows = [self._stats_of(one, owned.get(one) or [one.name]) for one in self._all_inputs()]
        rows += [
            InputStats(
                log.name, "container", 0, 0.0, 0.0, 0.0, False, 0, "no such container", "Check [[logs]] container"
            )
            for log in self._missing()
        ]
        rows.sort(key=lambda row: row.name)
        known = self._patterns.summary if self._patterns is not None else PatternSummary()
        well = {row.name for row in rows if not row.fault}
        return LogStats(
            inputs=tuple(rows),
            lines_per_second=sum(row.lines_per_second for row in rows),
            errors_per_minute=sum(row.errors_per_minute for row in rows),
            warnings_per_minute=sum(row.warnings_per_minute for row in rows),
            estimated=any(row.estimated for row in rows),
            dropped=sum(row.dropped for row in rows),
            last_errors=self._last_errors(),
            newest=self._newest,
            patterns=known.patterns,
            bursts=known.bursts,
            silent=tuple(one for one in known.silent if one.source in well),
        )

    def _missing(self) -> list[LogConfig]:
        if not self._told_containers:
            return []
        present = {one.name for _, one in self._containers.values()}
        return [log for log in self._configured.values() if log.name not in present]

    def _stats_of(self, one: Input, sources: Sequence[str]) -> InputStats:
        counters = [self._counters[name] for name in sources if name in self._counters]
        rates = [counter.rates() for counter in counters]
        return InputStats(
            name=one.name,
            kind=one.kind,
            lines=sum(counter.lines for counter in counters),
            lines_per_second=sum(rate[0] for rate in rates),
            errors_per_minute=sum(rate[1] for rate in rates),
            warnings_per_minute=sum(rate[2] for rate in rates),
            estimated=any(rate[3] for rate in rates),
            dropped=one.dropped,
            fault=one.fault,
            remedy=one.remedy,
        )

    def _last_errors(self) -> tuple[LogRecord, ...]:
        every = [error for kept in list(self._errors.values()) for error in list(kept)]
        errors = tuple(sorted(every, key=lambda error: error[2])[-_LAST_ERRORS:])
        if errors != self._errors_of:
            self._errors_of = errors
            self._shown_errors = tuple(self._reader.read(source, raw, arrived=at) for source, raw, at in errors)
        return self._shown_errors


class LogsSource:
    """The reading "logs": `LogStats` every second. The hub belongs to whoever made it."""

    name = "logs"
    every = 1.0
    deadline = 2.0

    def __init__(self, hub: LogHub) -> None:
        self._hub = hub

    async def read(self) -> LogStats:
        return self._hub.stats()

    async def changed(self) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None:
        self._hub.close()
