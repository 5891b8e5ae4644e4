"""How far a checklist is: which steps are to be done now, which way was taken, whether it is over.

Pure: the playbook as it was started, and the steps' states from the fold.
"""

from __future__ import annotations

from dataclasses import dataclass

from console.guide.schema import Branch, Playbook, Step
from console.incident.records import RunState, StepState


@dataclass(frozen=True, slots=True)
class Progress:
    """`path`: steps on the way so far, in order. `open`: those of them that are not settled.

    `ended`: the way has come to its end. `onward`: the playbook that takes over, "".
    """

    path: tuple[str, ...]
    open: tuple[str, ...]
    ended: bool
    onward: str

    def on_path(self, step: str) -> bool:
        return step in self.path


def progress(playbook: Playbook, run: RunState) -> Progress:
    """Follow the way from the first step. A step that decides where to go must be settled before the way goes on."""
    states = {step.id: step for step in run.steps}
    path: list[str] = []
    onward = ""
    ended = False
    place: Step | None = playbook.steps[0] if playbook.steps else None
    while place is not None and place.id not in path:
        path.append(place.id)
        branch = _way(place, states.get(place.id))
        if branch is None:
            break
        if branch.playbook or place.terminal:
            onward, ended = branch.playbook, True
            break
        place = playbook.step(branch.goto) if branch.goto else _after(playbook, place)
        ended = place is None
    open_ = tuple(id for id in path if (state := states.get(id)) is None or not _settled(playbook, state))
    return Progress(tuple(path), open_, ended and not open_, onward)


def _way(step: Step, state: StepState | None) -> Branch | None:
    """Where the way leads from a step; None while that is not decided."""
    now = state.state if state else "pending"
    if step.type == "decision":
        if now in ("done", "expired") and state is not None:
            result = state.result or {}
            return Branch(str(result.get("goto") or ""), str(result.get("playbook") or ""))
        return Branch() if now == "skipped" else None
    if now == "failed" and step.on_failure is not None:
        return step.on_failure
    if now == "done":
        return step.on_success or Branch()
    if now in ("skipped", "expired", "undone"):
        return Branch()
    return None if step.on_success or step.on_failure else Branch()


def _after(playbook: Playbook, step: Step) -> Step | None:
    place = playbook.steps.index(step) + 1
    return playbook.steps[place] if place < len(playbook.steps) else None


def _settled(playbook: Playbook, state: StepState) -> bool:
    """A failed step is settled only when the playbook says what comes after the failure."""
    if state.settled:
        return True
    step = playbook.step(state.id)
    return state.state == "failed" and step is not None and step.on_failure is not None
