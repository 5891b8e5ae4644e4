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
from typing import Any

from console.actions import ceiling, gather, lock
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
from console.actions.monitor.recovering import Recoverer
from console.actions.monitor.sampler import Sampler, aged, starting
from console.actions.monitor.sentinel import Happening, Sentinel, Situation
from console.actions.monitor.telling import Emit, Teller
from console.actions.validation import RunProbe
from console.checks.facts import FactStream
from console.config import Config
from console.errors import SevdeckError
from console.incident import outbox
from console.watch.containers import ContainersReading, EngineEvent
from console.watch.probes.result import ProbesReading
from console.watch.readings import Readings
from console.watch.source import Reading

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Seconds. Tests are impatient; hosts get these."""

    sample: float = 10.0
    close: float = 2.0  # while the newest sample is bad: what comes and goes must show before anybody acts
    inspect: float = 30.0
    least: float = 3.0  # between two looks at the containers, whatever the engine tells
    ping: float = PING_EVERY


async def _pause(wake: asyncio.Event, seconds: float) -> None:
    """Until somebody wakes us, or for so long."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(wake.wait(), seconds)


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
    pause: Callable[[asyncio.Event, float], Awaitable[None]] = _pause


class Monitor:
    """One project's monitor. `run` returns after `stop`."""

    def __init__(
        self, config: Config, data_dir: Path, emit: Emit, *, max_level: int | None = None, parts: Parts | None = None
    ) -> None:
        self._config, self._data_dir, self._most = config, data_dir, max_level
        self._parts = parts or Parts()
        self._clock, self._wall = self._parts.clock, self._parts.wall
        self._driver = self._parts.driver or DockerDriver(config.docker)
        self._pulse = Pulse(self._driver, self._clock)
        self._sampler = Sampler(config, self._parts.run_probe, self._clock)
        self._stream = FactStream(config)
        self._hearing: Hearing | None = None
        self._sentinel = Sentinel()
        self._facts: Facts | None = None
        self._looked_at = float("-inf")
        self._look_due = self._sample_due = self._ping_due = float("-inf")  # by the clock
        self._sample: Sample | None = None
        self._sample_wall = self._episode_at = 0.0  # unix seconds
        self._wake, self._stop = asyncio.Event(), asyncio.Event()
        self._ended = "a signal"
        self._faulty = ""
        self._running = False  # somebody's run was under way at the last turn
        self._signed = ("", float("-inf"))  # state and time of the last sign on disk
        told = outbox.channels(config.extra.get("notify", {}))
        self._teller = Teller(data_dir, emit, lambda: self._project, self._wall, config.monitor.metrics_file, told)
        self._recoverer = Recoverer(
            config,
            data_dir,
            self._teller,
            self._sentinel,
            project=lambda: self._project,
            seen=self._seen,
            most=max_level,
            climb=self._parts.climb,
            clock=self._clock,
            wall=self._wall,
        )

    # -- life

    @property
    def _project(self) -> str:
        return self._config.docker.project or (self._facts.project if self._facts is not None else "")

    def stop(self, why: str = "a signal") -> None:
        """End soon. A run that is under way goes on by itself."""
        self._ended = why
        self._stop.set()

    async def run(self) -> None:
        """Watch until `stop`. Raises RefusedError while another monitor watches, OSError where it cannot record."""
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
        """Within a moment, however sick the rest is."""
        self._teller.notifier.stopping()
        waiting = [t for t in (*tasks, self._recoverer.task) if t is not None and not t.done()]
        for task in waiting:
            task.cancel()
        if waiting:
            await asyncio.wait(waiting, timeout=0.5)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._teller.tell("stopped", f"ended by {self._ended}; a run that is under way goes on")
                await self._teller.sign(lambda: self._beat("stopped"))
                await self._sampler.close()
        if self._hearing is not None:
            self._hearing.close()
        self._teller.close()
        self._recoverer.close()
        if self._parts.driver is None:
            self._driver.close()

    async def _live(self) -> None:
        make = self._parts.hearing or (lambda ring: EventHearing(self._config.docker, lambda: self._project, ring))
        self._hearing = make(self._ring)
        await self._teller.tell("started", self._greeting())
        self._teller.notifier.ready()
        while True:
            try:
                await self._turn()
            except SevdeckError as error:
                await self._teller.tell("trouble", str(error))
                await asyncio.sleep(1.0)
            except Exception as error:  # a fault of ours must not leave a host without its monitor
                await self._fault(error)
            await self._rest()

    async def _fault(self, error: Exception) -> None:
        """Said and logged once for each kind: the same one each second would fill a disk in a night."""
        text = f"unexpected {type(error).__name__}; the details are in sevdeck.log"
        if text != self._faulty:
            self._faulty = text
            _log.error("a turn of the monitor", exc_info=error)
            await self._teller.tell("trouble", text)
        await asyncio.sleep(1.0)

    def _greeting(self) -> str:
        most = ceiling.ceiling(self._config, self._most, None, "", self._wall())
        what = f"recovers by itself up to level {most}" if most else "watches only: no level may be run unattended"
        return "; ".join(filter(None, (what, climbing.lowered(self._most, self._config))))

    def _ring(self) -> None:
        """The engine tells of a change: look at once, but not at every one of a hundred."""
        pace = self._parts.rhythm
        self._look_due = min(self._look_due, self._looked_at + pace.least)
        self._sample_due = min(self._sample_due, self._clock() + pace.close)
        self._wake.set()

    async def _rest(self) -> None:
        """Until the next of all that is due."""
        now = self._clock()
        looks = self._look_due if self._pulse.answers else now + 60
        due = min(self._ping_due, looks, self._sample_due)
        await self._parts.pause(self._wake, max(0.02, due - now))
        self._wake.clear()

    # -- one turn

    async def _turn(self) -> None:
        pace, began = self._parts.rhythm, self._clock()
        if self._facts is None:  # probes are told apart by whose ports they knock on
            await self._ping()
            await self._look_if_due()
        # A probe that hangs must not hold up the pings, nor a frozen engine the probes.
        sample, _ = await asyncio.gather(self._ask_if_due(), self._ping())
        await self._look_if_due()
        situation = await self._situation()
        if self._running and not situation.run:  # whoever changed something may have left it contained
            await self._look()
            situation = await self._situation()
        self._running = bool(situation.run)
        await self._tell_all(self._sentinel.step(self._clock(), situation, sample))
        if sample is not None:
            self._sample_due = began + (pace.close if self._sentinel.close_look else pace.sample)
            await self._teller.look_for_incident()
            await self._teller.facts(self._stream.step(self._readings()))
        if self._recoverer.task is not None and self._recoverer.task.done():
            self._look_due = self._sample_due = float("-inf")
            await self._recoverer.finish()
        elif self._sentinel.act(self._clock()):
            await self._begin()
        await self._sign(fresh=sample is not None)

    async def _sign(self, *, fresh: bool) -> None:
        """To systemd at every turn; to the disk, which pays for each, when there is something new or time has passed."""
        state = self._sentinel.state
        why = self._sentinel.suspended or self._sentinel.frozen
        self._teller.notifier.alive(f"{state}: {why}" if why else state)
        if fresh or state != self._signed[0] or self._clock() - self._signed[1] >= self._parts.rhythm.sample:
            self._signed = (state, self._clock())
            await self._teller.sign(lambda: self._beat(state))

    async def _ask_if_due(self) -> Sample | None:
        return await self._ask() if self._clock() >= self._sample_due else None

    async def _look_if_due(self) -> None:
        if self._pulse.answers and self._clock() >= self._look_due:
            await self._look()

    async def _ping(self) -> None:
        if (now := self._clock()) < self._ping_due:
            return
        self._ping_due = now + self._parts.rhythm.ping
        changed = await self._pulse.beat()
        if not changed or self._hearing is None:
            return
        self._hearing.turned(changed == "back", self._pulse.detail)
        if changed == "down":
            words = f"the Docker engine does not answer: {self._pulse.detail}; nothing is begun until it does"
            await self._teller.tell("engine", words, page=True)
            return
        self._look_due = float("-inf")
        if self._facts is not None:
            await self._teller.tell("engine", "the Docker engine answers again")

    async def _look(self) -> None:
        """The containers, containment, what was run before: everything but the probes."""
        first = not self._project or self._facts is None
        self._looked_at = self._clock()
        self._look_due = self._looked_at + self._parts.rhythm.inspect
        self._facts = await (self._parts.look or self._gather)()
        if not self._project:
            await self._teller.tell_once("no Compose project: nothing can be recovered until [docker] project names it")
        elif first:
            memory = await self._teller.remember(lambda known: known)
            if memory.frozen:  # by the monitor before this one
                self._sentinel.frozen = memory.frozen
                await self._teller.tell("frozen", f"still: {memory.frozen}")

    async def _gather(self) -> Facts:
        return await gather.gather(self._config, self._data_dir, seen=self._seen(), driver=self._driver, probing=False)

    def _seen(self) -> Seen:
        return Seen(self._heard())

    def _heard(self) -> tuple[EngineEvent, ...]:
        return self._hearing.events() if self._hearing is not None else ()

    async def _ask(self) -> Sample:
        containers = self._facts.containers if self._facts is not None else ()
        if self._facts is not None and self._sampler.blind(containers):
            words = "no [[probes]] ask what users ask: only the health of the containers is watched"
            await self._teller.tell_once(words)
        known = self._facts is not None and self._facts.engine.up and self._pulse.state == "up"
        self._sample, self._sample_wall = await self._sampler.sample(containers, known), self._wall()
        return self._sample

    async def _situation(self) -> Situation:
        facts, project = self._facts, self._project

        def read() -> tuple[str, str]:
            held = lock.holder(self._data_dir, project) if project else None
            words = lock.describe(project, held, self._wall()) if held is not None else ""
            return words, lock.hold_text(self._data_dir)

        run, hold = await self._teller.to_disk(read, "lock") or ("", "")
        age = self._clock() - self._looked_at
        return Situation(
            self._pulse.state,
            self._pulse.detail,
            run,
            hold,
            facts.contained if facts is not None else (),
            starting(aged(facts.containers, age)) if facts is not None else (),
            self._teller.unwritable,
        )

    async def _begin(self) -> None:
        """Something must be done: decide once more, on fresh facts."""
        await self._look()
        await self._tell_all(self._sentinel.step(self._clock(), await self._situation()))
        if self._sentinel.act(self._clock()):
            await self._teller.look_for_incident()
            self._recoverer.begin()

    async def _tell_all(self, found: list[Happening]) -> None:
        for one in found:
            if one.kind == "opened":
                self._episode_at = self._wall()
                await self._teller.look_for_incident()
                await self._teller.remember(self._seen_bad)
            elif one.kind == "thawed":
                await self._teller.remember(lambda known: known.well(self._wall()))
            elif one.kind == "closed":
                self._episode_at = 0.0
                self._recoverer.calm()
                await self._teller.remember(lambda known: known.well(self._wall()))
            elif one.kind == "resumed":
                self._sample_due = float("-inf")
            await self._teller.tell(one.kind, one.text, page=one.page)
            if one.kind == "flapping":
                await self._capture()

    def _seen_bad(self, known: Attempts) -> Attempts:
        return replace(known, bad_at=self._wall())

    async def _capture(self) -> None:
        """Evidence for the person who is called."""
        if self._facts is None or not self._facts.containers:
            return
        content = await evidence(self._driver, self._facts.containers, self._wall())
        name = "evidence of flapping.json"
        place = await self._teller.to_disk(lambda: self._teller.record.keep(name, content), "evidence")
        words = f"inspect data and last log lines of {len(self._facts.containers)} containers"
        await self._teller.tell("evidence", f"{words}: {place or 'could not be kept'}")

    # -- what is known, for others

    def _readings(self) -> Readings:
        """For the facts of an incident: what the engine told, what the probes said."""
        up = self._facts is not None and self._facts.engine.up
        reading: Reading[Any] = Reading(ContainersReading("", "", (), self._heard()), self._wall()) if up else Reading()
        return Readings(containers=reading, probes=self.probed())

    def probed(self) -> Reading[ProbesReading]:
        """What the probes said last."""
        return Reading(ProbesReading(tuple(self._sampler.results.values())), self._sample_wall)

    def _beat(self, state: str) -> Beat:
        """In the disk's thread: it reads what is armed."""
        now, sample = self._wall(), self._sample
        armed = ceiling.armed_now(self._data_dir, now)
        return Beat(
            stamp(now),
            os.getpid(),
            os.uname().nodename,
            self._project,
            state,
            stamp(self._episode_at) if self._episode_at else "",
            stamp(self._sample_wall) if sample is not None else "",
            sample.ok if sample is not None else None,
            sample.detail if sample is not None else "",
            self._sentinel.suspended,
            self._sentinel.frozen,
            self._teller.incident,
            armed.words(now) if armed is not None else "",
            ceiling.ceiling(self._config, self._most, armed, self._teller.incident, now),
            self._teller.record.words,
        )
