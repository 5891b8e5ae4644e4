"""What changed the host, in the fold: recoveries with their steps, and temporary measures with their way back."""

from __future__ import annotations

import dataclasses

from console.incident.events import Event
from console.incident.fields import number, text
from console.incident.records import Containment, RecoveryRun, RecoveryStep


class Interventions:
    """Takes the events of recoveries and containment in order."""

    def __init__(self) -> None:
        self._recoveries: dict[str, RecoveryRun] = {}
        self._containment: dict[str, Containment] = {}

    def recoveries(self) -> list[RecoveryRun]:
        return list(self._recoveries.values())

    def containment(self) -> list[Containment]:
        return list(self._containment.values())

    def take(self, event: Event, at: float) -> None:
        if event.kind == "containment":
            self._contain(event, at)
        else:
            self._recovery(event, at)

    def _contain(self, event: Event, at: float) -> None:
        id, state = text(event, "containment"), text(event, "state")
        known = self._containment.get(id)
        if known is None:
            known = Containment(
                id=id,
                name=text(event, "name"),
                target=text(event, "target"),
                state=state,
                by=event.actor.name,
                at=at,
                expires_at=number(event.data, "expires_at"),
                undo=text(event, "undo"),
                ended_at=None,
            )
        expires = number(event.data, "expires_at")
        self._containment[id] = dataclasses.replace(
            known,
            state=state,
            expires_at=known.expires_at if expires is None else expires,
            ended_at=at if state == "undone" else None,
        )

    def _recovery(self, event: Event, at: float) -> None:
        run = text(event, "run")
        known = self._recoveries.get(run)
        level = number(event.data, "level")
        if known is None:
            known = RecoveryRun(run, None, "", "", "", event.actor.name, event.actor.host, at, None, (), None, None)
        if event.kind == "recovery.step":
            known = dataclasses.replace(known, steps=_with_step(known.steps, event, at))
        elif event.kind == "recovery.validation":
            known = dataclasses.replace(known, validation=event.data)
        elif event.kind == "recovery.observation":
            known = dataclasses.replace(known, observation=event.data)
        else:
            state = text(event, "state")
            known = dataclasses.replace(
                known,
                level=known.level if level is None else int(level),
                service=text(event, "service") or known.service,
                title=text(event, "title") or known.title,
                state=state,
                started_at=at if state == "started" else known.started_at,
                ended_at=None if state in ("planned", "confirmed", "started") else at,
            )
        self._recoveries[run] = known


def _with_step(steps: tuple[RecoveryStep, ...], event: Event, at: float) -> tuple[RecoveryStep, ...]:
    id = text(event, "step")
    before = next((step for step in steps if step.id == id), None)
    code = number(event.data, "exit")
    now = RecoveryStep(
        id=id,
        title=text(event, "title") or (before.title if before else ""),
        state=text(event, "state"),
        at=at,
        text=text(event, "text"),
        took=number(event.data, "took"),
        before=_state(event, "before") or (before.before if before else ""),
        after=_state(event, "after"),
        exit=None if code is None else int(code),
        sha256=text(event, "sha256"),
    )
    return tuple(now if step.id == id else step for step in steps) if before else (*steps, now)


def _state(event: Event, when: str) -> str:
    """State of the step's container before or after it, "" where there was none."""
    found = event.data.get(when)
    return str(found.get("state") or "") if isinstance(found, dict) else ""
