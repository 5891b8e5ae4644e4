"""What a declaration begins: which checklists belong to it, the same whoever declares and through what.

Pure where it decides; `begin` writes. Nothing is asked here: the wizard's questions are in `console.incident.severity`.
"""

from __future__ import annotations

from collections.abc import Callable

from console.errors import SevdeckError
from console.guide.loader import Catalog
from console.guide.run import PlaybookRun
from console.incident.journal import Journal
from console.incident.levels import LEVELS
from console.incident.records import Incident
from console.incident.state import fold


def checklists(incident: Incident) -> tuple[str, ...]:
    """Playbooks to start: the response of the severity, then the one that the wizard's clause named."""
    declared = next((entry.data for entry in incident.timeline if entry.kind == "declared"), {})
    named = declared.get("playbook")
    wanted = [LEVELS[incident.severity].playbook, named if isinstance(named, str) else ""]
    return tuple(dict.fromkeys(id for id in wanted if id))


def begin(journal: Journal, catalog: Catalog, failed: Callable[[str, SevdeckError], None]) -> list[PlaybookRun]:
    """Start them. One that cannot be started is told to `failed` and does not keep the next from starting."""
    begun = []
    for id in checklists(fold(journal.events())):
        try:
            begun.append(PlaybookRun.start(journal, catalog.get(id)))
        except SevdeckError as error:
            failed(id, error)
    return begun
