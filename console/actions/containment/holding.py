"""What the ledger holds, as recovery must know it: no level undoes a containment silently. Reads the ledger only."""

from __future__ import annotations

from pathlib import Path

from console.actions.containment import ledger
from console.actions.facts import Hold

NEVER = 99  # no level


def holds(data_dir: Path, project: str) -> tuple[Hold, ...]:
    """Every service of the project that is held, also by what is in doubt.

    A document that cannot be read holds nobody knows what: it refuses nothing, and is said.
    """
    known = ledger.read(data_dir)
    held = [
        Hold(service, entry.id, entry.title, entry.level)
        for entry in known.active
        if entry.project == project
        for service in entry.services
    ]
    return (*held, *(Hold("", "", text, NEVER) for text in known.damaged))
