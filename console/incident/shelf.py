"""Where the files of one incident's journal lie: its directory, the mirror of other hosts, the spare places.

A spare place is written to only when the disk of the directory has failed. Nothing about it can be noted on that
disk, so its name follows from the directory's. It may be memory: what is there is safe from a crash of sevdeck,
not from a restart of the host.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from pathlib import Path

from console.incident.chain import writer_of
from console.incident.disk import ensure_directory, write_atomically

MIRROR = "mirror"  # what writers on other hosts wrote, as it came through the replica
_MEMORY = Path("/dev/shm")


def spare_places(directory: Path) -> tuple[Path, ...]:
    """Directories to go on in when this one's disk fails, best first. They are not made here."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    name = f"{hashlib.sha256(os.fsencode(directory.resolve())).hexdigest()[:16]}-{directory.name}"
    roots = ([Path(runtime) / "sevdeck"] if runtime else []) + [_MEMORY / f"sevdeck-{os.getuid()}"]
    return tuple(root / "journal" / name for root in roots)


def make_spare(place: Path) -> None:
    """Make a spare place for this user alone. Raises OSError, also when somebody else has prepared it."""
    root = place.parents[1]
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _ours(root):
        raise PermissionError(f"{root} belongs to somebody else")
    place.mkdir(mode=0o700, parents=True, exist_ok=True)


def journal_files(directory: Path) -> list[Path]:
    """Every file of the journal, the directory's own first. Raises OSError when the directory cannot be read."""
    found = sorted(path for path in directory.iterdir() if writer_of(path) is not None)
    mirror = directory / MIRROR
    if mirror.is_dir():
        found += sorted(path for path in mirror.iterdir() if writer_of(path) is not None)
    return found + spare_files(directory)


def bring_home(directory: Path) -> None:
    """Copy what was written to spare places into the directory's mirror, now that its disk may be well again.

    Best effort: the copies are what others read, and what outlives a restart of the host.
    """
    for path in spare_files(directory):
        home = directory / MIRROR / path.name
        with contextlib.suppress(OSError):
            content = path.read_bytes()
            content = content[: content.rfind(b"\n") + 1]
            if not home.exists() or home.stat().st_size < len(content):
                ensure_directory(home.parent)
                write_atomically(home, content)


def spare_files(directory: Path) -> list[Path]:
    """The files in spare places: all that can be read while the directory's disk is gone."""
    found: list[Path] = []
    for place in spare_places(directory):
        if place.is_dir() and _ours(place.parents[1]):
            found += sorted(path for path in place.iterdir() if writer_of(path) is not None)
    return found


def _ours(root: Path) -> bool:
    """Others may write to the directory above: what they put there under our name is not believed."""
    found = root.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022
