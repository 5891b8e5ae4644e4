"""What the monitor writes: its own bounded log, and the record of the incident that is open, each fact once.

Blocking; for a thread of its own. A disk that is full or away is said once and never ends the watching.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from console.actions.attempts import directory
from console.actions.monitor.heartbeat import stamp
from console.checks.facts import Fact, unsaid
from console.errors import RecordError, SevdeckError
from console.incident.disk import ensure_directory, open_log, write_atomically
from console.incident.events import Actor, fact_id
from console.incident.journal import Journal
from console.incident.state import fold
from console.incident.store import IncidentStore
from console.redact import redact, redact_data

LOG_LIMIT = 1_000_000  # bytes; then one older file is kept
EVIDENCE_KEPT = 10  # files
_MINUTE = 60.0
# What belongs into an incident: not that the monitor was started, or every good sample.
_TOLD = ("opened", "closed", "flapping", "frozen", "thawed", "suspended", "resumed", "recovered", "engine")


class Record:
    """`trouble` says what cannot be written now and why, "" when all can."""

    def __init__(self, data_dir: Path, project: Callable[[], str], wall: Callable[[], float] = time.time) -> None:
        self._data_dir, self._project, self._wall = data_dir, project, wall
        self._actor = Actor.current("monitor")
        self._store = IncidentStore(data_dir, self._actor)
        self._journal: Journal | None = None
        self._of = ""
        self._troubles: dict[str, str] = {}
        self._harmless: dict[str, str] = {}

    @property
    def trouble(self) -> str:
        return next(iter(self._troubles.values()), "")

    @property
    def words(self) -> str:
        """Everything that cannot be written now, also what does no harm."""
        return "; ".join(dict.fromkeys((*self._troubles.values(), *self._harmless.values())))

    def note(self, what: str, trouble: str, *, harmless: bool = False) -> None:
        """How the last try to write `what` went; "" is well."""
        kept = self._harmless if harmless else self._troubles
        if trouble:
            kept[what] = trouble
        else:
            self._troubles.pop(what, None)
            self._harmless.pop(what, None)

    @property
    def actor(self) -> Actor:
        return self._actor

    def writable(self) -> None:
        """A write went well: what failed once and is not tried by itself again is no trouble any more."""
        for what in _UNTRIED:
            self._troubles.pop(what, None)

    def incident(self) -> str:
        """The open incident that matters most, "" for none. Its record is opened when it is first written to."""
        try:
            current = self._store.current() or ""
            self.note("incidents", "")
        except (SevdeckError, OSError) as error:
            self.note("incidents", str(error))
            return self._of
        if current != self._of:
            self.close()
            self._of = current
        return current

    def log(self, line: Mapping[str, Any]) -> None:
        """Add a line to the monitor's own log."""
        place = directory(self._data_dir) / "monitor.log"
        try:
            ensure_directory(place.parent)
            if place.exists() and place.stat().st_size > LOG_LIMIT:
                place.replace(place.with_suffix(".log.1"))
            with open_log(place) as file:
                file.write(json.dumps(redact_data(dict(line)), ensure_ascii=False).encode("utf-8", "replace") + b"\n")
            self.note("log", "")
        except OSError as error:
            self.note("log", f"{place} cannot be written: {error.strerror}")

    def happened(self, kind: str, text: str, bad: bool | None, page: bool) -> None:
        """Write it into the open incident, where it belongs there. `bad` None: neither good nor bad news."""
        if kind not in _TOLD:
            return
        now, subject = self._wall(), self._project() or "monitor"
        words = f"monitor: {_WORDS.get(kind, kind)}: {redact(text)}" + ("; a person is needed" if page else "")
        id = fact_id(f"monitor.{kind}", subject, int(now // _MINUTE), text)
        about, state = _STANDING.get(kind, ("", ""))
        key = f"monitor:{about}:{subject}" if about else ""
        self._append([Fact(f"monitor.{kind}", now, subject, words, id, bad, key, state)])

    def facts(self, found: Sequence[Fact]) -> None:
        """Write what the machine saw into the open incident; what is there already, whoever wrote it, is not."""
        if found:
            self._append(found)

    def keep(self, name: str, content: bytes) -> str:
        """Keep evidence: attached to the open incident, else in a directory of its own, the newest ten. Its place."""
        journal = self._open()
        try:
            if journal is not None:
                sha256 = journal.put_blob(content)
                journal.append("attach", {"name": name, "sha256": sha256, "size": len(content)})
                self.note("evidence", "")
                return f"{self._of}, sha256 {sha256[:16]}"
            place = directory(self._data_dir) / "evidence"
            ensure_directory(place)
            file = place / f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(self._wall()))}.json"
            write_atomically(file, content)
            for old in sorted(p for p in place.iterdir() if p.suffix == ".json")[:-EVIDENCE_KEPT]:
                old.unlink(missing_ok=True)
            self.note("evidence", "")
            return str(file)
        except (RecordError, OSError) as error:
            self.note("evidence", str(error))
            return ""

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()
        self._journal, self._of = None, ""
        self.note("incident", "")

    def _append(self, found: Sequence[Fact]) -> None:
        journal = self._open()
        if journal is None:
            return
        try:
            now = self._wall()
            for fact in unsaid(found, fold(journal.events())):
                journal.append("fact", fact.event(now), id=fact.id, at=fact.at)
            self.note("incident", "")
        except (RecordError, OSError) as error:
            self.note("incident", str(error))

    def _open(self) -> Journal | None:
        """The record of the open incident; None when none is open, or it cannot be had."""
        if self._journal is None and self._of:
            try:
                self._journal = self._store.open(self._of)
            except (SevdeckError, OSError) as error:
                self.note("incident", str(error))
        return self._journal


# What is either one way or the other, so that a second monitor, or the same one after a restart, says nothing twice.
_STANDING = {
    "opened": ("episode", "open"),
    "closed": ("episode", "well"),
    "flapping": ("flapping", "flapping"),
    "frozen": ("automation", "frozen"),
    "thawed": ("automation", "well"),
}
# Written when there is something to write, which may be never: nothing is begun while the disk is in trouble.
_UNTRIED = ("log", "evidence", "incident", "disk: lines", "disk: facts", "disk: attempts", "disk: evidence")
_WORDS = {
    "opened": "users are not served",
    "closed": "users are served again",
    "flapping": "it comes and goes",
    "frozen": "nothing more is tried by itself",
    "thawed": "it may act again",
    "suspended": "nothing is begun",
    "resumed": "it may act",
    "recovered": "recovered",
    "engine": "engine",
}


def line(kind: str, text: str, now: float, project: str, **more: Any) -> dict[str, Any]:
    """One line of output: `time`, `kind`, `project`, `text`, and what belongs to it. Secrets are masked."""
    return dict(redact_data({"time": stamp(now), "kind": kind, "project": project, "text": text, **more}))
