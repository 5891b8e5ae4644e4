"""The newest entries of a long record, for the second in which the whole of it is read and verified.

Read from the ends of the files, each line chained to the one before it; what stands before them is not known. Only
the list's word is taken for title, severity and status. Never to act upon: `Incident.loading` says so.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from console.incident.chain import ChainReader
from console.incident.events import Event
from console.incident.records import Incident
from console.incident.shelf import journal_files
from console.incident.state import fold

LONG = 1 << 20  # bytes; 2,500 events are read in 0.05 s
_TAIL = 64 << 10  # bytes of each file: about 170 events
_ENTRIES = 100


def is_long(directory: Path) -> bool:
    """Whether reading it takes so long that a preview is worth it. Raises OSError."""
    return sum(path.stat().st_size for path in journal_files(directory)) > LONG


def preview(directory: Path, known: Incident) -> Incident:
    """`known` with the newest entries. Raises OSError."""
    events: list[Event] = []
    since = ((0, 0), "", 0)
    for path in journal_files(directory):
        reader = ChainReader.of_tail(path, _TAIL)
        found = reader.poll()
        events += found
        if found and found[0].seq > 1:
            # What came before this in the file may redact or correct older entries of the others.
            since = max(since, found[0].order)
    newest = fold(event for event in events if event.order >= since).timeline[-_ENTRIES:]
    entries = tuple(entry._replace(seq=0) for entry in newest)
    return dataclasses.replace(known, loading=True, timeline=entries)
