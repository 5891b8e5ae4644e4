"""Reading a TOML file that a person wrote: types are checked, and every fault is collected with its place.

It knows nothing of what the settings mean; `console.config` asks for them by name and type.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from console.errors import InvalidFileError, Problem
from console.text import clean

T = TypeVar("T")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION = re.compile(r"(?:\d{1,9}(?:\.\d{1,6})?(?:ms|s|m|h|d|w)\s*)+")
_HEADER = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""\s*((?:"[^"]*"|'[^']*'|[\w-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[\w-]+))*)\s*=""")


def parse_duration(text: str) -> float:
    """Seconds of "500ms", "30s", "5m", "1h30m", "2d", "1w"; ValueError for anything else.

    >>> parse_duration("30s"), parse_duration("1h30m"), parse_duration("500ms")
    (30.0, 5400.0, 0.5)
    """
    text = text.strip()
    if not _DURATION.fullmatch(text):
        raise ValueError(f'expected a duration such as "30s" or "5m", found "{clean(text, 60)}"')
    return sum(float(n) * _UNITS[unit] for n, unit in re.findall(r"([\d.]+)(ms|s|m|h|d|w)", text))


def show_duration(value: float) -> str:
    """Seconds as a person would write them in the file.

    >>> show_duration(90), show_duration(3600), show_duration(0.5), show_duration(0)
    ('90s', '1h', '500ms', '0s')
    """
    if value and value % 1:
        return f"{value * 1000:g}ms"
    for unit in ("d", "h", "m"):
        if value and value % _UNITS[unit] == 0:
            return f"{int(value // _UNITS[unit])}{unit}"
    return f"{value:g}s"


def did_you_mean(word: str, known: Collection[str]) -> str:
    """' (did you mean "disk"?)', or the list of what is known when nothing is near."""
    if near := _nearest(word, known):
        return f'did you mean "{near}"?'
    return "known are " + ", ".join(sorted(known)) if known else "nothing is known here"


class Document:
    """A parsed file, the problems found in it, and on which line each key stands."""

    def __init__(self, path: Path, text: str) -> None:
        """Parse `text`; raises InvalidFileError with the line when it is not TOML."""
        self.file = str(path)
        self.problems: list[Problem] = []
        self.notices: list[Problem] = []  # no faults: what a person should know about settings that are well
        placed = list(_placed(text))
        self.lines = {path: number for path, number, _ in placed}
        self.settings = {path: number for path, number, header in placed if not header}
        try:
            self.data: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise InvalidFileError([_syntax_problem(self.file, text, error)]) from None

    @classmethod
    def read(cls, path: Path) -> Document:
        """Read and parse; raises InvalidFileError when the file cannot be read or is no UTF-8 TOML."""
        try:
            text = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            raise InvalidFileError([Problem(str(path), "", "this is not UTF-8 text", line)]) from None
        except OSError as error:
            message = f"cannot be read: {error.strerror or error}"
            raise InvalidFileError([Problem(str(path), "", message)]) from None
        return cls(path, text)

    def root(self) -> Table:
        return Table(self, self.data, "")

    def line(self, where: str) -> int | None:
        """Line of a key path, or of the nearest table around it."""
        while where:
            if where in self.lines:
                return self.lines[where]
            where = where[: where.rindex(".")] if "." in where else where.partition("[")[0] if "[" in where else ""
        return None

    def fault(self, where: str, message: str) -> None:
        self.problems.append(Problem(self.file, where, message, self.line(where)))

    def notice(self, where: str, message: str) -> None:
        self.notices.append(Problem(self.file, where, message, self.line(where)))

    def raise_if_faulty(self) -> None:
        if self.problems:
            raise InvalidFileError(sorted(self.problems, key=lambda problem: problem.line or 0))


class Table:
    """One table of a document. Asking for a key makes it known; `done` reports what nobody asked for.

    A getter returns its default when the key is missing, and also when it is wrong: then a problem is noted.
    """

    def __init__(self, document: Document, data: Mapping[str, Any], where: str) -> None:
        self.document = document
        self.data = data
        self.where = where
        self._known: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return key in self.data

    def known(self, key: str) -> None:
        """Say that `key` belongs here without reading it."""
        self._known.add(key)

    def without_effect(self, *keys: str) -> None:
        """Say of each of these keys that is set that it is accepted and nothing reads it yet."""
        for key in keys:
            if key in self.data and not isinstance(self.data[key], dict):  # a table says it of its own keys
                self.document.notice(self.path(key), "accepted, has no effect yet")

    def path(self, key: str) -> str:
        return f"{self.where}.{key}" if self.where else key

    def fault(self, key: str, message: str) -> None:
        self.document.fault(self.path(key) if key else self.where, message)

    def text(self, key: str, default: str = "", *, check: Callable[[str], str] | None = None) -> str:
        """A string. `check` returns what is wrong with it, "" when nothing is."""
        value = self._typed(key, str, "text in quotes", default)
        if check is not None and key in self.data and isinstance(self.data[key], str) and (wrong := check(value)):
            self.fault(key, wrong)
        return value

    def required(self, key: str, *, check: Callable[[str], str] | None = None) -> str:
        """A string that must be there and not be empty."""
        value = self.text(key, check=check)
        if key not in self.data:
            self.fault("", f'"{key}" is missing')
        elif isinstance(self.data[key], str) and not value.strip():
            self.fault(key, "must not be empty")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings."""
        self._known.add(key)
        value = self.data.get(key, [])
        if isinstance(value, str):
            self.fault(key, f'expected a list: write ["{clean(value, 60)}"]')
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.fault(key, f"expected a list of texts, found {_shown(value)}")
            return ()
        return tuple(value)

    def number(
        self, key: str, default: T, *, least: float | None = None, most: float | None = None, whole: bool = False
    ) -> float | T:
        self._known.add(key)
        if key not in self.data:
            return default
        value = self.data[key]
        kind = "a whole number" if whole else "a number"
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)) or value != value:
            self.fault(key, f"expected {kind}, found {_shown(value)}")
            return default
        if (least is not None and value < least) or (most is not None and value > most):
            span = f"from {least:g} to {most:g}" if most is not None else f"of at least {least:g}"
            self.fault(key, f"expected {kind} {span}, found {_shown(value)}")
            return default
        return int(value) if whole else float(value)

    def flag(self, key: str, default: bool = False) -> bool:
        return self._typed(key, bool, "true or false", default)

    def duration(self, key: str, default: float, *, least: float = 0.0) -> float:
        """A duration in seconds, written "30s"."""
        self._known.add(key)
        if key not in self.data:
            return default
        value = self.data[key]
        if not isinstance(value, str):
            example = f'"{value}s"' if isinstance(value, int | float) and not isinstance(value, bool) else '"30s"'
            self.fault(key, f"expected a duration in quotes such as {example}, found {_shown(value)}")
            return default
        try:
            seconds = parse_duration(value)
        except ValueError as error:
            self.fault(key, str(error))
            return default
        if seconds < least:
            self.fault(key, f'must be at least "{show_duration(least)}"')
            return default
        return seconds

    def choice(self, key: str, options: Collection[str], default: str = "") -> str:
        value = self.text(key, default)
        if key in self.data and isinstance(self.data[key], str) and value not in options:
            self.fault(key, f"expected one of {', '.join(options)}, found {_shown(value)}{_near(value, options)}")
            return default
        return value

    def table(self, key: str) -> Table:
        """A table; an empty one when it is missing."""
        return Table(self.document, self._typed(key, dict, f"a table [{self.path(key)}]", {}), self.path(key))

    def tables(self, key: str) -> list[Table]:
        """A list of tables, `[[key]]`."""
        self._known.add(key)
        value = self.data.get(key, [])
        if isinstance(value, dict):
            self.fault(key, f"expected a list of tables: write [[{self.path(key)}]] with two brackets")
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self.fault(key, f"expected tables [[{self.path(key)}]], found {_shown(value)}")
            return []
        return [Table(self.document, item, f"{self.path(key)}[{i}]") for i, item in enumerate(value)]

    def done(self) -> None:
        """Note every key that was not asked for: a slip in a name would else be a setting without effect."""
        for key in self.data:
            if key not in self._known:
                self.fault(
                    key, f"unknown {'table or key' if not self.where else 'key'}: {did_you_mean(key, self._known)}"
                )

    def _typed(self, key: str, kind: type[T], wanted: str, default: T) -> T:
        self._known.add(key)
        value = self.data.get(key, default)
        if not isinstance(value, kind):
            self.fault(key, f"expected {wanted}, found {_shown(value)}")
            return default
        return value


def _near(word: str, options: Collection[str]) -> str:
    near = _nearest(word, options)
    return f' (did you mean "{near}"?)' if near else ""


def _nearest(word: str, options: Collection[str]) -> str:
    import difflib  # only a slip needs it

    near = difflib.get_close_matches(word, options, n=1, cutoff=0.6)
    return near[0] if near else ""


def _shown(value: Any) -> str:
    """A value from the file in a message. Long ones are cut: they may be secrets pasted into the wrong place."""
    if isinstance(value, str):
        return "a URL" if "://" in value else f'"{clean(value, 24)}"'
    if isinstance(value, dict):
        return "a table"
    return (
        "a list"
        if isinstance(value, list)
        else clean(str(value).lower() if isinstance(value, bool) else str(value), 24)
    )


def _syntax_problem(file: str, text: str, error: tomllib.TOMLDecodeError) -> Problem:
    found = re.search(r"\(at (?:line (\d+), column (\d+)|end of document)\)", str(error))
    line = int(found[1]) if found and found[1] else text.count("\n") + 1
    message = re.sub(r"\s*\(at [^)]*\)$", "", str(error))
    return Problem(file, "", f"not valid TOML: {clean(message, 160)}", line)


def _placed(text: str) -> Iterator[tuple[str, int, bool]]:
    """Key paths ("probes[1].target"), their lines, and whether it is a header; found by looks, good for messages."""
    table, counts, closing = "", dict[str, int](), ""
    for number, line in enumerate(text.splitlines(), start=1):
        if closing:
            closing = "" if closing in line else closing
            continue
        if header := _HEADER.match(line):
            table = _plain_key(header[2])
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
            parent = max(
                (name for name in counts if table == name or table.startswith(name + ".")), key=len, default=""
            )
            if parent:
                table = f"{parent}[{counts[parent]}]{table[len(parent) :]}"
            yield table, number, True
        elif key := _KEY.match(line):
            yield f"{table}.{_plain_key(key[1])}" if table else _plain_key(key[1]), number, False
            for quotes in ('"""', "'''"):
                if line.count(quotes) % 2:
                    closing = quotes


def _plain_key(key: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in key.split("."))
