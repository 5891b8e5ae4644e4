"""Watching the ledger for a console: what is contained now, and when to say again that something is overdue.

It reads files only, and only those that changed. Blocking: for a thread that may hang with its disk.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from console.actions.containment.entry import Entry
from console.actions.containment.ledger import busy, directory

AGAIN = 300.0  # seconds between two reminders of one overdue measure


@dataclass(frozen=True, slots=True)
class Contained:
    """One measure that may be in force. `state`: active, overdue, in_doubt, unknown, applying, undoing, damaged."""

    id: str
    title: str
    state: str
    expires_at: float | None = None
    services: tuple[str, ...] = ()

    def left(self, now: float) -> str:
        """How long it still holds, in words.

        >>> Contained("i", "isolate app", "active", 700.0).left(0.0)
        '12 min left'
        >>> Contained("i", "isolate app", "active", 0.0).left(125.0)
        'OVERDUE 2 min'
        """
        if self.state in ("in_doubt", "unknown", "damaged"):
            return self.state.upper().replace("_", " ")
        if self.state in ("applying", "undoing") or self.expires_at is None:
            return f"{self.state} …"
        left = self.expires_at - now
        if left < 0:
            return f"OVERDUE {int(-left // 60)} min" if left <= -60 else "OVERDUE"
        return f"{round(left / 60)} min left" if left >= 90 else f"{int(left)} s left"

    def alarming(self, now: float) -> bool:
        """Whether somebody must do something about it."""
        late = self.expires_at is not None and now > self.expires_at
        return late or self.state in ("in_doubt", "unknown", "damaged")


class Reminder:
    """Looks at one ledger again and again."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._known: dict[str, tuple[tuple[int, int], Entry | None]] = {}
        self._said: dict[str, float] = {}

    def look(self) -> tuple[Contained, ...]:
        """What may be in force, the one that is due first comes first. Raises OSError."""
        self._read()
        entries = [e for _, e in self._known.values() if e is not None and not e.over]
        at_work = busy(self._data_dir, entries)
        entries.sort(key=lambda e: (e.expires_at or float("inf"), e.at))
        found = [Contained(e.id, e.title, e.standing(0.0, e.id in at_work), e.expires_at, e.services) for e in entries]
        damaged = [name for name, (mark, entry) in self._known.items() if entry is None and mark[1]]
        return (*found, *(Contained(name, name.removesuffix(".json"), "damaged") for name in sorted(damaged)))

    def due(self, contained: tuple[Contained, ...], now: float) -> list[str]:
        """What must be said now: that something is overdue or in doubt, every five minutes for as long as it is."""
        said = []
        self._said = {k: v for k, v in self._said.items() if k in {c.id for c in contained}}
        for one in contained:
            if one.alarming(now) and now - self._said.get(one.id, 0.0) >= AGAIN:
                self._said[one.id] = now
                said.append(f"{one.title}: {one.left(now)}. C looks at it and undoes it")
        return said

    def _read(self) -> None:
        found: dict[str, tuple[tuple[int, int], Entry | None]] = {}
        try:
            files = [f for f in os.scandir(directory(self._data_dir)) if f.name.endswith(".json") and f.name[0] != "."]
        except FileNotFoundError:
            files = []
        for file in files:
            about = file.stat()
            mark = (about.st_mtime_ns, about.st_size)
            known = self._known.get(file.name)
            found[file.name] = known if known is not None and known[0] == mark else (mark, _entry(Path(file.path)))
        self._known = found


def _entry(path: Path) -> Entry | None:
    try:
        return Entry.from_json(json.loads(path.read_bytes()))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
