"""Large things beside the journal: flight recordings, attachments, long outputs. Named by their hash, written once."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from console.errors import RecordError
from console.incident import disk

_NAME = re.compile(r"[0-9a-f]{64}")


def path(directory: Path, sha256: str) -> Path:
    """Where the content of that hash lies, or would."""
    return directory / "blobs" / sha256


def put(directory: Path, content: bytes) -> str:
    """Store `content` in the incident's `blobs/`; durable when this returns. Raises RecordError."""
    name = hashlib.sha256(content).hexdigest()
    place = path(directory, name)
    try:
        if place.exists() and place.stat().st_size == len(content):
            return name
        disk.ensure_directory(place.parent)
        disk.write_atomically(place, content)
    except OSError as error:
        raise RecordError(f"cannot store {len(content)} bytes: {error.strerror}", remedy="Free some space") from None
    return name


def get(directory: Path, sha256: str) -> bytes:
    """The content of that hash. Raises RecordError when it is missing or not what was stored."""
    if not _NAME.fullmatch(sha256):
        raise RecordError(f"{sha256!r} is not the name of an attachment")
    try:
        content = path(directory, sha256).read_bytes()
    except OSError as error:
        raise RecordError(f"attachment {sha256[:16]} cannot be read: {error.strerror}") from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise RecordError(f"attachment {sha256[:16]} is damaged: its content has another hash")
    return content
