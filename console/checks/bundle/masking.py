"""What leaves this host in a bundle passes here: four layers, in this order, each counted.

By name (keys of JSON, environments, options), known values (`harvest`) in all the ways they may be written, the rules
of `console.redact`, and personal data (`personal`). Takes text and JSON-like data, gives the same with masks.
"""

from __future__ import annotations

import base64
import html
import json
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from copy import copy
from typing import Any
from urllib.parse import quote, quote_plus

from console.checks.bundle.items import KNOWN, NAMED, PERSONAL, RULE
from console.checks.bundle.personal import Tokens
from console.redact import MASK, PemState, Redactor
from console.redact_names import names_secret
from console.redact_rules import mask_value, named_pair
from console.redact_tokens import suspicious
from console.text import printed

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_SLICE = 1 << 20  # characters masked between two looks at the clock
_BLOCK = 32  # lines that are asked at once whether a secret may be in them
_PIN = 100_000  # a number below a secret's name is masked from here on


class Masker:
    """`values` are the known secrets. One masker is one bundle: its tokens are the same throughout."""

    def __init__(self, values: Iterable[str] = (), salt: bytes | None = None) -> None:
        self._tokens = Tokens(salt)
        self._rules = Redactor()
        found: dict[str, bool] = {}
        for value in values:
            whole = len(value) < 8 or value.isalpha()  # in a longer word it is something else
            for form in _forms(value):
                found[form] = found.get(form, True) and whole
        self._known = sorted(found.items(), key=lambda one: (-len(one[0]), one[0]))
        self._until: float | None = None

    def hurried(self, until: float) -> Masker:
        """The same, which raises TimeoutError after `until` (monotonic seconds)."""
        made = copy(self)
        made._until = until
        return made

    def text(self, text: str, counts: Counter[str], *, bodies: bool = True) -> str:
        """Lines as a person may read them: no terminal obeys anything in them."""
        text = self._known_values(_plain(text), counts)
        text, tokens = self._tokens.replaced(self._by_rule(text, counts), bodies=bodies)
        counts[PERSONAL] += tokens
        return text

    def _by_rule(self, text: str, counts: Counter[str]) -> str:
        """Line by line; blocks of lines in which nothing could be a secret are passed over at once."""
        pem = PemState()
        keys = "-----BEGIN" in text  # the lines of a key look like nothing
        lines = text.split("\n")
        kept: list[str] = []
        for start in range(0, len(lines), _BLOCK):
            self._hurry()
            block = lines[start : start + _BLOCK]
            if not keys and not suspicious("\n".join(block)):
                kept += block
                continue
            for line in block:
                clear = pem.line(self._rules, line)
                if clear != line:
                    counts[RULE] += max(1, clear.count(MASK) - line.count(MASK))
                kept.append(clear)
        return "\n".join(kept)

    def data(self, data: Any, counts: Counter[str], *, bodies: bool = True) -> Any:
        """JSON-like data, masked also by the names of its keys."""

        def walk(data: Any, named: bool, key: str = "") -> Any:
            if isinstance(data, str):
                return by_name(data) if named else self._string(data, counts, bodies=bodies, key=key)
            if isinstance(data, Mapping):
                self._hurry()
                pair = named_pair(data)
                return {
                    self._string(str(name), counts, bodies=False): walk(
                        value, named or name == pair or names_secret(str(name)), str(name)
                    )
                    for name, value in data.items()
                }
            if isinstance(data, list | tuple):
                return words(list(data), named, key)
            if named and isinstance(data, int) and not isinstance(data, bool) and abs(data) >= _PIN:
                counts[NAMED] += 1
                return MASK
            return data

        def words(items: list[Any], named: bool, key: str) -> list[Any]:
            """A list may be an environment or a command line: NAME=VALUE, or a value after its option."""
            kept: list[Any] = []
            announced = False
            for item in items:
                if not isinstance(item, str) or named:
                    kept.append(walk(item, named, key))
                    announced = False
                    continue
                name, equals, value = item.partition("=")
                if announced and not item.startswith("-"):
                    kept.append(by_name(item))
                elif equals and re.fullmatch(r"[\w.-]+", name) and names_secret(name.lstrip("-")):
                    kept.append(f"{name}={by_name(value)}")
                else:
                    kept.append(self._string(item, counts, bodies=bodies, key=key))
                announced = not equals and item.startswith("-") and names_secret(item.lstrip("-"))
            return kept

        def by_name(value: str) -> str:
            clear = mask_value(value)
            if clear != value:
                counts[NAMED] += 1
                return clear
            return self._string(value, counts, bodies=bodies)

        return walk(data, False)

    def _string(self, text: str, counts: Counter[str], *, bodies: bool, key: str = "") -> str:
        if not text:
            return text
        clear = self._known_values(text if text.isprintable() else _plain(text), counts)
        ruled = "\n".join(map(PemLines(self._rules), clear.split("\n"))) if "\n" in clear else self._rules.text(clear)
        if ruled != clear:
            counts[RULE] += max(1, ruled.count(MASK) - clear.count(MASK))
        ruled, tokens = self._tokens.replaced(ruled, bodies=bodies, key=key)
        counts[PERSONAL] += tokens
        return ruled

    def _known_values(self, text: str, counts: Counter[str]) -> str:
        # One look of the C library for each form: an alternation of them all would cost a hundred times as much.
        for number, (form, whole) in enumerate(self._known):
            if number % 50 == 0 and len(text) > _SLICE:
                self._hurry()
            if form not in text:
                continue
            if whole:
                text, hits = re.subn(rf"(?<![A-Za-z0-9]){re.escape(form)}(?![A-Za-z0-9])", MASK, text)
            else:
                hits = text.count(form)
                text = text.replace(form, MASK)
            counts[KNOWN] += hits
        return text

    def _hurry(self) -> None:
        if self._until is not None and time.monotonic() > self._until:
            raise TimeoutError


class PemLines:
    """Masks the lines of one string, private keys that go over several of them included."""

    def __init__(self, rules: Redactor) -> None:
        self._rules = rules
        self._state = PemState()

    def __call__(self, line: str) -> str:
        return self._state.line(self._rules, line)


def _plain(text: str) -> str:
    """Nothing in it that a terminal obeys, and no colour in the middle of a secret."""
    return printed(_COLOUR.sub("", text))


def _forms(value: str) -> set[str]:
    """The ways a known value may be written: in URLs, JSON, Go's JSON, HTML, Compose files, and in base64."""
    plain = json.dumps(value, ensure_ascii=False)[1:-1]
    escaped = json.dumps(value)[1:-1]
    go = plain.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    urls = {quote(value, safe=""), quote(value), quote_plus(value)}
    forms = {value, plain, escaped, go, json.dumps(plain)[1:-1], html.escape(value), value.replace("$", "$$"), *urls}
    forms |= {re.sub(r"%[0-9A-F]{2}", lambda hit: hit[0].lower(), url) for url in urls}
    forms.add(value.replace("'", "''"))
    return forms | _base64(value.encode("utf-8", "surrogateescape"))


def _base64(raw: bytes) -> set[str]:
    """What of the value's base64 stands there whatever is before and after it: `user:value` is encoded as one."""
    found: set[str] = set()
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
        core = whole[(0, 2, 3)[before] : len(whole) - (1 if (before + len(raw)) % 3 else 0)]
        found.add(core if len(core) >= 6 or before else whole)
    return {form for text in found if len(text) >= 6 for form in (text, text.translate(str.maketrans("+/", "-_")))}
