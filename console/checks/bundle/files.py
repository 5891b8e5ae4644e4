"""A bundle as files: a directory that is whole or not there, and the same in one archive for sending.

Plain text, JSON and lines of JSON, so that it is read without sevdeck. Everything is for its owner alone.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import re
import shutil
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from console.checks.bundle.items import Bundle, Item
from console.errors import RecordError
from console.incident.disk import RealDisk

_UNDER_WAY = ".sevdeck-bundle-"
_ABANDONED = 3600.0  # seconds after which an unfinished directory belongs to nobody

README = """\
Evidence bundle of sevdeck, of the host {host}, {utc}.

manifest.json   what is in here: of each item whether it could be had, how long it took, its size and SHA-256,
                what was masked in it; the version of sevdeck; the clock of this host and how far the engine's is ahead
diagnosis.json  findings and results of the checks
incident/       journal.jsonl, an event in each line; flight.json, the half hour of readings before
services/       a directory for each container: inspect.json, logs.txt (the last hour, at most 10 MiB), top.txt, stats.json
compose/        config.json, what Compose makes of the project's files; hashes.json, of the files and of the containers
docker/         version, info, disk usage, events of the last hour, all containers, networks and volumes of the project
stores/         what the database and the cache are busy with; without texts of queries
host/           processes, disks, inodes, memory, pressure, sockets, kernel messages
sevdeck/        settings in effect, and the end of sevdeck's own log

••• stands for a secret. [phone-1a2b3c4d], [mail-...], [cpf-...] and [message-...] stand for personal data: the same
token is the same value within this bundle, and nowhere else. An item that is not here is in the manifest with its reason.
Names of people in free text are not recognised. Read it before you send it on.
"""


@dataclass(frozen=True, slots=True)
class Written:
    """`archive` and its `sha256` only where one was asked for. `bytes` are those of the directory's `files`."""

    path: Path
    files: int
    bytes: int
    masked: dict[str, int]
    missing: tuple[Item, ...]
    archive: Path | None = None
    sha256: str = ""


def name_of(bundle: Bundle) -> str:
    """
    >>> name_of(Bundle("prod 1", 0.0, 0.0, ()))
    'sevdeck-bundle-prod-1-19700101T000000Z'
    """
    host = re.sub(r"[^A-Za-z0-9_.-]", "-", bundle.host).strip(".") or "host"
    return f"sevdeck-bundle-{host}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(bundle.made_at))}"


def contents(bundle: Bundle) -> Iterator[tuple[str, bytes]]:
    """(path, bytes) of every file, in order."""
    utc = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(bundle.made_at))
    found = {item.name: item.content for item in bundle.items if item.ok}
    found |= {"README.txt": README.format(host=bundle.host, utc=utc).encode(), "manifest.json": bundle.manifest()}
    yield from sorted(found.items())


def packed(bundle: Bundle) -> bytes:
    """The bundle as a .tar.gz. The same bundle gives the same bytes, whoever packs it."""
    top, at = name_of(bundle), int(bundle.made_at)
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in contents(bundle):
            entry = tarfile.TarInfo(f"{top}/{name}")
            entry.size, entry.mtime, entry.mode = len(content), at, 0o600
            tar.addfile(entry, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), compresslevel=6, mtime=at)


def packed_within(bundle: Bundle, limit: int) -> tuple[Bundle, bytes]:
    """The archive in at most `limit` bytes: the largest items are left out until it fits, and the manifest says so."""
    content = packed(bundle)
    while len(content) > limit and (there := [item for item in bundle.items if item.content]):
        largest = max(there, key=lambda item: len(item.content))
        bundle = bundle.without(largest.name, f"left out: the archive may have {limit // 1024} KiB at most")
        content = packed(bundle)
    return bundle, content


def write(bundle: Bundle, directory: Path, *, archive: bool = False) -> Written:
    """Write it below `directory`, under a name that nothing has yet; durable when this returns.

    Raises RecordError where it cannot be written; what had been written by then is removed.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        _tidy(directory)
        place = _free(directory, name_of(bundle))
        files = list(contents(bundle))
        sha256, packed_at = "", None
        if archive:
            content = packed(bundle)
            sha256 = hashlib.sha256(content).hexdigest()
            packed_at = place.with_name(f"{place.name}.tar.gz")
        with _under_way(directory) as temporary:
            whole = temporary / "bundle"
            whole.mkdir(mode=0o700)
            for name, content_of in files:
                _file(whole / name, content_of)
            for made in (whole, *(path for path in whole.rglob("*") if path.is_dir())):
                RealDisk().sync_directory(made)
            if packed_at is not None:
                _file(temporary / "archive", content)
                (temporary / "archive").rename(packed_at)
            try:
                whole.rename(place)
            except OSError:
                if packed_at is not None:
                    packed_at.unlink(missing_ok=True)
                raise
        RealDisk().sync_directory(directory)
    except OSError as error:
        raise RecordError(
            f"the bundle cannot be written to {directory}: {error.strerror}",
            remedy="Nothing of it was left there; free some space, or name another directory",
        ) from error
    size = sum(len(content_of) for _, content_of in files)
    missing = tuple(item for item in bundle.items if not item.ok)
    return Written(place, len(files), size, dict(bundle.masked), missing, packed_at, sha256)


def _file(path: Path, content: bytes) -> None:
    """A new file of its owner alone, on disk when this returns."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(fd)


@contextlib.contextmanager
def _under_way(directory: Path) -> Iterator[Path]:
    """A directory that nobody takes for a bundle; gone afterwards, with whatever is still in it."""
    temporary = directory / f"{_UNDER_WAY}{os.getpid()}-{os.urandom(4).hex()}"
    temporary.mkdir(mode=0o700)
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _free(directory: Path, name: str) -> Path:
    number = 1
    place = directory / name
    while os.path.lexists(place) or os.path.lexists(f"{place}.tar.gz"):
        number += 1
        place = directory / f"{name}-{number}"
    return place


def _tidy(directory: Path) -> None:
    """Remove what a killed writer left here long ago."""
    for left in directory.glob(f"{_UNDER_WAY}*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED:
                shutil.rmtree(left)
