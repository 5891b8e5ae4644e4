"""Errors in the logs that no console had met before, by what consoles learnt and left on the disk."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

from console.checks import files
from console.checks.check import Finding, Status
from console.checks.diagnosis import Looked
from console.checks.looks.log_tails import WINDOW, Heard, Said, heard, patterns, shown
from console.checks.made import count
from console.checks.scene import Scene
from console.checks.wording import clock, shorten
from console.watch.logrecord import LEVELS, RANK
from console.watch.mining.live import place
from console.watch.mining.patterns import PatternBook
from console.watch.mining.state import read

_LEAST = RANK["error"]
_NAMED = 3


async def look(scene: Scene) -> Looked:
    """Says nothing where no console has learnt anything."""
    directory = scene.data_dir
    book = None if directory is None else await files.look(lambda: _learnt(place(directory)))
    if book is None:
        return Looked()
    known = [one for one in await heard(scene) if _sources(one, book)]
    told = [await asyncio.to_thread(judge, one, book) for one in known]
    found = tuple(one for one in told if one is not None)
    return Looked(found, f"no error of a new kind from {count(len(known), 'service')}" if known and not found else "")


def _learnt(path: Path) -> PatternBook | None:
    try:
        return read(path)
    except (OSError, ValueError):  # the console says so, and learns anew
        return None


def judge(one: Heard, book: PatternBook) -> Finding | None:
    """Lines of the last quarter of an hour at the level of errors or above that are of no pattern known before it."""
    sources = _sources(one, book)
    grave = (line for line in one.recent if line.rank >= _LEAST and not line.continuation)
    fresh = [line for line in grave if _new(line, book, sources, one.now - WINDOW)]
    if not fresh:
        return None
    kinds = patterns(fresh, _NAMED)
    more = f" and {len(kinds) - 1} more kinds" if len(kinds) > 1 else ""
    text = f"{one.label} logs an error of a new kind: {shorten(kinds[0][0], 80)}{more}"
    evidence = (
        *(f"{times} times: {kind}" for kind, times in kinds),
        f"first at {clock(fresh[0].at, one.now)}: {shown(fresh[0])}",
    )
    return Finding("logs.new", "logs", Status.WARN, text, evidence, subject=one.label, since=fresh[0].at)


def _new(line: Said, book: PatternBook, sources: Iterable[str], before: float) -> bool:
    began = (book.known_since(line.message, LEVELS[line.rank], source) for source in sources)
    return all(at is None or at >= before for at in began)


def _sources(one: Heard, book: PatternBook) -> list[str]:
    """What consoles call the logs of a service, where they have listened to them for long enough."""
    names = {
        one.label,
        *(c.name for c in one.containers),
        *(c.name.removeprefix(f"{c.project}-") for c in one.containers),
    }
    return [name for name in names if book.familiar(name, one.now)]
