"""The monitor's climbs: one at a time, in a task of its own, under the ceiling of this moment."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from console.actions import ceiling, lock
from console.actions import climb as climbing
from console.actions.climb import Climbed, Ways
from console.actions.gather import Seen
from console.actions.monitor.sentinel import Happening, Sentinel
from console.actions.monitor.telling import Teller
from console.config import Config
from console.errors import SevdeckError
from console.watch.lane import Lane

_LETTING_GO = 20  # looks, a tenth of a second apart

Climb = Callable[[Config, Ways], Awaitable[Climbed]]


class Recoverer:
    """Begins a climb, and tells what became of it. Cancelling it never ends a run that is under way."""

    def __init__(
        self,
        config: Config,
        data_dir: Path,
        teller: Teller,
        sentinel: Sentinel,
        *,
        project: Callable[[], str],
        seen: Callable[[], Seen],
        most: int | None,
        climb: Climb,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._config, self._data_dir, self._teller, self._sentinel = config, data_dir, teller, sentinel
        self._project, self._seen, self._most, self._climb = project, seen, most, climb
        self._clock, self._wall = clock, wall
        self._lane = Lane("monitor-start")
        self._said = ""  # the last reason to wait, so that it is not said every 15 s
        self._telling: set[asyncio.Task[None]] = set()
        self.task: asyncio.Task[Climbed] | None = None

    def begin(self) -> None:
        self._sentinel.begin()
        self.task = asyncio.ensure_future(self._alone())

    def ceiling(self) -> int:
        """The highest level that may be run by itself now. Reads the disk."""
        now = self._wall()
        armed = ceiling.armed_now(self._data_dir, now)
        return ceiling.ceiling(self._config, self._most, armed, self._teller.incident, now)

    async def finish(self) -> None:
        """When the climb is over: tell it, and freeze where a person is needed. Else nothing."""
        if self.task is None or not self.task.done():
            return
        task, self.task = self.task, None
        try:
            ended = task.result()
        except SevdeckError as error:  # it could not be started: locked, unrecordable. Tried again, with backoff.
            ended = Climbed("waiting", error.message, error.remedy)
        except OSError as error:
            ended = Climbed("waiting", f"nothing can be recorded: {error.strerror}")
        if ended.rungs:
            await self._let_go(ended.rungs[-1].run_id)
        freeze = ended.text if ended.page else ""
        if ended.verdict == "cancelled":
            freeze = f"{ended.reason}; it is left to the person who stopped it"
        await self._told(ended, self._sentinel.end(self._clock(), freeze, page=ended.page))
        self._said = ended.text
        if freeze:
            await self._teller.remember(lambda known: known if known.frozen else known.froze(freeze, self._wall()))

    def calm(self) -> None:
        """The episode is over: the next reason to wait is news again."""
        self._said = ""

    def close(self) -> None:
        self._lane.close()

    async def _alone(self) -> Climbed:
        ways = climbing.real_ways(
            self._config,
            self._data_dir,
            self._teller.record.actor,
            incident=self._teller.incident,
            ceiling=self.ceiling,
            project=self._project,
            lane=self._lane,
            seen=self._seen,
        )
        ways = replace(ways, say=self._say, go_on=lambda: self._sentinel.suspended, wall=self._wall)
        with climbing.alone(self._data_dir, f"the monitor (pid {os.getpid()})"):
            return await self._climb(self._config, ways)

    def _say(self, text: str) -> None:
        task = asyncio.ensure_future(self._teller.tell("climb", text))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _told(self, ended: Climbed, happened: list[Happening]) -> None:
        levels = [{"level": r.level, "service": r.service, "run": r.run_id, "outcome": r.outcome} for r in ended.rungs]
        more: dict[str, Any] = {"levels": levels} if levels else {}
        if ended.verdict == "mended":
            words, last = ", then ".join(r.title for r in ended.rungs), ended.rungs[-1]
            await self._teller.tell(
                "recovered", f"{words}: {last.reason if last.outcome == 'ok' else ended.reason}", **more
            )
        elif not happened and ended.text != self._said:
            await self._teller.tell("waiting", ended.text, **more)
        for one in happened:
            await self._teller.tell(one.kind, one.text, page=one.page, **more)

    async def _let_go(self, run_id: str) -> None:
        """A run that is over holds the project for another moment; that is nobody else's run."""
        for _ in range(_LETTING_GO):
            held = await self._teller.to_disk(lambda: lock.holder(self._data_dir, self._project()), "lock")
            if held is None or held.run_id != run_id:
                return
            await asyncio.sleep(0.1)
