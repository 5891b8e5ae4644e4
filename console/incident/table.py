"""Queries over events with TinyDB: an append-only table whose only storage is the journal.

TinyDB's own tables rewrite everything at each insert, which takes a second at 100,000 events. Here an insert is one
line of the journal and one entry in memory. What would change or remove an event is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NoReturn

from tinydb.storages import Storage
from tinydb.table import Document, Table

from console.errors import RecordError
from console.incident.events import Event
from console.incident.journal import Journal
from console.incident.privacy import mark, without_words
from console.incident.summary import summary

NAME = "events"


class JournalStorage(Storage):
    """What the table calls its storage: the journal, which nobody writes to but by appending."""

    def read(self) -> dict[str, dict[str, Any]]:
        return {NAME: {}}

    def write(self, data: Mapping[str, Mapping[str, Any]]) -> NoReturn:
        _refuse()


class EventTable(Table):
    """Events as documents: `id`, `at` and `written_at` (unix seconds), `kind`, `actor`, `host`, `automatic`,
    `writer`, `seq`, `text` (as in the timeline) and `data`. Read with `tinydb.where`."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(JournalStorage(), NAME, cache_size=0)  # what another console appends changes every answer
        self._journal = journal
        self._documents: dict[str, Document] = {}
        self._events: dict[str, Event] = {}
        self._marks: dict[str, str] = {}  # id of a redacted event -> what is shown instead

    def refresh(self) -> int:
        """Take in what was written since, by anybody; how many events that were. Raises RecordError."""
        fresh = [event for event in self._journal.poll() if event.id not in self._documents]
        for event in fresh:
            self._take(event)
        return len(fresh)

    def insert(self, document: Mapping[str, Any]) -> int:
        """Append an event of `kind` with `data`; durable when this returns. Raises like `Journal.append`."""
        event = self._journal.append(str(document["kind"]), dict(document["data"]))
        return self._take(event).doc_id

    def insert_multiple(self, documents: Iterable[Mapping[str, Any]]) -> list[int]:
        return [self.insert(document) for document in documents]

    def truncate(self) -> NoReturn:
        _refuse()

    def __len__(self) -> int:
        return len(self._documents)

    def __iter__(self) -> Iterator[Document]:
        return iter(list(self._documents.values()))

    def _take(self, event: Event) -> Document:
        known = self._documents.get(event.id)
        if known is not None:
            return known
        if event.kind == "redact":
            hidden = str(event.data["event"])
            self._marks[hidden] = mark(event)
            if hidden in self._documents:
                self._documents[hidden].update(as_document(without_words(self._events[hidden], self._marks[hidden])))
        if event.id in self._marks:
            event = without_words(event, self._marks[event.id])
        self._events[event.id] = event
        made = Document(as_document(event), len(self._documents) + 1)
        self._documents[event.id] = made
        return made

    def _read_table(self) -> dict[str, Mapping[str, Any]]:
        return {str(document.doc_id): document for document in self._documents.values()}

    def _update_table(self, updater: Callable[[dict[int, Mapping[str, Any]]], None]) -> NoReturn:
        _refuse()


def as_document(event: Event) -> dict[str, Any]:
    """The event as a plain document."""
    return {
        "id": event.id,
        "at": event.at,
        "written_at": event.written_at,
        "kind": event.kind,
        "actor": event.actor.name,
        "host": event.actor.host,
        "automatic": event.kind == "fact" or not event.actor.human,
        "writer": event.writer,
        "seq": event.seq,
        "text": summary(event),
        "data": dict(event.data),
    }


def _refuse() -> NoReturn:
    raise RecordError("an event is never changed or removed", remedy="Write another one: amend, or redact")
