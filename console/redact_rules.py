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
    lowered,
    name_pattern,
    names_secret,
    value_span,
)
from console.redact_phrases import phrases
from console.redact_tokens import HOOKS, MASK, PROVIDERS, issued


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    """All patterns; about 25 ms of compilation that a run without a suspicious line never pays."""
    verbose, ignore = re.VERBOSE, re.IGNORECASE
    return {
        "pem": re.compile(
            r"(-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)"
            r"((?:(?!-----).){0,16384}(?=-----END)|(?:[A-Za-z0-9+/=\s\"',]|\\{1,4}[nrt]){0,16384})(-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?",
            re.DOTALL,
        ),
        "provider": re.compile(rf"(?<![A-Za-z0-9])(?:{PROVIDERS})", verbose),
        "hook": re.compile(HOOKS),
        "userinfo": re.compile(
            r"(://|\bjdbc:oracle:\w{1,10}:(?=[^\s/:@]{1,60}/)|\b(?:sqlplus|impdp|expdp)\s{1,3}(?=[^\s/:@]{1,60}/))"
            r"([^\s/?#:@\"'<>]{0,128})([:/](?!\d{1,5}/)[^\s\"'<>]{0,256}?|)@(?=[\w.\[%/-])([^\s/\"'@]{0,128}@)?"
        ),
        "authorization": re.compile(
            r"(?<![a-z0-9])((?:proxy-)?authorization\\{0,3}[\"'`]?\]?\s{0,3}(?:=>|[:=,])\s{0,3}\\{0,3}(?:b?[\"'\[]){0,2})"
            r"(?:([a-z][a-z0-9_-]{1,30})(?:\s{1,3}|%20))?(?:token=)?([^\s\"'\\,]{1,8192})",
            ignore,
        ),
        "cookie": re.compile(
            r"(?<![a-z0-9])(cookie2?\\{0,3}[\"'`]?\]?\s{0,3}(?:=>|[:=,])\s{0,3}\\{0,3}(?:b?[\"'\[]){0,2})"
            r"([\w.%!#$&*+^`|~-]{1,80}=)([^\"'\r\n]{1,16384})",
            ignore,
        ),
        **dict.fromkeys(
            ("digest ", "oauth ", "hawk "),
            re.compile(r"(\b(?:response|oauth_signature|oauth_token|mac|cnonce)=\\?[\"']?)([\w+/=%-]{6,512})", ignore),
        ),
        **dict.fromkeys(("@tcp(", "@unix("), re.compile(r"(\b[\w.-]{1,80}:)([^\s\"'@]{1,256})(?=@(?:tcp|unix)\()")),
        "bearer": re.compile(r"(?<![A-Za-z0-9])((?:[Bb]earer|BEARER)(?:\s{1,3}|%20))([A-Za-z0-9._~+/=:-]{8,8192})"),
        "told": re.compile(
            r"((?:token|secret|password|(?:api|access|secret)[ _-]?key|credentials?)\s{1,2})"
            r"([A-Za-z0-9._~+/=-]{16,512})(?![\w:])",
            ignore,
        ),
        "told?": re.compile(r"(?:token|secret|password|key|credentials?)\s{1,2}[a-z0-9._~+/=-]{16}"),
        "basic ": re.compile(r"(?<![A-Za-z0-9])((?:[Bb]asic|BASIC) )([A-Za-z0-9+/]{6,512}={0,2})"),
        "</": re.compile(
            r"(<[\w:.-]{0,40}?(?:password|passwd|passphrase|secret|token|api[_.-]?key|pwd)\w{0,12}(?:\s[^<>]{0,200})?>)([^<]{1,4096})(?=</)",
            ignore,
        ),
    }


def mask(text: str) -> str:
    """`text` with every secret that a rule finds replaced by `MASK`. Doing it again changes nothing."""
    for _ in range(_PASSES):
        before, text = text, _masked(text)
        if text == before:
            break
    return text


def _masked(text: str) -> str:
    patterns, low = _patterns(), lowered(text)
    if "-----" in text:
        text = patterns["pem"].sub(_mask_pem, text)
    if "@" in text and ("://" in text or "oracle:" in low or "sqlplus" in low or "pdp " in low):
        text = patterns["userinfo"].sub(_mask_userinfo, text)
    if "://" in text:
        text = patterns["hook"].sub(rf"\1{MASK}", text)
    if issued(low):
        text = patterns["provider"].sub(MASK, text)
    if patterns["told?"].search(low):
        text = patterns["told"].sub(_mask_told, text)
    for word, how in _SHAPES.items():
        if word in low:
            text = patterns[word].sub(how, text)
    for words, pattern in phrases():
        for word in words:
            if word in low:
                text = _mask_after(pattern, text)
                break
    return _mask_named_values(text)


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
    if password:
        between, password = password[0], password[1:]
        if between == "/" and match[1] == "://":
            return match[0]
        if is_no_value(password) and not tail:
            return match[0]
        return f"{match[1]}{user}{between}{MASK}@"
    looks_like_token = len(user) >= 16 and any(c.isdigit() for c in user)
    return f"{match[1]}{MASK}@{tail or ''}" if looks_like_token else match[0]


def _mask_parameters(match: re.Match[str]) -> str:
    return match[0] if is_no_value(match[2]) else f"{match[1]}{MASK}"


def _mask_header(match: re.Match[str]) -> str:
    lead, scheme, value = match[1], match[2] or "", match[3]
    if scheme.lower() in _PARAMETERS:
        return match[0]
    if not scheme and not looks_random(value):
        return match[0]
    if value.startswith(MASK) or is_no_value(value):
        return match[0]
    return f"{lead}{scheme}{' ' if scheme else ''}{MASK}"


def _mask_cookie(match: re.Match[str]) -> str:
    value = match[3]
    if len(value) < 6:
        return match[0]
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


def _mask_named_values(text: str) -> str:
    pattern, low = name_pattern(), lowered(text)
    parts: list[str] = []
    done = 0
    position = 0
    while (found := pattern.search(low, position)) is not None:
        position = found.end()
        if not announces(text, found):
            position = found.start() + 1
            continue
        start, end = value_span(text, found.end())
        if harmless(text, found, start, end):
            if text[start : start + 2] == "${":
                position = max(position, end)  # what stands inside names a variable
            continue
        parts += [text[done:start], MASK]
        done = position = end
    return "".join([*parts, text[done:]]) if parts else text


def _mask_tag(match: re.Match[str]) -> str:
    return match[0] if is_no_value(match[2]) else match[1] + MASK


_PASSES = 4  # a mask ends a word, and what begins there may be a secret too; two are enough but for texts made to hurt
# Schemes whose header is a list of parameters, only some of which are secret.
_PARAMETERS = {"digest", "oauth", "hawk"}
# A word a line must have before the pattern of that name is tried, and what to do where it matches.
_SHAPES: dict[str, Callable[[re.Match[str]], str]] = {
    "authorization": _mask_header,
    "cookie": _mask_cookie,
    "digest ": _mask_parameters,
    "oauth ": _mask_parameters,
    "hawk ": _mask_parameters,
    "@tcp(": _mask_parameters,
    "@unix(": _mask_parameters,
    "bearer": _mask_bearer,
    "basic ": _mask_basic,
    "</": _mask_tag,
}
