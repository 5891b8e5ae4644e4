"""Operations that wait for an effect: until a container is well, until the edge answers."""

from __future__ import annotations

import asyncio
import time

from console.actions.action import Step
from console.actions.engine import InDoubtError
from console.actions.facts import ServiceContainer
from console.actions.operation import Context, StepFailedError, StepSkipped, must
from console.actions.validation import Look
from console.errors import SourceError

_MISSES = 3  # looks in a row without an answer: the engine is away
_CRASHES = 3  # restarts by the engine while we wait: a crash loop
_GONE = 6  # samples in a row of a container that does not run and that nobody restarts
_EDGE_TRIES = 4  # samples of a failing edge before it is reloaded: it may be between two resolver answers
_EDGE_WAIT = 24  # samples after a reload


async def healthy(ctx: Context, step: Step) -> str:
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
            found = await must(ctx, step)
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


async def reload(ctx: Context, step: Step) -> str:
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
