"""Personal data becomes tokens: the same number is the same token within one bundle, and nowhere else.

Phone numbers, e-mail addresses, Brazilian tax numbers, and the bodies of messages. Names of people in free text are
not recognised by any rule here. The salt is made for each bundle and is never written.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterator

# Each begins with a character that is searched for in no time; what stands before it is looked at afterwards.
_AT = re.compile(r"@(?:(s\.whatsapp\.net|c\.us|g\.us|lid)\b|(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}(?![\w-]))")
_TAX = re.compile(r"\.\d{3}\.\d{3}-\d{2}(?!\d)")
_PLUS = re.compile(r"\+[1-9](?:[ ().-]{0,2}\d){7,14}(?!\d)")
# Written without a plus, as WhatsApp does: 55, area, eight or nine digits; or the way people write them.
_BARE = re.compile(r"55[1-9][1-9]9?\d{8}(?!\w|[.,-]\d)")
_NATIONAL = re.compile(r"\(\d{2}\) ?9?\d{4}-\d{4}(?!\d)")
_NUMBERED = (
    r"from|to|phone(?:_?number)?|wa_?id|msisdn|recipient(?:_id)?|sender|mobile|celular|telefone|whatsapp|contact"
)
_NUMBER_KEY = re.compile(rf"(?i){_NUMBERED}")
_NUMBER_NAME = re.compile(rf"(?i)(?<![a-z])(?:{_NUMBERED})\\{{0,2}}[\"']?\s?\Z")
_VALUE = re.compile(r"[:=]\s?\\{0,2}[\"']?(\d{8,15})(?!\d)")
_BODIES = ("text", "body", "caption", "conversation", "content", "texto", "mensagem")
_BODY_KEY = re.compile(rf"(?i)(?:message|msg)?_?(?:{'|'.join(_BODIES)})")
_BODY = re.compile(
    r"\\\"\s?:\s?\\\"(?P<deep>(?:(?!\\\").){1,8000})|[\"']?\s?[:=]\s?"
    r"(?:\"(?P<double>(?:[^\"\\\n]|\\.){1,8000})\"|'(?P<single>(?:[^'\\\n]|\\.){1,8000})')"
)
_LEAST_BODY = 3  # characters

_Span = tuple[int, int, str]  # start, end, kind


class Tokens:
    """The tokens of one bundle: `[phone-3f9a1c07]`."""

    def __init__(self, salt: bytes | None = None) -> None:
        self._salt = salt or secrets.token_bytes(16)

    def replaced(self, text: str, *, bodies: bool = True, key: str = "") -> tuple[str, int]:
        """The text with tokens, and how many. `bodies` False: what people wrote stays (their numbers do not).

        `key`: the name under which the text stands in a document.
        """
        if key and bodies and _BODY_KEY.fullmatch(key) and len(text) >= _LEAST_BODY:
            return self._token("message", text), 1
        if key and _NUMBER_KEY.fullmatch(key) and re.fullmatch(r"\d{8,15}", text):
            return self._token("phone", text), 1
        parts: list[str] = []
        done = hits = 0
        for start, end, kind in sorted(_spans(text, bodies), key=lambda span: (span[0], -span[1])):
            if start >= done:
                parts += [text[done:start], self._token(kind, text[start:end])]
                done, hits = end, hits + 1
        return ("".join([*parts, text[done:]]), hits) if hits else (text, 0)

    def _token(self, kind: str, value: str) -> str:
        value = "".join(char for char in value if char.isdigit()) if kind == "phone" else value.lower()
        digest = hmac.new(self._salt, f"{kind}:{value}".encode("utf-8", "surrogateescape"), hashlib.sha256)
        return f"[{kind}-{digest.hexdigest()[:8]}]"


def _spans(text: str, bodies: bool) -> Iterator[_Span]:
    """Everything personal in the text; spans may overlap."""
    if bodies:
        yield from _messages(text)
    for found in _AT.finditer(text):
        if found[1]:
            start = _back(text, found.start(), str.isdigit, 18)
            if found.start() - start >= 8:
                yield start, found.start(), "phone"
        else:
            start = _back(text, found.start(), _of_name, 64)
            if start < found.start() and text[start - 1 : start] not in {"/", "@"}:
                yield start, found.end(), "mail"
    for found in _TAX.finditer(text):
        start = _back(text, found.start(), str.isdigit, 4)
        if found.start() - start == 3:
            yield start, found.end(), "person"
    for found in _PLUS.finditer(text):
        if not (before := text[found.start() - 1 : found.start()]).isalnum() and before not in {"+", "_"}:
            yield found.start(), found.end(), "phone"
    for found in _BARE.finditer(text):
        if not (before := text[found.start() - 1 : found.start()]).isalnum() and before not in set("_.,+-"):
            yield found.start(), found.end(), "phone"
    for found in _NATIONAL.finditer(text):
        yield found.start(), found.end(), "phone"
    for found in _VALUE.finditer(text):
        if _NUMBER_NAME.search(text[max(0, found.start() - 24) : found.start()]):
            yield found.start(1), found.end(1), "phone"


def _messages(text: str) -> Iterator[_Span]:
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
                    yield found.start(name), found.end(name), "message"
            at = low.find(word, at + 1)


def _back(text: str, end: int, wanted: Callable[[str], bool], most: int) -> int:
    """Where the run of wanted characters before `end` begins."""
    start = end
    while start > max(0, end - most) and wanted(text[start - 1]):
        start -= 1
    return start


def _of_name(char: str) -> bool:
    return char.isalnum() or char in "._+-"
