"""One sample of what users get: the probes that go the way users go; without any, the health of the containers.

The probers are kept between samples, so that a look costs no more than the questions themselves.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from console.actions.facts import ServiceContainer
from console.actions.monitor.episode import Sample
from console.actions.roles import place
from console.actions.validation import RunProbe
from console.config import Config, ProbeConfig
from console.text import clean
from console.watch.probes.result import ProbeResult
from console.watch.probes.run import Prober
from console.watch.probes.source import follow

_PATIENCE = 5.0  # seconds beyond the slowest probe's own timeout
_DETAIL = 300


def chosen(config: Config, containers: Sequence[ServiceContainer]) -> tuple[ProbeConfig, ...]:
    """Probes through the edge, and those that do what users do. A certificate's date is no question of service."""
    found = []
    for probe in config.probes:
        direct = place(probe, containers, config)[1]
        if probe.kind != "tls" and (probe.business or not direct):
            found.append(probe)
    return tuple(found)


class Sampler:
    """Asks; keeps the newest answer of each probe in `results`."""

    def __init__(
        self, config: Config, run: RunProbe | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._config, self._run, self._clock = config, run, clock
        self._probers: dict[str, Prober] = {}
        self.results: dict[str, ProbeResult] = {}

    def blind(self, containers: Sequence[ServiceContainer]) -> bool:
        """Nothing is asked from outside: only the health of the containers tells."""
        return not chosen(self._config, containers)

    async def sample(self, containers: Sequence[ServiceContainer], known: bool) -> Sample:
        """What users get now. `known`: `containers` are of now, and not of before the engine fell silent."""
        at = self._clock()
        probes = chosen(self._config, containers)
        if not probes:
            return _by_health(at, containers, known)
        asked = [asyncio.ensure_future(self._ask(p)) for p in probes]
        await asyncio.wait(asked, timeout=max(p.timeout for p in probes) + _PATIENCE)
        found = []
        for probe, answer in zip(probes, asked, strict=True):
            if answer.done() and not answer.cancelled() and answer.exception() is None:
                found.append(answer.result())
                self.results[probe.name] = follow(self.results.get(probe.name), answer.result())
            else:
                answer.cancel()
        return judge(at, found)

    async def _ask(self, probe: ProbeConfig) -> ProbeResult:
        if self._run is not None:
            return await self._run(probe)
        if probe.name not in self._probers:
            self._probers[probe.name] = Prober(probe)
        return await self._probers[probe.name].run()

    async def close(self) -> None:
        for prober in self._probers.values():
            await prober.close()


def judge(at: float, found: Sequence[ProbeResult]) -> Sample:
    """One failure is bad; an answer that nobody could get is neither."""
    failing = [r for r in found if r.ok is False]
    if failing:
        return Sample(at, False, clean("; ".join(f"{r.name}: {r.detail}" for r in failing), _DETAIL))
    answered = [r for r in found if r.ok]
    if not answered:
        return Sample(
            at, None, clean("; ".join(f"{r.name}: {r.detail}" for r in found), _DETAIL) or "no probe answered"
        )
    return Sample(at, True, clean(", ".join(f"{r.name} {r.detail}" for r in answered), _DETAIL))


def _by_health(at: float, containers: Sequence[ServiceContainer], known: bool) -> Sample:
    if not known:
        return Sample(at, None, "the containers are not known")
    ill = [c for c in containers if not (c.well or c.finished or c.stopped_by_hand or c.health == "starting")]
    if ill:
        return Sample(at, False, clean("; ".join(f"{c.name} is {c.state}" for c in ill), _DETAIL))
    return Sample(at, True, f"{len(containers)} containers well; no [[probes]] ask what users ask")


def starting(containers: Sequence[ServiceContainer]) -> tuple[str, ...]:
    """Services within the start period of a first start. One that dies again and again is not starting."""
    return tuple(
        dict.fromkeys(
            c.service or c.name
            for c in containers
            if c.running
            and c.health == "starting"
            and c.check is not None
            and c.uptime is not None
            and c.uptime < c.check.start_period
            and not (c.deaths or c.restarts)
        )
    )


def aged(containers: Sequence[ServiceContainer], seconds: float) -> tuple[ServiceContainer, ...]:
    """The containers as seen `seconds` ago, with their uptime of now."""
    seconds = max(0.0, seconds)
    return tuple(c if c.uptime is None else replace(c, uptime=c.uptime + seconds) for c in containers)
