"""Asking the probes for a plan: as shortly as possible, and the app itself where only users are not served."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from console.actions.engine import EngineDriver
from console.actions.facts import Facts, ProbeFacts, ServiceContainer
from console.actions.roles import place, roles
from console.actions.router import behind_edge
from console.actions.validation import ProbeRound, RunProbe
from console.config import Config
from console.watch.probes import ProbeResult

PROBE_CAP = 0.8  # seconds: a plan is due within one
_PROMPT = 0.25  # seconds in which a well service answers its probes
_OWN_CHECK = 3.0  # seconds at most for an app's own health check


async def answers(
    config: Config,
    containers: Sequence[ServiceContainer],
    seen: Sequence[ProbeResult],
    engine: EngineDriver,
    run: RunProbe | None,
    cap: float | None,
) -> tuple[ProbeFacts, ...]:
    """What the probes say; where only users fail and no container looks ill, what the app itself says too.

    A plan should not wait for the patience of a probe, unless nothing else tells that something is wrong.
    """
    where = {p.name: place(p, containers, config) for p in config.probes}
    if seen:
        asking = ProbeRound((), lambda p: where[p.name])
        known = tuple(
            ProbeFacts(r.name, r.ok, r.detail, r.latency, r.business, *where[r.name], r.kind)
            for r in seen
            if r.name in where
        )
    else:
        asking, known = ProbeRound(config.probes, lambda p: where[p.name], run), ()
    if not all(c.well or c.finished for c in containers):
        await asking.wait(cap)
        return (*known, *asking.close())
    await asking.wait(_PROMPT)
    direct: asyncio.Future[tuple[ProbeFacts, ...]] | None = None
    if any(p.through_edge and not p.ok for p in (*known, *asking.so_far())):
        direct = asyncio.ensure_future(_ask_apps(config, containers, engine))
    await asking.wait(cap)
    if any(p.through_edge and p.ok is None for p in asking.so_far()):
        await asking.wait()
    probes = (*known, *asking.close())
    if direct is None:
        return probes
    if any(p.ok is False and p.through_edge for p in probes):
        return (*probes, *await direct)
    direct.cancel()
    return probes


async def _ask_apps(
    config: Config, containers: Sequence[ServiceContainer], engine: EngineDriver
) -> tuple[ProbeFacts, ...]:
    """The health check of each app container behind the edge, run now: the engine's verdict lags."""
    facts = Facts(0.0, "", containers=tuple(containers), depends={c.service: c.depends_on for c in containers})
    behind = behind_edge(facts, roles(facts, config))
    apps = [c for c in containers if c.service in behind and c.running and c.check]
    return tuple(await asyncio.gather(*(_ask(engine, c) for c in apps)))


async def _ask(engine: EngineDriver, c: ServiceContainer) -> ProbeFacts:
    began = time.monotonic()
    patience = min(c.check.timeout, _OWN_CHECK) if c.check else _OWN_CHECK
    ran = await engine.execute(c.id, c.check.command if c.check else (), patience)
    ok, detail = _health_words(ran.code)
    return ProbeFacts(f"{c.name} itself", ok, detail, time.monotonic() - began, False, c.service, True)


def _health_words(code: int | None) -> tuple[bool | None, str]:
    if code == 0:
        return True, "its health check passes"
    if code in (126, 127) or code is None:
        return None, "its health check could not be run"
    if code in (124, 137, 143):
        return False, "its health check gives no answer"
    return False, f"its health check fails ({code})"
