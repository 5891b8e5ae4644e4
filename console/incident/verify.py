"""Is the record what was written? Every chain from its first line, and every head that somebody testified.

It detects edits, insertions, reordering and losses inside a file; a cut tail or a rewritten file only where a
later event of another writer named the head. There is no key: who may write all files can forge them all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from console.incident.chain import ChainReader, Damage, writer_of
from console.incident.events import Event


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
    readers: dict[str, ChainReader] = {}
    testimony: list[Event] = []
    damage: list[Damage] = []
    count = 0
    for path in sorted(directory.glob("*.jsonl")):
        writer = writer_of(path)
        if writer is None:
            continue
        reader = readers.setdefault(writer, ChainReader(path, writer))
        try:
            events = reader.poll()
        except OSError as error:
            damage.append(Damage(path.name, writer, 0, 0, 0, f"cannot be read: {error.strerror}"))
            continue
        count += len(events)
        testimony += [event for event in events if event.seen]
    damage += [place for reader in readers.values() for place in reader.damage]
    ends = [torn for reader in readers.values() if (torn := reader.torn()) is not None]
    damage += [place for place in ends if not place.torn]
    damage += _contradictions(readers, testimony)
    damage.sort(key=lambda place: (place.file, place.offset))
    return Verdict(
        ok=not damage,
        events=count,
        writers=len(readers),
        head=combined_head({w: (r.seq, r.head) for w, r in readers.items() if r.seq}),
        first_bad=damage[0] if damage else None,
        damage=tuple(damage),
        torn=tuple(place for place in ends if place.torn),
    )


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
