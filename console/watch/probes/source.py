"""The source "probes": every probe in a task and on a schedule of its own, so that a hung one delays no other."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from console.config import ProbeConfig
from console.watch.probes.result import ProbeResult, ProbesReading
from console.watch.probes.run import Prober
from console.watch.rounds import Round, Rounds
from console.watch.web import Web

_HISTORY = 30


class ProbesSource:
    """`read` never waits: it gives the last result of each probe; `changed` returns when there is a new one."""

    name = "probes"

    def __init__(
        self,
        probes: Iterable[ProbeConfig],
        *,
        trust: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.every = 1.0
        self.deadline = 3.0
        self._web = Web("probes", trust)
        self._probers = [Prober(config, web=self._web, trust=trust, clock=clock) for config in probes]
        self._results: dict[int, ProbeResult] = {}
        self._rounds = Rounds([self._round(place) for place in range(len(self._probers))])

    async def read(self) -> ProbesReading:
        self._rounds.start()
        return self._reading()

    async def read_once(self) -> ProbesReading:
        """Try every probe once, all at the same time, and wait for all: one picture without a schedule."""
        await asyncio.gather(*(self._try(place) for place in range(len(self._probers))))
        return self._reading()

    async def changed(self) -> None:
        await self._rounds.changed()

    async def close(self) -> None:
        await self._rounds.close()
        for prober in self._probers:
            await prober.close()
        await self._web.close()

    def _reading(self) -> ProbesReading:
        for place, prober in enumerate(self._probers):
            if place not in self._results:
                self._results[place] = prober.untried()
        return ProbesReading(tuple(self._results[place] for place in range(len(self._probers))))

    def _round(self, place: int) -> Round:
        async def once() -> float:
            await self._try(place)
            return self._probers[place].config.every

        return once

    async def _try(self, place: int) -> None:
        self._results[place] = follow(self._results.get(place), await self._probers[place].run())


def follow(last: ProbeResult | None, new: ProbeResult) -> ProbeResult:
    """`new` with the history of `last` carried on. A try that could not tell adds nothing to the history."""
    history = last.history if last else ()
    if new.ok is not None:
        history = (*history, new.ok)[-_HISTORY:]
    since = last.since if last and last.ok == new.ok else new.since
    return replace(new, history=history, since=since)
