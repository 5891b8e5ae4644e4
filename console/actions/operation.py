"""What an operation of a step is: it acts once and says what happened, and a look tells whether it was done.

Whether to act, to look, or to stop is the runner's. `console.actions.operations` lists them all.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from console.actions import inspecting
from console.actions.action import Standing, Step
from console.actions.engine import EngineDriver
from console.actions.facts import ServiceContainer
from console.actions.validation import Look
from console.errors import SevdeckError
from console.incident.events import Actor
from console.watch.engine_api import NoSuchContainerError


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
    place: Path  # the run's own directory
    project: str
    actor: Actor
    interrupted: Callable[[], str] = field(default=lambda: "")
    pace: float = 0.5  # seconds between samples of a gate

    async def containers(self) -> tuple[ServiceContainer, ...]:
        """The project's containers now. Raises SourceError when the engine does not answer."""
        return tuple(inspecting.container(d, time.time()) for d in await self.driver.project(self.project))


Act = Callable[[Context, Step], Awaitable[str]]
LookAt = Callable[[Context, Step], Awaitable[Standing]]


@dataclass(frozen=True, slots=True)
class Operation:
    """`changes` True: silence after it means doubt. `again` True: harmless to repeat without a look."""

    act: Act
    look: LookAt
    changes: bool = True
    again: bool = False


async def look_at(ctx: Context, ident: str) -> ServiceContainer | None:
    """The container now; None when it is gone. Raises SourceError when the engine does not answer."""
    try:
        return inspecting.container(await ctx.driver.inspect(ident), time.time())
    except NoSuchContainerError:
        return None


async def must(ctx: Context, step: Step) -> ServiceContainer:
    """The container that the step is about. Raises StepFailedError when it is gone."""
    found = await look_at(ctx, str(step.call["id"]))
    if found is None:
        raise StepFailedError("the container is gone: somebody removed or replaced it")
    return found


async def never(ctx: Context, step: Step) -> Standing:
    """For what leaves no trace to look at."""
    return Standing.NOT_DONE
