"""`sevdeck incident ...` on the record itself: query, redact, verify, pack, unpack, index. Parsing and printing."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from console.cli import incident_acts as acts
from console.cli.call import Call
from console.errors import UsageError


def register(action: Any) -> None:
    """Add the commands with `action(name, run, help, *words, id=True)`, which returns the command's parser."""
    verify = action("verify", _verify, "check the chain of the record")
    verify.add_argument("--head", metavar="HEX", help="a head that was noted earlier: was the record ever so?")
    events = action("events", _events, "the entries that match")
    events.add_argument("--kind", default="", help="note, status, fact ...")
    events.add_argument("--actor", default="", metavar="WHO")
    events.add_argument("--text", default="", help="words in the entry, any case")
    events.add_argument("--since", metavar="TIME", help="RFC 3339")
    events.add_argument("--until", metavar="TIME", help="RFC 3339")
    redact = action("redact", _redact, "hide the words of an entry everywhere; its place and hash stay", "seq")
    redact.add_argument("--reason", required=True, help="why; write no secret here")
    pack = action("pack", _pack, "write the whole record into one verified archive")
    pack.add_argument("-o", "--output", metavar="FILE", help="INC-....tar.gz in this folder if not given")
    archive = action("archive", _archive, "pack incidents that are over and take them away", id=False)
    archive.add_argument("ids", nargs="*", metavar="ID")
    archive.add_argument("--closed-for", metavar="DAYS", type=int, help="those that ended longer ago than this")
    archive.add_argument("--to", metavar="DIR", required=True, help="where the archives go")
    archive.add_argument("--confirm", metavar="TEXT", help="the words that are asked for")
    action("unpack", _unpack, "make an archive an incident here", "file", id=False)
    action("reindex", _reindex, "make the list of incidents anew from their records", id=False)


def _verify(call: Call) -> int:
    from console.cli.as_json import rfc3339
    from console.incident.verify import told_at, verify

    journal, _ = acts.open_incident(call)
    verdict = verify(journal.directory)
    bad = verdict.first_bad
    data: dict[str, Any] = {
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
    if call.args.head is not None:
        if len(call.args.head) < 8 or not all(c in "0123456789abcdefABCDEF" for c in call.args.head):
            raise UsageError(f"{call.args.head!r} is no head", remedy="Give the 16 hex digits that were printed")
        last = told_at(journal.directory, call.args.head)
        data |= {"head_known": last is not None, "head_at": None if last is None else rfc3339(last.written_at)}
        data["ok"] = verdict.ok and last is not None
        lines.append(
            f"head {call.args.head} is that of the record at {rfc3339(last.written_at)}: unchanged up to there"
            if last is not None
            else f"HEAD {call.args.head} NOT FOUND: the record was never so, or was changed or cut since"
        )
    word = "the record is whole" if verdict.ok else f"NOT WHOLE, {len(verdict.damage)} damaged places"
    told = (
        f"{journal.incident}: {word}; {verdict.events} entries of {verdict.writers} writers, head {verdict.head[:16]}"
    )
    call.answer(data, "\n".join([told, *lines]))
    return 0 if data["ok"] else 1


def _place_of(damage: Any) -> dict[str, Any]:
    return {
        "file": damage.file,
        "writer": damage.writer,
        "seq": damage.after_seq + 1,
        "offset": damage.offset,
        "reason": damage.reason,
    }


def _events(call: Call) -> int:
    from tinydb import where

    from console.cli.as_json import rfc3339
    from console.incident.table import EventTable

    args = call.args
    journal, _ = acts.open_incident(call)
    table = EventTable(journal)
    table.refresh()
    query = where("kind").exists()
    if args.kind:
        query &= where("kind") == args.kind
    if args.actor:
        query &= where("actor") == args.actor
    if args.text:
        query &= where("text").test(lambda text: args.text.casefold() in str(text).casefold())
    for given, test in ((args.since, where("at").__ge__), (args.until, where("at").__le__)):
        at = acts.time_of(given)
        if at is not None:
            query &= test(at)
    found = sorted(table.search(query), key=lambda one: one["at"])
    data = [{**one, "at": rfc3339(one["at"]), "written_at": rfc3339(one["written_at"])} for one in found]
    lines = [f"{one['at'][:19]}Z  {one['actor']:<12} {one['text']}" for one in data]
    call.answer({"id": journal.incident, "events": data}, "\n".join(lines) or "No entry matches.")
    return 0


def _redact(call: Call) -> int:
    journal, incident = acts.open_incident(call)
    entry = acts.entry_of(incident, call.args.seq)
    said = f"entry {entry.seq} is redacted; its bytes stay in the record, no screen or export shows them"
    return acts.append(call, journal, "redact", {"event": entry.id, "reason": call.args.reason}, said)


def _pack(call: Call) -> int:
    from console.incident.pack import pack

    journal, _ = acts.open_incident(call)
    output = Path(call.args.output) if call.args.output else Path(f"{journal.incident}.tar.gz")
    if output.is_dir():
        raise UsageError(f"{output} is a folder", remedy="Name a file")
    return _packed(call, pack(journal.directory, output), "packed into")


def _unpack(call: Call) -> int:
    from console.incident.pack import unpack

    store = acts.incident_store(call)
    packed = unpack(Path(call.args.file), store.root)
    store.unretire(packed.incident)
    return _packed(call, packed, "unpacked to")


def _archive(call: Call) -> int:
    from console.incident.retention import archive, due

    args, store, place = call.args, acts.incident_store(call), Path(call.args.to)
    if bool(args.ids) == (args.closed_for is not None):
        raise UsageError("name incidents, or say --closed-for DAYS", remedy="One of the two")
    if not place.is_dir():
        raise UsageError(f"{place} is no folder", remedy="Make it first")
    ids = args.ids or due(store, time.time() - 86400 * args.closed_for)
    ids = [store.directory(id).name for id in ids]
    done: list[Any] = []
    if ids:
        words = f"archive {len(ids)}"
        call.confirm(words, f"{', '.join(ids)}: packed into {place}, verified, then taken away from here", args.confirm)
        done = [archive(store, id, place) for id in ids]
    data = {"archived": [{"id": p.incident, "path": str(p.path), "head": p.head, "events": p.events} for p in done]}
    call.answer(data, "\n".join(f"{p.incident}: {p.path}, head {p.head[:16]}" for p in done) or "Nothing is due.")
    return 0


def _packed(call: Call, packed: Any, what: str) -> int:
    data = {
        "id": packed.incident,
        "path": str(packed.path),
        "head": packed.head,
        "files": packed.files,
        "events": packed.events,
    }
    call.answer(data, f"{packed.incident}: {what} {packed.path}; {packed.events} entries, head {packed.head[:16]}")
    return 0


def _reindex(call: Call) -> int:
    count = acts.incident_store(call).reindex()
    call.answer({"incidents": count}, f"{count} incident{'s' if count != 1 else ''} in the list")
    return 0
