"""What the operations of a step do, and how a look tells whether one was done.

An operation acts once and says what happened; it never repeats itself. Whether to act, to look, or to stop is
the runner's. To add one: a function `act`, a function `look`, a row in `OPERATIONS`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from console.actions import inspecting
from console.actions.action import Standing, Step
from console.actions.engine import EngineDriver, InDoubtError
from console.actions.facts import ServiceContainer
from console.actions.validation import Look
from console.errors import SevdeckError, SourceError
from console.redact import redact, redact_data
from console.watch.engine_api import NoSuchContainerError

_LOG_TAIL = 200
_MISSES = 3  # looks in a row without an answer: the engine is away
_CRASHES = 3  # restarts by the engine while we wait: a crash loop
_GONE = 6  # samples in a row of a container that does not run and that nobody restarts
_EDGE_TRIES = 4  # samples of a failing edge before it is reloaded: it may be between two resolver answers
_EDGE_WAIT = 24  # samples after a reload


class StepFailedError(SevdeckError):
    """The step was tried and did not work; nothing is in doubt."""


class StepSkipped(Exception):
    """Nothing had to be done; the text says why."""


@dataclass(frozen=True, slots=True)
class Context:
    """What operations work with. `interrupted` gives the reason to stop waiting, "" to go on."""

    driver: EngineDriver
    look: Callable[[], Awaitable[Look]]
    save: Callable[[bytes], str]
    edges: Callable[[], tuple[str, ...]]
    interrupted: Callable[[], str] = field(default=lambda: "")
    pace: float = 0.5  # seconds between samples of a gate


Act = Callable[[Context, Step], Awaitable[str]]
LookAt = Callable[[Context, Step], Awaitable[Standing]]


@dataclass(frozen=True, slots=True)
class Operation:
    """`changes` True: silence after it means doubt. `again` True: harmless to repeat without a look."""

    act: Act
    look: LookAt
    changes: bool = True
    again: bool = False


def operation(step: Step) -> Operation:
    """The operation of a step; one that fails and says so where this version does not know it (another's plan)."""
    return OPERATIONS.get(str(step.call.get("op")), _FOREIGN)


async def look_at(ctx: Context, ident: str) -> ServiceContainer | None:
    """The container now; None when it is gone. Raises SourceError when the engine does not answer."""
    try:
        return inspecting.container(await ctx.driver.inspect(ident), time.time())
    except NoSuchContainerError:
        return None


async def _must(ctx: Context, step: Step) -> ServiceContainer:
    found = await look_at(ctx, str(step.call["id"]))
    if found is None:
        raise StepFailedError("the container is gone: somebody removed or replaced it")
    return found


async def _never(ctx: Context, step: Step) -> Standing:
    return Standing.NOT_DONE


# --- evidence ----------------------------------------------------------------------------------------------------


async def _evidence(ctx: Context, step: Step) -> str:
    """What the targets looked like and last said, masked, before anything is touched."""
    ids, names = step.call["ids"], step.call["names"]
    pieces = await asyncio.gather(*(_portrait(ctx, i) for i in ids))
    body = {"taken_at": time.time(), "containers": dict(zip(names, pieces, strict=True))}
    raw = json.dumps(body, ensure_ascii=False, indent=1).encode()
    digest = ctx.save(raw)
    silent = sum(1 for p in pieces if "error" in p)
    missing = f", {silent} could not be read" if silent else ""
    many = "container" if len(ids) == 1 else "containers"
    return f"{len(ids)} {many}{missing}, {max(1, len(raw) // 1024)} KB, sha256 {digest}"


async def _portrait(ctx: Context, ident: str) -> dict[str, Any]:
    try:
        inspect, logs = await asyncio.gather(ctx.driver.inspect(ident), ctx.driver.logs(ident, _LOG_TAIL))
    except SourceError as error:
        return {"error": error.message}
    return {"inspect": redact_data(inspect), "logs": redact(logs).splitlines()}


# --- changes -----------------------------------------------------------------------------------------------------


async def _restart(ctx: Context, step: Step) -> str:
    """Start anew; what is down already is only started. The engine's yes counts when StartedAt moved."""
    before = await _must(ctx, step)
    if before.status in ("exited", "created", "dead"):
        await ctx.driver.start(before.id)
    else:
        await ctx.driver.restart(before.id, int(step.call["t"]))
    after = await _must(ctx, step)
    if after.started_at == before.started_at:
        raise StepFailedError("the engine said it restarted it, but it did not start anew")
    return f"started anew at {after.started_at[:19]}Z"


async def _restarted(ctx: Context, step: Step) -> Standing:
    found = await _must(ctx, step)
    if found.status in ("exited", "created", "dead"):
        return Standing.PARTIAL  # stopped and never started: what an engine leaves that died in between
    return Standing.NOT_DONE if found.started_at == step.call["started_at"] else Standing.DONE


async def _stop(ctx: Context, step: Step) -> str:
    await ctx.driver.stop(str(step.call["id"]), int(step.call["t"]))
    found = await _must(ctx, step)
    if found.status not in ("exited", "created", "dead"):
        raise StepFailedError(f"it is {found.status} after the stop")
    return f"stopped, {found.state}"


async def _stopped(ctx: Context, step: Step) -> Standing:
    found = await _must(ctx, step)
    return Standing.DONE if found.status in ("exited", "created", "dead") else Standing.NOT_DONE


async def _start(ctx: Context, step: Step) -> str:
    await ctx.driver.start(str(step.call["id"]))
    found = await _must(ctx, step)
    return f"{found.status} since {found.started_at[:19]}Z"


async def _started(ctx: Context, step: Step) -> Standing:
    found = await _must(ctx, step)
    return Standing.DONE if found.status in ("running", "restarting") else Standing.NOT_DONE


async def _unpause(ctx: Context, step: Step) -> str:
    if (await _must(ctx, step)).status != "paused":
        raise StepSkipped("it is not paused any more")
    await ctx.driver.unpause(str(step.call["id"]))
    return "unpaused"


async def _unpaused(ctx: Context, step: Step) -> Standing:
    return Standing.NOT_DONE if (await _must(ctx, step)).status == "paused" else Standing.DONE


async def _execute(ctx: Context, step: Step) -> str:
    ran = await ctx.driver.execute(str(step.call["id"]), list(step.call["argv"]), float(step.call["seconds"]))
    if ran.code is None or ran.code in (124, 137):
        raise StepFailedError(f"no answer in {step.call['seconds']:g} s")
    if ran.code in (126, 127):
        raise StepSkipped(f"not possible in this container: {ran.text[:200]}")
    if not ran.ok:
        raise StepFailedError(f"exit {ran.code}: {ran.text[:300]}")
    return ran.text[:300] or "done"


# --- gates -------------------------------------------------------------------------------------------------------


async def _healthy(ctx: Context, step: Step) -> str:
    """Wait until so many samples in a row are well, of one and the same start. A crash loop ends the wait."""
    wanted = int(step.call["samples"])
    good = misses = gone = starts = 0
    last: ServiceContainer | None = None
    began = time.monotonic()
    while time.monotonic() - began < step.timeout:
        reason = ctx.interrupted()
        if reason:
            raise StepSkipped(f"no longer waited for: {reason}")
        try:
            found = await _must(ctx, step)
            misses = 0
        except SourceError as error:
            misses += 1
            if misses >= _MISSES:
                raise InDoubtError(f"the engine stopped answering while we waited: {error.message}") from error
            continue
        anew = last is not None and found.started_at != last.started_at
        starts += anew
        if starts >= _CRASHES:
            raise StepFailedError(f"it crashes again and again: {found.state}")
        gone = gone + 1 if found.status in ("exited", "dead") else 0
        if gone >= _GONE:
            raise StepFailedError(f"it did not stay up: {found.state}")
        good = good + 1 if found.well and not anew else 0
        last = found
        if good >= wanted:
            return f"{found.state} for {wanted} samples, after {time.monotonic() - began:.1f} s"
        await asyncio.sleep(ctx.pace)
    state = f"{last.state}{': ' + last.health_detail if last.health_detail else ''}" if last else "unknown"
    raise StepFailedError(f"not well within {step.timeout:.0f} s: {state}")


async def _reload(ctx: Context, step: Step) -> str:
    """Ask through the edge; where only the edge fails, let it read its configuration and resolve names anew."""
    if not step.call["always"]:
        await _must_reload(ctx)
    ran = await ctx.driver.execute(str(step.call["id"]), ["nginx", "-s", "reload"], float(step.call["seconds"]))
    if ran.code in (126, 127):
        raise StepSkipped(f"the edge is no nginx that can be told to reload: {ran.text[:200]}")
    if not ran.ok:
        raise StepFailedError(f"reload: exit {ran.code}: {ran.text[:300]}")
    for _ in range(_EDGE_WAIT):
        if _edge_answers(await ctx.look(), ctx.edges()):
            return "reloaded; it answers"
        await asyncio.sleep(ctx.pace)
    return "reloaded; it still fails"


async def _must_reload(ctx: Context) -> None:
    """Returns when a reload may help; raises StepSkipped with the reason when not."""
    for attempt in range(_EDGE_TRIES):
        if attempt:
            await asyncio.sleep(ctx.pace)
        answers = _edge_answers(await ctx.look(), ctx.edges())
        if answers is None:
            raise StepSkipped("nothing is asked through the edge: no [[probes]] lead there")
        if answers:
            raise StepSkipped("the edge answers")


def _edge_answers(look: Look, edges: tuple[str, ...]) -> bool | None:
    """Do the probes through the edge answer? None when there are none."""
    through = [p for p in look.probes if p.through_edge and (p.service in edges or not p.service)]
    plain = [p for p in through if not p.business] or through
    return all(p.ok for p in plain) if plain else None


async def _not_known(ctx: Context, step: Step) -> str:
    raise StepFailedError(f"this version of sevdeck does not know how to do it: {step.call.get('op')}")


_FOREIGN = Operation(_not_known, _never, changes=False)
OPERATIONS: dict[str, Operation] = {
    "evidence": Operation(_evidence, _never, changes=False, again=True),
    "restart": Operation(_restart, _restarted),
    "stop": Operation(_stop, _stopped),
    "start": Operation(_start, _started),
    "unpause": Operation(_unpause, _unpaused),
    "exec": Operation(_execute, _never, again=True),
    "healthy": Operation(_healthy, _never, changes=False, again=True),
    "reload": Operation(_reload, _never, again=True),
}
