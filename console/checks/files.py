"""Files of the project on this host: where they are, names of the variables in them, who may read them.

Every look has a deadline of its own thread: a dead mount costs this look and nothing else. Values are never kept.
"""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from console.errors import SourceError
from console.programs.blueprint import ComposeProject
from console.text import clean
from console.watch.lane import Lane

T = TypeVar("T")

PATIENCE = 1.5  # seconds
SAMPLES = (".env.example", "env.example", ".env.sample", "env.sample", ".env.dist")
_LIMIT = 1 << 20  # bytes of a settings file
_VARIABLE = re.compile(r"^[ \t]*(?:export[ \t]+)?([A-Za-z_]\w*)[ \t]*=[ \t]*(.*?)[ \t\r]*$", re.MULTILINE | re.ASCII)
_SECRET = re.compile(r"PASS|SECRET|TOKEN|API_?KEY|PRIVATE|CREDENTIAL|DSN|DATABASE_URL", re.IGNORECASE)


async def look(fn: Callable[[], T], deadline: float = PATIENCE) -> T:
    """`fn()` in a thread of its own. Raises SourceError when it does not return in time, or cannot read a file."""
    lane = Lane("files")
    try:
        return await lane.call(fn, deadline=deadline)
    except OSError as error:
        place = clean(str(error.filename or "a file"), 200)
        raise SourceError(
            f"{place} cannot be read: {error.strerror}", remedy="Look as root, or check its mode"
        ) from None
    finally:
        lane.close()


def directory(project: ComposeProject) -> Path | None:
    """Where the project's `.env` is looked for; None when nothing tells."""
    place = project.directory or (str(Path(project.files[0]).parent) if project.files else "")
    return Path(place) if place else None


def settings(project: ComposeProject) -> tuple[Path, ...]:
    """The files with the project's variables, there or not."""
    if project.env_files:
        return tuple(Path(f) for f in project.env_files)
    place = directory(project)
    return (place / ".env",) if place else ()


def sample(project: ComposeProject) -> Path | None:
    """The example of the settings, beside the Compose file. Raises OSError."""
    place = directory(project)
    return next((place / name for name in SAMPLES if place and (place / name).is_file()), None)


def variables(path: Path) -> dict[str, bool]:
    """Name -> whether it has a value, of a file of NAME=VALUE lines. Raises OSError."""
    with path.open("rb") as file:
        text = file.read(_LIMIT).decode("utf-8", "replace")
    return {name: value not in ("", "''", '""') for name, value in _VARIABLE.findall(text)}


def holds_secrets(path: Path) -> bool:
    """Whether a settings file has a value under a name that promises a secret. Raises OSError."""
    return any(_SECRET.search(name) for name, told in variables(path).items() if told)


def open_to_all(path: Path) -> bool:
    """Whether any user of this host may read the file: its mode, and the way to it. Raises OSError."""
    real = path.resolve(strict=True)
    searchable = all(parent.stat().st_mode & stat.S_IXOTH for parent in real.parents)
    return searchable and bool(real.stat().st_mode & stat.S_IROTH)


def fingerprint(path: Path) -> tuple[str, float] | None:
    """(hash, unix seconds of the last change) of a regular file under 1 MiB; None for all else."""
    try:
        told = path.stat()
        if not stat.S_ISREG(told.st_mode) or told.st_size > _LIMIT:
            return None
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16], told.st_mtime
    except OSError:
        return None


def within(paths: Iterable[Path], most: int = 200) -> list[Path]:
    """These files, and those directly in these directories, at most `most`."""
    found: list[Path] = []
    for path in paths:
        try:
            found += sorted(path.iterdir()) if path.is_dir() else [path]
        except OSError:
            continue
    return found[:most]
