"""What was learnt, on disk: one JSON file, written whole or not at all, for this user alone, and bounded.

A file that is damaged, too large or of another version is put aside: learning begins anew, and `load` says so.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from console.redact import redact
from console.watch.logrecord import RANK
from console.watch.mining.bursts import Counts
from console.watch.mining.miner import Form
from console.watch.mining.patterns import EXAMPLES, Pattern, PatternBook, Speaker

VERSION = 1
MOST_PATTERNS = 1500  # saved: those met last
_LARGEST = 16 << 20  # bytes that are read
_MOST_WORDS = 200
_MOST_FORMS = 20  # of one pattern
_MOST_SOURCES = 500


def told(book: PatternBook) -> dict[str, Any]:
    """The state as JSON-like data of its own."""
    latest = sorted(book.patterns, key=lambda number: book.patterns[number].last or 0.0)[-MOST_PATTERNS:]
    return {
        "version": VERSION,
        "watched": book.watched.nonzero() if book.watched is not None else None,
        "patterns": [_pattern(book.patterns[number], book.forms(number)[:_MOST_FORMS]) for number in latest],
        "sources": {
            name: {"since": one.since, "lines": one.lines.nonzero(), "grave": one.grave.nonzero()}
            for name, one in book.speakers.items()
        },
    }


def save(data: dict[str, Any], path: Path) -> None:
    """Write what `told` gave. Raises OSError when it cannot be written; the old file is then as it was."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(beside, "w", encoding="ascii", opener=_private) as file:
            json.dump(data, file, separators=(",", ":"))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def load(path: Path) -> tuple[PatternBook, str]:
    """The state, or an empty one and why it could not be used ("" when there is no file yet)."""
    try:
        return read(path), ""
    except FileNotFoundError:
        return PatternBook(), ""
    except OSError as error:
        return PatternBook(), f"{path} cannot be read ({error.strerror or error}): log patterns are learnt anew"
    except ValueError as error:
        with suppress(OSError):
            path.replace(path.with_name(path.name + ".damaged"))
        return PatternBook(), f"{path} cannot be used ({error}): log patterns are learnt anew"


def read(path: Path) -> PatternBook:
    """The state in a file, which stays as it is. Raises OSError, ValueError where it is no state that can be used."""
    with path.open("rb") as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise ValueError("it is too large")
    try:
        return _book(json.loads(content))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError(str(error) if type(error) is ValueError else "it is damaged") from error


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def _pattern(one: Pattern, forms: list[Form]) -> dict[str, Any]:
    return {
        "id": one.id,
        "source": one.source,
        "level": one.level,
        "forms": forms,
        "count": one.count,
        "first": one.first,
        "last": one.last,
        "examples": list(one.examples),
        "counts": one.counts.nonzero() if one.counts is not None else None,
    }


def _book(data: dict[str, Any]) -> PatternBook:
    if data["version"] != VERSION:
        raise ValueError(f"it has version {data['version']!r:.20}, and this sevdeck reads {VERSION}")
    book = PatternBook(_counts(data["watched"]) if data["watched"] is not None else None)
    for name, row in list(data["sources"].items())[:_MOST_SOURCES]:
        book.speakers[str(name)] = Speaker(float(row["since"]), _counts(row["lines"]), _counts(row["grave"]))
    for row in data["patterns"][-MOST_PATTERNS:]:
        level = row["level"]
        if level is not None and level not in RANK:
            raise TypeError(level)
        one = Pattern(
            str(row["id"])[:64],
            str(row["source"]),
            level,
            float(row["count"]),
            _time(row["first"]),
            _time(row["last"]),
            [redact(str(example)) for example in row["examples"][:EXAMPLES]],
            _counts(row["counts"]) if row["counts"] is not None else None,
        )
        book.restore(one, [_form(form) for form in row["forms"][:_MOST_FORMS]])
    return book


def _form(told: Any) -> Form:
    words, merged = told
    return tuple(str(word) for word in words[:_MOST_WORDS]), bool(merged)


def _counts(told: list[list[float]]) -> Counts:
    counts = Counts()
    for span, number in told:
        counts.add(int(span), float(number))
    return counts


def _time(told: Any) -> float | None:
    return None if told is None else float(told)
