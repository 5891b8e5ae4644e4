"""A file as evidence: read once, masked where it is text, stored by its hash, named in the record."""

from __future__ import annotations

from pathlib import Path

from console.errors import UsageError
from console.incident.events import Event
from console.incident.journal import Journal
from console.redact import redact

LIMIT = 20 * 1024 * 1024  # bytes; evidence, not an archive


def attach_file(journal: Journal, path: Path, *, text: str = "", limit: int = LIMIT) -> Event:
    """Store the file and record it; `text` says what it is. The event's data has `sha256`, `size` and `masked`.

    Raises UsageError for what cannot be read or is too large, RecordError when it cannot be stored.
    """
    try:
        if not path.is_file():
            raise UsageError(f"{path} is no file", remedy="Give the path of a file")
        size = path.stat().st_size
        if size > limit:
            raise UsageError(
                f"{path} has {size // 1024} KiB, at most {limit // 1024} are kept",
                remedy="Attach the part that matters",
            )
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    kept, masked = _masked(content)
    return attach_content(journal, path.name, kept, masked=masked, text=text)


def attach_content(journal: Journal, name: str, content: bytes, *, masked: bool, text: str = "") -> Event:
    """Store bytes that need no masking any more (`masked`: some of them were) and record them under this name.

    Raises RecordError when they cannot be stored.
    """
    sha256 = journal.put_blob(content)
    data = {"name": name, "sha256": sha256, "size": len(content), "masked": masked}
    return journal.append("attach", data | ({"text": text} if text else {}))


def _masked(content: bytes) -> tuple[bytes, bool]:
    """The content with secrets masked, and whether there were any. What is not UTF-8 text is kept as it is."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return content, False
    clear = redact(text)
    return clear.encode("utf-8"), clear != text
