"""Retention: incidents that have been over for long leave this host as verified archives, and do not come back.

What is archived can be unpacked anywhere. How long archives are kept, and what a replica's server keeps, is decided
by those who own them.
"""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path

from console.errors import RecordError, RefusedError
from console.incident import disk
from console.incident.pack import Packed, pack, unpacked
from console.incident.records import Incident
from console.incident.shelf import journal_files
from console.incident.store import IncidentStore, Retired


def over_since(incident: Incident) -> float | None:
    """When it ended for good; None while it has not."""
    return None if incident.open or not incident.status_path else incident.status_path[-1].at


def due(store: IncidentStore, before: float) -> list[str]:
    """Incidents that ended before this time (unix seconds), the oldest first."""
    ended = [(over_since(store.incident(one.id)), one.id) for one in store.list() if not one.open]
    return [id for at, id in sorted((at, id) for at, id in ended if at is not None) if at < before]


def archive(store: IncidentStore, id: str, place: Path) -> Packed:
    """Write `<place>/<id>.tar.gz`, read it back, and only then take the incident away.

    Raises RefusedError for one that is open or in use, RecordError for one that is not whole or cannot be written.
    """
    directory = store.directory(id)
    incident = store.incident(id)
    if incident.open:
        raise RefusedError(f"{incident.id} is {incident.status}", remedy="Close it first: sevdeck incident close")
    _check_unused(directory)
    target = place / f"{directory.name}.tar.gz"
    if target.exists():
        raise RefusedError(f"{target} is there already", remedy="Name another folder with --to")
    packed = pack(directory, target)
    if unpacked(target).head != packed.head:
        raise RecordError(f"{target} is not what was packed", remedy="Check the disk; nothing was taken away")
    declared = min((e for e in store.open(id).events() if e.kind == "declared"), key=lambda event: event.order)
    store.retire(directory.name, Retired(f"{declared.incident}/{declared.writer}", str(target), packed.head))
    going = directory.with_name(f".{directory.name}.archived")
    try:
        directory.rename(going)  # at once: nobody sees half an incident
        disk.RealDisk().sync_directory(store.root)
        shutil.rmtree(going)
    except OSError as error:
        raise RecordError(
            f"{directory} cannot be taken away: {error.strerror}", remedy="Its archive is whole"
        ) from None
    return packed


def _check_unused(directory: Path) -> None:
    """Raises RefusedError while a session that writes is alive: its file is locked as a sign of life."""
    for path in journal_files(directory):
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RefusedError(f"{directory.name} is in use", remedy="Quit the consoles that show it") from None
            except OSError:  # a file system without locks
                continue
