"""Who else changes the stack while a run is at work: a person's Compose, watchtower, autoheal.

The lock keeps other runs of sevdeck away and nobody else. The engine does not say who asked for a change, so
whatever happened to the project's containers and was no part of our own steps is a stranger's.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from console.actions.action import Step
from console.actions.engine import EngineDriver
from console.errors import SourceError
from console.text import clean

# `die` and the `start` after it are the engine's restart policy; a `kill` may be a signal that rotates a log.
_CHANGES = {"create", "destroy", "stop", "restart", "start", "pause", "unpause", "rename", "update"}
_OURS = {
    "restart": {"stop", "restart", "start"},
    "stop": {"stop"},
    "start": {"start"},
    "unpause": {"unpause"},
    "down": {"stop", "destroy"},
    "create": {"create", "stop", "destroy", "rename"},
    "up": {"create", "start", "stop", "destroy", "rename", "restart"},
}
_BACKOFF = 65.0  # seconds; the engine waits up to a minute before it starts anew what died
_EDGE = 1.0  # seconds by which the engine's stamp of an event may lie outside our own measure of the step
_NANO = 1_000_000_000


class Strangers:
    """Reads the engine's events between the steps of one run. `since`: unix seconds of the run's begin."""

    def __init__(self, driver: EngineDriver, project: str, since: float) -> None:
        self._driver, self._project = driver, project
        self._begun, self._since = since, since - _BACKOFF
        self._ours: list[tuple[float, float, Step]] = []
        self._known: set[tuple[int, str, str]] = set()
        self._died: set[str] = set()  # ids of containers that ended by themselves: the engine may start them anew

    def did(self, step: Step, began: float, ended: float) -> None:
        """What happens to the step's containers in this time was asked for by us."""
        self._ours.append((began - _EDGE, ended + _EDGE, step))

    async def seen(self) -> str:
        """What strangers did since the last call, in words; "" for nothing, or when the engine does not say."""
        until = time.time()
        try:
            events = await self._driver.events(self._project, self._since, until)
        except SourceError:
            return ""
        self._since = max(self._since, until - 2 * _EDGE)
        said = self._told(events)
        self._ours = [mine for mine in self._ours if mine[1] > self._since]
        return ", ".join(said[:3]) + (f" and {len(said) - 3} more" if len(said) > 3 else "")

    def _told(self, events: Sequence[Mapping[str, Any]]) -> list[str]:
        said: list[str] = []
        for event in events:
            at, action, actor = event.get("timeNano"), str(event.get("Action")), event.get("Actor") or {}
            ident = str(actor.get("ID", ""))
            if action == "die":
                self._died.add(ident)
            elif action == "stop":  # it follows the death that somebody asked for
                self._died.discard(ident)
            if not isinstance(at, int) or action not in _CHANGES or (at, action, ident) in self._known:
                continue
            if at / _NANO < self._begun:  # the engine counts whole seconds: those of a worker before us come along
                continue
            self._known.add((at, action, ident))
            about = actor.get("Attributes") or {}
            service = str(about.get("com.docker.compose.service", ""))
            by_engine = action == "start" and ident in self._died
            if not by_engine and not any(_is_ours(mine, at / _NANO, action, ident, service) for mine in self._ours):
                said.append(f"{clean(str(about.get('name', ident[:12])), 100)}: {action}")
        return list(dict.fromkeys(said))


def _is_ours(mine: tuple[float, float, Step], at: float, action: str, ident: str, service: str) -> bool:
    began, ended, step = mine
    if not began <= at <= ended or action not in _OURS.get(str(step.call.get("op")), ()):
        return False
    # Compose brings up what a service needs as well, so its steps stand for the whole project.
    return step.call.get("id") in (ident, None)
