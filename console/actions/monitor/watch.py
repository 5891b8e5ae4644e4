"""The loop of the monitor: look, decide, recover under the ceiling, tell, and give a sign of life at every turn.

It is to live for months: whatever it keeps is bounded, every look has a deadline, the disk is asked in a thread of
its own, and no failure of a part ends it. When it is told to end it leaves within a moment; a run goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from console.actions import attempts, ceiling, gather, lock
from console.actions import climb as climbing
from console.actions.attempts import Attempts
from console.actions.climb import Climbed, Ways
from console.actions.engine import DockerDriver, EngineDriver
from console.actions.facts import Facts
from console.actions.gather import Seen
from console.actions.monitor import heartbeat
from console.actions.monitor.engine import PING_EVERY, EventHearing, Hearing, Pulse
from console.actions.monitor.episode import Sample
from console.actions.monitor.evidence import evidence
from console.actions.monitor.heartbeat import Beat, stamp
from console.actions.monitor.notify import Notifier
from console.actions.monitor.record import Record, host, line
from console.actions.monitor.sampler import Sampler, aged, starting
from console.actions.monitor.sentinel import Happening, Sentinel, Situation
from console.actions.validation import RunProbe
from console.checks.facts import FactStream
from console.config import Config
from console.errors import SevdeckError, SourceError
from console.watch.containers import ContainersReading, EngineEvent
from console.watch.lane import Lane
from console.watch.probes.result import ProbesReading
from console.watch.readings import Readings
from console.watch.source import Reading

_log = logging.getLogger(__name__)
T = TypeVar("T")

Emit = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Seconds. Tests are impatient; hosts get these."""

    sample: float = 10.0
    close: float = 2.0  # while the newest sample is bad: what comes and goes must show before anybody acts
    inspect: float = 30.0
    least: float = 3.0  # between two looks at the containers, whatever the engine tells
    ping: float = PING_EVERY
    disk: float = 5.0  # patience with our own disk


@dataclass(frozen=True, slots=True)
class Parts:
    """What the monitor works with, where a test brings its own. None: the real thing."""

    driver: EngineDriver | None = None
    run_probe: RunProbe | None = None
    hearing: Callable[[Callable[[], None]], Hearing] | None = None
    look: Callable[[], Awaitable[Facts]] | None = None  # facts for the loop, without probes
    climb: Callable[[Config, Ways], Awaitable[Climbed]] = climbing.climb
    rhythm: Rhythm = field(default_factory=Rhythm)
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time


class Monitor:
    """One project's monitor. `run` returns after `stop`."""

    def __init__(
        self, config: Config, data_dir: Path, emit: Emit, *, max_level: int | None = None, parts: Parts | None = None
    ) -> None:
        self._config, self._data_dir, self._emit, self._most = config, data_dir, emit, max_level
        self._parts = parts or Parts()
        self._clock, self._wall = self._parts.clock, self._parts.wall
        self._driver = self._parts.driver or DockerDriver(config.docker)
        self._pulse = Pulse(self._driver, self._clock)
        self._sampler = Sampler(config, self._parts.run_probe, self._clock)
        self._record = Record(data_dir, lambda: self._project, self._wall)
        self._disk, self._starting = Lane("monitor-disk"), Lane("monitor-start")
        self._notifier = Notifier()
        self._stream = FactStream(config)
        self._hearing: Hearing | None = None
        self._sentinel = Sentinel()
        self._facts: Facts | None = None
        self._looked_at = float("-inf")
        self._sampled_at = float("-inf")
        self._pinged_at = float("-inf")
        self._sample: Sample | None = None
        self._sample_wall = 0.0
        self._episode_at = 0.0  # unix seconds
        self._incident = ""
        self._climb: asyncio.Task[Climbed] | None = None
        self._said = ""  # the last waiting, so that it is not said every 15 s
        self._wake = asyncio.Event()
        self._stop = asyncio.Event()
        self._ended = "a signal"

    # -- life

    @property
    def _project(self) -> str:
        return self._config.docker.project or (self._facts.project if self._facts is not None else "")

    def stop(self, why: str = "a signal") -> None:
        """End soon. A run that is under way goes on by itself."""
        self._ended = why
        self._stop.set()

    async def run(self) -> None:
        """Watch until `stop`. Raises RefusedError while another monitor watches."""
        with heartbeat.only_one(self._data_dir):
            stopping = asyncio.ensure_future(self._stop.wait())
            turning = asyncio.ensure_future(self._live())
            try:
                await asyncio.wait({stopping, turning}, return_when=asyncio.FIRST_COMPLETED)
                if turning.done():
                    turning.result()
            finally:
                await self._leave(stopping, turning)

    async def _leave(self, *tasks: asyncio.Future[Any]) -> None:
        self._notifier.stopping()
        waiting = [t for t in (*tasks, self._climb) if t is not None and not t.done()]
        for task in waiting:
            task.cancel()
        if waiting:
            await asyncio.wait(waiting, timeout=0.5)
        await self._tell("stopped", f"ended by {self._ended}; a run that is under way goes on")
        await self._to_disk(lambda: heartbeat.write(self._data_dir, self._beat("stopped")))
        if self._hearing is not None:
            self._hearing.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await self._sampler.close()
        self._disk.close()
        self._starting.close()
        if self._parts.driver is None:
            self._driver.close()

    async def _live(self) -> None:
        make = self._parts.hearing or (lambda ring: EventHearing(self._config.docker, lambda: self._project, ring))
        self._hearing = make(self._ring)
        await self._tell("started", self._greeting())
        self._notifier.ready()
        await self._tell_doubt()
        while True:
            try:
                await self._turn()
            except SevdeckError as error:
                await self._tell("trouble", str(error))
            except Exception as error:  # a fault of ours must not leave a host without its monitor
                _log.exception("a turn of the monitor")
                await self._tell("trouble", f"unexpected {type(error).__name__}; the details are in sevdeck.log")
                await asyncio.sleep(1.0)
            await self._rest()

    def _greeting(self) -> str:
        most = ceiling.ceiling(self._config, self._most, None, "", self._wall())
        what = f"recovers by itself up to level {most}" if most else "watches only: no level may be run unattended"
        lowered = climbing.lowered(self._most, self._config)
        return "; ".join(filter(None, (what, lowered)))

    async def _tell_doubt(self) -> None:
        """What the monitor before this one, or an earlier run, left behind."""
        memory = await self._memory()
        if memory.frozen:
            self._sentinel.frozen = memory.frozen
            await self._tell("frozen", f"still frozen: {memory.frozen}")

    def _ring(self) -> None:
        """The engine tells of a change: look at once, but not at every one of a hundred."""
        if self._clock() - self._looked_at >= self._parts.rhythm.least:
            self._looked_at = self._sampled_at = float("-inf")
        else:
            self._looked_at -= self._parts.rhythm.inspect - self._parts.rhythm.least
        self._wake.set()

    async def _rest(self) -> None:
        """Until the next of all that is due."""
        pace, now = self._parts.rhythm, self._clock()
        due = min(
            self._pinged_at + pace.ping, self._looked_at + pace.inspect, self._sampled_at + self._sample_every, now + 10
        )
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), max(0.02, due - now))
        self._wake.clear()

    @property
    def _sample_every(self) -> float:
        return self._parts.rhythm.close if self._sentinel.close_look else self._parts.rhythm.sample

    # -- one turn

    async def _turn(self) -> None:
        now, pace = self._clock(), self._parts.rhythm
        if now - self._pinged_at >= pace.ping:
            self._pinged_at = now
            await self._ping()
        if self._pulse.state in ("up", "settling") and now - self._looked_at >= pace.inspect:
            self._looked_at = now
            await self._look()
        sample = None
        if now - self._sampled_at >= self._sample_every:
            self._sampled_at = now
            sample = await self._ask()
        situation = self._situation()
        await self._tell_all(self._sentinel.step(self._clock(), situation, sample))
        if self._climb is not None and self._climb.done():
            await self._climbed(self._climb)
        elif self._sentinel.act(self._clock()):
            await self._begin()
        if sample is not None:
            self._incident = await self._to_disk(self._record.incident) or ""
            await self._write_facts()
        await self._sign()

    async def _ping(self) -> None:
        changed = await self._pulse.beat()
        if not changed or self._hearing is None:
            return
        first = self._facts is None and changed == "back"
        self._hearing.turned(changed == "back", self._pulse.detail)
        if changed == "back":
            self._looked_at = float("-inf")
        if not first:
            words = f"the Docker engine does not answer: {self._pulse.detail}"
            await self._tell("engine", "the Docker engine answers again" if changed == "back" else words)

    async def _look(self) -> None:
        """The containers, the hold file, the lock, containment: everything but the probes."""
        before = self._project
        self._facts = await (self._parts.look or self._gather)()
        if not before and not self._project:
            await self._tell_once("no Compose project: name it as [docker] project, or nothing can be recovered")

    async def _gather(self) -> Facts:
        return await gather.gather(self._config, self._data_dir, seen=self._seen(), driver=self._driver, probing=False)

    def _seen(self) -> Seen:
        return Seen(self._heard())

    def _heard(self) -> tuple[EngineEvent, ...]:
        return self._hearing.events() if self._hearing is not None else ()

    async def _ask(self) -> Sample:
        containers = self._facts.containers if self._facts is not None else ()
        if self._facts is not None and self._sampler.blind(containers):
            await self._tell_once("no [[probes]] ask what users ask: only the health of the containers is watched")
        known = self._facts is not None and self._facts.engine.up and self._pulse.state == "up"
        self._sample, self._sample_wall = await self._sampler.sample(containers, known), self._wall()
        return self._sample

    def _situation(self) -> Situation:
        facts, project = self._facts, self._project
        held = lock.holder(self._data_dir, project) if project else None
        uptime = self._clock() - self._looked_at if self._looked_at > float("-inf") else 0.0
        return Situation(
            self._pulse.state,
            self._pulse.detail,
            lock.describe(project, held, self._wall()) if held is not None else "",
            lock.hold_text(self._data_dir),
            facts.contained if facts is not None else (),
            starting(aged(facts.containers, max(0.0, uptime))) if facts is not None else (),
            self._record.trouble,
        )

    # -- recovering

    async def _begin(self) -> None:
        """Something must be done: decide on fresh facts, and under everything that a plan checks."""
        await self._look()
        self._looked_at = self._clock()
        await self._tell_all(self._sentinel.step(self._clock(), self._situation()))
        if not self._sentinel.act(self._clock()):
            return
        self._incident = await self._to_disk(self._record.incident) or ""
        self._sentinel.begin()
        self._climb = asyncio.ensure_future(self._climb_alone())

    async def _climb_alone(self) -> Climbed:
        ways = climbing.real_ways(
            self._config,
            self._data_dir,
            self._record.actor,
            incident=self._incident,
            ceiling=self._ceiling,
            project=lambda: self._project,
            lane=self._starting,
            seen=self._seen,
        )
        with climbing.alone(self._data_dir, f"the monitor (pid {os.getpid()})"):
            return await self._parts.climb(self._config, self._with_words(ways))

    def _with_words(self, ways: Ways) -> Ways:
        loop = asyncio.get_running_loop()
        telling: set[asyncio.Task[None]] = set()

        def say(text: str) -> None:
            task = loop.create_task(self._tell("climb", text))
            telling.add(task)
            task.add_done_callback(telling.discard)

        return replace(ways, say=say, go_on=lambda: self._sentinel.suspended, wall=self._wall)

    def _ceiling(self) -> int:
        armed = ceiling.armed_now(self._data_dir, self._wall())
        return ceiling.ceiling(self._config, self._most, armed, self._incident, self._wall())

    async def _climbed(self, task: asyncio.Task[Climbed]) -> None:
        """What became of it: mended, waiting, or frozen until it is well again."""
        self._climb = None
        self._looked_at = self._sampled_at = float("-inf")
        try:
            ended = task.result()
        except SevdeckError as error:  # it could not be started: locked, unrecordable. Tried again, with backoff.
            ended = Climbed("waiting", error.message, error.remedy)
        except OSError as error:
            ended = Climbed("waiting", f"nothing can be recorded: {error.strerror}")
        freeze = ended.text if ended.page or ended.verdict == "cancelled" else ""
        if ended.verdict == "cancelled":
            freeze = f"{ended.reason}; it is left to the person who stopped it"
        happened = self._sentinel.end(self._clock(), freeze)
        levels = [{"level": r.level, "service": r.service, "run": r.run_id, "outcome": r.outcome} for r in ended.rungs]
        if ended.verdict == "mended":
            words = ", then ".join(r.title for r in ended.rungs)
            await self._tell("recovered", f"{words}: {ended.rungs[-1].reason}", levels=levels)
        elif not freeze and ended.text != self._said:
            await self._tell("waiting", ended.text, levels=levels)
        self._said = ended.text
        if freeze:
            await self._remember(lambda known: known if known.frozen else known.froze(freeze, self._wall()))
        for one in happened:
            await self._tell(one.kind, one.text, page=one.page, levels=levels)

    # -- telling

    async def _tell_all(self, found: list[Happening]) -> None:
        for one in found:
            if one.kind == "opened":
                self._episode_at = self._wall()
                await self._remember(self._seen_bad)
            elif one.kind == "closed":
                self._episode_at = 0.0
                self._said = ""
                await self._remember(lambda known: known.well(self._wall()))
            await self._tell(one.kind, one.text, page=one.page)
            if one.kind == "flapping":
                await self._capture()

    def _seen_bad(self, known: Attempts) -> Attempts:
        return replace(known, bad_at=self._wall())

    async def _capture(self) -> None:
        """Evidence for the person who is called."""
        if self._facts is None or not self._facts.containers:
            return
        content = await evidence(self._driver, self._facts.containers, self._wall())
        place = await self._to_disk(lambda: self._record.keep("evidence of flapping.json", content))
        await self._tell("evidence", f"inspect data and last log lines of {len(self._facts.containers)} containers: "
                         f"{place or 'could not be kept'}")  # fmt: skip

    async def _tell_once(self, text: str) -> None:
        if text != self._said:
            self._said = text
            await self._tell("note", text)

    async def _tell(self, kind: str, text: str, *, page: bool = False, **more: Any) -> None:
        """One line out, into our own log, and into the open incident."""
        if page:
            more["page"] = True
            more["incident"] = self._incident or None
            if not self._incident:
                text = f"{text}. No incident is declared"
        told = line(kind, text, self._wall(), self._project, **more)
        self._emit(told)
        bad = True if kind in ("opened", "flapping", "frozen") else False if kind in ("closed", "recovered") else None
        trouble = self._record.trouble

        def write() -> None:
            self._record.log(told)
            self._record.happened(kind, text, bad, page)

        await self._to_disk(write)
        if self._record.trouble and self._record.trouble != trouble:
            self._emit(line("trouble", self._record.trouble, self._wall(), self._project))

    async def _write_facts(self) -> None:
        """What the machine saw since the last time, for the open incident."""
        up = self._facts is not None and self._facts.engine.up
        containers = Reading(ContainersReading("", "", (), self._heard()), self._wall()) if up else Reading()
        probes = Reading(ProbesReading(tuple(self._sampler.results.values())), self._sample_wall)
        found = self._stream.step(Readings(containers=containers, probes=probes))
        if found and self._incident:
            await self._to_disk(lambda: self._record.facts(found))

    async def _sign(self) -> None:
        """A sign of life: to whoever reads the file, to node_exporter, to systemd."""
        beat = self._beat(self._sentinel.state)
        self._notifier.alive(beat.words)
        before = self._record.trouble

        def write() -> None:
            heartbeat.write(self._data_dir, beat)
            if self._config.monitor.metrics_file:
                heartbeat.write_metrics(Path(self._config.monitor.metrics_file), beat)

        try:
            await self._disk.call(write, deadline=self._parts.rhythm.disk)
            if before.startswith(_BEAT):
                self._record.trouble = ""
        except (SourceError, OSError) as error:
            self._record.trouble = f"{_BEAT}: {getattr(error, 'strerror', '') or error}"
            if not before:
                self._emit(line("trouble", self._record.trouble, self._wall(), self._project))

    def _beat(self, state: str) -> Beat:
        armed = ceiling.armed_now(self._data_dir, self._wall())
        sample = self._sample
        return Beat(
            stamp(self._wall()),
            os.getpid(),
            host(),
            self._project,
            state,
            stamp(self._episode_at) if self._episode_at else "",
            stamp(self._sample_wall) if sample is not None else "",
            sample.ok if sample is not None else None,
            sample.detail if sample is not None else "",
            self._sentinel.suspended,
            self._sentinel.frozen,
            self._incident,
            armed.words(self._wall()) if armed is not None else "",
            self._ceiling(),
            self._record.trouble,
        )

    # -- the disk

    async def _to_disk(self, write: Callable[[], T]) -> T | None:
        """Run it in the disk's thread. A disk that hangs costs what was to be written, never the watching."""
        try:
            return await self._disk.call(write, deadline=self._parts.rhythm.disk)
        except (SourceError, OSError) as error:
            self._record.trouble = f"our own disk: {getattr(error, 'strerror', '') or error}"
        except SevdeckError as error:
            self._record.trouble = str(error)
        return None

    async def _memory(self) -> Attempts:
        return await self._remember(lambda known: known)

    async def _remember(self, change: Callable[[Attempts], Attempts]) -> Attempts:
        project = self._project
        found = await self._to_disk(lambda: attempts.update(self._data_dir, project, change)) if project else None
        return found or Attempts()


_BEAT = "the heartbeat cannot be written"
