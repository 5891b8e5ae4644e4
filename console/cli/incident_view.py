"""An incident as `incident show` gives it: JSON whose keys are a contract, and a page for a person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from console.cli.as_json import as_json, rfc3339
from console.incident.levels import label
from console.incident.records import Entry, Incident, StepState
from console.incident.timers import timers

_MARKS = {"done": "✔", "skipped": "–", "failed": "✖", "expired": "⧗", "unknown": "?", "running": "▶", "verifying": "▶"}


def incident_json(incident: Incident, now: float) -> dict[str, Any]:
    """The fold. Times are RFC 3339, durations seconds, what is not known is null."""
    return {
        "id": incident.id,
        "title": incident.title,
        "severity": incident.severity,
        "status": incident.status,
        "drill": incident.drill,
        "declared_at": _time(incident.declared_at),
        "declared_by": incident.declared_by,
        "commander": incident.commander or None,
        "solo": incident.solo,
        "roles": dict(incident.roles),
        "severity_path": as_json(incident.severity_path),
        "status_path": as_json(incident.status_path),
        "checklist": [
            {"run": run.id, "playbook": run.playbook, **_step(step)} for run in incident.runs for step in run.steps
        ],
        "containment": as_json(incident.containment),
        "recoveries": as_json(incident.recoveries),
        "updates": as_json(incident.updates),
        "attachments": as_json(incident.attachments),
        "metrics": {
            **{_key(measure.name): measure.seconds for measure in incident.metrics},
            "formulas": {_key(measure.name): measure.formula for measure in incident.metrics},
            "moments": {name: as_json(moment) for name, moment in incident.moments.items()},
        },
        "timers": [
            {
                "name": timer.name,
                "label": timer.label,
                "due_at": rfc3339(timer.due_at),
                "overdue": timer.overdue(now),
            }
            for timer in timers(incident, now)
        ],
        "timeline": [_entry(entry) for entry in incident.timeline],
    }


def incident_lines(incident: Incident, now: float) -> Iterator[str]:
    """One page: head, what is due, checklists, timeline."""
    drill = "DRILL " if incident.drill else ""
    yield f"{drill}{label(incident.severity)}  {incident.id}  {incident.title}  [{incident.status}]"
    roles = ", ".join(f"{role} {who}" for role, who in incident.roles.items())
    yield f"declared {_minute(incident.declared_at)} by {incident.declared_by or 'unknown'}; {roles or 'no roles given'}"
    due = [timer for timer in timers(incident, now)][:5]
    for timer in due:
        left = timer.left(now)
        yield f"  {'OVERDUE ' if left < 0 else 'due in '}{span(abs(left))}: {timer.label}"
    for run in incident.runs:
        yield ""
        yield f"{run.title}  {run.settled}/{len(run.steps)}"
        titles = dict(run.phases)
        phase = ""
        for step in run.steps:
            if step.phase != phase:
                phase = step.phase
                yield f"  {titles.get(phase, phase)}"
            yield f"    {_MARKS.get(step.state, '·')} {step.id:<20} {step.title}{f'  ({step.by})' if step.by else ''}"
    for measure in incident.active_containment:
        yield f"containment: {measure.name} {measure.target} since {_minute(measure.at)}"
    yield ""
    day = ""
    for entry in incident.timeline:
        at = rfc3339(entry.at)
        if at[:10] != day:
            day = at[:10]
            yield f"{day} (UTC)"
        pinned = " *" if entry.pinned else ""
        corrected = f"  [corrected {entry.amended}; was: {entry.original}]" if entry.amended else ""
        who = "⚙" if entry.automatic else entry.actor
        yield f"  {entry.seq:>4} {at[11:19]} {who:<12} {entry.summary}{pinned}{corrected}"


def brief(incident: Incident, now: float) -> str:
    """What somebody who takes over must know, from the record alone."""
    lines = [f"{label(incident.severity)} {incident.title}: {incident.status} since {_minute(_status_since(incident))}"]
    start = incident.moments.get("t0")
    stop = incident.moments.get("t4")
    if start is not None:
        ended = f", over since {_minute(stop.at)}" if stop else ", not over"
        lines.append(f"impact since {_minute(start.at)} ({start.source}){ended}")
    lines += [f"{role}: {who}" for role, who in incident.roles.items()]
    lines += [f"recovery {run.title or run.level}: {run.state}" for run in incident.recoveries]
    lines += [f"containment active: {c.name} {c.target}, undo: {c.undo}" for c in incident.active_containment]
    lines += [f"due in {span(t.left(now))}: {t.label}" for t in timers(incident, now) if not t.overdue(now)][:3]
    lines += [f"late by {span(-t.left(now))}: {t.label}" for t in timers(incident, now) if t.overdue(now)]
    if incident.updates:
        last = incident.updates[-1]
        lines.append(f"last {last.audience} update {_minute(last.at)}: {last.text}")
    return "\n".join(lines)


def span(seconds: float) -> str:
    """
    >>> span(65), span(3700)
    ('1:05', '1:01:40')
    """
    whole = int(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def _status_since(incident: Incident) -> float | None:
    return incident.status_path[-1].at if incident.status_path else None


def _key(name: str) -> str:
    return name.lower().replace(" ", "_")


def _time(at: float | None) -> str | None:
    return None if at is None else rfc3339(at)


def _minute(at: float | None) -> str:
    return "unknown" if at is None else rfc3339(at)[11:16] + " UTC"


def _step(step: StepState) -> dict[str, Any]:
    return {
        "step": step.id,
        "title": step.title,
        "type": step.type,
        "phase": step.phase,
        "state": step.state,
        "by": step.by or None,
        "at": _time(step.at),
        "claimed_by": step.claimed_by or None,
        "due_at": _time(step.due_at),
        "reason": step.reason or None,
        "notes": list(step.notes),
        "result": as_json(step.result),
    }


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "seq": entry.seq,
        "id": entry.id,
        "at": rfc3339(entry.at),
        "written_at": rfc3339(entry.written_at),
        "host": entry.host,
        "actor": entry.actor,
        "kind": entry.kind,
        "summary": entry.summary,
        "data": as_json(entry.data),
        "hash": entry.hash,
        "automatic": entry.automatic,
        "pinned": entry.pinned,
        "amended": entry.amended or None,
        "original": entry.original or None,
        "remarks": list(entry.remarks),
    }
