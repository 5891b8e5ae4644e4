"""Personal data replaced by tokens: telephone numbers, e-mail addresses, CPF and CNPJ, texts of messages.

For what leaves the host: exports, bundles, messages sent. The same number gives the same token within one export, so
that a timeline can still be followed. The salt is drawn anew and kept nowhere, or made from hashes that stay in the
record; whoever has only the export cannot try all numbers until a token fits. Secrets are the business of `console.redact`.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_DIGITS = re.compile(r"\D")
# Two digits of area code as Brazil assigns them.
_AREA = r"(?:1[1-9]|2[12478]|3[1-578]|4[1-9]|5[1345]|6[1-9]|7[134579]|8[1-9]|9[1-9])"
_SENDER_KEYS = r"(?:wa_?id|phone(?:_?number)?|from|to|msisdn|recipient_?id|celular|telefone|whatsapp|fone|mobile)"
_MAIL = re.compile(
    r"(?<![\w.%+@-])(?!git@)[A-Za-z0-9][\w.%+-]{0,63}@(?:[A-Za-z0-9][A-Za-z0-9-]{0,62}\.){1,4}[A-Za-z]{2,24}(?![\w@-])"
)
_CPF = re.compile(r"(?<![\w.-])\d{3}\.?\d{3}\.?\d{3}-?\d{2}(?![\w-]|\.\d)")
_CNPJ = re.compile(r"(?<![\w.-])(?:[0-9A-Z]{2}\.[0-9A-Z]{3}\.[0-9A-Z]{3}/[0-9A-Z]{4}-\d{2}|\d{14})(?![\w-]|\.\d)")
_PHONES = (
    re.compile(r"(?<![\w.])(\d{8,15})(?=@(?:s\.whatsapp\.net|c\.us|lid)\b)"),
    re.compile(rf"(?i)(?<=[\"'\s{{&?])\\?[\"']?\b{_SENDER_KEYS}\\?[\"']?\s?[:=]\s?\\?[\"']?(\+?\d{{10,15}})(?!\d)"),
    re.compile(r"(?<![\w.:/+-])(\+[1-9]\d{0,2}(?:[ .()-]{0,2}\d){7,12})(?![\w]|-\d)"),
    # Brazil: with its code and nine digits, or with an area code and the usual dash.
    re.compile(rf"(?<![\w.:/+-])((?:55 ?\(?{_AREA}\)? ?9\d{{4}}[ -]?\d{{4}}))(?![\w-])"),
    re.compile(rf"(?<![\w.:/+-])((?:0?\({_AREA}\)|0?{_AREA}) ?9?\d{{4}}-\d{{4}})(?![\w-])"),
)
# What a line has, every digit written as 0, in which one of these numbers stands.
_ANY_DIGIT = {ord(digit): "0" for digit in "123456789"}
_SHAPES = ("00000000", "000.000", "0000-0000", "0000 0000", "+0")
_LETTERED = re.compile(r"\.[0-9A-Z]{3}/[0-9A-Z]{4}-\d\d")  # a CNPJ may hold letters
_NANOSECONDS = ".000000000"  # of stamps: no number begins behind a dot
# A text is one of a message where the line has a mark of messages too.
_MESSAGE_MARK = re.compile(
    r"wa_?id|wamid|remoteJid|\bchat_?id\b|[\"']chat\\{0,3}[\"']|[\"']messages?\\{0,3}[\"']|@s\.whatsapp\.net|pushName",
    re.I,
)
_MESSAGE_WORDS = ("waid", "wa_id", "wamid", "remotejid", "chatid", "chat", "message", "@s.whatsapp.net", "pushname")
_MESSAGE = re.compile(
    r"(\\{0,3}[\"'](?:body|text|caption|conversation|pushName|first_name|last_name|full_name)\\{0,3}[\"']\s{0,2}:\s{0,2})"
    r"(\\{0,3})([\"'])((?:(?!\2\3)(?:\\.|[^\\])){1,8192}?)\2\3"
)
_NAMES = ("pushName", "first_name", "last_name", "full_name")


class People:
    """Replaces personal data, the same by the same token for as long as this object lives."""

    def __init__(self, salt: bytes | None = None) -> None:
        self._salt = salt or os.urandom(16)
        self.counts: dict[str, int] = {}  # kind -> how many were replaced

    def token(self, kind: str, value: str) -> str:
        """`[phone-3f9a2c1d]`: eight digits of a keyed hash."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return f"[{kind}-{hmac.new(self._salt, f'{kind}:{value}'.encode('utf-8', 'replace'), hashlib.sha256).hexdigest()[:8]}]"

    def text(self, text: str) -> str:
        """`text` with personal data replaced; the same object where there is none."""
        low = text.lower()
        if any(word in low for word in _MESSAGE_WORDS) and _MESSAGE_MARK.search(text):
            text = _MESSAGE.sub(self._message, text)
        # Rules are slow beside a search for plain words, so only lines that may hold something are asked.
        flat = text.translate(_ANY_DIGIT).replace(_NANOSECONDS, ".")
        there = [shape for shape in _SHAPES if shape in flat]
        lettered = _LETTERED.search(text) is not None
        if not there and not lettered and "@" not in text:
            return text
        lines, changed = text.split("\n"), False
        for place, (line, shape) in enumerate(zip(lines, flat.split("\n"), strict=True)):
            told = self._addresses(line) if "@" in line else line
            if any(digits in shape for digits in there) or (lettered and "/" in line):
                told = self._numbers(told)
            if told is not line:
                lines[place], changed = told, True
        return "\n".join(lines) if changed else text

    def _addresses(self, line: str) -> str:
        line = self._phones(_PHONES[0], line)
        return _MAIL.sub(lambda found: self.token("mail", found[0].lower()), line)

    def _numbers(self, line: str) -> str:
        line = _CPF.sub(self._checked("cpf", is_cpf), line)
        line = _CNPJ.sub(self._checked("cnpj", is_cnpj), line)
        for pattern in _PHONES[1:]:
            line = self._phones(pattern, line)
        return line

    def data(self, data: Any) -> Any:
        """A copy of JSON-like data with personal data replaced in its texts. Keys stay."""
        if isinstance(data, str):
            return self.text(data)
        if isinstance(data, Mapping):
            return {key: self.data(value) for key, value in data.items()}
        if isinstance(data, list | tuple):
            return [self.data(item) for item in data]
        return data

    def _phones(self, pattern: re.Pattern[str], text: str) -> str:
        def replaced(found: re.Match[str]) -> str:
            before, after = found.start(1) - found.start(), found.end(1) - found.start()
            return found[0][:before] + self.token("phone", _same_phone(found[1])) + found[0][after:]

        return pattern.sub(replaced, text)

    def _checked(self, kind: str, holds: Callable[[str], bool]) -> Callable[[re.Match[str]], str]:
        def replaced(found: re.Match[str]) -> str:
            bare = re.sub(r"[./-]", "", found[0])
            return self.token(kind, bare) if holds(bare) else found[0]

        return replaced

    def _message(self, found: re.Match[str]) -> str:
        said = found[4]
        if re.fullmatch(r"\[\w{1,10}-[0-9a-f]{8}\]", said):
            return found[0]
        kind = "name" if any(name in found[1] for name in _NAMES) else "message"
        return f"{found[1]}{found[2]}{found[3]}{self.token(kind, said)}{found[2]}{found[3]}"


def _same_phone(written: str) -> str:
    """One form for all ways to write a number. WhatsApp leaves out the ninth digit of Brazilian mobiles."""
    digits = _DIGITS.sub("", written).lstrip("0")
    if len(digits) in (10, 11) and not written.startswith("+"):
        digits = f"55{digits}"
    if len(digits) == 13 and digits.startswith("55") and digits[4] == "9":
        digits = digits[:4] + digits[5:]
    return digits


def is_cpf(digits: str) -> bool:
    """Whether eleven digits are a CPF: the last two follow from the others (modulo 11).

    >>> is_cpf("52998224725"), is_cpf("52998224724"), is_cpf("11111111111")
    (True, False, False)
    """
    if len(digits) != 11 or not digits.isdecimal() or len(set(digits)) == 1:
        return False
    return digits[9:] == "".join(_check_digits(digits[:9], lambda place: place + 2))


def is_cnpj(signs: str) -> bool:
    """Whether fourteen signs are a CNPJ; since July 2026 the first twelve may be letters, valued by their code less 48.

    >>> is_cnpj("11222333000181"), is_cnpj("11222333000182"), is_cnpj("12ABC34501DE35")
    (True, False, True)
    """
    if not re.fullmatch(r"[0-9A-Z]{12}[0-9]{2}", signs) or len(set(signs)) == 1:
        return False
    return signs[12:] == "".join(_check_digits(signs[:12], lambda place: place % 8 + 2))


def _check_digits(signs: str, weight: Callable[[int], int]) -> Iterator[str]:
    for _ in range(2):
        total = sum((ord(sign) - 48) * weight(place) for place, sign in enumerate(reversed(signs)))
        check = str(0 if total % 11 < 2 else 11 - total % 11)
        signs += check
        yield check
