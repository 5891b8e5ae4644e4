"""`sevdeck incident ...`: declare, follow, change and verify incidents. Parsing and asking; the engine does the rest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.cli import incident_acts as acts
from console.cli import incident_record
from console.cli.call import Call
from console.errors import SevdeckError, UsageError

if TYPE_CHECKING:
    from console.incident.journal import Journal


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
    declare.add_argument("--severity", default="", help="1 to 4 (also SEV-1, P0); the answers propose one")
    declare.add_argument(
        "--answer", action="append", default=[], metavar="QUESTION=ANSWER", help="to the wizard, such as data=yes"
    )
    declare.add_argument("--reason", default="", help="why the severity is another than the answers propose")
    declare.add_argument("--commander", default="", metavar="WHO")
    declare.add_argument("--drill", action="store_true", help="an exercise: kept out of the figures")
    declare.add_argument("--no-evidence", action="store_true", help="do not look at the host now")
    listed = action("list", _list, "all incidents, the newest first", id=False)
    listed.add_argument("--open", action="store_true", help="only those that are not closed")
    action("show", _show, "everything about one incident")
    note = action("note", acts.note, "write a note", "text")
    note.add_argument("--at", metavar="TIME", help="when it happened (RFC 3339), if not now")
    severity = action("severity", acts.severity, "change the severity", "severity")
    severity.add_argument("--reason", default="")
    action("role", acts.role, "give a role to somebody (WHO - takes it away)", "role", "who")
    status = action("status", acts.status, "change the status", "status")
    status.add_argument("--reason", default="")
    action("ack", acts.ack, "say that you are on it")
    tick = action("tick", acts.tick, "settle a checklist step", "step")
    tick.add_argument("--skip", action="store_true")
    tick.add_argument("--failed", action="store_true", help="it was tried and did not work")
    tick.add_argument("--option", type=int, metavar="N", help="which option of a decision, from 1")
    tick.add_argument("--reason", default="")
    tick.add_argument("--text", default="", help="a remark")
    update = action("update", acts.update, "record that people were told", "text")
    update.add_argument("--audience", choices=("internal", "executive", "external"), default="internal")
    update.add_argument("--next", metavar="SPAN", help='when they hear more: "15m"')
    attach = action("attach", acts.attach, "attach a file as evidence, hashed and masked", "file")
    attach.add_argument("--text", default="", help="what it shows")
    amend = action("amend", acts.amend, "correct an entry by a later one", "seq", "text")
    amend.add_argument("--reason", required=True)
    handover = action("handover", acts.handover, "offer the command to somebody", "who")
    handover.add_argument("--brief", default="", help="what they must know; else a summary is made")
    action("accept", acts.accept, "accept the command that was offered to you")
    decline = action("decline", acts.decline, "decline it")
    decline.add_argument("--reason", required=True)
    action("resolve", acts.resolve, "the cause is removed and nothing temporary is left").add_argument(
        "--text", default=""
    )
    action("close", acts.close, "nothing is left to do").add_argument("--text", default="")
    action("reopen", acts.reopen, "it came back").add_argument("--reason", default="")
    incident_record.register(action)
    export = action("export", _export, "write the post-mortem")
    export.add_argument("--format", choices=("md", "html", "json"), default="md")
    export.add_argument("-o", "--output", metavar="FILE")
    export.add_argument("--force", action="store_true", help="overwrite a file that was edited")


def _declare(call: Call) -> int:
    from console.cli.as_json import rfc3339
    from console.incident.levels import label

    args = call.args
    severity, wizard = _severity(args)
    store = acts.incident_store(call)
    journal = store.create(args.title, severity, commander=args.commander, drill=args.drill, **wizard)
    declared = journal.events()[0]
    begun = _begin_checklists(call, journal)
    if not args.no_evidence:
        _add_evidence(call, journal)
    journal.close()
    data = {
        "id": journal.incident,
        "title": declared.data["title"],
        "severity": severity,
        "declared_at": rfc3339(declared.at),
        "drill": args.drill,
        "playbooks": begun,
        **acts.place(journal, declared),
    }
    what = "drill" if args.drill else "incident"
    call.answer(data, f"{journal.incident} declared: {label(severity)} {what}, {declared.data['title']}")
    return 0


def _severity(args: Any) -> tuple[int, dict[str, Any]]:
    """The severity, and what the declaration keeps of the wizard: as the console does when its dialog was answered."""
    from console.incident.levels import parse_severity
    from console.incident.severity import Evidence, decide, read_answers, wizard_record

    if not args.answer:
        if not args.severity:
            raise UsageError("an incident needs a severity", remedy="Give --severity 1 to 4, or answers with --answer")
        return parse_severity(args.severity), {}
    answers = read_answers(args.answer)
    decision = decide(answers)
    severity = parse_severity(args.severity) if args.severity else decision.severity
    if severity != decision.severity and not args.reason.strip():
        raise UsageError(
            f"the answers make it {decision.label}: {decision.clause}",
            remedy="Leave out --severity, or say why with --reason",
        )
    record = wizard_record(decision, answers, Evidence(), severity, args.reason)
    return severity, {"wizard": record, "playbook": decision.playbook}


def _begin_checklists(call: Call, journal: Journal) -> list[str]:
    """Start the checklists; which ones. The declaration stands whatever happens here."""
    from console.guide.declaration import begin
    from console.guide.loader import load_catalog

    def failed(id: str, error: Exception) -> None:
        call.note(f"declared, but the checklist {id} could not be started: {error}")

    try:
        return [run.playbook.id for run in begin(journal, load_catalog(call.data_dir), failed)]
    except (SevdeckError, OSError) as error:
        call.note(f"declared, but its checklists could not be started: {error}")
        return []


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

    listed = acts.incident_store(call).list(open_only=call.args.open)
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

    _, incident = acts.open_incident(call)
    now = time.time()
    call.answer(incident_json(incident, now), lambda: "\n".join(incident_lines(incident, now)))
    return 0


def _export(call: Call) -> int:
    from console.tell.postmortem import export

    journal, _ = acts.open_incident(call)
    output = Path(call.args.output) if call.args.output else None
    path = export(journal.directory, call.args.format, output, force=call.args.force)
    call.answer({"id": journal.incident, "path": str(path)}, f"{journal.incident}: wrote {path}")
    return 0
