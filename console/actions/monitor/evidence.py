"""What every container looked like and last said, masked: for the person who is called."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from console.actions.engine import EngineDriver
from console.actions.facts import ServiceContainer
from console.errors import SourceError
from console.redact import redact, redact_data

_PATIENCE = 5.0  # seconds for all of it
_LOG_TAIL = 200
_MOST = 60  # containers


async def evidence(driver: EngineDriver, containers: Sequence[ServiceContainer], now: float) -> bytes:
    """JSON: `taken_at` and, by container, inspect data and the last log lines, or why there are none. Never raises."""
    chosen = containers[:_MOST]
    asked = [asyncio.ensure_future(_portrait(driver, c.id)) for c in chosen]
    await asyncio.wait(asked, timeout=_PATIENCE)
    pieces = {}
    for container, answer in zip(chosen, asked, strict=True):
        if not answer.done():
            answer.cancel()
        done = answer.done() and not answer.cancelled() and answer.exception() is None
        pieces[container.name] = answer.result() if done else {"error": f"no answer in {_PATIENCE:g} s"}
    return json.dumps({"taken_at": now, "containers": pieces}, ensure_ascii=False, indent=1).encode("utf-8", "replace")


async def _portrait(driver: EngineDriver, ident: str) -> dict[str, Any]:
    try:
        inspect, logs = await asyncio.gather(driver.inspect(ident), driver.logs(ident, _LOG_TAIL))
    except SourceError as error:
        return {"error": error.message}
    return {"inspect": redact_data(inspect), "logs": redact(logs).splitlines()}
