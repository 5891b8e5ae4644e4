"""Where incidents live: `<data>/incidents/INC-YYYY-NNNN/`, found, numbered, opened and listed.

The journals are the truth; the list's index is a cache that is made again whenever it does not fit them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from console.errors import RecordError, UsageError
from console.incident.disk import Disk, RealDisk, ensure_directory, make_directory
from console.incident.documents import Documents
from console.incident.events import Actor, new_id
from console.incident.journal import Journal
from console.incident.outline import Outline
from console.incident.preview import is_long, preview
from console.incident.records import FINAL, Incident
from console.incident.shelf import journal_files
from console.incident.state import fold

_ID = re.compile(r"INC-(\d{4})-(\d{4,})(?:-[0-9A-F]{8})?")  # the last part: of another host, with a number of ours
_INDEX = "incidents"
_SETTINGS = "settings"
_RETIRED = "archived"


@dataclass(frozen=True, slots=True)
class Listed:
    """One incident in a list."""

    id: str
    title: str
    severity: int
    status: str
    declared_at: float | None
    drill: bool

    @property
    def open(self) -> bool:
        return self.status not in FINAL


@dataclass(frozen=True, slots=True)
class Retired:
    """An incident that was taken away: its name everywhere (`INC-.../<writer that declared it>`), its archive, its head."""

    key: str
    path: str
    head: str


class IncidentStore:
    """The incidents of one data directory. Safe to use from several processes at once; all calls block."""

    def __init__(
        self,
        data_dir: Path,
        actor: Actor,
        *,
        disk: Disk | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.data_dir = data_dir
        self.actor = actor
        self.disk = disk or RealDisk()
        self.root = data_dir / "incidents"
        self.documents = Documents(data_dir / "meta.json")
        self._wall = wall
        self._outlining = threading.Lock()
        self._outlines: dict[Path, Outline] = {}

    def create(
        self,
        title: str,
        severity: int,
        *,
        commander: str = "",
        roles: Mapping[str, str] | None = None,
        drill: bool = False,
        at: float | None = None,
        **more: Any,
    ) -> Journal:
        """Declare an incident; it is durable when this returns. `more`: further data of the declaration.

        The number is claimed by making the directory, which only one process can. Raises RecordError,
        UsageError for an empty title or a severity outside 1-4.
        """
        if not title.strip():
            raise UsageError("an incident needs a title", remedy="Say in a few words what users see")
        if severity not in (1, 2, 3, 4):
            raise UsageError(f"{severity!r} is no severity", remedy="Use 1, 2, 3 or 4")
        journal = Journal(self._claim(), self.actor, disk=self.disk, wall=self._wall)
        data: dict[str, Any] = {"title": title.strip(), "severity": severity, "drill": drill, **more}
        if commander:
            data["commander"] = commander
        if roles:
            data["roles"] = dict(roles)
        journal.append("declared", data, id=new_id(), at=at)
        return journal

    def open(self, id: str) -> Journal:
        """The journal of an incident by its id (any case, or just its number of this year). Raises UsageError."""
        return Journal(self.directory(id), self.actor, disk=self.disk, wall=self._wall)

    def directory(self, id: str) -> Path:
        """Where the incident lives. Raises UsageError when there is none of that name."""
        wanted = id.strip().upper()
        if wanted.isdigit():
            wanted = f"INC-{self._year()}-{int(wanted):04d}"
        if not _ID.fullmatch(wanted) or not (self.root / wanted).is_dir():
            raise UsageError(f"there is no incident {id!r}", remedy="`sevdeck incident list` shows all")
        return self.root / wanted

    def incident(self, id: str) -> Incident:
        """The incident as it is now."""
        return fold(self.open(id).events())

    def preview(self, id: str) -> Incident | None:
        """The newest entries of a long record, quickly; None of one that is read as quickly. Raises RecordError."""
        directory = self.directory(id)
        try:
            if not is_long(directory):
                return None
            told = next((one for one in self.list() if one.id == directory.name), None)
            if told is None:
                return None
            known = Incident(told.id, told.title, told.severity, told.status, told.drill, told.declared_at, "")
            return preview(directory, known)
        except OSError as error:
            raise RecordError(f"the record cannot be read: {error.strerror}") from None

    def list(self, *, open_only: bool = False, keep: bool = True) -> list[Listed]:
        """Every incident, the newest first. Only those whose files changed are read.

        `keep` False: for whoever asks all the time. Of incidents that are open nothing is written to the index, so
        that a disk that hangs holds up no reader.
        """
        known = self.documents.all(_INDEX)
        listed: list[Listed] = []
        changed: dict[str, dict[str, Any]] = {}
        for directory in self.directories():
            mark = _fingerprint(directory)
            cached = known.get(directory.name, {})
            entry = _from_cache(directory.name, cached) if cached.get("mark") == mark else None
            if entry is None:
                incident = self._outline(directory)
                if incident is None:
                    continue  # a number that was claimed and never used
                entry = _listed(directory.name, incident)
                if keep or not entry.open:
                    changed[directory.name] = {"mark": mark, **_to_cache(entry)}
            listed.append(entry)
        if changed:
            with contextlib.suppress(RecordError):  # a cache that cannot be written is made again next time
                self.documents.put(_INDEX, changed)
        listed.sort(key=lambda entry: (entry.declared_at or 0.0, entry.id), reverse=True)
        return [entry for entry in listed if entry.open or not open_only]

    def _outline(self, directory: Path) -> Incident | None:
        """A long incident that grows is asked about each second: what was read of it is kept while it is open."""
        with self._outlining:
            outline = self._outlines.pop(directory, None) or Outline(directory)
            incident = outline.read()
            if incident is None or incident.open:
                self._outlines[directory] = outline
        return incident

    def reindex(self) -> int:
        """Make the list's index anew from the journals; how many incidents. Raises RecordError."""
        self.documents.forget(_INDEX, set(self.documents.all(_INDEX)))
        return len(self.list())

    def retire(self, id: str, retired: Retired) -> None:
        """Remember that the incident was taken away. Raises RecordError when that cannot be written."""
        self.documents.put(_RETIRED, {id: dataclasses.asdict(retired)})

    def unretire(self, id: str) -> None:
        """It is back. Raises RecordError when that cannot be written."""
        if id in self.retired():
            self.documents.forget(_RETIRED, {id})

    def retired(self) -> dict[str, Retired]:
        """Incidents that were taken away, by id. Where that was lost they come back from a replica's server."""
        fields = [field.name for field in dataclasses.fields(Retired)]
        found = self.documents.all(_RETIRED)
        return {id: Retired(*(str(one.get(name, "")) for name in fields)) for id, one in found.items()}

    def current(self) -> str | None:
        """The id of the open incident that matters most: not a drill, not yet resolved, worst, newest."""
        candidates = self.list(open_only=True, keep=False)
        if not candidates:
            return None
        best = min(
            candidates,
            key=lambda entry: (
                entry.drill,
                entry.status in ("resolved", "review"),
                entry.severity,
                -(entry.declared_at or 0.0),
            ),
        )
        return best.id

    def setting(self, name: str) -> Any:
        """A saved setting (a filter, a sort order); None when it was never saved or is lost."""
        return (self.documents.get(_SETTINGS, name) or {}).get("value")

    def save_setting(self, name: str, value: Any) -> None:
        """Raises RecordError when it cannot be saved; going on without is fine."""
        self.documents.put(_SETTINGS, {name: {"value": value}})

    def directories(self) -> Sequence[Path]:
        """Every incident's directory, numbers that were claimed and never used included. Raises RecordError."""
        try:
            return sorted(path for path in self.root.iterdir() if _ID.fullmatch(path.name))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise RecordError(f"{self.root} cannot be read: {error.strerror}") from None

    def _claim(self) -> Path:
        year = self._year()
        try:
            ensure_directory(self.root, self.disk)
            names = [*(directory.name for directory in self.directories()), *self.retired()]
            used = [int(m[2]) for name in names if (m := _ID.fullmatch(name)) and m[1] == str(year)]
            number = max(used, default=0)
            while True:
                number += 1
                path = self.root / f"INC-{year}-{number:04d}"
                with contextlib.suppress(FileExistsError):
                    make_directory(path)
                    self.disk.sync_directory(self.root)
                    return path
        except OSError as error:
            raise RecordError(
                f"cannot declare in {self.root}: {error.strerror}",
                remedy="Check the disk and who owns the directory, or use --data-dir",
            ) from None

    def _year(self) -> int:
        return datetime.datetime.fromtimestamp(self._wall(), tz=datetime.UTC).year


def _fingerprint(directory: Path) -> list[list[Any]]:
    """Names and sizes of its journals: files only grow, so equal sizes are equal content."""
    return [[path.name, path.stat().st_size] for path in journal_files(directory)]


def _listed(id: str, incident: Incident) -> Listed:
    return Listed(id, incident.title, incident.severity, incident.status, incident.declared_at, incident.drill)


def _to_cache(entry: Listed) -> dict[str, Any]:
    return {
        "title": entry.title,
        "severity": entry.severity,
        "status": entry.status,
        "declared_at": entry.declared_at,
        "drill": entry.drill,
    }


def _from_cache(id: str, cached: Mapping[str, Any]) -> Listed | None:
    try:
        return Listed(id, cached["title"], cached["severity"], cached["status"], cached["declared_at"], cached["drill"])
    except KeyError:
        return None
