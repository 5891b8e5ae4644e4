"""`sevdeck incident ...`: declare, follow, change and verify incidents. Parsing and asking; the engine does the rest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.cli.call import Call
from console.errors import RefusedError, SevdeckError, UsageError

if TYPE_CHECKING:
    from console.incident.events import Event
    from console.incident.journal import Journal
    from console.incident.records import Incident
    from console.incident.store import IncidentStore


def register(commands: Any) -> None:
    incident = commands.add_parser("incident", help="declare, follow and close incidents")
    actions = incident.add_subparsers(metavar="ACTION", required=True)

    def action(name: str, run: Any, help: str, *words: str, id: bool = True) -> Any:
        parser = actions.add_parser(name, help=help)
        if id:
            parser.add_argument("id", metavar="ID", help="INC-2026-0001, its number, or `current`")
        for word in words:
            parser.add_argument(word, metavar=word.upper())
        parser.set_defaults(run=run)
        return parser

    declare = action("declare", _declare, "declare an incident", id=False)
    declare.add_argument("--title", required=True, help="what users see, in a few words")
    declare.add_argument("--severity", required=True, help="1 to 4 (also SEV-1, P0)")
    declare.add_argument("--commander", default="", metavar="WHO")
    declare.add_argument("--drill", action="store_true", help="an exercise: kept out of the figures")
    declare.add_argument("--no-evidence", action="store_true", help="do not look at the host now")
    listed = action("list", _list, "all incidents, the newest first", id=False)
    listed.add_argument("--open", action="store_true", help="only those that are not closed")
    action("show", _show, "everything about one incident")
    note = action("note", _note, "write a note", "text")
    note.add_argument("--at", metavar="TIME", help="when it happened (RFC 3339), if not now")
    severity = action("severity", _severity, "change the severity", "severity")
    severity.add_argument("--reason", default="")
    action("role", _role, "give a role to somebody (WHO - takes it away)", "role", "who")
    status = action("status", _status, "change the status", "status")
    status.add_argument("--reason", default="")
    action("ack", _ack, "say that you are on it")
    tick = action("tick", _tick, "settle a checklist step", "step")
    tick.add_argument("--skip", action="store_true")
    tick.add_argument("--failed", action="store_true", help="it was tried and did not work")
    tick.add_argument("--option", type=int, metavar="N", help="which option of a decision, from 1")
    tick.add_argument("--reason", default="")
    tick.add_argument("--text", default="", help="a remark")
    update = action("update", _update, "record that people were told", "text")
    update.add_argument("--audience", choices=("internal", "executive", "external"), default="internal")
    update.add_argument("--next", metavar="SPAN", help='when they hear more: "15m"')
    attach = action("attach", _attach, "attach a file as evidence, hashed and masked", "file")
    attach.add_argument("--text", default="", help="what it shows")
    amend = action("amend", _amend, "correct an entry by a later one", "seq", "text")
    amend.add_argument("--reason", required=True)
    handover = action("handover", _handover, "offer the command to somebody", "who")
    handover.add_argument("--brief", default="", help="what they must know; else a summary is made")
    action("accept", _accept, "accept the command that was offered to you")
    decline = action("decline", _decline, "decline it")
    decline.add_argument("--reason", required=True)
    action("resolve", _resolve, "the cause is removed and nothing temporary is left").add_argument("--text", default="")
    action("close", _close, "nothing is left to do").add_argument("--text", default="")
    action("reopen", _reopen, "it came back").add_argument("--reason", default="")
    action("verify", _verify, "check the chain of the record")
    export = action("export", _export, "write the post-mortem")
    export.add_argument("--format", choices=("md", "html", "json"), default="md")
    export.add_argument("-o", "--output", metavar="FILE")
    export.add_argument("--force", action="store_true", help="overwrite a file that was edited")


def _store(call: Call) -> IncidentStore:
    from console.incident.events import Actor
    from console.incident.store import IncidentStore

    return IncidentStore(call.data_dir, Actor.current("cli"))


def _open(call: Call) -> tuple[Journal, Incident]:
    """The incident that was named, and its journal."""
    from console.incident.state import fold

    store = _store(call)
    id = call.args.id
    if id == "current":
        id = store.current()
        if id is None:
            raise UsageError("no incident is open", remedy="`sevdeck incident list` shows all")
    journal = store.open(id)
    return journal, fold(journal.events())


def _append(call: Call, journal: Journal, kind: str, data: dict[str, Any], said: str, **more: Any) -> int:
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


def _declare(call: Call) -> int:
    from console.cli.as_json import rfc3339
    from console.incident.levels import label, parse_severity

    args = call.args
    severity = parse_severity(args.severity)
    journal = _store(call).create(args.title, severity, commander=args.commander, drill=args.drill)
    declared = journal.events()[0]
    _begin_checklist(call, journal, severity)
    if not args.no_evidence:
        _add_evidence(call, journal)
    journal.close()
    data = {
        "id": journal.incident,
        "title": declared.data["title"],
        "severity": severity,
        "declared_at": rfc3339(declared.at),
        "drill": args.drill,
        **place(journal, declared),
    }
    what = "drill" if args.drill else "incident"
    call.answer(data, f"{journal.incident} declared: {label(severity)} {what}, {declared.data['title']}")
    return 0


def _begin_checklist(call: Call, journal: Journal, severity: int) -> None:
    """Start the response checklist. The declaration stands whatever happens here."""
    from console.guide.loader import load_catalog
    from console.guide.run import PlaybookRun
    from console.incident.levels import LEVELS

    try:
        PlaybookRun.start(journal, load_catalog(call.data_dir).get(LEVELS[severity].playbook))
    except (SevdeckError, OSError) as error:
        call.note(f"declared, but its checklist could not be started: {error}")


def _add_evidence(call: Call, journal: Journal) -> None:
    """What the host looks like now. The declaration stands whatever happens here."""
    from console.cli.incident_evidence import add_evidence

    try:
        add_evidence(journal, call.config)
    except (SevdeckError, OSError) as error:
        call.note(f"declared, but what the host looks like now could not be kept: {error}")


def _list(call: Call) -> int:
    from console.cli.as_json import rfc3339
    from console.incident.levels import label

    listed = _store(call).list(open_only=call.args.open)
    data = [
        {
            "id": one.id,
            "title": one.title,
            "severity": one.severity,
            "status": one.status,
            "declared_at": None if one.declared_at is None else rfc3339(one.declared_at),
            "drill": one.drill,
        }
        for one in listed
    ]
    lines = [
        f"{row['id']}  {label(one.severity)}  {one.status:<11} {str(row['declared_at'])[:16]:<16}  "
        f"{'DRILL ' if one.drill else ''}{one.title}"
        for row, one in zip(data, listed, strict=True)
    ]
    empty = "No incident is open." if call.args.open else "No incident has been declared here."
    call.answer({"incidents": data}, "\n".join(lines) or empty)
    return 0


def _show(call: Call) -> int:
    import time

    from console.cli.incident_view import incident_json, incident_lines

    _, incident = _open(call)
    now = time.time()
    call.answer(incident_json(incident, now), lambda: "\n".join(incident_lines(incident, now)))
    return 0


def _note(call: Call) -> int:
    journal, _ = _open(call)
    text = call.args.text.strip()
    if not text:
        raise UsageError("an empty note says nothing")
    return _append(call, journal, "note", {"text": text}, "noted", at=_time(call.args.at))


def _severity(call: Call) -> int:
    from console.incident.levels import label, parse_severity
    from console.incident.rules import check_severity

    journal, incident = _open(call)
    severity = parse_severity(call.args.severity)
    check_severity(incident, severity, call.args.reason)
    data = {"severity": severity, "previous": incident.severity, "reason": call.args.reason}
    return _append(call, journal, "severity", data, f"now {label(severity)}", severity=severity)


def _role(call: Call) -> int:
    from console.incident.rules import check_role

    journal, _ = _open(call)
    role, who = call.args.role.lower(), call.args.who
    check_role(role)
    who = "" if who == "-" else who
    return _append(call, journal, "role", {"role": role, "who": who}, f"{role}: {who or 'nobody'}", role=role, who=who)


def _status(call: Call) -> int:
    from console.incident.rules import check_status

    journal, incident = _open(call)
    status, reason = call.args.status.lower(), call.args.reason
    check_status(incident, status, reason)
    if status in ("resolved", "closed"):
        return _end(call, journal, status, {"text": reason})
    return _append(call, journal, "status", {"status": status, "reason": reason}, f"now {status}", status=status)


def _ack(call: Call) -> int:
    journal, _ = _open(call)
    return _append(call, journal, "ack", {}, f"acknowledged by {journal.actor.name}")


def _tick(call: Call) -> int:
    from console.guide.run import PlaybookRun

    journal, incident = _open(call)
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
    run = PlaybookRun.resume(journal, state)
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


def _update(call: Call) -> int:
    import time

    from console.config_file import parse_duration
    from console.incident.levels import LEVELS

    journal, incident = _open(call)
    level, audience = LEVELS[incident.severity], call.args.audience
    every = {"internal": level.update, "executive": level.executive, "external": level.external}[audience]
    if call.args.next:
        try:
            every = parse_duration(call.args.next)
        except ValueError as error:
            raise UsageError(str(error)) from None
    data = {"audience": audience, "text": call.args.text, "next_at": None if every is None else time.time() + every}
    return _append(call, journal, "comms", data, f"{audience} update recorded", audience=audience)


def _attach(call: Call) -> int:
    from console.incident.attach import attach_file

    journal, _ = _open(call)
    event = attach_file(journal, Path(call.args.file), text=call.args.text)
    journal.close()
    data = {"id": journal.incident, **place(journal, event), "sha256": event.data["sha256"], "size": event.data["size"]}
    masked = ", secrets masked" if event.data["masked"] else ""
    call.answer(data, f"{journal.incident}: attached {event.data['name']} (sha256 {event.data['sha256'][:16]}{masked})")
    return 0


def _amend(call: Call) -> int:
    journal, incident = _open(call)
    wanted = call.args.seq
    entry = next((e for e in incident.timeline if str(e.seq) == wanted or e.id == wanted), None)
    if entry is None:
        raise UsageError(f"{incident.id} has no entry {wanted!r}", remedy="`incident show` numbers them")
    data = {"event": entry.id, "text": call.args.text, "reason": call.args.reason}
    return _append(call, journal, "amend", data, f"entry {entry.seq} corrected; the original stays")


def _handover(call: Call) -> int:
    import time

    from console.cli.incident_view import brief

    journal, incident = _open(call)
    head = _head(journal)
    data = {"to": call.args.who, "brief": call.args.brief or brief(incident, time.time()), "head": head}
    return _append(call, journal, "handover.offered", data, f"offered to {call.args.who}; head {head}", head=head)


def _offered(call: Call) -> tuple[Journal, str]:
    journal, incident = _open(call)
    offer = incident.open_handover
    if offer is None:
        raise RefusedError(f"the command of {incident.id} was not offered to anybody")
    if offer.to not in (journal.actor.name, journal.actor.login):
        raise RefusedError(f"the command was offered to {offer.to}, not to {journal.actor.name}")
    return journal, offer.offer


def _accept(call: Call) -> int:
    journal, offer = _offered(call)
    name = journal.actor.name
    return _append(call, journal, "handover.accepted", {"offer": offer}, f"{name} is commander", commander=name)


def _decline(call: Call) -> int:
    journal, offer = _offered(call)
    return _append(call, journal, "handover.declined", {"offer": offer, "reason": call.args.reason}, "declined")


def _resolve(call: Call) -> int:
    from console.incident.rules import check_resolve

    journal, incident = _open(call)
    check_resolve(incident)
    return _end(call, journal, "resolved", {"text": call.args.text})


def _close(call: Call) -> int:
    from console.incident.rules import check_close

    journal, incident = _open(call)
    check_close(incident)
    return _end(call, journal, "closed", {"text": call.args.text})


def _end(call: Call, journal: Journal, status: str, data: dict[str, Any]) -> int:
    """Resolve or close, and say the head: noted elsewhere, it witnesses the record."""
    head = _head(journal)
    return _append(call, journal, status, {**data, "head": head}, f"{status}; head {head}", status=status, head=head)


def _reopen(call: Call) -> int:
    from console.incident.rules import check_reopen

    journal, incident = _open(call)
    check_reopen(incident, call.args.reason)
    return _append(call, journal, "reopened", {"reason": call.args.reason}, "open again", status="declared")


def _verify(call: Call) -> int:
    from console.incident.verify import verify

    journal, _ = _open(call)
    verdict = verify(journal.directory)
    bad = verdict.first_bad
    data = {
        "id": journal.incident,
        "ok": verdict.ok,
        "events": verdict.events,
        "writers": verdict.writers,
        "head": verdict.head,
        "first_bad": None if bad is None else _place_of(bad),
        "damage": [_place_of(one) for one in verdict.damage],
        "torn": [_place_of(one) for one in verdict.torn],
    }
    lines = [str(one) for one in (*verdict.damage, *verdict.torn)]
    word = "the record is whole" if verdict.ok else f"NOT WHOLE, {len(verdict.damage)} damaged places"
    told = (
        f"{journal.incident}: {word}; {verdict.events} entries of {verdict.writers} writers, head {verdict.head[:16]}"
    )
    call.answer(data, "\n".join([told, *lines]))
    return 0 if verdict.ok else 1


def _place_of(damage: Any) -> dict[str, Any]:
    return {
        "file": damage.file,
        "writer": damage.writer,
        "seq": damage.after_seq + 1,
        "offset": damage.offset,
        "reason": damage.reason,
    }


def _export(call: Call) -> int:
    from console.tell.postmortem import export

    journal, _ = _open(call)
    output = Path(call.args.output) if call.args.output else None
    path = export(journal.directory, call.args.format, output, force=call.args.force)
    call.answer({"id": journal.incident, "path": str(path)}, f"{journal.incident}: wrote {path}")
    return 0


def _head(journal: Journal) -> str:
    from console.incident.events import short
    from console.incident.verify import combined_head

    return short(combined_head(journal.heads()))


def _time(text: str | None) -> float | None:
    """Unix seconds of an RFC 3339 time; a time without offset is this host's."""
    from datetime import datetime

    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise UsageError(f"{text!r} is no time", remedy="Write it as 2026-11-22T03:12:03Z") from None
