"""The ledger: one document for each containment under `<data>/containment/`, whole and durable after each write.

It is the truth of what is contained; an incident's record hears of it. Documents are never deleted: what is undone
stays to be read.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from console.actions.containment.entry import Entry
from console.actions.lock import holder
from console.errors import RefusedError, UsageError
from console.incident.disk import ensure_directory, file_mode, write_atomically
from console.text import clean

_SLUG = re.compile(r"[^A-Za-z0-9_.]+")
_ID = re.compile(r"[a-z][a-z-]*-[A-Za-z0-9_.-]{1,60}")


@dataclass(frozen=True, slots=True)
class Ledger:
    """What the directory holds. `damaged`: documents that cannot be read, in words; nobody may take them for none."""

    entries: tuple[Entry, ...] = ()  # newest first
    damaged: tuple[str, ...] = ()

    @property
    def active(self) -> tuple[Entry, ...]:
        """What may be in force, also what is in doubt; the one that is due first comes first."""
        return tuple(
            sorted((e for e in self.entries if not e.over), key=lambda e: (e.expires_at or float("inf"), e.at))
        )


def directory(data_dir: Path) -> Path:
    return data_dir / "containment"


def claim(data_dir: Path, entry: Entry) -> Entry:
    """Write a new entry under a name of its own; durable when it returns. Raises RefusedError when it cannot be."""
    place = directory(data_dir)
    slug = _SLUG.sub("-", entry.target).strip("-")[:40]
    try:
        ensure_directory(place)
        while True:
            named = replace(entry, id=f"{entry.name}-{slug}-{os.urandom(2).hex()}".replace("--", "-"))
            with contextlib.suppress(FileExistsError):
                os.close(os.open(_path(data_dir, named.id), os.O_WRONLY | os.O_CREAT | os.O_EXCL, file_mode(place)))
                break
        save(data_dir, named)
    except OSError as error:
        raise RefusedError(
            f"the containment cannot be recorded in {place}: {error.strerror}",
            remedy="Nothing was changed. Free some space, or use --data-dir",
        ) from error
    return named


def save(data_dir: Path, entry: Entry) -> None:
    """The document as it is now; durable when it returns. Raises OSError."""
    write_atomically(_path(data_dir, entry.id), json.dumps(entry.to_json(), indent=1).encode())


def load(data_dir: Path, ident: str) -> Entry:
    """Raises UsageError when there is none of that id or it cannot be read."""
    if not _ID.fullmatch(ident):
        raise _unknown(ident)
    try:
        return Entry.from_json(json.loads(_path(data_dir, ident).read_bytes()))
    except FileNotFoundError:
        raise _unknown(ident) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{ident} cannot be read: {clean(str(error), 200)}", remedy=_DAMAGED) from None


_DAMAGED = "Look at the file in the directory `containment` of the data directory: it says what to put back"


def read(data_dir: Path) -> Ledger:
    """Everything on the ledger. A name that was claimed and never written stands for nothing that was done."""
    found: list[Entry] = []
    damaged: list[str] = []
    try:
        names = sorted(e.name for e in os.scandir(directory(data_dir)) if e.name.endswith(".json") and e.name[0] != ".")
    except FileNotFoundError:
        return Ledger()
    except OSError as error:
        return Ledger(damaged=(f"{directory(data_dir)} cannot be read: {error.strerror}",))
    for name in names:
        path = directory(data_dir) / name
        try:
            raw = path.read_bytes()
            if raw:
                found.append(Entry.from_json(json.loads(raw)))
        except OSError as error:
            if error.errno != errno.ENOENT:
                damaged.append(f"{name} cannot be read: {error.strerror}")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            damaged.append(f"{name} is damaged: {clean(str(error), 100)}")
    return Ledger(tuple(sorted(found, key=lambda e: -e.at)), tuple(damaged))


def find(data_dir: Path, words: str) -> Entry:
    """The entry of an id, of the end of one, or of `isolate app` while only one such is active. Raises UsageError."""
    known = read(data_dir)
    wanted = " ".join(words.split())
    exact = [e for e in known.entries if e.id == wanted]
    titled = [e for e in known.active if e.title == wanted]
    ends = [e for e in known.entries if len(wanted) >= 4 and e.id.endswith(f"-{wanted}")]
    for found in (exact, titled, ends):
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(e.id for e in found)
            raise UsageError(f"{clean(wanted, 60)!r} is not one containment", remedy=f"Name one of {names}")
    return load(data_dir, wanted)  # says why not


def busy(data_dir: Path, entries: Iterable[Entry]) -> frozenset[str]:
    """The ids that somebody is at right now: who applies or undoes holds the project's lock in its name."""
    projects = {e.project for e in entries if not e.over}
    held = [holder(data_dir, p) for p in projects if p]
    return frozenset(h.run_id for h in held if h is not None)


def _path(data_dir: Path, ident: str) -> Path:
    return directory(data_dir) / f"{ident}.json"


def _unknown(ident: str) -> UsageError:
    return UsageError(f"there is no containment {clean(ident, 60)!r}", remedy="See: sevdeck contain list")
