"""The flight recorder's part of a report: the readings that were frozen, the state before, what changed before."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from console.errors import RecordError
from console.incident.events import Actor, short
from console.incident.journal import Journal
from console.incident.records import Incident
from console.incident.state import fold
from console.redact import redact_data
from console.tell.stamps import stamp

_TRANSITIONS = 60  # shown; the rest is in the frozen file
_LOG_LINES = 25
_CHANGES = ("create", "start", "stop", "restart", "update", "destroy", "pause", "kill", "die", "oom")


def flight_records(directory: Path) -> list[dict[str, Any]]:
    """The frozen readings of the incident, oldest first; those that cannot be read are left out."""
    journal = Journal(directory, Actor("sevdeck", via="automatic"))
    return [redact_data(one) for _, one in flights(journal, fold(journal.events()))]


def changes_before(incident: Incident, frozen_ones: Sequence[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    """What was started, created or changed in the hour before the impact: the suspects for the trigger."""
    impact = incident.moments.get("t0")
    start = impact.at if impact else incident.declared_at
    if start is None:
        return []
    seen: dict[tuple[float, str, str], dict[str, Any]] = {}
    for _, frozen in frozen_ones:
        for event in _list(frozen, "events"):
            at, action = event.get("at"), str(event.get("action", ""))
            wanted = action in (
                "create",
                "start",
                "stop",
                "restart",
                "update",
                "destroy",
                "pause",
                "kill",
                "die",
                "oom",
            )
            if isinstance(at, int | float) and start - 3600 <= at <= start + 1 and (wanted or "network" in action):
                name = str(event.get("service") or event.get("name") or "")
                detail = str(event.get("detail", ""))
                seen[(float(at), name, action)] = {
                    "at": stamp(at),
                    "subject": name,
                    "what": f"{action} {detail}".strip(),
                }
    return [seen[key] for key in sorted(seen)][-40:]


def flights(journal: Journal, incident: Incident) -> Iterable[tuple[str, dict[str, Any]]]:
    for attachment in incident.attachments:
        if attachment.kind != "flight":
            continue
        try:
            frozen = json.loads(journal.blob(attachment.sha256))
        except (RecordError, ValueError):
            continue  # the manifest names it; that it is missing shows there
        if isinstance(frozen, dict):
            yield attachment.sha256, frozen


def _list(data: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    value = data.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def summary(frozen_ones: Sequence[tuple[str, dict[str, Any]]]) -> dict[str, Any] | None:
    """The state when the incident was declared and the way there; None when nothing was frozen."""
    if not frozen_ones:
        return None
    sha256, frozen = frozen_ones[0]
    changes = sorted(_list(frozen, "transitions"), key=lambda t: float(t.get("at") or 0.0))
    return {
        "sha256": sha256,
        "short": short(sha256),
        "from": stamp(frozen.get("from")),
        "to": stamp(frozen.get("to")),
        "states": sorted(
            (
                {
                    "kind": str(s.get("kind", "")),
                    "subject": str(s.get("subject", "")),
                    "state": str(s.get("state", "")),
                    "since": stamp(s.get("since")),
                }
                for s in _list(frozen, "states")
            ),
            key=lambda s: (s["kind"] or "", s["subject"] or ""),
        ),
        "transitions": [
            {
                "at": stamp(t.get("at")),
                "kind": str(t.get("kind", "")),
                "subject": str(t.get("subject", "")),
                "before": str(t.get("before", "")),
                "after": str(t.get("after", "")),
                "detail": str(t.get("detail", "")),
            }
            for t in changes[-_TRANSITIONS:]
        ],
        "log": [
            {
                "at": stamp(line.get("at")),
                "level": str(line.get("level", "")),
                "source": str(line.get("source", "")),
                "message": str(line.get("message", "")),
            }
            for line in _list(frozen, "log")[-_LOG_LINES:]
        ],
    }
