"""`sevdeck contain list / apply / undo / status`: temporary measures, each with its way back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from console.cli.call import Call
from console.errors import RefusedError, SevdeckError, UsageError

if TYPE_CHECKING:
    from console.actions.containment.control import Proposal, Result, Room, Standing
    from console.actions.containment.entry import Entry

_EXIT = {"active": 0, "undone": 0, "failed": 1, "unknown": 4}
_MARKS = {"in_force": "✔", "released": "✔", "failed": "✖", "unknown": "○", "skipped": "–", "pending": "·"}


def register(commands: Any) -> None:
    contain = commands.add_parser("contain", help="limit the damage for a while: isolate, pause, maintenance page ...")
    actions = contain.add_subparsers(metavar="list|apply|undo|status", required=True)
    actions.add_parser("list", help="the measures, and everything on the ledger").set_defaults(run=_list)
    apply = actions.add_parser("apply", help="put a measure into force, after a confirmation")
    apply.add_argument("name", metavar="NAME", help="see `sevdeck contain list`")
    apply.add_argument("--target", metavar="T", default="", help="what it is done to: SERVICE, SERVICE:NETWORK ...")
    apply.add_argument("--for", metavar="TIME", dest="lasts", default="", help="until it is overdue (default 30m)")
    apply.add_argument("--incident", metavar="ID", default="current",
                       help="record it there (default: the open one that matters most); none: nowhere")  # fmt: skip
    apply.add_argument("--confirm", metavar="TEXT", default=None, help="the words that the plan asks for")
    apply.add_argument("--plan", action="store_true", help="only show what would be done")
    apply.set_defaults(run=_apply)
    undo = actions.add_parser("undo", help="take a measure back")
    undo.add_argument("id", metavar="ID", nargs="+", help="its id, the end of it, or its words: isolate app")
    undo.set_defaults(run=_undo)
    actions.add_parser(
        "status", help="look whether what is in force still is; exit 1 when one is overdue"
    ).set_defaults(run=_status)


def _room(call: Call) -> Room:
    from console.actions.containment.control import Room
    from console.incident.events import Actor

    return Room(call.config, call.data_dir, Actor.current("cli"))


def _list(call: Call) -> int:
    from console.actions.containment import ledger
    from console.actions.containment.measures import MEASURES

    known = ledger.read(call.data_dir)
    at_work, now = ledger.busy(call.data_dir, known.active), time.time()
    entries = [_data(e, e.standing(now, e.id in at_work)) for e in known.entries]
    measures = [{"name": m.name, "about": m.about, "target": m.target} for m in MEASURES.values()]

    def text() -> str:
        lines = [f"  {m.name:<18}{m.about}  (--target: {m.target})" for m in MEASURES.values()]
        lines = ["Measures:", *lines, "", "On the ledger:" if entries else "Nothing was ever contained here."]
        lines += [
            f"  {one['state']:<10}{one['id']:<34}{_until(e, now)}"
            for one, e in zip(entries, known.entries, strict=True)
        ]
        return "\n".join([*lines, *(f"DAMAGED: {d}" for d in known.damaged)])

    call.answer({"measures": measures, "containments": entries, "damaged": known.damaged}, text)
    return 4 if known.damaged else 0


def _apply(call: Call) -> int:
    import asyncio

    from console.actions.containment import control

    room = _room(call)
    seconds = _seconds(call.args.lasts)
    incident = _incident(call, room)
    proposal = asyncio.run(control.propose(room, call.args.name, call.args.target, seconds))
    if call.args.plan:
        call.answer(_plan_data(proposal), lambda: _plan_text(proposal))
        return 0 if proposal.refused is None else 3
    if proposal.refused is not None:
        raise RefusedError(f"refused: {proposal.refused}", remedy=proposal.help[:1].upper() + proposal.help[1:])
    call.confirm(proposal.confirm, _plan_text(proposal), call.args.confirm)
    with _interruptible(call):
        result = asyncio.run(control.apply(room, proposal, proposal.confirm, incident))
    return _answer(call, result)


@contextmanager
def _interruptible(call: Call) -> Iterator[None]:
    """Ctrl-C in the middle leaves a doubt, and the person must know."""
    try:
        yield
    except KeyboardInterrupt:
        call.note("interrupted: it may be half done. Look: sevdeck contain status")
        raise


def _seconds(text: str) -> float | None:
    from console.config import parse_duration

    if not text:
        return None
    try:
        seconds = parse_duration(text)
    except ValueError:
        seconds = 0.0
    if seconds <= 0:
        raise UsageError(f"{text!r} is no time", remedy="Write it as 30m, 2h or 90s")
    return seconds


def _incident(call: Call, room: Room) -> str:
    """The incident that hears of it. A record that cannot be read keeps nobody from containing anything."""
    from console.incident.store import IncidentStore

    wanted = call.args.incident
    if wanted == "none":
        return ""
    if wanted != "current":
        return IncidentStore(call.data_dir, room.actor).directory(wanted).name
    try:
        return IncidentStore(call.data_dir, room.actor).current() or ""
    except SevdeckError as error:
        call.note(f"no incident hears of it: {error.message}")
        return ""


def _undo(call: Call) -> int:
    import asyncio

    from console.actions.containment import control

    with _interruptible(call):
        result = asyncio.run(control.undo(_room(call), " ".join(call.args.id)))
    return _answer(call, result)


def _answer(call: Call, result: Result) -> int:
    entry = result.entry
    call.answer({**_data(entry, entry.state), "notes": result.notes}, lambda: _ending(result))
    if call.json:
        for note in result.notes:
            call.note(note)
    asked_to_undo = any(line["state"] == "undoing" for line in entry.history)
    if asked_to_undo and entry.state == "active":
        return 1
    return _EXIT.get(entry.state, 1)


def _status(call: Call) -> int:
    import asyncio

    from console.actions.containment import control

    found, damaged = asyncio.run(control.status(_room(call)))
    rows = [{**_data(s.entry, s.state), "detail": s.words} for s in found]
    call.answer({"containments": rows, "damaged": damaged}, lambda: _status_text(found, damaged))
    if damaged or any(s.state in ("in_doubt", "unknown") or any(x.sight is None for x in s.seen) for s in found):
        return 4
    return 1 if any(s.state in ("overdue", "lost") for s in found) else 0


def _status_text(found: tuple[Standing, ...], damaged: tuple[str, ...]) -> str:
    now = time.time()
    lines = []
    for one in found:
        e = one.entry
        lines.append(f"{one.state.upper().replace('_', ' '):<9} {e.title}  {_until(e, now)}, by {e.by.name}  ({e.id})")
        lines += [f"          {e.effect}"] if e.effect else []
        lines += [f"          ▲ {one.words}"] if one.words else []
        lines.append(f"          undo: sevdeck contain undo {e.id}")
    lines += [f"DAMAGED   {text}" for text in damaged]
    return "\n".join(lines) or "Nothing is contained."


def _until(entry: Entry, now: float) -> str:
    """
    >>> from types import SimpleNamespace as E
    >>> _until(E(over=False, expires_at=700.0), 0.0), _until(E(over=False, expires_at=0.0), 125.0)
    ('12 min left', 'OVERDUE since 2 min')
    """
    if entry.over or entry.expires_at is None:
        return ""
    left = entry.expires_at - now
    return f"{round(left / 60)} min left" if left >= 0 else f"OVERDUE since {int(-left // 60)} min"


def _data(entry: Entry, state: str) -> dict[str, Any]:
    from console.cli.as_json import rfc3339

    return {
        "id": entry.id,
        "name": entry.name,
        "target": entry.target,
        "expires_at": None if entry.expires_at is None else rfc3339(entry.expires_at),
        "state": state,
        "overdue": entry.overdue(time.time()),
        "at": rfc3339(entry.at),
        "by": entry.by.name,
        "project": entry.project,
        "services": entry.services,
        "incident": entry.incident or None,
        "effect": entry.effect,
        "undo": entry.undo,
        "steps": [
            {"title": p.step.title, "command": p.step.command, "undo": p.step.undo, "state": p.state,
             "detail": p.detail, "took": p.took}
            for p in entry.parts
        ],
        "history": [{**line, "at": rfc3339(float(line["at"]))} for line in entry.history],
    }  # fmt: skip


def _plan_data(proposal: Proposal) -> dict[str, Any]:
    return {
        "plan_id": proposal.plan_id,
        "name": proposal.name,
        "target": proposal.target,
        "project": proposal.project,
        "services": proposal.services,
        "steps": [{"id": s.id, "title": s.title, "command": s.command, "undo": s.undo} for s in proposal.steps],
        "blast_radius": proposal.blast.text,
        "containers": proposal.blast.containers,
        "effect": proposal.effect,
        "undo": proposal.undo,
        "seconds": proposal.seconds,
        "advice": proposal.advice,
        "refused": proposal.refused,
        "help": proposal.help,
        "confirm": proposal.confirm,
    }


def _plan_text(proposal: Proposal) -> str:
    lines = [
        f"Plan {proposal.plan_id}: {proposal.confirm} ({proposal.project}), for {round(proposal.seconds / 60)} min"
    ]
    if proposal.refused is not None:
        return "\n".join([*lines, f"REFUSED: {proposal.refused}", f"  what would help: {proposal.help}"])
    lines += [f"  effect: {proposal.effect}", f"  touches {proposal.blast.text}"]
    lines += [f"  {i:2} {s.title}\n       {s.command}" for i, s in enumerate(proposal.steps, 1)]
    lines += [f"  undo: {s.undo}" for s in reversed(proposal.steps) if s.undo != "none needed"]
    return "\n".join([*lines, *(f"  ▲ {text}" for text in proposal.advice)])


def _ending(result: Result) -> str:
    entry = result.entry
    head = {"active": "IN FORCE", "undone": "UNDONE", "failed": "FAILED", "unknown": "UNKNOWN"}
    asked_to_undo = any(line["state"] == "undoing" for line in entry.history)
    word = "NOT UNDONE" if asked_to_undo and entry.state == "active" else head.get(entry.state, entry.state.upper())
    lines = [f"{word}: {entry.title}  ({entry.id})"]
    lines += [f"  {_MARKS.get(p.state, '?')} {p.step.title}: {p.detail}" for p in entry.parts if p.state != "pending"]
    lines += [f"  {note}" for note in result.notes]
    if entry.state == "active":
        lines += [f"  {_until(entry, time.time())}; then you are reminded, and nothing is undone by itself"]
    if entry.incident:
        lines.append(f"  recorded in {entry.incident}")
    if entry.state == "failed":
        lines.append(f"  {entry.history[-1]['text']}")
    if entry.state == "unknown":
        lines.append("  Look before anything else: sevdeck contain status")
    if not entry.over:
        lines.append(f"  undo: sevdeck contain undo {entry.id}")
    return "\n".join(lines)
