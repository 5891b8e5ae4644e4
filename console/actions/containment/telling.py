"""Containment in an incident's record: an event for each turn of an entry, the same event however often it is told."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from console.actions.containment.entry import Entry
from console.errors import SevdeckError
from console.incident.blobs import put
from console.incident.events import Actor
from console.incident.journal import Journal
from console.incident.store import IncidentStore

_IN_RECORD = {"failed": "undone"}  # nothing of it is in force: the incident may be closed


class Telling:
    """Writes into the record of the entry's incident; does nothing where there is none."""

    def __init__(
        self, data_dir: Path, incident: str, actor: Actor, *, opened: Callable[[], Journal] | None = None
    ) -> None:
        self._data_dir, self._incident, self._actor = data_dir, incident, actor
        self._open = opened or (lambda: IncidentStore(data_dir, actor).open(incident))
        self._journal: Journal | None = None

    def tell(self, entry: Entry) -> str:
        """Tell what the record has not heard yet; why that failed, in words, or "". The ledger stays the truth."""
        if not self._incident:
            return ""
        try:
            journal = self._journal = self._journal or self._open()
            for number, line in enumerate(entry.history[entry.told :], entry.told):
                journal.append("containment", _data(entry, number), id=_event_id(entry, number), at=float(line["at"]))
        except SevdeckError as error:
            return f"the record of {self._incident} did not take it: {error.message}"
        return ""

    def save(self, content: bytes) -> str:
        """Keep evidence: in the incident where there is one, else beside the ledger. Answers its sha256."""
        if self._incident:
            journal = self._journal = self._journal or self._open()
            digest = journal.put_blob(content)
            about = {"name": "containment-evidence.json", "sha256": digest, "size": len(content)}
            journal.append("attach", {**about, "text": "what was seen before it was isolated"})
            return digest
        return put(self._data_dir / "containment", content)

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()
            self._journal = None


def _event_id(entry: Entry, number: int) -> str:
    text = f"{entry.id}\n{entry.at}\n{number}"
    return "contain-" + hashlib.sha256(text.encode()).hexdigest()[:32]


def _data(entry: Entry, number: int) -> dict[str, Any]:
    line = entry.history[number]
    state = str(line["state"])
    last = number == len(entry.history) - 1
    acted = [
        {"title": p.step.title, "command": p.step.command, "undo": p.step.undo, "state": p.state, "text": p.detail,
         "took": p.took}
        for p in entry.parts
    ]  # fmt: skip
    return {
        "containment": entry.id,
        "name": entry.name,
        "target": entry.target,
        "state": _IN_RECORD.get(state, state),
        "expires_at": entry.expires_at,
        "undo": entry.undo[:2000],
        "text": str(line["text"]),
        **({"steps": acted[:20]} if last and state not in ("applying", "undoing") else {}),
    }
