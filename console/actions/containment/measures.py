"""The measures, and the operations their parts are made of: two tables.

To add a measure: a function from ground, target and settings to `Draft`, and a row in `MEASURES`. It raises
`CannotError` with the reason, and with what would help.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from console.actions.containment import edge, evidence, host, network, quarantine, service, shielding, state
from console.actions.containment.draft import Draft
from console.actions.containment.ground import Ground
from console.actions.containment.operation import Operation
from console.config import Config

_ALWAYS, _NEVER = 1, 9


@dataclass(frozen=True, slots=True)
class Measure:
    """One row. `level`: from which recovery level on it would be undone silently, so that the level is refused."""

    name: str
    about: str
    target: str  # what --target means
    draft: Callable[[Ground, str, Config], Draft]
    level: int = _ALWAYS
    asks: str = ""  # what a console asks for: service, network, address, limit, "" nothing


OPERATIONS: dict[str, Operation] = {
    "disconnect": network.OPERATION,
    "pause": state.PAUSE,
    "stop": state.STOP,
    "policy": state.POLICY,
    "evidence": evidence.OPERATION,
    "page": edge.PAGE,
    "command": host.COMMAND,
    "up": service.UP,
    "file": host.FILE,
    "limit": service.LIMIT,
    "block": host.BLOCK,
}


MEASURES: dict[str, Measure] = {
    m.name: m
    for m in (
        Measure("isolate", "take a service off its networks; one of them with SERVICE:NETWORK",
                "SERVICE or SERVICE:NETWORK", quarantine.isolate, asks="network"),
        Measure("full-isolation", "keep evidence, then take a service off everything", "SERVICE", quarantine.full_isolation,
                asks="service"),
        Measure("pause", "freeze a service as it is, for forensics", "SERVICE", quarantine.pause, asks="service"),
        Measure("stop-writers", "stop app and workers; edge and database stay up", "none", quarantine.stop_writers),
        Measure("no-restart", "what dies stays down, as it was", "SERVICE", quarantine.no_restart, level=3, asks="service"),
        Measure("maintenance", "the edge answers 503 with a page", "none, or the edge SERVICE", shielding.maintenance),
        Measure("safe-mode", "the app in its safe mode, as configured", "none, or a SERVICE", shielding.safe_mode, level=3),
        Measure("connection-limit", "at most N connections to a database", "DATABASE:N", shielding.connection_limit, level=4,
                asks="limit"),
        Measure("block", "drop what an address sends to containers", "ADDRESS", shielding.block, level=_NEVER,
                asks="address"),
    )
}  # fmt: skip
