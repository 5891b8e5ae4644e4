"""One incident as one archive: its journals, what is attached, and a manifest with the hash of each.

A plain tar.gz that opens without sevdeck. What is unpacked is verified before it becomes an incident here: a
damaged archive leaves nothing behind.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from console import __version__
from console.errors import RecordError, UsageError
from console.incident import disk
from console.incident.chain import writer_of
from console.incident.shelf import MIRROR, journal_files
from console.incident.verify import Verdict, verify

MANIFEST = "manifest.json"
LIMIT = 4 << 30  # bytes unpacked: no archive may fill the disk of a host in trouble
_INCIDENT = re.compile(r"INC-\d{4}-\d{4,}(?:-[0-9A-F]{8})?")
_BLOB = re.compile(r"blobs/[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Packed:
    """`path` of the archive or of the incident's directory, the record's `head`, and how many `files` and `events`."""

    incident: str
    path: Path
    head: str
    files: int
    events: int


def pack(directory: Path, output: Path) -> Packed:
    """Write the archive; it is whole when this returns. Raises RecordError for a record that is not whole."""
    verdict = _whole(directory)
    content = {_name(path): path.read_bytes() for path in journal_files(directory)}
    for blob in sorted((directory / "blobs").glob("*")):
        if _BLOB.fullmatch(f"blobs/{blob.name}"):
            content[f"blobs/{blob.name}"] = blob.read_bytes()
    manifest = {
        "format": 1,
        "incident": directory.name,
        "sevdeck": __version__,
        "head": verdict.head,
        "events": verdict.events,
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in content.items()},
    }
    told = json.dumps(manifest, indent=1, ensure_ascii=False).encode()
    try:
        disk.write_atomically(output, _tar(directory.name, {MANIFEST: told, **content}))
    except OSError as error:
        raise RecordError(f"cannot write {output}: {error.strerror}", remedy="Name another place with -o") from None
    return Packed(directory.name, output, verdict.head, len(content), verdict.events)


def _name(path: Path) -> str:
    """What other hosts wrote stays apart; what a spare place kept belongs to the rest."""
    return f"{MIRROR}/{path.name}" if path.parent.name == MIRROR else path.name


def unpack(archive: Path, root: Path) -> Packed:
    """Make the archive an incident below `root`. Raises UsageError when that incident is here already, RecordError
    for an archive that is damaged, not whole, or holds anything but a record."""
    incident, content = _content(archive)
    home = root / incident
    if home.exists():
        raise UsageError(
            f"{incident} is here already", remedy="Compare with `sevdeck incident verify`, or use another --data-dir"
        )
    growing = root / f".{incident}.unpacking"
    shutil.rmtree(growing, ignore_errors=True)
    try:
        disk.ensure_directory(root)
        disk.make_directory(growing)
        for name, data in content.items():
            disk.ensure_directory((growing / name).parent)
            disk.write_atomically(growing / name, data)
        verdict = _whole(growing)
        growing.rename(home)
        disk.RealDisk().sync_directory(root)
    except OSError as error:
        raise RecordError(f"cannot unpack to {root}: {error.strerror}", remedy="Free some space") from None
    finally:
        shutil.rmtree(growing, ignore_errors=True)
    return Packed(incident, home, verdict.head, len(content), verdict.events)


def unpacked(archive: Path) -> Verdict:
    """What the archive holds, verified in a folder of its own that is gone when this returns. Raises RecordError."""
    _, content = _content(archive)
    try:
        with tempfile.TemporaryDirectory(prefix=".sevdeck-archive-", dir=archive.parent) as folder:
            for name, data in content.items():
                disk.ensure_directory((Path(folder) / name).parent)
                (Path(folder) / name).write_bytes(data)
            return _whole(Path(folder))
    except OSError as error:
        raise RecordError(f"cannot unpack beside {archive}: {error.strerror}", remedy="Free some space") from None


def _content(archive: Path) -> tuple[str, dict[str, bytes]]:
    content = _read(archive)
    incident, expected = _manifest(content.pop(MANIFEST, b""), archive)
    _compare(content, expected, archive)
    return incident, content


def _whole(directory: Path) -> Verdict:
    verdict = verify(directory)
    if not verdict.ok:
        raise RecordError(f"the record is not whole: {verdict.first_bad}", remedy="See `sevdeck incident verify`")
    return verdict


def _tar(incident: str, content: Mapping[str, bytes]) -> bytes:
    """The same bytes for the same record, so that two archives can be compared."""
    raw = io.BytesIO()
    with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in content.items():
            entry = tarfile.TarInfo(f"{incident}/{name}")
            entry.size, entry.mode = len(data), 0o600
            tar.addfile(entry, io.BytesIO(data))
    return raw.getvalue()


def _read(archive: Path) -> dict[str, bytes]:
    """Names without their first folder. Only plain files with names a record has are read."""
    content: dict[str, bytes] = {}
    left = LIMIT
    try:
        with tarfile.open(archive, mode="r:gz") as tar:
            for entry in tar:
                _, _, name = entry.name.partition("/")
                journal = writer_of(Path(name)) and "/" not in name.removeprefix(f"{MIRROR}/")
                known = name == MANIFEST or _BLOB.fullmatch(name) or journal
                if not entry.isreg() or not known:
                    raise RecordError(f"{archive}: {entry.name!r} does not belong into a record")
                left -= entry.size
                if left < 0:
                    raise RecordError(f"{archive}: more than {LIMIT >> 30} GiB unpacked")
                file = tar.extractfile(entry)
                content[name] = file.read() if file else b""
    except FileNotFoundError:
        raise UsageError(f"there is no file {archive}") from None
    except (OSError, tarfile.TarError, EOFError, ValueError) as error:
        raise RecordError(f"{archive} cannot be read: {error}") from None
    return content


def _manifest(raw: bytes, archive: Path) -> tuple[str, dict[str, str]]:
    try:
        told = json.loads(raw)
        incident, files, version = told["incident"], told["files"], told["format"]
    except (ValueError, KeyError, TypeError):
        raise RecordError(f"{archive} has no manifest of an incident") from None
    if version != 1:
        raise RecordError(f"{archive} has format {version!r}", remedy="Use a newer sevdeck")
    if not isinstance(incident, str) or not _INCIDENT.fullmatch(incident) or not isinstance(files, dict):
        raise RecordError(f"{archive} has a damaged manifest")
    return incident, files


def _compare(content: Mapping[str, bytes], expected: Mapping[str, str], archive: Path) -> None:
    for name in sorted(content.keys() | expected.keys()):
        if name not in content:
            raise RecordError(f"{archive}: {name} is missing")
        if hashlib.sha256(content[name]).hexdigest() != expected.get(name):
            raise RecordError(f"{archive}: {name} is not what the manifest says")
