"""The rules behind `console.redact`: what a secret looks like in a log, a command, a URL or a config dump.

Every pattern is bounded, so that a line of a megabyte costs time in proportion to its length. Patterns are
compiled when the first suspicious line arrives; most lines are dismissed by one search for hints.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from console.redact_names import (
    NUMBER,
    announces,
    harmless,
    is_no_value,
    looks_random,
    name_pattern,
    names_secret,
    value_span,
)
from console.redact_tokens import HOOKS, MASK, PROVIDERS


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    """All patterns; about 25 ms of compilation that a run without a suspicious line never pays."""
    verbose, ignore = re.VERBOSE, re.IGNORECASE
    return {
        "pem": re.compile(
            r"(-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)"
            r"((?:(?!-----).){0,16384})(-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?",
            re.DOTALL,
        ),
        "provider": re.compile(rf"(?<![A-Za-z0-9])(?:{PROVIDERS})", verbose),
        "hook": re.compile(HOOKS),
        "userinfo": re.compile(
            r"(://)([^\s/?#:@\"'<>]{0,128})(?::([^\s\"'<>]{0,256}?)|)@(?=[\w.\[%-])([^\s/\"'@]{0,128}@)?"
        ),
        "authorization": re.compile(
            r"(?<![a-z0-9])((?:proxy-)?authorization\\{0,3}[\"'`]?\]?\s{0,3}(?:=>|[:=])\s{0,3}\\{0,3}[\"'\[]{0,2})"
            r"(?:(basic|bearer|token|digest|negotiate|ntlm|aws4-hmac-sha256|apikey|key|hawk|splunk|bot)(?:\s{1,3}|%20))?"
            r"([^\s\"'\\,]{1,8192})",
            ignore,
        ),
        "cookie": re.compile(
            r"(?<![a-z0-9])(cookie2?\\{0,3}[\"'`]?\]?\s{0,3}(?:=>|[:=])\s{0,3}\\{0,3}[\"'\[]{0,2})"
            r"([\w.%!#$&*+^`|~-]{1,80}=)([^\"'\r\n]{1,16384})",
            ignore,
        ),
        "bearer": re.compile(r"(?<![A-Za-z0-9])((?:[Bb]earer|BEARER)(?:\s{1,3}|%20))([A-Za-z0-9._~+/=-]{8,8192})"),
        "told": re.compile(
            r"\b((?:token|secret|password|api[ _-]?key|credentials?)\s{1,2})([A-Za-z0-9._~+/=-]{16,512})(?![\w:])",
            ignore,
        ),
        "basic ": re.compile(r"(?<![A-Za-z0-9])((?:[Bb]asic|BASIC) )([A-Za-z0-9+/]{6,512}={0,2})"),
        "option": re.compile(
            r"(?<![\w-])(--?[a-z0-9_-]{0,40}?(?:passwd|password|passphrase|secret|token|api-?key|access-?key|"
            r"secret-?key|private-?key|pass|pwd)\s{1,3})(?![-|&;<>])",
            ignore,
        ),
        "short": re.compile(
            r"(\b(?:mysql\w{0,10}|mariadb[\w-]{0,10})\b[^|;\n]{0,200}?\s-p(?=\S)|\bmongo\w{0,10}\b[^|;\n]{0,200}?\s-p\s{1,3}"
            r"|\bsshpass\s[^|;\n]{0,80}?-p\s{0,3}|\bredis-cli\b[^|;\n]{0,200}?\s-a\s{1,3}"
            r"|\bdocker\s{1,3}login\b[^|;\n]{0,200}?\s-p\s{1,3}|\bcurl\b[^|;\n]{0,200}?\s(?:-u|--user)\s{0,3}[\"']?[^\s:\"']{1,80}:)"
        ),
        "phrase": re.compile(
            r"(\bidentified\s{1,3}(?:with\s{1,3}\w{1,40}\s{1,3})?by\s{1,3}(?:password\s{1,3})?"
            r"|\bpassword\s{1,3}(?=\\{0,2}['\"])|\b(?:requirepass|masterauth)\\?\"?\s{1,3}"
            r"|\blogin\s{1,3}\S{1,80}\s{1,3}password\s{1,3}|\bpass(?:in|out)?\s{1,3}pass:"
            r"|\bpassword\s{1,3}(?:is|was|set\s{1,3}to|changed\s{1,3}to)\s{1,3}:?\s{0,2}(?=\S{0,80}[\d!@#$%^&*\"'])"
            r"|\bpassword\s{0,3}\(\s{0,2}(?=['\"])|[?&](?:key|code)=(?=[\w.%/-]{0,60}\d)(?=[\w.%/-]{16})"
            r"|\"(?:name|key)\"\s{0,3}:\s{0,3}\"[\w.-]{0,60}(?:password|passwd|secret|token|api_?key)\"\s{0,3},\s{0,3}\"value\"\s{0,3}:\s{0,3}"
            r"|\bAUTH\\?\"?\s{1,3}(?:PLAIN\s{1,3}|LOGIN\s{1,3})?)",
            ignore,
        ),
        "</": re.compile(
            r"(<[\w:.-]{0,40}?(?:password|passwd|passphrase|secret|token|api[_.-]?key|pwd)\w{0,12}>)([^<]{1,4096})(?=</)",
            ignore,
        ),
    }


def mask(text: str) -> str:
    """`text` with every secret that a rule finds replaced by `MASK`."""
    patterns, low = _patterns(), text.lower()
    if "-----" in text:
        text = patterns["pem"].sub(_mask_pem, text)
    if "://" in text:
        if "@" in text:
            text = patterns["userinfo"].sub(_mask_userinfo, text)
        text = patterns["hook"].sub(rf"\1{MASK}", text)
    text = patterns["provider"].sub(MASK, text)
    text = patterns["told"].sub(_mask_told, text)
    for word, how in _SHAPES.items():
        if word in low:
            text = patterns[word].sub(how, text)
    for name, words in _PHRASES.items():
        if any(word in low for word in words):
            text = _mask_after(patterns[name], text)
    return _mask_named_values(name_pattern(), text)


def mask_value(value: str) -> str:
    """A value whose name says that it is secret: masked unless it is no value at all."""
    stripped = value.strip()
    if not stripped or is_no_value(stripped) or (NUMBER.fullmatch(stripped) and len(stripped) < 6):
        return value
    return MASK


def named_pair(data: Mapping[Any, Any]) -> str | None:
    """The key that holds a secret in `{"name": "DB_PASSWORD", "value": ...}`, else None."""
    if "value" not in data:
        return None
    names = (data.get("name"), data.get("key"), data.get("Name"))
    return "value" if any(isinstance(name, str) and names_secret(name) for name in names) else None


def _mask_pem(match: re.Match[str]) -> str:
    return f"{match[1]}{MASK}{match[3] or ''}" if match[2].strip() else match[0]


def _mask_userinfo(match: re.Match[str]) -> str:
    user, password, tail = match[2], match[3], match[4]
    if password is not None:
        if is_no_value(password) and not tail:
            return match[0]
        return f"{match[1]}{user}:{MASK}@"
    looks_like_token = len(user) >= 16 and any(c.isdigit() for c in user)
    return f"{match[1]}{MASK}@{tail or ''}" if looks_like_token else match[0]


def _mask_header(match: re.Match[str]) -> str:
    lead, scheme, value = match[1], match[2] or "", match[3]
    if not scheme and not looks_random(value):
        return match[0]
    if value.startswith(MASK) or is_no_value(value):
        return match[0]
    return f"{lead}{scheme}{' ' if scheme else ''}{MASK}"


def _mask_cookie(match: re.Match[str]) -> str:
    value = match[3]
    attributes = re.search(r";\s{0,3}(?:path|expires|max-age|domain|secure|httponly|samesite)\b", value, re.IGNORECASE)
    kept = value[attributes.start() :] if attributes else ""
    return f"{match[1]}{match[2]}{MASK}{kept}"


def _mask_bearer(match: re.Match[str]) -> str:
    pair = re.search(r"=[^=]", match[2])  # "bearer expires_in=3600" is no token
    return match[0] if pair or not looks_random(match[2]) else f"{match[1]}{MASK}"


def _mask_told(match: re.Match[str]) -> str:
    value = match[2]
    random = any(c.isdigit() for c in value) and any(c.isalpha() for c in value) and "/" not in value[:1]
    return f"{match[1]}{MASK}" if random and not is_no_value(value) else match[0]


def _mask_basic(match: re.Match[str]) -> str:
    try:
        pair = b":" in base64.b64decode(match[2], validate=True)
    except (binascii.Error, ValueError):
        pair = False
    return f"{match[1]}{MASK}" if pair else match[0]


def _mask_after(pattern: re.Pattern[str], text: str) -> str:
    """Mask the value that follows each match: the argument of an option, the string of a phrase."""
    parts: list[str] = []
    done = 0
    for found in pattern.finditer(text):
        if found.end() < done:
            continue
        start, end = value_span(text, found.end())
        value = text[start:end]
        if not value or is_no_value(value):
            continue
        parts += [text[done:start], MASK]
        done = end
    return "".join([*parts, text[done:]]) if parts else text


def _mask_named_values(pattern: re.Pattern[str], text: str) -> str:
    parts: list[str] = []
    done = 0
    position = 0
    while (found := pattern.search(text, position)) is not None:
        position = found.end()
        if not announces(text, found):
            position = found.start() + 1
            continue
        start, end = value_span(text, found.end())
        if harmless(text, found, start, end):
            continue
        parts += [text[done:start], MASK]
        done = position = end
    return "".join([*parts, text[done:]]) if parts else text


def _mask_tag(match: re.Match[str]) -> str:
    return match[0] if is_no_value(match[2]) else match[1] + MASK


# A word a line must have before the pattern of that name is tried, and what to do where it matches.
_SHAPES: dict[str, Callable[[re.Match[str]], str]] = {
    "authorization": _mask_header,
    "cookie": _mask_cookie,
    "bearer": _mask_bearer,
    "basic ": _mask_basic,
    "</": _mask_tag,
}
# The same for patterns that end where the value begins.
_PHRASES = {
    "option": ("-p", "-t", "-s", "-k", "-a", "--"),
    "short": (" -p", " -a", " -u", " --user"),
    "phrase": ("pass", "auth", "identified", "key=", "code=", '"value"'),
}
