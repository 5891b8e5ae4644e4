"""What a measure would do, before it is a plan; and why it cannot be done. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from console.actions.action import Step
from console.actions.containment.ground import Ground
from console.actions.facts import ServiceContainer


class CannotError(Exception):
    """Why it must not or cannot be done now, and what would help."""

    def __init__(self, reason: str, help: str = "") -> None:
        super().__init__(reason)
        self.reason, self.help = reason, help


@dataclass(frozen=True, slots=True)
class Draft:
    """What a measure would do. `target`: how it is named from now on; `advice`: what the person should know."""

    target: str
    services: tuple[str, ...]
    steps: tuple[Step, ...]
    effect: str
    containers: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()


def containers_of(ground: Ground, target: str, *, running: bool = True) -> tuple[ServiceContainer, ...]:
    """The containers of the service that was named."""
    if not target:
        raise CannotError("no service was named", f"name one with --target: {known(ground)}")
    found = ground.of(target) or tuple(c for c in ground.containers if c.name == target)
    if not found:
        raise CannotError(f"there is no container of service {target}", f"services here: {known(ground)}")
    chosen = tuple(c for c in found if c.status in ("running", "restarting", "paused")) if running else found
    if not chosen:
        raise CannotError(f"{target} does not run: {found[0].state}", "what is down needs no containment")
    return chosen


def known(ground: Ground) -> str:
    return ", ".join(dict.fromkeys(c.service for c in ground.containers if c.service)) or "none"


def names(containers: tuple[ServiceContainer, ...]) -> tuple[str, ...]:
    return tuple(c.name for c in containers)
