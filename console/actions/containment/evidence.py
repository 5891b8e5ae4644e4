"""Evidence before a full isolation: what the container is, runs, said and changed, kept under its hash."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Sequence

from console.actions.action import Step
from console.actions.containment.entry import Sight
from console.actions.containment.operation import Operation, Tools
from console.actions.facts import ServiceContainer
from console.actions.operation import StepFailedError
from console.errors import SevdeckError
from console.redact import redact_data

_LOG_TAIL = 2000
_TIMEOUT = 20.0  # seconds; it comes first, and an isolation must not wait for a sick engine's list of files


def evidence_step(containers: Sequence[ServiceContainer]) -> Step:
    names = " ".join(shlex.quote(c.name) for c in containers)
    return Step(
        "evidence",
        "keep the evidence",
        f"docker inspect {names}; docker top, diff, logs --tail {_LOG_TAIL} (each); docker network inspect",
        {"op": "evidence", "ids": [c.id for c in containers], "names": [c.name for c in containers]},
        expected=0.5,
        timeout=_TIMEOUT,
    )


async def _engage(tools: Tools, step: Step) -> str:
    found = {}
    for ident, name in zip(step.call["ids"], step.call["names"], strict=True):
        found[name] = await tools.driver.portrait(str(ident), _LOG_TAIL)
    body = {"taken_at": time.time(), "containers": redact_data(found)}
    raw = json.dumps(body, ensure_ascii=False, indent=1).encode()
    missing = [f"{name} {part}" for name, one in found.items() for part, got in one.items() if _failed(got)]
    if all(_failed(got) for one in found.values() for got in one.values()):
        raise StepFailedError("nothing of it could be read; isolate goes without evidence")
    try:
        digest = tools.save(raw)
    except SevdeckError as error:
        raise StepFailedError(f"it could not be kept: {error.message}; isolate goes without evidence") from error
    lost = f"; not read: {', '.join(missing)}" if missing else ""
    return f"{max(1, len(raw) // 1024)} KB, sha256 {digest}{lost}"


def _failed(got: object) -> bool:
    return isinstance(got, dict) and set(got) == {"error"}


async def _keep(tools: Tools, step: Step) -> str:
    return "the evidence stays"


async def _look(tools: Tools, step: Step) -> Sight:
    return Sight.UNTOLD


OPERATION = Operation(_engage, _keep, _look)
