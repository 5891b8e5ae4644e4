"""Secrets masked before anything is stored, shown or sent: one gate for text and for JSON-like data.

Four layers: known values (`add_literals`), tokens whose prefix names their issuer, the shapes secrets have in
logs and commands (`console.redact_rules`), and names that announce a value. Randomness alone never masks.
The mask is `•••`: three characters no rule takes for a secret. This module does not clean control characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote

from console.redact_tokens import MASK, PEM_BEGIN, PEM_BODY, PEM_END, PEM_PART, suspicious

__all__ = ["MASK", "PemState", "Redactor", "add_literals", "redact", "redact_data"]

_GOES_ON = 2  # lines after one that announces a secret, in which it may stand or end
_TOGETHER = 64  # lines looked at as one
_PEM_LINES = 200  # the longest private keys have about 100


class Redactor:
    """Masks secrets. `literals` are values known to be secret, masked wherever they stand."""

    def __init__(self, literals: Iterable[str] = ()) -> None:
        self._literals: set[str] = set()
        self._literal: re.Pattern[str] | None = None
        self.add_literals(literals)

    def add_literals(self, values: Iterable[str]) -> None:
        """Mask these from now on. Values that are short or a plain word are passed over: they would hit prose."""
        fresh = {form for value in values for form in _forms(value)} - self._literals
        if fresh:
            self._literals |= fresh
            longest_first = sorted(self._literals, key=len, reverse=True)
            self._literal = re.compile("|".join(map(re.escape, longest_first)))

    def text(self, text: str) -> str:
        """`text` (one line or many) with secrets masked; the same object when there are none."""
        if self._literal is not None:
            text = self._literal.sub(MASK, text)
        if not suspicious(text):
            return text
        from console.redact_rules import mask  # 10 ms of patterns that a start need not pay

        return mask(text) if "\n" not in text else self._block(text, mask)

    def _block(self, text: str, mask: Callable[[str], str]) -> str:
        """Several lines: only those that may hold a secret are looked at, each with the two that follow it."""
        lines = text.split("\n")
        out: list[str] = []
        pem = PemState()
        at = 0
        while at < len(lines):
            line = lines[at]
            if pem.inside or PEM_BEGIN.search(line):
                out.append(pem.masked(line, mask))
                at += 1
            elif not suspicious(line):
                out.append(line)
                at += 1
            else:
                # A value may stand in the next line ("name: X", "value: Y"), and a quoted one may go on there.
                last, end = at, at + 1
                while end < len(lines) and end - last <= _GOES_ON and end - at < _TOGETHER:
                    if PEM_BEGIN.search(lines[end]):
                        break
                    if suspicious(lines[end]):
                        last = end
                    end += 1
                out.append(mask("\n".join(lines[at:end])))
                at = end
        return "\n".join(out)

    def data(self, data: Any) -> Any:
        """A copy of JSON-like data with secrets masked, also by the names of keys. Tuples become lists."""
        from console.redact_names import names_secret  # once, not for each value: this stands before every append
        from console.redact_rules import mask_value, named_pair

        def masked(data: Any, named: bool) -> Any:
            if isinstance(data, str):
                return mask_value(data) if named else self.text(data)
            if isinstance(data, Mapping):
                pair = named_pair(data)
                return {
                    self.text(key) if isinstance(key, str) else key: masked(
                        value, named or (isinstance(key, str) and (key == pair or names_secret(key)))
                    )
                    for key, value in data.items()
                }
            if isinstance(data, list | tuple):
                return [masked(item, named) for item in data]
            return data

        return masked(data, False)


class PemState:
    """Remembers, from one line of a stream to the next, that a private key is being printed.

    Each line of the key may stand behind what a logger puts before every line: as much as before the first one.
    """

    def __init__(self) -> None:
        self._left = 0
        self._column = 0

    @property
    def inside(self) -> bool:
        """Whether the last line was part of a key whose end has not come."""
        return self._left > 0

    def line(self, redactor: Redactor, line: str) -> str:
        """`line` with secrets masked, whole lines of a private key included."""
        return self.masked(line, redactor.text)

    def masked(self, line: str, mask: Callable[[str], str]) -> str:
        """The same, with `mask` for what is no line of a key."""
        if self._left:
            self._left -= 1
            if PEM_END.search(line):
                self._left = 0
                return mask(line)
            for column in (self._column, 0):
                if PEM_BODY.match(line, column):
                    return line[:column] + MASK
                if found := PEM_PART.match(line, column):
                    return mask(line[:column] + MASK + line[found.end() :])
            self._left = 0
        found = PEM_BEGIN.search(line)
        if found and not PEM_END.search(line):
            self._left, self._column = _PEM_LINES, found.start()
        return mask(line)


def _forms(value: str) -> set[str]:
    """The ways a known secret may stand in text: as it is, in a URL, in a JSON string."""
    value = value.strip()
    plain_word = value.isalpha() and (value.islower() or value.isupper()) and len(value) < 16
    if len(value) < 6 or plain_word or (value.isdigit() and len(value) < 10):
        return set()
    return {value, quote(value, safe=""), value.replace("\\", "\\\\").replace('"', '\\"')}


_default = Redactor()


def redact(text: str) -> str:
    """`text` with secrets masked by the redactor of this process."""
    return _default.text(text)


def redact_data(data: Any) -> Any:
    """JSON-like data with secrets masked by the redactor of this process."""
    return _default.data(data)


def add_literals(values: Iterable[str]) -> None:
    """Mask these values in this process from now on (passwords read from DSNs, resolved references)."""
    _default.add_literals(values)
