"""What other people did to the incident that concerns this one, in words: the difference of two folds. Pure."""

from __future__ import annotations

from console.incident.levels import label
from console.incident.records import Incident


def news(before: Incident, after: Incident, me: str) -> list[str]:
    """Sentences, the most pressing first. `me`: the name that this person's own entries carry."""
    if before.id != after.id:
        return []
    return [
        *_handover(before, after, me),
        *_claims(before, after, me),
        *(
            f"{change.by}: {label(change.severity)}{_because(change.reason)}"
            for change in after.severity_path[len(before.severity_path) :]
            if change.by != me
        ),
        *(
            f"{change.by}: {change.status}{_because(change.reason)}"
            for change in after.status_path[len(before.status_path) :]
            if change.by != me
        ),
        *_recoveries(before, after, me),
        *_people(before, after, me),
    ]


def _handover(before: Incident, after: Incident, me: str) -> list[str]:
    known = {offer.offer: offer.state for offer in before.handovers}
    said = []
    for offer in after.handovers:
        if offer.state == known.get(offer.offer):
            continue
        if offer.state == "offered" and offer.to == me:
            said.append(f"{offer.by} hands the command over to you: H answers")
        elif offer.state != "offered" and offer.by == me != offer.to:
            said.append(f"{offer.to} {offer.state} the command")
    return said


def _claims(before: Incident, after: Incident, me: str) -> list[str]:
    """Steps that were this person's here and are somebody else's, who was first in the order of all."""
    mine = {(run.id, step.id) for run in before.runs for step in run.steps if step.claimed_by == me}
    return [
        f"{step.claimed_by} is on “{step.title}”, not you"
        for run in after.runs
        for step in run.steps
        if (run.id, step.id) in mine and step.claimed_by not in ("", me) and not step.settled
    ]


def _recoveries(before: Incident, after: Incident, me: str) -> list[str]:
    known = {run.id: run.state for run in before.recoveries}
    return [
        f"{run.by}{f' on {run.host}' if run.host else ''}: {run.title} {run.state}"
        for run in after.recoveries
        if run.by != me and run.state in ("started", "ok", "failed", "rolled_back", "unknown")
        if known.get(run.id) != run.state
    ]


def _people(before: Incident, after: Incident, me: str) -> list[str]:
    known = {(person.name, person.host) for person in before.people if person.here}
    return [
        f"{person.name} is here, on {person.host}"
        for person in after.people
        if person.here and person.name != me and (person.name, person.host) not in known
    ]


def _because(reason: str) -> str:
    return f", {reason}" if reason else ""
