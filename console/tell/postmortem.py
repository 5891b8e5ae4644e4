"""The post-mortem of an incident as a file: Markdown, one self-contained HTML page, or JSON.

Everything but judgement is filled in from the record; judgement is marked blank for the team. The same events
give the same bytes on every host. A file that a person has edited is not overwritten: each carries the hash of
what was generated.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from console.errors import RecordError, RefusedError, UsageError
from console.redact import redact
from console.tell import pictures, words
from console.tell.flight import flight_records
from console.tell.report import report

FORMATS = ("md", "html", "json")
_MARK = "sevdeck-postmortem sha256:"
_MARKED = re.compile(rf"^<!-- {_MARK}([0-9a-f]{{64}}) -->\n?\Z", re.MULTILINE)


def export(directory: Path, format: str = "md", path: Path | None = None, *, force: bool = False) -> Path:
    """Write the post-mortem of the incident in `directory`; returns where it is. Blocking.

    `path` None: `<incident>-postmortem.<format>` in the current directory; a directory: that name in it. Raises
    UsageError for an unknown format, RefusedError when the file there was edited by hand or is not ours,
    RecordError when the record cannot be read or the file not be written.
    """
    text = render(directory, format)
    target = _target(directory.name, format, path)
    if not force:
        _check_overwrite(target)
    _write(target, text)
    return target


def render(directory: Path, format: str = "md") -> str:
    """The text of the post-mortem, its own hash included."""
    makers: dict[str, Callable[[Path], str]] = {"md": _markdown, "html": _html, "json": _json}
    if format not in makers:
        raise UsageError(f"{format!r} is no format of a post-mortem", remedy="Use one of " + ", ".join(FORMATS))
    return makers[format](directory)


def untouched(text: str) -> bool:
    """Whether this is a generated post-mortem that nobody changed since."""
    found = _MARKED.search(text)
    if found is not None:
        return _digest(text[: found.start()]) == found[1]
    try:
        data = json.loads(text)
        return isinstance(data, dict) and data.pop("generated", {}).get("sha256") == _digest(_encode(data))
    except (ValueError, AttributeError):
        return False


def _markdown(directory: Path) -> str:
    text = words.environment(html=False).get_template("postmortem.md.j2").render(report=report(directory))
    return _sealed(re.sub(r"\n{3,}", "\n\n", text).strip() + "\n\n")


def _html(directory: Path) -> str:
    data = report(directory)
    charts = pictures.charts(data, flight_records(directory))
    text = words.environment(html=True).get_template("postmortem.html.j2").render(report=data, charts=charts)
    return _sealed(text.strip() + "\n")


def _json(directory: Path) -> str:
    data = report(directory)
    return _encode(data | {"generated": {"sha256": _digest(_encode(data))}})


def _encode(data: dict[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, allow_nan=False, indent=2, sort_keys=True) + "\n"


def _sealed(text: str) -> str:
    """The masked text with the hash of itself as its last line."""
    text = redact(text)
    return f"{text}<!-- {_MARK}{_digest(text)} -->\n"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _target(incident: str, format: str, path: Path | None) -> Path:
    name = f"{incident}-postmortem.{format}"
    if path is None:
        return Path.cwd() / name
    return path / name if path.is_dir() else path


def _check_overwrite(target: Path) -> None:
    try:
        there = target.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return
    except OSError as error:
        raise RecordError(f"{target} cannot be read: {error.strerror}", remedy="Name another file with -o") from None
    if not untouched(there):
        raise RefusedError(
            f"{target} was edited, or is no post-mortem of ours", remedy="Name another file with -o, or use --force"
        )


def _write(target: Path, text: str) -> None:
    """Beside first, then in its place: a full disk leaves no half a report."""
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise RecordError(f"{target} cannot be written: {error.strerror}", remedy="Name another file with -o") from None
