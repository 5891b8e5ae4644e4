"""What is due and what is late: a pure function of the incident and the time.

Deadlines come from the severity (`levels`), from promises people made ("next update at") and from checklists.
"""

from __future__ import annotations

from dataclasses import dataclass

from console.incident.levels import LEVELS, MINUTE, Level
from console.incident.records import Incident

CALLOUT = 10 * MINUTE  # alone, the console says this often where things stand
FATIGUE = 120 * MINUTE  # alone for that long, somebody should take over


@dataclass(frozen=True, slots=True)
class Timer:
    """One thing that is due. `name` is stable: ack, commander, update, executive, external, awake, callout,
    relief, handover, review, escalate:<who>, join:<who>, step:<run>:<step>, containment:<id>."""

    name: str
    label: str
    due_at: float

    def left(self, now: float) -> float:
        """Seconds left; negative when it is late."""
        return self.due_at - now

    def overdue(self, now: float) -> bool:
        return now > self.due_at


def timers(incident: Incident, now: float) -> tuple[Timer, ...]:
    """Everything that is due, the most urgent first."""
    level = LEVELS[incident.severity]
    due: list[Timer] = []
    if incident.declared_at is not None and not incident.over:
        due += _naming(incident, level, incident.declared_at)
        due += _telling(incident, level, incident.declared_at, now)
        due += _people(incident, level, now)
        due += _escalations(incident, level, incident.declared_at)
    if incident.status == "resolved" and level.review_draft is not None and "t5" in incident.moments:
        due.append(Timer("review", "draft of the review", incident.moments["t5"].at + level.review_draft))
    if incident.open:
        due += _steps(incident)
        due += [
            Timer(f"containment:{c.id}", f"{c.name} {c.target}".strip() + " expires", c.expires_at)
            for c in incident.active_containment
            if c.expires_at is not None
        ]
    return tuple(sorted(due, key=lambda timer: (timer.due_at, timer.name)))


def next_update(incident: Incident, now: float) -> Timer | None:
    """When people are to be told next, for the incident bar."""
    updates = [t for t in timers(incident, now) if t.name in ("update", "executive", "external")]
    return updates[0] if updates else None


def overdue(incident: Incident, now: float) -> tuple[Timer, ...]:
    """What is late now."""
    return tuple(timer for timer in timers(incident, now) if timer.overdue(now))


def _naming(incident: Incident, level: Level, declared: float) -> list[Timer]:
    due = []
    if "t3" not in incident.moments:
        due.append(Timer("ack", "somebody acknowledges", declared + level.ack))
    if level.commander is not None and not incident.commander:
        due.append(Timer("commander", "a commander is named", declared + level.commander))
    return due


def _telling(incident: Incident, level: Level, declared: float, now: float) -> list[Timer]:
    spans = [
        ("internal", "update", "update people", level.update, level.update),
        ("executive", "executive", "brief executives", level.executive, level.executive),
        ("external", "external", "tell users", level.external_first, level.external),
    ]
    due = []
    for audience, name, words, first, then in spans:
        if first is None or then is None:
            continue
        told = [update for update in incident.updates if update.audience == audience]
        if not told:
            due.append(Timer(name, words, declared + first))
        else:
            promised = told[-1].next_at
            due.append(Timer(name, words, promised if promised is not None else told[-1].at + then))
    return due


def _people(incident: Incident, level: Level, now: float) -> list[Timer]:
    due = []
    if level.reack is not None and incident.last_human_at is not None:
        due.append(Timer("awake", "a sign of life from somebody", incident.last_human_at + level.reack))
    if incident.solo and incident.solo_since is not None:
        rounds = max(0, int((now - incident.solo_since) // CALLOUT))
        due.append(Timer("callout", "say where things stand", incident.solo_since + (rounds + 1) * CALLOUT))
        due.append(Timer("relief", "somebody takes over from you", incident.solo_since + FATIGUE))
    if incident.open_handover is not None:
        offer = incident.open_handover
        due.append(Timer("handover", f"{offer.to} takes the command", offer.at + 5 * MINUTE))
    return due


def _escalations(incident: Incident, level: Level, declared: float) -> list[Timer]:
    due = []
    if "t3" not in incident.moments:
        due += [
            Timer(f"escalate:{step.who}", f"nobody answered: call the {step.who}", declared + step.after)
            for step in level.unacknowledged
        ]
    if "t4" not in incident.moments:
        due += [
            Timer(f"join:{step.who}", f"not mitigated: bring in {step.who}", declared + step.after)
            for step in level.unmitigated
        ]
    return due


def _steps(incident: Incident) -> list[Timer]:
    return [
        Timer(f"step:{run.id}:{step.id}", step.title, step.due_at)
        for run in incident.runs
        for step in run.steps
        if step.due_at is not None and not step.settled
    ]
