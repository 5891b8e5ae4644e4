"""A YAML file as plain values that know their lines, and a reader that collects every fault instead of the first.

It knows YAML and types, not playbooks. Aliases are refused: ten lines of them can unfold to gigabytes.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from console.config_file import parse_duration
from console.errors import Problem, SevdeckError
from console.text import clean, clean_block

if TYPE_CHECKING:
    import yaml

MAX_FILE = 256 * 1024
MAX_DEPTH = 20

Path_ = tuple[str | int, ...]


class Fields:
    """A mapping of the file while it is read: every key is asked for once, what is left over is unknown."""

    def __init__(self, document: Document, values: Mapping[str, Any], path: Path_) -> None:
        self._document = document
        self._values = values
        self._asked: set[str] = set()
        self.path = path

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def raw(self, key: str) -> Any:
        self._asked.add(key)
        return self._values.get(key)

    def fault(self, message: str, key: str | int | None = None) -> None:
        self._document.fault(self.path if key is None else (*self.path, key), message)

    def text(self, key: str, *, required: bool = False, default: str = "") -> str:
        value = self.raw(key)
        if value is None:
            if required:
                self.fault(f"{key!r} is missing")
            return default
        if isinstance(value, datetime.date):
            return value.isoformat()
        if isinstance(value, bool | list | dict):
            self.fault("must be text", key)
            return default
        return clean(str(value))

    def prose(self, key: str) -> str:
        """Text that may have several lines."""
        value = self.raw(key)
        if not isinstance(value, str):
            self.fault("must be text", key)
            return ""
        return clean_block(value).strip()

    def choice(self, key: str, allowed: Iterable[str], *, default: str = "", required: bool = False) -> str:
        value = self.text(key, default=default, required=required)
        if value and value not in allowed and key in self._values:
            self.fault(f"{value!r} is not one of {', '.join(allowed)}", key)
            return default
        return value

    def number(self, key: str, *, required: bool = False) -> float | None:
        value = self.raw(key)
        if value is None and required:
            self.fault(f"{key!r} is missing")
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.fault("must be a number", key)
            return None
        return float(value)

    def whole(self, key: str, *, required: bool = False, least: int = 0, most: int = 10**6) -> int | None:
        value = self.number(key, required=required)
        if value is None:
            return None
        if value != int(value) or not least <= value <= most:
            self.fault(f"must be a whole number from {least} to {most}", key)
            return None
        return int(value)

    def flag(self, key: str) -> bool:
        value = self.raw(key)
        if value is not None and not isinstance(value, bool):
            self.fault("must be true or false", key)
        return value is True

    def span(self, key: str, *, required: bool = False) -> float | None:
        value = self.raw(key)
        if value is None:
            if required:
                self.fault(f"{key!r} is missing")
            return None
        try:
            if isinstance(value, str):
                return parse_duration(value)
        except (ValueError, SevdeckError):
            pass
        self.fault('must be a duration such as "30s", "5m", "2h" or "90d"', key)
        return None

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.raw(key)
        if value is None:
            return ()
        if not isinstance(value, list) or any(isinstance(item, bool | list | dict) or item is None for item in value):
            self.fault("must be a list of texts", key)
            return ()
        return tuple(str(item) for item in value)

    def mapping(self, key: str, *, required: bool = False) -> Fields | None:
        value = self.raw(key)
        if value is None:
            if required:
                self.fault(f"{key!r} is missing")
            return None
        if not isinstance(value, dict):
            self.fault("must be a mapping of keys to values", key)
            return None
        return Fields(self._document, value, (*self.path, key))

    def mappings(self, key: str, *, required: bool = False) -> list[Fields]:
        value = self.raw(key)
        if value is None:
            if required:
                self.fault(f"{key!r} is missing")
            return []
        if not isinstance(value, list):
            self.fault("must be a list", key)
            return []
        found = []
        for index, item in enumerate(value):
            if isinstance(item, dict):
                found.append(Fields(self._document, item, (*self.path, key, index)))
            else:
                self._document.fault((*self.path, key, index), "must be a mapping of keys to values")
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._values))

    def line(self, key: str | None = None) -> int:
        return self._document.line(self.path if key is None else (*self.path, key)) or 0

    def done(self) -> None:
        """Complain about every key that nobody asked for."""
        import difflib

        for key in self._values:
            if key not in self._asked:
                near = difflib.get_close_matches(key, self._asked, n=1)
                self.fault(f"unknown key{f', did you mean {near[0]!r}?' if near else ''}", key)


class Document:
    """One file: its values, the line of each, and the faults found so far."""

    def __init__(self, file: str, content: bytes) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._lines: dict[Path_, int] = {}
        self.root: Fields | None = None
        node = self._compose(content)
        if node is not None:
            values = self._value(node, (), set())
            if isinstance(values, dict):
                self.root = Fields(self, values, ())
            else:
                self.fault((), "a playbook is a mapping of keys to values")

    def fault(self, path: Path_, message: str) -> None:
        where = re.sub(r"\.(\d+)", r"[\1]", ".".join(map(str, path)))
        self.problems.append(Problem(self.file, where, message, self.line(path)))

    def line(self, path: Path_) -> int | None:
        """The line of a value, or of the nearest thing around it."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def _compose(self, content: bytes) -> yaml.Node | None:
        import yaml

        if len(content) > MAX_FILE:
            self.fault((), f"the file is larger than {MAX_FILE // 1024} KiB")
            return None
        try:
            # libyaml reads the shipped files in 20 ms, the pure Python parser in 200.
            loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
            text = content.decode("utf-8")
            if self._too_deep(text, loader):
                return None
            node: yaml.Node | None = yaml.compose(text, Loader=loader)
        except UnicodeDecodeError as error:
            self.fault((), f"not UTF-8 at byte {error.start}")
            return None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            line = mark.line + 1 if mark else 1
            self.problems.append(Problem(self.file, "", clean(f"not YAML: {error.problem or error}"), line))
            return None
        except yaml.YAMLError as error:
            self.fault((), clean(f"not YAML: {error}"))
            return None
        if node is None:
            self.fault((), "the file is empty")
        return node

    def _too_deep(self, text: str, loader: Any) -> bool:
        """Nodes are composed recursively, and libyaml's composer overflows the C stack at 100,000 levels."""
        import yaml

        depth = 0
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth > MAX_DEPTH:
                line = event.start_mark.line + 1 if event.start_mark else 1
                self.problems.append(Problem(self.file, "", "nested too deeply", line))
                return True
        return False

    def _value(self, node: yaml.Node, path: Path_, above: set[int]) -> Any:
        import yaml

        self._lines[path] = node.start_mark.line + 1
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if id(node) in above:
            self.fault(path, "aliases are not allowed")
            return None
        above.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*path, index), above) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, above)
        return None

    def _mapping(self, node: yaml.MappingNode, path: Path_, above: set[int]) -> dict[str, Any]:
        import yaml

        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.fault(path, "a key must be text")
                continue
            key = clean(str(key_node.value), 100)
            if key in values:
                self.problems.append(
                    Problem(self.file, key, "this key stands here twice", key_node.start_mark.line + 1)
                )
            values[key] = self._value(value_node, (*path, key), above)
            self._lines[(*path, key)] = key_node.start_mark.line + 1
        return values

    def _scalar(self, node: yaml.ScalarNode, path: Path_) -> Any:
        import yaml

        constructor = yaml.constructor.SafeConstructor()
        try:
            return constructor.construct_object(node)
        except (yaml.YAMLError, ValueError):
            self.fault(path, f"not a value: {clean(str(node.value), 60)}")
            return None
