"""Personal data of a bundle becomes tokens: the same number is the same token within one bundle, and nowhere else.

Beside what `redact_people` knows by its shape: all values under names that announce what a person wrote, or a number.
The salt is made for each bundle and is never written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from console.redact_people import People

_NUMBER_KEY = re.compile(
    r"(?i)from|to|phone(?:_?number)?|wa_?id|msisdn|recipient(?:_id)?|sender|mobile|celular|telefone|whatsapp|contact"
)
_BODIES = ("text", "body", "caption", "conversation", "content", "texto", "mensagem")
_BODY_KEY = re.compile(rf"(?i)(?:message|msg)?_?(?:{'|'.join(_BODIES)})")
_BODY = re.compile(
    r"\\\"\s?:\s?\\\"(?P<deep>(?:(?!\\\").){1,8000})|[\"']?\s?[:=]\s?"
    r"(?:\"(?P<double>(?:[^\"\\\n]|\\.){1,8000})\"|'(?P<single>(?:[^'\\\n]|\\.){1,8000})')"
)
_LEAST_BODY = 3  # characters


class Tokens:
    """The tokens of one bundle: `[phone-3f9a1c07]`."""

    def __init__(self, salt: bytes | None = None) -> None:
        self._people = People(salt)

    def replaced(self, text: str, *, bodies: bool = True, key: str = "") -> tuple[str, int]:
        """The text with tokens, and how many. `bodies` False: what people wrote stays (their numbers do not).

        `key`: the name under which the text stands in a document.
        """
        if key and bodies and _BODY_KEY.fullmatch(key) and len(text) >= _LEAST_BODY:
            return self._people.token("message", text), 1
        if key and _NUMBER_KEY.fullmatch(key) and re.fullmatch(r"\d{8,15}", text):
            return self._people.token("phone", text), 1
        before = sum(self._people.counts.values())
        if bodies:
            parts, done = [], 0
            for start, end in sorted(_messages(text)):
                if start >= done:
                    parts += [text[done:start], self._people.token("message", text[start:end])]
                    done = end
            text = "".join([*parts, text[done:]])
        text = self._people.text(text)
        return text, sum(self._people.counts.values()) - before


def _messages(text: str) -> Iterator[tuple[int, int]]:
    """Values under names that announce what a person wrote: `"body": "..."`, also in JSON within JSON."""
    low = text.lower()
    low = low if len(low) == len(text) else text  # a few letters change their length
    for word in _BODIES:
        at = low.find(word)
        while at >= 0:
            found = _BODY.match(text, at + len(word))
            if found is not None and not low[at - 1 : at].isalpha():
                name = next(name for name in ("deep", "double", "single") if found[name] is not None)
                if len(found[name]) >= _LEAST_BODY and any(map(str.isalpha, found[name])):
                    yield found.start(name), found.end(name)
            at = low.find(word, at + 1)
