"""What people do to an incident from the command line: notes, changes, steps, handover, the end. Each is one event."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.cli.call import Call
from console.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from console.incident.events import Event
    from console.incident.journal import Journal
    from console.incident.records import Entry, Incident
    from console.incident.store import IncidentStore


def incident_store(call: Call) -> IncidentStore:
    from console.incident.events import Actor
    from console.incident.store import IncidentStore

    return IncidentStore(call.data_dir, Actor.current("cli"))


def open_incident(call: Call) -> tuple[Journal, Incident]:
    """The incident that was named, and its journal."""
    from console.incident.state import fold

    store = incident_store(call)
    id = call.args.id
    if id == "current":
        id = store.current()
        if id is None:
            raise UsageError("no incident is open", remedy="`sevdeck incident list` shows all")
    journal = store.open(id)
    return journal, fold(journal.events())


def append(call: Call, journal: Journal, kind: str, data: dict[str, Any], said: str, **more: Any) -> int:
    """Record one event and answer with its place and hash."""
    at = more.pop("at", None)
    event = journal.append(kind, data, at=at)
    journal.close()
    call.answer({"id": journal.incident, **place(journal, event), **more}, f"{journal.incident}: {said}")
    return 0


def place(journal: Journal, event: Event) -> dict[str, Any]:
    """Where an event stands: its number in the record's total order, and its hash."""
    seq = next(n for n, other in enumerate(journal.events(), 1) if other.id == event.id)
    return {"seq": seq, "hash": event.hash}


def note(call: Call) -> int:
    journal, _ = open_incident(call)
    text = call.args.text.strip()
    if not text:
        raise UsageError("an empty note says nothing")
    return append(call, journal, "note", {"text": text}, "noted", at=time_of(call.args.at))


def severity(call: Call) -> int:
    from console.incident.levels import label, parse_severity
    from console.incident.rules import check_severity

    journal, incident = open_incident(call)
    severity = parse_severity(call.args.severity)
    check_severity(incident, severity, call.args.reason)
    data = {"severity": severity, "previous": incident.severity, "reason": call.args.reason}
    return append(call, journal, "severity", data, f"now {label(severity)}", severity=severity)


def role(call: Call) -> int:
    from console.incident.rules import check_role

    journal, _ = open_incident(call)
    role, who = call.args.role.lower(), call.args.who
    check_role(role)
    who = "" if who == "-" else who
    return append(call, journal, "role", {"role": role, "who": who}, f"{role}: {who or 'nobody'}", role=role, who=who)


def status(call: Call) -> int:
    from console.incident.rules import check_status

    journal, incident = open_incident(call)
    status, reason = call.args.status.lower(), call.args.reason
    check_status(incident, status, reason)
    if status in ("resolved", "closed"):
        return _end(call, journal, status, {"text": reason})
    return append(call, journal, "status", {"status": status, "reason": reason}, f"now {status}", status=status)


def ack(call: Call) -> int:
    journal, _ = open_incident(call)
    return append(call, journal, "ack", {}, f"acknowledged by {journal.actor.name}")


def tick(call: Call) -> int:
    from console.guide.run import PlaybookRun

    journal, incident = open_incident(call)
    args = call.args
    runs = [run for run in incident.runs if run.step(args.step) is not None]
    if not runs:
        known = ", ".join(step.id for run in incident.runs for step in run.steps)
        raise UsageError(
            f"no checklist of {incident.id} has a step {args.step!r}",
            remedy=f"Steps: {known}" if known else "Start one with `sevdeck playbook run ID --incident ID`",
        )
    open_ = [run for run in runs if not run.step(args.step).settled]  # type: ignore[union-attr]
    state = (open_ or runs)[-1]
    run = PlaybookRun.resume(journal, state, data_dir=call.data_dir)
    if args.skip:
        event = run.skip(args.step, args.reason)
    elif args.failed:
        event = run.fail(args.step, args.reason)
    elif args.option is not None:
        event = run.decide(args.step, args.option - 1, reason=args.reason)
    else:
        event = run.tick(args.step, text=args.text, reason=args.reason)
    journal.close()
    step = event.data["step"]
    data = {"id": incident.id, **place(journal, event), "step": step, "state": event.data["state"], "run": run.id}
    call.answer(data, f"{incident.id}: {step} {event.data['state']}")
    return 0


def update(call: Call) -> int:
    import time

    from console.config_file import parse_duration
    from console.incident.levels import LEVELS

    journal, incident = open_incident(call)
    level, audience = LEVELS[incident.severity], call.args.audience
    every = {"internal": level.update, "executive": level.executive, "external": level.external}[audience]
    if call.args.next:
        try:
            every = parse_duration(call.args.next)
        except ValueError as error:
            raise UsageError(str(error)) from None
    next_at = None if every is None else time.time() + every
    data = {"audience": audience, "text": call.args.text, "next_at": next_at, "head": _head(journal)}
    return append(call, journal, "comms", data, f"{audience} update recorded", audience=audience)


def attach(call: Call) -> int:
    from console.incident.attach import attach_file

    journal, _ = open_incident(call)
    event = attach_file(journal, Path(call.args.file), text=call.args.text)
    journal.close()
    data = {"id": journal.incident, **place(journal, event), "sha256": event.data["sha256"], "size": event.data["size"]}
    masked = ", secrets masked" if event.data["masked"] else ""
    call.answer(data, f"{journal.incident}: attached {event.data['name']} (sha256 {event.data['sha256'][:16]}{masked})")
    return 0


def entry_of(incident: Incident, wanted: str) -> Entry:
    """The entry with this number or id. Raises UsageError."""
    entry = next((e for e in incident.timeline if str(e.seq) == wanted or e.id == wanted), None)
    if entry is None:
        raise UsageError(f"{incident.id} has no entry {wanted!r}", remedy="`incident show` numbers them")
    return entry


def amend(call: Call) -> int:
    journal, incident = open_incident(call)
    entry = entry_of(incident, call.args.seq)
    data = {"event": entry.id, "text": call.args.text, "reason": call.args.reason}
    return append(call, journal, "amend", data, f"entry {entry.seq} corrected; the original stays")


def handover(call: Call) -> int:
    import time

    from console.cli.incident_view import brief

    journal, incident = open_incident(call)
    head = _head(journal)
    data = {"to": call.args.who, "brief": call.args.brief or brief(incident, time.time()), "head": head}
    return append(call, journal, "handover.offered", data, f"offered to {call.args.who}; head {head}", head=head)


def _offered(call: Call) -> tuple[Journal, str]:
    journal, incident = open_incident(call)
    offer = incident.open_handover
    if offer is None:
        raise RefusedError(f"the command of {incident.id} was not offered to anybody")
    if offer.to not in (journal.actor.name, journal.actor.login):
        raise RefusedError(f"the command was offered to {offer.to}, not to {journal.actor.name}")
    return journal, offer.offer


def accept(call: Call) -> int:
    journal, offer = _offered(call)
    name = journal.actor.name
    return append(call, journal, "handover.accepted", {"offer": offer}, f"{name} is commander", commander=name)


def decline(call: Call) -> int:
    journal, offer = _offered(call)
    return append(call, journal, "handover.declined", {"offer": offer, "reason": call.args.reason}, "declined")


def resolve(call: Call) -> int:
    from console.incident.rules import check_resolve

    journal, incident = open_incident(call)
    check_resolve(incident)
    return _end(call, journal, "resolved", {"text": call.args.text})


def close(call: Call) -> int:
    from console.incident.rules import check_close

    journal, incident = open_incident(call)
    check_close(incident)
    return _end(call, journal, "closed", {"text": call.args.text})


def _end(call: Call, journal: Journal, status: str, data: dict[str, Any]) -> int:
    """Resolve or close, and say the head: noted elsewhere, it witnesses the record."""
    head = _head(journal)
    return append(call, journal, status, {**data, "head": head}, f"{status}; head {head}", status=status, head=head)


def reopen(call: Call) -> int:
    from console.incident.rules import check_reopen

    journal, incident = open_incident(call)
    check_reopen(incident, call.args.reason)
    return append(call, journal, "reopened", {"reason": call.args.reason}, "open again", status="declared")


def _head(journal: Journal) -> str:
    from console.incident.events import short
    from console.incident.verify import combined_head

    return short(combined_head(journal.heads()))


def time_of(text: str | None) -> float | None:
    """Unix seconds of an RFC 3339 time; a time without offset is this host's."""
    from datetime import datetime

    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise UsageError(f"{text!r} is no time", remedy="Write it as 2026-11-22T03:12:03Z") from None
