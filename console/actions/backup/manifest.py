"""What is known of a backup: one JSON file beside each dump. A dump without one was never finished.

Everything that a restore must know stands in it, so that nobody has to open the dump to choose one.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from console.errors import UsageError
from console.incident.disk import write_atomically
from console.text import clean

FORMAT = 1
SHORT = 6  # last characters of an id: what a person types to mean this backup and no other
_DROP = 0.5  # of the size of the one before: a smaller one is alarming


@dataclass(frozen=True, slots=True)
class TableCount:
    """`last`: the highest number its sequence has given, None without one."""

    rows: int
    last: int | None = None


@dataclass(frozen=True, slots=True)
class Verified:
    """A check that passed. `how`: "decoded" (every byte read back) or "restored" (into a scratch database)."""

    at: float
    how: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup. Times in unix seconds, `size` in bytes, `took` in seconds; `path` is the dump."""

    id: str
    created_at: float
    project: str
    database: str
    server: int  # major version
    size: int
    sha256: str
    path: Path
    host: str = ""
    by: str = ""
    took: float = 0.0
    tables: Mapping[str, TableCount] = field(default_factory=dict)  # counted before the dump, or in its snapshot
    after: Mapping[str, TableCount] = field(
        default_factory=dict
    )  # and after it: the same in a snapshot; else what it holds lies between
    schema_version: str = ""
    verified: Verified | None = None
    files: tuple[str, ...] = ()  # names of what was copied alongside
    left_out: tuple[str, ...] = ()  # what was to be copied and was not, with the reason
    archive: str = ""  # name of the archive that they are in
    archive_sha256: str = ""
    source: str = ""  # "" is our own dump; "hook": another program keeps it, and there is no `path`

    @property
    def short(self) -> str:
        return self.id[-SHORT:]

    @property
    def rows(self) -> int:
        return sum(t.rows for t in self.tables.values())

    def age(self, now: float) -> float:
        return max(0.0, now - self.created_at)

    def as_json(self) -> dict[str, Any]:
        body = {k: v for k, v in asdict(self).items() if k not in ("path", "source")}
        return {"format": FORMAT, **body, "dump": self.path.name}


def new_id(now: float) -> str:
    """Sorts by time and can be read out: 20261123-030005-a7f3c1."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{os.urandom(3).hex()}"


def write(backup: Backup) -> None:
    """Durable when it returns; from then on the dump is a backup. Raises OSError."""
    place = backup.path.with_name(f"{backup.id}.json")
    write_atomically(place, json.dumps(backup.as_json(), indent=1).encode())


def mark(backup: Backup, verified: Verified) -> Backup:
    """Write down that it was verified; a decode does not replace a restore that passed. Raises OSError."""
    if backup.verified is not None and backup.verified.how == "restored" and verified.how == "decoded":
        verified = replace(verified, how="restored")
    found = replace(backup, verified=verified)
    write(found)
    return found


def withdraw(backup: Backup) -> Backup:
    """It was good once and is not any more: nobody may rely on it, and none is kept for it. Raises OSError."""
    found = replace(backup, verified=None)
    if backup.verified is not None:
        write(found)
    return found


def catalog(directory: Path) -> list[Backup]:
    """Every finished backup, newest first. A manifest that cannot be read is no backup; see `unreadable`."""
    found = []
    for place in _manifests(directory):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            found.append(_read(place))
    return sorted(found, key=lambda b: (b.created_at, b.id), reverse=True)


def unreadable(directory: Path) -> list[str]:
    """Manifests that say nothing: somebody should look."""
    known = {b.id for b in catalog(directory)}
    return [p.name for p in _manifests(directory) if p.stem not in known]


def find(directory: Path, ident: str) -> Backup:
    """The backup whose id is, or ends with, `ident`; "" is the newest. Raises UsageError."""
    return pick(catalog(directory), ident, f"in {directory}")


def pick(known: Sequence[Backup], ident: str, where: str = "") -> Backup:
    """`find` among these, which stand newest first. Raises UsageError."""
    if not known:
        raise UsageError(" ".join(("there is no backup", where)).strip(), remedy="Make one: sevdeck backup create")
    if not ident:
        return known[0]
    fitting = [b for b in known if b.id == ident] or [b for b in known if b.id.endswith(ident)]
    if len(fitting) != 1:
        what = "several backups end with" if fitting else "there is no backup"
        raise UsageError(f"{what} {clean(ident, 60)}", remedy="See: sevdeck backup list")
    return fitting[0]


def alarms(known: Sequence[Backup], rpo: float, now: float) -> list[str]:
    """What is wrong with the backups as a whole, worst first: none, too old, suddenly small, never verified."""
    if not known:
        return ["there is no backup"]
    said = []
    for database in dict.fromkeys(b.database for b in known):
        own = [b for b in known if b.database == database]
        newest, of = own[0], f" of {database}" if len(own) < len(known) else ""
        if newest.age(now) > rpo:
            said.append(f"the newest backup{of} is {_age(newest.age(now))} old, the limit is {_age(rpo)}")
        if len(own) > 1 and newest.size < _DROP * own[1].size:
            said.append(f"the newest backup{of} has {newest.size} bytes, the one before {own[1].size}")
    if not any(b.verified for b in known):
        said.append("no backup was ever verified")
    return said


def _age(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.1f} h"


def _manifests(directory: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return sorted(p for p in directory.glob("*.json") if not p.name.startswith("."))
    return []


def _read(place: Path) -> Backup:
    raw = json.loads(place.read_bytes())
    words = {key: clean(str(raw[key]), 200) for key in ("id", "project", "database", "sha256")}
    known = ("host", "by", "schema_version", "archive", "archive_sha256")
    more = {key: clean(str(raw.get(key, "")), 200) for key in known}
    verified = raw.get("verified")
    return Backup(
        **words,
        **more,
        created_at=float(raw["created_at"]),
        server=int(raw["server"]),
        size=int(raw["size"]),
        path=place.with_name(Path(str(raw["dump"])).name),
        took=float(raw.get("took", 0.0)),
        tables=_counts(raw.get("tables")),
        after=_counts(raw.get("after")),
        verified=Verified(float(verified["at"]), str(verified["how"]), str(verified["by"])) if verified else None,
        files=tuple(str(f) for f in raw.get("files", ())),
        left_out=tuple(str(f) for f in raw.get("left_out", ())),
    )


def _counts(raw: Any) -> dict[str, TableCount]:
    return {clean(str(n), 200): TableCount(int(c["rows"]), c.get("last")) for n, c in (raw or {}).items()}
