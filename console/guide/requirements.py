"""What must hold before a step counts: its `requires`, its `budget`, and which of them nobody here can check.

Pure: the playbook as it was started and the incident as it is. `run` refuses by it, `lint` warns by it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from console.actions.recovery import NAMES as RECOVERY_LEVELS
from console.errors import RefusedError
from console.guide.schema import NO_SUBJECT, Playbook, Step
from console.incident.events import Event
from console.incident.records import Incident, RunState

LEASE = "recovery"  # the one lease there is: a recovery takes the project's lock itself
_WELL_OR_NOT = ("probe:", "role:", "check:")  # evidence that is true or false, not a number


def check(playbook: Playbook, step: Step, run: RunState, incident: Incident) -> None:
    """Raises RefusedError for the first requirement of the step that is known not to hold."""
    for need in step.requires:
        kind, _, what = need.partition(":")
        if kind in ("step", "evidence"):
            _check_step(playbook, step, run, kind, what)
        elif need == f"lease:{LEASE}":
            _check_lease(step, incident)


def _check_step(playbook: Playbook, step: Step, run: RunState, kind: str, what: str) -> None:
    needed, state = playbook.step(what), run.step(what)
    if state is None or state.state != "done":
        raise RefusedError(
            f"{step.id} needs {what} first, which is {state.state if state else 'not there'}",
            remedy=f"Do {what}, or skip {step.id} with a reason",
        )
    if kind == "evidence" and needed is not None and needed.executes and state.result is None:
        raise RefusedError(
            f"{step.id} needs what {what} prints, and {what} was ticked without being run",
            remedy=f"Open {what} again and run it, or skip {step.id} with a reason",
        )


def _check_lease(step: Step, incident: Incident) -> None:
    busy = next((run for run in incident.recoveries if run.state == "started"), None)
    if busy is not None:
        raise RefusedError(
            f"{step.id} has to wait: {busy.title or f'recovery {busy.id}'} is under way (run {busy.id})",
            remedy=f"See `sevdeck recover status {busy.id}`: it must be over, or be resumed",
        )


def check_budget(step: Step, run: str, events: Iterable[Event], now: float) -> None:
    """Raises RefusedError when the step was tried as often as its budget allows, by the events of this checklist."""
    if step.budget is None:
        return
    tries, under_way = _tries(step, run, events)
    recent = [at for at in tries if now - at < step.budget.per]
    if under_way or len(recent) < step.budget.most:  # the end of a try that was allowed to begin is no new one
        return
    free = time.strftime("%H:%M:%S", time.localtime(recent[-step.budget.most] + step.budget.per))
    raise RefusedError(
        f"{step.id} was done {len(recent)} of {step.budget.most} times in {step.budget.per / 60:g} min (next at {free}); "
        "more of the same does not mend it",
        remedy="Go on with another step, or skip this one with a reason",
    )


def _tries(step: Step, run: str, events: Iterable[Event]) -> tuple[list[float], bool]:
    """When each try of the step began, and whether the last one has not ended. A tick alone is a try too."""
    began: list[float] = []
    under_way = False
    for event in events:
        if event.kind != "step" or (event.data.get("run"), event.data.get("step")) != (run, step.id):
            continue
        state = event.data.get("state")
        if state in ("running", "done", "failed", "unknown") and not under_way:
            began.append(event.at)
        under_way = state in ("running", "verifying", "unknown")
    return began, under_way


def warnings(playbook: Playbook) -> Iterator[tuple[Step, str]]:
    """What a playbook asks for and this version cannot do or check, one line for each step and thing."""
    for step in playbook.steps:
        if step.level is not None and step.level not in RECOVERY_LEVELS:
            there = " and ".join(map(str, RECOVERY_LEVELS))
            yield step, f"recovery level {step.level} does not exist yet; there are {there}"
        unknown = [need for need in step.requires if need.startswith("gate:")]
        unknown += [need for need in step.requires if need.startswith("lease:") and need != f"lease:{LEASE}"]
        if unknown:
            yield step, f"nothing here can check {', '.join(unknown)}: a person has to"
        if len(step.suggest_from) > len(step.options):
            yield step, f"suggest_from names {len(step.suggest_from)} subjects for {len(step.options)} options"
        odd = [one for one in step.suggest_from if one != NO_SUBJECT and not one.startswith(_WELL_OR_NOT)]
        if odd:
            yield step, f"suggest_from cannot tell well from not well by {', '.join(odd)}: use probe:, role: or check:"
