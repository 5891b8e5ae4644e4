"""Is the record what was written? Every chain from its first line, and every head that somebody testified.

It detects edits, insertions, reordering and losses inside a file; a cut tail or a rewritten file only where a
later event of another writer named the head. There is no key: who may write all files can forge them all.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from console.errors import RecordError
from console.incident import blobs
from console.incident.chain import ChainReader, Damage, writer_of
from console.incident.events import Event
from console.incident.shelf import MIRROR, journal_files

_WITH_BLOB = ("attach", "flight", "playbook.started", "recovery.step")


@dataclass(frozen=True, slots=True)
class Verdict:
    """`head` stands for the whole record: compare it with one that was noted earlier, of the same `events`."""

    ok: bool
    events: int  # entries verified, first lines of files included
    writers: int
    head: str  # 64 hex digits
    first_bad: Damage | None
    damage: tuple[Damage, ...]
    torn: tuple[Damage, ...]  # unfinished last lines: never acknowledged, nothing is missing


def verify(directory: Path) -> Verdict:
    """Read everything anew. A file that cannot be read is damage like any other."""
    readers: dict[Path, ChainReader] = {}
    testimony: list[Event] = []
    damage: list[Damage] = []
    hashes: set[str] = set()
    for path in journal_files(directory):
        writer = writer_of(path) or ""
        reader = readers[path] = ChainReader(path, writer)
        try:
            events = reader.poll()
        except OSError as error:
            damage.append(Damage(path.name, writer, 0, 0, 0, f"cannot be read: {error.strerror}"))
            continue
        hashes.update(event.hash for event in events)
        damage += _lost_blobs(directory, path, events)
        testimony += [event for event in events if event.seen]
    damage += [place for reader in readers.values() for place in reader.damage]
    ends = [torn for reader in readers.values() if (torn := reader.torn()) is not None]
    damage += [place for place in ends if not place.torn]
    damage += _forks(readers.values())
    furthest = _furthest(readers.values())
    damage += _contradictions(furthest, testimony)
    damage.sort(key=lambda place: (place.file, place.offset))
    return Verdict(
        ok=not damage,
        events=len(hashes),
        writers=len(furthest),
        head=combined_head({w: (r.seq, r.head) for w, r in furthest.items() if r.seq}),
        first_bad=damage[0] if damage else None,
        damage=tuple(damage),
        torn=tuple(place for place in ends if place.torn),
    )


def told_at(directory: Path, head: str) -> Event | None:
    """The last entry of the record at the time when its head began with `head`; None when it never was so.

    For a head that was noted on paper, in a message or in an export: everything up to that entry is as it was. A
    head tells nothing of entries that another host wrote earlier and that arrived later; it is then not found.
    """
    events: dict[str, Event] = {}
    for path in journal_files(directory):
        with contextlib.suppress(OSError):
            events.update({event.hash: event for event in ChainReader(path, writer_of(path) or "").poll()})
    heads: dict[str, tuple[int, str]] = {}
    for event in sorted(events.values(), key=lambda event: event.order):
        heads[event.writer] = (event.seq, event.hash)
        if combined_head(heads).startswith(head.lower()):
            return event
    return None


def _lost_blobs(directory: Path, path: Path, events: Iterable[Event]) -> Iterator[Damage]:
    """Attachments that events of this file name and that are not there, or not what was attached."""
    for event in events:
        named = event.data.get("sha256") if event.kind in _WITH_BLOB else None
        if isinstance(named, str):
            if path.parent.name == MIRROR and not blobs.path(directory, named).exists():
                continue  # another host's, on its way or too large to come: nothing of this host is missing
            try:
                blobs.get(directory, named)
            except RecordError as error:
                yield Damage(path.name, event.writer, event.seq - 1, 0, 0, error.message)


def _furthest(readers: Iterable[ChainReader]) -> dict[str, ChainReader]:
    """Of several copies of one writer's file the one that goes furthest."""
    found: dict[str, ChainReader] = {}
    for reader in readers:
        if reader.writer not in found or reader.seq > found[reader.writer].seq:
            found[reader.writer] = reader
    return found


def _forks(readers: Iterable[ChainReader]) -> Iterator[Damage]:
    """Copies of one writer's file that tell different stories."""
    first: dict[str, ChainReader] = {}
    for reader in readers:
        other = first.setdefault(reader.writer, reader)
        for seq, (a, b) in enumerate(zip(other.hashes, reader.hashes, strict=False), 1):
            if a and b and a != b:
                reason = f"entry {seq} is another one than in {other.path}: the writer was forked"
                yield Damage(str(reader.path), reader.writer, seq - 1, 0, 0, reason)
                break


def combined_head(heads: Mapping[str, tuple[int, str]]) -> str:
    """One hash for the heads of all writers."""
    text = "".join(f"{writer} {seq} {head}\n" for writer, (seq, head) in sorted(heads.items()))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _contradictions(readers: Mapping[str, ChainReader], testimony: list[Event]) -> list[Damage]:
    """Heads that a writer named and that are not (any more) what the file says."""
    found: dict[tuple[str, int], Damage] = {}
    for event in testimony:
        for writer, (seq, head) in (event.seen or {}).items():
            reader = readers.get(writer)
            name = reader.path.name if reader else f"the file of writer {writer[:8]}"
            have = reader.hashes[seq - 1] if reader and 0 < seq <= len(reader.hashes) else None
            if have == "" or (have is not None and have.startswith(head)):
                continue  # damaged there, which is reported already; or as it was seen
            what = "was rewritten" if have else "is missing"
            reason = f"entry {seq} {what}: entry {event.seq} of writer {event.writer[:8]} had read {head}"
            found.setdefault((writer, seq), Damage(name, writer, max(0, seq - 1), 0, 0, reason))
    return list(found.values())
