"""What the ledger holds, as recovery must know it: no level undoes a containment silently. Reads the ledger only."""

from __future__ import annotations

from pathlib import Path

from console.actions.containment import ledger
from console.actions.facts import Hold


def holds(data_dir: Path, project: str) -> tuple[Hold, ...]:
    """Every service of the project that is held, also by what is in doubt."""
    return tuple(
        Hold(service, entry.id, entry.title, entry.level)
        for entry in ledger.read(data_dir).active
        if entry.project == project
        for service in entry.services
    )
