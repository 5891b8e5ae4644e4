"""The deputy of somebody who is alone: every ten minutes it says where things stand, and has that written down.

A commander should not also be the one who types; at night there is one person. What a deputy would say aloud, the
console says: what is wrong now, what was done since the last time, what is next and what is late.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from console.checks.check import Finding, Status
from console.incident.records import Incident, RunState
from console.incident.timers import CALLOUT, overdue, timers

FRESH = 30.0  # seconds after which a call-out is not made up for: nobody was there to hear it


@dataclass(frozen=True, slots=True)
class CallOut:
    """What is to be said. `number` counts from 1 since the person is alone; `at` in unix seconds."""

    number: int
    at: float
    text: str


def call_out(incident: Incident, findings: Sequence[Finding] | None, now: float) -> CallOut | None:
    """What the deputy says at this moment; None when it is not the minute for it."""
    if incident.over or not incident.solo or incident.solo_since is None:
        return None
    number = int((now - incident.solo_since) // CALLOUT)
    at = incident.solo_since + number * CALLOUT
    if number < 1 or now - at > FRESH:
        return None
    return CallOut(number, at, situation(incident, findings, at, since=at - CALLOUT))


def situation(incident: Incident, findings: Sequence[Finding] | None, now: float, since: float) -> str:
    """Where things stand, in a few sentences."""
    return " ".join([_standing(incident, now), _wrong(findings), _acts(incident, since), *_next(incident, now)])


def _standing(incident: Incident, now: float) -> str:
    minutes = f"{(now - incident.declared_at) / 60:.0f} min" if incident.declared_at is not None else "open"
    return f"SEV-{incident.severity}, {minutes}, {incident.status}."


def _wrong(findings: Sequence[Finding] | None) -> str:
    if findings is None:
        return "Nothing was judged yet."
    causes = [f for f in findings if not f.cause and f.status in (Status.FAIL, Status.WARN)]
    if not causes:
        return "Nothing is found wrong now."
    more = f" and {len(causes) - 1} more" if len(causes) > 1 else ""
    return f"Wrong now: {causes[0].summary}{more}."


def _acts(incident: Incident, since: float) -> str:
    mine = [entry for entry in incident.timeline if entry.at > since and not entry.automatic and entry.kind != "note"]
    if not mine:
        return "No act in the last ten minutes."
    return f"In the last ten minutes {_count(len(mine), 'act')}, last: {mine[-1].summary}."


def _next(incident: Incident, now: float) -> Iterable[str]:
    for run in incident.runs:
        step = next((step for step in run.steps if not step.settled), None)
        if step is not None:
            yield f"{run.settled} of {_steps(run)}; next: {step.title}."
            break
    if incident.active_containment:
        yield f"{_count(len(incident.active_containment), 'containment')} in force."
    late = [timer.label for timer in overdue(incident, now) if not timer.name.startswith("step:")]
    if late:
        yield f"Late: {', '.join(late)}."
    else:
        due = next((t for t in timers(incident, now) if t.name not in ("callout", "relief")), None)
        if due is not None:
            minutes = round(due.left(now) / 60)
            yield f"Due {f'in {minutes} min' if minutes else 'now'}: {due.label}."


def _steps(run: RunState) -> str:
    return f"{_count(len(run.steps), 'step')} of {run.title} settled"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
