"""What a part of a containment is made of: engage, release, look; and what those work with.

An operation acts once and says what happened. Whether to act, to look or to stop is `applying`'s.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from console.actions import inspecting
from console.actions.action import Step
from console.actions.containment.entry import Sight
from console.actions.engine import EngineDriver
from console.actions.facts import ServiceContainer
from console.actions.operation import StepFailedError
from console.config import ProbeConfig
from console.programs.docker import run_docker
from console.programs.running import Ran, run_program
from console.watch.engine_api import NoSuchContainerError
from console.watch.probes import ProbeResult, run_probe

AskProbe = Callable[[ProbeConfig], Awaitable[ProbeResult]]
RunProgram = Callable[[Sequence[str], float, dict[str, str] | None], Awaitable[Ran]]


async def _run(argv: Sequence[str], deadline: float, env: dict[str, str] | None) -> Ran:
    if argv[:1] == ["docker"]:
        return await run_docker(argv[1:], deadline=deadline, env=env)
    return await run_program(argv, deadline=deadline, env=env)


@dataclass(frozen=True, slots=True)
class Tools:
    """What operations work with. `save` keeps evidence and answers its sha256; `run` runs a program of this host."""

    driver: EngineDriver
    save: Callable[[bytes], str]
    run: RunProgram = field(default=_run)
    probe: AskProbe = field(default=run_probe)


Act = Callable[[Tools, Step], Awaitable[str]]
LookAt = Callable[[Tools, Step], Awaitable[Sight]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of change with its way back. `look` says whether it is in force.

    `check` is asked once all parts of this kind were released, and raises StepFailedError where the way back is
    not whole; it answers with what it saw.
    """

    engage: Act
    release: Act
    look: LookAt
    check: Callable[[Tools, Sequence[Step]], Awaitable[str]] | None = None


async def inspected(tools: Tools, step: Step) -> dict[str, Any] | None:
    """The step's container; None when it is gone. Raises SourceError when the engine does not answer."""
    try:
        return await tools.driver.inspect(str(step.call["id"]))
    except NoSuchContainerError:
        return None


async def container(tools: Tools, step: Step) -> ServiceContainer | None:
    found = await inspected(tools, step)
    return None if found is None else inspecting.container(found, time.time())


async def must(tools: Tools, step: Step) -> ServiceContainer:
    found = await container(tools, step)
    if found is None:
        raise StepFailedError("the container is gone: somebody removed or replaced it")
    return found
