"""The post-mortem as data: everything the record knows of one incident, arranged by the sections of a review.

It judges nothing: what only people can say is absent here and marked blank by the templates. The same events
give the same data on every host; times are RFC 3339 in UTC, durations seconds, None unknown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from console.errors import RecordError
from console.incident.events import Actor, Event
from console.incident.journal import Journal
from console.incident.levels import LEVELS
from console.incident.privacy import redacted
from console.incident.records import Entry, Incident
from console.incident.state import fold
from console.incident.verify import verify
from console.redact import redact_data
from console.redact_people import People
from console.tell import flight, response
from console.tell.stamps import rounded, stamp

SCHEMA = "sevdeck.postmortem/v1"
MOMENTS = {
    "t0": "impact start",
    "t1": "detected",
    "t2": "declared",
    "t3": "answered",
    "t4": "mitigated",
    "t5": "resolved",
    "t6": "closed",
}


def report(directory: Path) -> dict[str, Any]:
    """Everything of the incident in this directory. Raises RecordError when it cannot be read."""
    journal = Journal(directory, Actor("sevdeck", via="automatic"))
    events = redacted(journal.events())
    if not events:
        raise RecordError(f"there is nothing recorded in {directory.name}")
    incident = fold(events)
    verdict = verify(directory)
    frozen = list(flight.flights(journal, incident))
    automatic = {entry.data.get("sha256") for entry in incident.timeline if entry.automatic}
    made = {
        "schema": SCHEMA,
        "incident": _header(incident),
        "summary": _summary(incident),
        "impact": _impact(incident),
        "detection": _detection(incident),
        "changes_before": flight.changes_before(incident, frozen),
        "timeline": [_entry(entry, by_id(events)) for entry in incident.timeline],
        "decisions": response.decisions(incident),
        "checklists": [response.checklist(run) for run in incident.runs],
        "containment": [
            {
                "name": c.name,
                "target": c.target,
                "state": c.state,
                "by": c.by,
                "at": stamp(c.at),
                "expires_at": stamp(c.expires_at),
                "ended_at": stamp(c.ended_at),
                "undo": c.undo,
            }
            for c in incident.containment
        ],
        "recoveries": [response.recovery(run, incident) for run in incident.recoveries],
        "comms": response.comms(incident),
        "metrics": [{"name": m.name, "seconds": rounded(m.seconds), "formula": m.formula} for m in incident.metrics],
        "moments": [
            {"id": key, "name": MOMENTS.get(key, key), "at": stamp(m.at), "source": m.source}
            for key, m in incident.moments.items()
        ],
        "flight": flight.summary(frozen),
        "evidence": [
            {
                "name": a.name,
                "kind": a.kind,
                "sha256": a.sha256,
                "size": a.size,
                "by": "sevdeck" if a.sha256 in automatic else a.by,
                "at": stamp(a.at),
                "text": a.text,
            }
            for a in incident.attachments
        ],
        "record": {
            "verified": verdict.ok,
            "entries": verdict.events,
            "head": verdict.head,
            "first_bad": str(verdict.first_bad) if verdict.first_bad else None,
            "writers": [
                {"writer": writer, "entries": seq, "head": head}
                for writer, (seq, head) in sorted(journal.heads().items())
            ],
        },
    }
    # Once more at the gate: a secret may have become known only after it was written down.
    masked: dict[str, Any] = People(_salt(events)).data(redact_data(made))
    return masked


def _salt(events: Iterable[Event]) -> bytes:
    """From all hashes of the record: the same events give the same bytes, and an export names only the last ones."""
    return hashlib.sha256("".join(event.hash for event in events).encode()).digest()


def by_id(events: Iterable[Event]) -> dict[str, Event]:
    return {event.id: event for event in events}


def _header(incident: Incident) -> dict[str, Any]:
    path = [{"at": stamp(c.at), "severity": c.severity, "by": c.by, "reason": c.reason} for c in incident.severity_path]
    review = {"review": "In review", "closed": "Closed"}.get(incident.status, "Draft")
    return {
        "id": incident.id,
        "title": incident.title,
        "severity": incident.severity,
        "severity_path": path,
        "status": incident.status,
        "review": review,
        "drill": incident.drill,
        "declared_at": stamp(incident.declared_at),
        "declared_by": incident.declared_by,
        "roles": dict(sorted(incident.roles.items())),
        "solo": incident.solo,
    }


def _moment(incident: Incident, key: str) -> float | None:
    found = incident.moments.get(key)
    return found.at if found else None


def _summary(incident: Incident) -> list[str]:
    """What the record itself can say, one sentence each."""
    told = []
    level = LEVELS[incident.severity]
    drill = "Drill. " if incident.drill else ""
    told.append(
        f"{drill}{level.label} ({level.name}), declared {_when(incident.declared_at)} by {incident.declared_by or '?'}."
    )
    start, stop, solved = (_moment(incident, key) for key in ("t0", "t4", "t5"))
    if start is not None:
        told.append(f"Impact began {_when(start)} ({incident.moments['t0'].source}).")
    if stop is not None:
        lasted = f" after {_span(stop - start)}" if start is not None else ""
        told.append(f"It was mitigated {_when(stop)}{lasted} ({incident.moments['t4'].source}).")
    elif not incident.over:
        told.append("It is not mitigated yet.")
    if solved is not None:
        told.append(f"It was resolved {_when(solved)}.")
    runs = [run for run in incident.recoveries if run.state not in ("planned", "confirmed")]
    if runs:
        words = ", ".join(f"{run.title or f'level {run.level} {run.service}'.strip()} ({run.state})" for run in runs)
        told.append(f"{len(runs)} recovery attempt{'s' if len(runs) != 1 else ''}: {words}.")
    return told


def _when(at: float | None) -> str:
    return "at an unknown time" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    if minutes:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{rest} s"


def _impact(incident: Incident) -> dict[str, Any]:
    """Seconds at each severity, and what was down for how long."""
    end = _moment(incident, "t5") or _moment(incident, "t6") or max((e.at for e in incident.timeline), default=None)
    spans: dict[str, float] = {}
    path = incident.severity_path
    for number, change in enumerate(path):
        until = path[number + 1].at if number + 1 < len(path) else end
        if until is not None:
            name = f"SEV-{change.severity}"
            spans[name] = spans.get(name, 0.0) + max(0.0, until - change.at)
    start, stop = _moment(incident, "t0"), _moment(incident, "t4")
    seconds = None if start is None or stop is None else max(0.0, stop - start)
    return {
        "seconds": rounded(seconds),
        "seconds_by_severity": {name: rounded(value) for name, value in sorted(spans.items())},
        "down": outages(incident),
    }


def outages(incident: Incident) -> list[dict[str, Any]]:
    """What the probes saw fail: since when, until when (None: never seen well again in this record)."""
    open_: dict[str, Entry] = {}
    found: list[tuple[float, dict[str, Any]]] = []

    def close(subject: str, until: Entry | None) -> None:
        began = open_.pop(subject)
        lasted = None if until is None else rounded(until.at - began.at)
        row = {"subject": subject, "from": stamp(began.at), "to": stamp(until.at) if until else None, "seconds": lasted}
        found.append((began.at, row | {"how": began.summary}))

    for entry in incident.timeline:
        fact, subject = entry.data.get("fact"), str(entry.data.get("subject", ""))
        if fact == "probe.down":
            open_.setdefault(subject, entry)
        elif fact == "probe.up" and subject in open_:
            close(subject, entry)
    for subject in list(open_):
        close(subject, None)
    return [row for _, row in sorted(found, key=lambda pair: (pair[0], pair[1]["subject"]))]


def _detection(incident: Incident) -> dict[str, Any]:
    start, seen, declared = (_moment(incident, key) for key in ("t0", "t1", "t2"))
    detected = incident.moments.get("t1")
    after = None if start is None or seen is None else rounded(max(0.0, seen - start))
    later = None if seen is None or declared is None else rounded(max(0.0, declared - seen))
    return {
        "how": detected.source if detected else None,
        "at": stamp(seen),
        "after_impact_seconds": after,
        "declared_after_seconds": later,
        "text": None if detected is None else _detected(detected.source, detected.at, after, later),
    }


def _detected(how: str, at: float, after: float | None, later: float | None) -> str:
    """How it was noticed, in a sentence or two. A span that rounds to nothing is left out: it tells nobody anything.

    >>> _detected("declared by ana", 0.0, 12.0, 0.0)
    'Declared by ana at 1970-01-01 00:00:00 UTC, 12 s after the impact began.'
    >>> _detected("seen by the console: probe edge fails", 0.0, 0.2, 95.0)
    'Seen by the console: probe edge fails, at 1970-01-01 00:00:00 UTC. Declared 1 min 35 s later.'
    """
    comma = "," if ":" in how else ""
    impact = f", {_span(after)} after the impact began" if after is not None and after >= 0.5 else ""
    declared = f" Declared {_span(later)} later." if later is not None and later >= 0.5 else ""
    return f"{how[:1].upper()}{how[1:]}{comma} at {_when(at)}{impact}.{declared}"


def _entry(entry: Entry, events: Mapping[str, Event]) -> dict[str, Any]:
    event = events.get(entry.id)
    actor = event.actor.as_json() if event else {}
    return {
        "seq": entry.seq,
        "id": entry.id,
        "at": stamp(entry.at),
        "written_at": stamp(entry.written_at),
        "host": entry.host,
        "actor": entry.actor,
        "who": "sevdeck" if entry.automatic else entry.actor,
        "actor_detail": {key: actor[key] for key in ("login", "sudo_user", "ssh", "via") if key in actor},
        "source": "corrected" if entry.amended else "automatic" if entry.automatic else "person",
        "kind": entry.kind,
        "summary": entry.summary,
        "original": entry.original,
        "amended": entry.amended,
        "pinned": entry.pinned,
        "remarks": list(entry.remarks),
        "data": dict(entry.data),
        "hash": entry.hash,
    }
