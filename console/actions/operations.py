"""The operations of steps on single containers, and the list of all operations there are.

To add one: a function `act`, a function `look`, a row in `OPERATIONS`.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from console.actions import gates, rebuilding, restoring, standin
from console.actions.action import Standing, Step
from console.actions.operation import Context, Operation, StepFailedError, StepSkipped, must, never
from console.errors import SourceError
from console.programs import transcript
from console.redact import redact, redact_data

_LOG_TAIL = 200


def operation(step: Step) -> Operation:
    """The operation of a step; one that fails and says so where this version does not know it (another's plan)."""
    return OPERATIONS.get(str(step.call.get("op")), _FOREIGN)


# --- evidence ----------------------------------------------------------------------------------------------------


async def _evidence(ctx: Context, step: Step) -> str:
    """What the targets looked like and last said, masked, before anything is touched."""
    ids, names = step.call["ids"], step.call["names"]
    pieces = await asyncio.gather(*(_portrait(ctx, i) for i in ids))
    body = {"taken_at": time.time(), "containers": dict(zip(names, pieces, strict=True))}
    raw = json.dumps(body, ensure_ascii=False, indent=1).encode()
    digest = ctx.save(raw)
    transcript.stored(digest, len(raw))
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
    before = await must(ctx, step)
    if before.status in ("exited", "created", "dead"):
        await standin.clear(ctx, (step.target,))
        await ctx.driver.start(before.id)
    else:
        await ctx.driver.restart(before.id, int(step.call["t"]))
    after = await must(ctx, step)
    if after.started_at == before.started_at:
        raise StepFailedError("the engine said it restarted it, but it did not start anew")
    return f"started anew at {after.started_at[:19]}Z"


async def _restarted(ctx: Context, step: Step) -> Standing:
    found = await must(ctx, step)
    if found.status in ("exited", "created", "dead"):
        return Standing.PARTIAL  # stopped and never started: what an engine leaves that died in between
    return Standing.NOT_DONE if found.started_at == step.call["started_at"] else Standing.DONE


async def _stop(ctx: Context, step: Step) -> str:
    await ctx.driver.stop(str(step.call["id"]), int(step.call["t"]))
    found = await must(ctx, step)
    if found.status not in ("exited", "created", "dead"):
        raise StepFailedError(f"it is {found.status} after the stop")
    return f"stopped, {found.state}"


async def _stopped(ctx: Context, step: Step) -> Standing:
    found = await must(ctx, step)
    return Standing.DONE if found.status in ("exited", "created", "dead") else Standing.NOT_DONE


async def _start(ctx: Context, step: Step) -> str:
    await standin.clear(ctx, (step.target,))
    await ctx.driver.start(str(step.call["id"]))
    found = await must(ctx, step)
    return f"{found.status} since {found.started_at[:19]}Z"


async def _started(ctx: Context, step: Step) -> Standing:
    found = await must(ctx, step)
    return Standing.DONE if found.status in ("running", "restarting") else Standing.NOT_DONE


async def _unpause(ctx: Context, step: Step) -> str:
    if (await must(ctx, step)).status != "paused":
        raise StepSkipped("it is not paused any more")
    await ctx.driver.unpause(str(step.call["id"]))
    return "unpaused"


async def _unpaused(ctx: Context, step: Step) -> Standing:
    return Standing.NOT_DONE if (await must(ctx, step)).status == "paused" else Standing.DONE


async def _execute(ctx: Context, step: Step) -> str:
    ran = await ctx.driver.execute(str(step.call["id"]), list(step.call["argv"]), float(step.call["seconds"]))
    if ran.code is None or ran.code in (124, 137):
        raise StepFailedError(f"no answer in {step.call['seconds']:g} s")
    if ran.code in (126, 127):
        raise StepSkipped(f"not possible in this container: {ran.text[:200]}")
    if not ran.ok:
        raise StepFailedError(f"exit {ran.code}: {ran.text[:300]}")
    return ran.text[:300] or "done"


async def _not_known(ctx: Context, step: Step) -> str:
    raise StepFailedError(f"this version of sevdeck does not know how to do it: {step.call.get('op')}")


_FOREIGN = Operation(_not_known, never, changes=False)
OPERATIONS: dict[str, Operation] = {
    "evidence": Operation(_evidence, never, changes=False, again=True),
    "restart": Operation(_restart, _restarted),
    "stop": Operation(_stop, _stopped),
    "start": Operation(_start, _started),
    "unpause": Operation(_unpause, _unpaused),
    "exec": Operation(_execute, never, again=True),
    "healthy": Operation(gates.healthy, never, changes=False, again=True),
    "reload": Operation(gates.reload, never, again=True),
    "prepare_page": Operation(standin.prepare, never, changes=False, again=True),
    "stand_in": Operation(standin.stand_in, standin.is_standing, again=True),
    "keep": Operation(rebuilding.keep, never, again=True),
    "down": Operation(rebuilding.down, rebuilding.is_down, again=True),
    "create": Operation(rebuilding.create, rebuilding.is_created, again=True),
    "up": Operation(rebuilding.up, rebuilding.is_up, again=True),
    "dump": Operation(restoring.dump, never, again=True),
    "check_backup": Operation(restoring.check_backup, never, changes=False, again=True),
    "read_in": Operation(restoring.read_in, never, again=True),
    "compare": Operation(restoring.compare, never, changes=False, again=True),
    "swap": Operation(restoring.swap, restoring.is_swapped),
    "properties": Operation(restoring.properties, never, again=True),
    "swap_back": Operation(restoring.swap_back, restoring.is_swapped_back, again=True),
    "drop_side": Operation(restoring.drop_side, restoring.is_dropped, again=True),
    "aside": Operation(restoring.aside, restoring.is_aside, again=True),
    "aside_back": Operation(restoring.aside_back, restoring.is_aside_back, again=True),
    "globals": Operation(restoring.globals_, never, again=True),
}
