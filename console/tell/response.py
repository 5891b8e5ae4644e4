"""What people and recoveries did in an incident: decisions, checklists, recovery attempts, updates to people."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from console.incident.levels import LEVELS
from console.incident.records import Entry, Incident, RecoveryRun, RunState, Update
from console.tell.stamps import rounded, stamp

_DECISIONS = ("severity", "status", "role", "handover.accepted", "handover.declined", "containment")
_BACK = ("container.start", "container.restart", "container.unpause")  # news that end the bad ones before


def decisions(incident: Incident) -> list[dict[str, Any]]:
    """What people decided, and what was known to be wrong at that moment."""
    bad: dict[str, str] = {}
    found = []
    for entry in incident.timeline:
        if entry.kind == "fact":
            subject = _about(entry)
            if entry.data.get("bad") is True:
                bad[subject] = entry.summary
            elif entry.data.get("bad") is False or entry.data.get("fact") in _BACK:
                bad.pop(subject, None)
        elif _is_decision(entry):
            by = str(entry.data.get("by") or entry.actor) if entry.kind == "recovery.run" else entry.actor
            found.append({"at": stamp(entry.at), "by": by, "what": entry.summary, "known": sorted(bad.values())})
    return found


def _about(entry: Entry) -> str:
    """What a fact is about, the same for its bad and its good news."""
    kind = str(entry.data.get("fact", "")).split(".")[0]
    return str(entry.data.get("key") or f"{kind}:{entry.data.get('subject', '')}")


def _is_decision(entry: Entry) -> bool:
    if entry.kind == "recovery.run":
        # The runner writes it, a person confirmed it.
        return entry.data.get("state") in ("started", "cancelled")
    return entry.kind == "declared" or (entry.kind in _DECISIONS and not entry.automatic)


def checklist(run: RunState) -> dict[str, Any]:
    names = dict(run.phases)
    return {
        "playbook": run.playbook,
        "title": run.title,
        "version": run.version,
        "sha256": run.sha256,
        "started_at": stamp(run.started_at),
        "by": run.by,
        "settled": run.settled,
        "total": len(run.steps),
        "steps": [
            {
                "id": step.id,
                "title": step.title,
                "phase": names.get(step.phase, step.phase),
                "state": step.state,
                "by": step.by,
                "at": stamp(step.at),
                "due_at": stamp(step.due_at),
                "late_seconds": _late(step.at, step.due_at, step.settled),
                "reason": step.reason,
                "notes": list(step.notes),
                "result": _result(step.result),
            }
            for step in run.steps
        ],
    }


def _late(at: float | None, due: float | None, settled: bool) -> float | None:
    return rounded(at - due) if settled and at is not None and due is not None and at > due else None


def _result(result: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if result is None else {str(key): value for key, value in result.items()}


def recovery(run: RecoveryRun, incident: Incident) -> dict[str, Any]:
    planned = next(
        (e for e in incident.timeline if e.kind == "recovery.run" and e.data.get("run") == run.id and "plan" in e.data),
        None,
    )
    last = [e for e in incident.timeline if e.kind == "recovery.run" and e.data.get("run") == run.id][-1:]
    return {
        "run": run.id,
        "level": run.level,
        "service": run.service,
        "title": run.title,
        "plan": planned.data.get("plan") if planned else None,
        "outcome": run.state,
        "reason": str(last[0].data.get("reason") or last[0].data.get("text") or "") if last else "",
        "by": str(planned.data.get("by") or run.by) if planned else run.by,
        "started_at": stamp(run.started_at),
        "ended_at": stamp(run.ended_at),
        "seconds": None if run.ended_at is None else rounded(run.ended_at - run.started_at),
        "steps": [
            {
                "id": s.id,
                "title": s.title,
                "state": s.state,
                "at": stamp(s.at),
                "text": s.text,
                "took": rounded(s.took),
                "command": _command(incident, run.id, s.id),
                "before": s.before,
                "after": s.after,
                "exit": s.exit,
                "output_sha256": s.sha256,
            }
            for s in run.steps
        ],
        "validation": _plain(run.validation),
        "observation": _plain(run.observation),
    }


def _command(incident: Incident, run: str, step: str) -> str:
    for entry in incident.timeline:
        if entry.kind == "recovery.step" and (entry.data.get("run"), entry.data.get("step")) == (run, step):
            command = entry.data.get("command")
            if command:
                return " ".join(map(str, command)) if isinstance(command, list) else str(command)
    return ""


def _plain(data: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if data is None else {key: value for key, value in data.items() if key != "run"}


def comms(incident: Incident) -> dict[str, Any]:
    """What people were told, and every stretch of silence longer than the severity allows."""
    sent = [
        {
            "at": stamp(u.at),
            "by": u.by,
            "audience": u.audience,
            "channel": u.channel,
            "text": u.text,
            "next_at": stamp(u.next_at),
        }
        for u in incident.updates
    ]
    return {"sent": sent, "silences": _silences(incident, incident.updates)}


def _silences(incident: Incident, updates: Sequence[Update]) -> list[dict[str, Any]]:
    resolved = incident.moments.get("t5")
    end = resolved.at if resolved else max((e.at for e in incident.timeline), default=None)
    due = LEVELS[incident.severity].update
    if incident.declared_at is None or end is None or due is None:
        return []
    times = [incident.declared_at, *(u.at for u in updates if incident.declared_at <= u.at <= end), end]
    found = []
    for begin, until in itertools.pairwise(times):
        if until - begin > due:
            found.append({"from": stamp(begin), "to": stamp(until), "seconds": rounded(until - begin), "allowed": due})
    return found
