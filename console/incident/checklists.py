"""Checklists in the fold: what was started, and what became of each step."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from console.incident.events import Event
from console.incident.fields import number, text
from console.incident.records import RunState, StepState


class Checklists:
    """Takes the events of checklists in order. `words` gives a text of an event by its last correction."""

    def __init__(self, words: Callable[[Event, str], str]) -> None:
        self._words = words
        self._runs: dict[str, RunState] = {}

    def runs(self) -> list[RunState]:
        return list(self._runs.values())

    def take(self, event: Event, at: float) -> None:
        take = {
            "playbook.started": self._started,
            "step": self._step,
            "step.claimed": self._claimed,
            "note": self._note,
        }[event.kind]
        take(event, at)

    def _started(self, event: Event, at: float) -> None:
        run, steps, phases = text(event, "run"), event.data.get("steps"), event.data.get("phases")
        if run in self._runs or not run:
            return
        self._runs[run] = RunState(
            id=run,
            playbook=text(event, "playbook"),
            title=text(event, "title"),
            version=int(number(event.data, "version") or 0),
            sha256=text(event, "sha256"),
            started_at=at,
            by=event.actor.name,
            phases=tuple(
                (str(phase.get("id", "")), str(phase.get("title", "")))
                for phase in (phases if isinstance(phases, list) else [])
                if isinstance(phase, Mapping)
            ),
            steps=tuple(
                _new_step(step, at) for step in (steps if isinstance(steps, list) else []) if isinstance(step, Mapping)
            ),
        )

    def _step(self, event: Event, at: float) -> None:
        result = event.data.get("result")

        def change(step: StepState) -> StepState:
            return dataclasses.replace(
                step,
                state=text(event, "state"),
                by=event.actor.name,
                at=at,
                reason=text(event, "reason"),
                notes=step.notes + ((self._words(event, "text"),) if text(event, "text") else ()),
                result=result if isinstance(result, Mapping) else step.result,
            )

        self._change_step(event, change)

    def _claimed(self, event: Event, at: float) -> None:
        """The first claim holds until it is given back, or taken over on purpose."""
        who = text(event, "who")

        def change(step: StepState) -> StepState:
            free = not step.claimed_by or not who or event.data.get("take") is True
            return dataclasses.replace(step, claimed_by=who) if free else step

        self._change_step(event, change)

    def _note(self, event: Event, at: float) -> None:
        said = self._words(event, "text")
        self._change_step(event, lambda step: dataclasses.replace(step, notes=(*step.notes, said)))

    def _change_step(self, event: Event, change: Callable[[StepState], StepState]) -> None:
        run = self._runs.get(text(event, "run"))
        if run is not None:
            wanted = text(event, "step")
            steps = tuple(change(step) if step.id == wanted else step for step in run.steps)
            self._runs[run.id] = dataclasses.replace(run, steps=steps)


def _new_step(data: Mapping[str, Any], started: float) -> StepState:
    due = number(data, "due")
    roles = data.get("roles")
    return StepState(
        id=str(data.get("id", "")),
        title=str(data.get("title", "")),
        type=str(data.get("type", "instruction")),
        phase=str(data.get("phase", "")),
        roles=tuple(map(str, roles)) if isinstance(roles, list) else (),
        state="pending",
        due_at=None if due is None else started + due,
        expect=number(data, "expect"),
    )
