"""Which backups may go: the old ones, but never the newest, and never the last one that is known to be good."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from console.actions.backup.manifest import Backup
from console.incident.disk import RealDisk

_DAY = 86_400.0


def removable(known: Sequence[Backup], keep_days: float, now: float) -> list[Backup]:
    """Oldest first. For each database its newest and its newest verified backup stay, however old they are."""
    kept: set[str] = set()
    for database in {b.database for b in known}:
        own = sorted((b for b in known if b.database == database), key=lambda b: b.created_at, reverse=True)
        kept |= {b.id for b in own[:1]} | {b.id for b in [b for b in own if b.verified][:1]}
    old = [b for b in known if b.age(now) > keep_days * _DAY and b.id not in kept]
    return sorted(old, key=lambda b: b.created_at)


def remove(backup: Backup) -> None:
    """The manifest goes first: what is left after a kill is no backup any more. Raises OSError."""
    place = backup.path.parent
    (place / f"{backup.id}.json").unlink(missing_ok=True)
    RealDisk().sync_directory(place)
    for file in belongings(backup):
        with contextlib.suppress(FileNotFoundError):
            file.unlink()


def belongings(backup: Backup) -> list[Path]:
    """Every file of the backup but its manifest."""
    return sorted(p for p in backup.path.parent.glob(f"{backup.id}.*") if p.suffix != ".json")
