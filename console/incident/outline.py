"""What a list says of one incident, from its files as they grow: only new lines are read, only what tells is kept."""

from __future__ import annotations

from pathlib import Path

from console.errors import RecordError
from console.incident.chain import ChainReader, writer_of
from console.incident.events import Event
from console.incident.records import Incident
from console.incident.shelf import journal_files
from console.incident.state import fold

_TELLING = ("declared", "severity", "status", "resolved", "closed", "reopened", "amend", "redact")


class Outline:
    """Title, severity, status and declaration of one incident. Blocking; for one thread at a time."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._readers: dict[Path, ChainReader] = {}
        self._kept: list[Event] = []
        self._used = False

    def read(self) -> Incident | None:
        """The incident as the telling events make it; None when nothing was ever written. Raises RecordError."""
        try:
            paths = journal_files(self._directory)
        except OSError as error:
            raise RecordError(f"the record cannot be read: {error.strerror}") from None
        for path in paths:
            reader = self._readers.get(path)
            if reader is None:
                reader = self._readers[path] = ChainReader(path, writer_of(path) or "")
            try:
                for event in reader.fresh():
                    self._used |= event.kind != "genesis"
                    if event.kind in _TELLING:
                        self._kept.append(event)
            except OSError:  # somebody else's private file must not hide everybody's entries
                continue
        return fold(self._kept) if self._used else None
