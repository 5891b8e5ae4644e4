"""The rules behind `console.redact`: what a secret looks like in a log, a command, a URL or a config dump.

Every pattern is bounded, so that a line of a megabyte costs time in proportion to its length. Patterns are
compiled when the first suspicious line arrives; most lines are dismissed by one search for hints.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

MASK = "•••"

PEM_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
PEM_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
PEM_BODY = re.compile(r"(?:[A-Za-z0-9+/=]{16,80}|[A-Za-z-]{1,30}: .{0,80}|^\s*|=[A-Za-z0-9+/]{4})\s*$")

# A lower-cased line in which this finds nothing holds no secret that any rule below would find. Each branch
# begins with a character that is rare in logs and looks back from there: `re` skips the others quickly, which
# makes this three times as fast as the same words in their natural order.
_HINT = re.compile(
    r"""p(?:ass|wd|sk|in["'=:\\]|at["'=:\\]|(?<=otp)["'=:\\]|ypi-|ul-[0-9a-f]{40}|scale_|mak-|i(?<=dapi)[0-9a-f]{32})
|c(?:ret|red|ook|srf|v[vc]["'=:\\])
|k(?:ey(?:["'=:\\_>`%\]]|\s?[=:]|-(?:[0-9a-f]{32}|(?<=tskey-)|---)|\ block-)|en(?<=token)|-(?<=nrak-)|(?<=sk)[0-9a-f]{32}
   |-(?<=sk-)(?:proj|ant|svc|or-|admin|[a-z0-9]{16})|ia(?<=akia)[a-z0-9]{16})
|h(?:oriz|(?<=auth)["'=:%_\]\ \\]|v[sbr]\.[\w-]{20})
|s(?:ession(?:["'=:_.\\-]|id)|ignature|ig["'=:\\]|id["'=:\\]|ia(?<=asia)[a-z0-9]{16}|\.[a-z0-9]{24})
|b(?:earer|asic\ |ia(?<=abia)[a-z0-9]{16}|b(?<=atbb)[a-z0-9]{24}) | ca(?<=acca)[a-z0-9]{16}
|g(?:ocspx|\.(?<=sg\.)[\w-]{16}|l(?:pat|dt|rt|cbt|ptt|soat|ft|imt|agent)-) | fied(?<=identified)
|x(?:ox[a-z][.-]|app-|srf|ai-|keysib|smtpsib) | za(?<=aiza) | y(?:a29\.|j(?<=eyj)[\w-]{8}) | q0[a-z]{3}- | jwt
|v1\.(?<=atlasv1\.) | ltai[a-z0-9]{12} | 3(?<=atatt3) | _[a-z0-9]{16}
|-(?:-[a-z]|(?<=\s-)[aup]) | //(?:0|(?<=://)) | :aa[\w-]{30}""",
    re.VERBOSE,
)


def suspicious(text: str) -> bool:
    """Whether any rule could apply: the cheap question every line is asked."""
    return _HINT.search(text.lower()) is not None


# --- tokens that name their issuer -----------------------------------------------------------------------------

_PROVIDERS = r"""
 (?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])
|gh[pousr]_[A-Za-z0-9]{30,255} | github_pat_\w{22,255}
|gl(?:pat|dt|rt|cbt|ptt|soat|ft|imt|agent)-[\w-]{16,255}
|xox[abeoprs](?:\.xox[bp])?-[\w-]{8,255} | xapp-\d-[\w-]{10,255}
|[sr]k_(?:live|test)_[A-Za-z0-9]{10,255} | whsec_[A-Za-z0-9+/=]{16,255}
|sk-[A-Za-z0-9_-]{20,255} | AIza[\w-]{30,60} | ya29\.[\w-]{20,2048} | GOCSPX-[\w-]{20,60} | 1//0[\w-]{30,255}
|SG\.[\w-]{16,64}\.[\w-]{16,128} | key-[0-9a-f]{32}(?![0-9a-f]) | SK[0-9a-f]{32}(?![0-9a-f])
|npm_[A-Za-z0-9]{30,64} | pypi-[\w-]{50,1024} | rubygems_[0-9a-f]{48}
|do[opr]_v1_[0-9a-f]{64} | hv[sbr]\.[\w-]{20,255} | s\.[A-Za-z0-9]{24}(?![A-Za-z0-9])
|shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32} | sq0[a-z]{3}-[\w-]{22,64}
|eyJ[\w-]{8,8192}\.[\w-]{2,8192}(?:\.[\w-]{0,8192}){0,3}
|dckr_[po]at_[\w-]{20,64} | NRAK-[A-Z0-9]{20,40} | lin_api_[A-Za-z0-9]{30,64} | ntn_[A-Za-z0-9]{40,64}
|figd_[\w-]{30,64} | pul-[0-9a-f]{40} | dapi[0-9a-f]{32} | hf_[A-Za-z]{30,64} | gsk_[A-Za-z0-9]{30,64}
|xai-[A-Za-z0-9]{30,128} | [A-Za-z0-9]{14}\.atlasv1\.[\w-]{40,128} | sntry[su]_[\w+/=-]{30,512}
|glsa_[A-Za-z0-9]{32}_[0-9a-f]{8} | glc_[A-Za-z0-9+/=]{32,400} | AGE-SECRET-KEY-1[0-9A-Z]{50,64}
|\d{8,10}:AA[\w-]{32,36} | sbp_[0-9a-f]{40} | sb_secret_[\w-]{20,64} | pscale_(?:tkn|pw|oauth)_[\w.-]{30,64}
|PMAK-[0-9a-f]{24}-[0-9a-f]{34} | x(?:key|smtp)sib-[0-9a-f]{64}-\w{16} | ATBB[A-Za-z0-9]{24,40}
|ATATT3[\w=-]{60,255} | LTAI[A-Za-z0-9]{16,24}(?![A-Za-z0-9]) | tskey-[a-z]{2,10}-[\w-]{16,64}
"""
_HOOKS = (
    r"(hooks\.slack\.com/(?:services|workflows|triggers)/|discord(?:app)?\.com/api/webhooks/\d{5,25}/)"
    r"[\w/+=-]{16,255}"
)

# --- names that announce a value -------------------------------------------------------------------------------

_SEP = r"[_.-]?"
# Grouped by first letter, because `re` tries alternatives one by one.
_WORD = (
    f"a(?:(?:pi|ccess|ccount|uth){_SEP}key|uth)|bearer|c(?:redential|ookie|srf|v[cv])|encryption{_SEP}key|jwt"
    f"|licen[sc]e{_SEP}key|master{_SEP}key|otp|p(?:ass(?:word|wd|phrase|code|wort)?|wd|sk|in|at|rivate{_SEP}key)"
    f"|s(?:ecret|ession(?:{_SEP}id)?|ignature|ig(?:ning{_SEP}key)?|id|(?:hared|ervice|torage){_SEP}key)|token|xsrf"
)
_WEAK = {"pass", "pwd", "psk", "auth", "jwt", "session", "sessionid", "cookie", "csrf", "xsrf", "bearer", "signature"}
_WEAK |= {"sig", "sid", "otp", "pin", "cvv", "cvc", "pat"}  # words of other meanings too: their values are doubted
_STRONG = {"password", "passwd", "passphrase", "passcode", "passwort"}
_SUFFIX = (
    rf"(?:{_SEP}(?:access{_SEP}key|key|value|hash|text|plain|base64|b64|string|new|old|current|prod|production|"
    r"staging|dev|test|live|primary|replica|ro|rw|admin|root|json|id|\d{1,3}|confirm(?:ation)?|middleware"
    r"token))?s?"
)
_NAME = rf"(?P<word>{_WORD}){_SUFFIX}"
_ASSIGN = r"\\{0,3}[\"'`]?\]?\s{0,3}(?P<sep>=>|:=|=(?!=)|%3[dD]|:(?!:|//))\s{0,3}"
# `dbpass` and `PGPASS` name a password, `compass` and `bypass` do not.
_GLUED = (
    *("db", "my", "user", "root", "admin", "pg", "mysql", "postgres", "redis", "mongo", "smtp", "mail", "ftp", "ldap"),
    *("auth", "sql", "http", "proxy", "svn", "git", "amqp", "rabbit", "rabbitmq", "app", "api", "client", "session"),
    *("access", "store", "key", "trust", "wifi"),
)
_PIN_LIKE = {"otp", "pin", "cvv", "cvc"}

# --- values that are none --------------------------------------------------------------------------------------

_NOT_A_VALUE = re.compile(
    r"(?i:null|nil|none|undefined|true|false|yes|no|on|off|ok|empty|n/a|set|unset|not[ _-]set|default|hidden|string|"
    r"required|expired|invalid|missing|incorrect|wrong|failed|failure|mismatch|unexpected|error|denied|unauthori[sz]ed|"
    r"must|should|cannot|not|is|was|has|too|unknown|changed|updated|reset|rotated|revoked|accepted|rejected|success|"
    r"refreshed|disabled|enabled|provided|valid|verified|authentication|authenticated|read|write|eof|identifier|"
    r"number|optional|prompt|please|enter|the|a|an|for|and|or|never|always|basic|bearer|digest|plain|login|md5|"
    r"scram-sha-256|peer|trust|ident|ldap|local|started|stopped|closed|opened|created|deleted|lax|strict)"
    r"|[*xX#.•-]{2,}|\*|•+|\W{1,2}"
    r"|\[[\w ]{0,40}\]|<[^<>]{0,60}>|\(?(?:redacted|masked|filtered|removed|hidden|scrubbed|sanitized)\)?"
    r"|\$\{[^}]{0,120}\}|\$\(?[A-Za-z_]\w{0,80}\)?|\$\d{1,2}|\{\{.{0,80}\}\}|\{\w{0,40}\}|%[sdv]|%\(\w{1,40}\)s"
    r"|(?:env|file|vault|ssm|sops|arn):.{1,200}"
    r"|(?:~|\.{1,2})?(?:/[a-z][a-z._-]{0,40}){2,12}(?:/[\w.-]{0,60})?|/run/secrets/[\w.-]{1,80}|\./[\w./-]{1,200}"
    r"|[A-Z]:\\.{1,200}|process\.env\.\w{1,80}|os\.(?:environ|getenv).{0,120}"
    r"|SecretStr\(.{0,20}\)"
)
_NUMBER = re.compile(r"[-+]?\d[\d.,_]{0,30}(?:ms|s|m|h|d|%|k|kb|mb)?|0x[0-9a-fA-F]{1,16}")
_PROSE_START = re.compile(
    r"(?i)(?:must|should|is|was|has|have|cannot|can|may|required|field|this|the|please|your|minimum|maximum|at|too|"
    r"not|ensure|invalid|expected|unexpected|value|missing|length|no|only|does|for|wrong|incorrect|enter|failed)\b"
)
_END_OF_BARE = re.compile(
    r"[\s\"'`<]|&(?:amp;)?[\w.-]{1,40}=|%26|[,;|](?:\s|$|[\"'{]|[\w.-]{1,40}[=:])|\\[nrt\"']|\}\}?,"
)


def _compiled(pattern: str, flags: int = 0) -> re.Pattern[str]:
    return re.compile(pattern, flags)


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    """All patterns; about 25 ms of compilation that a run without a suspicious line never pays."""
    verbose, ignore = re.VERBOSE, re.IGNORECASE
    return {
        "pem": _compiled(
            r"(-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)"
            r"(?:(?!-----).){0,16384}(-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?",
            re.DOTALL,
        ),
        "provider": _compiled(rf"(?<![A-Za-z0-9])(?:{_PROVIDERS})", verbose),
        "hook": _compiled(_HOOKS),
        "userinfo": _compiled(
            r"(://)([^\s/?#:@\"'<>]{0,128})(?::([^\s\"'<>]{0,256}?)|)@(?=[\w.\[%-])([^\s/\"'@]{0,128}@)?"
        ),
        "header": _compiled(
            r"(?<![a-z0-9])((?:proxy-)?authorization\\{0,3}[\"'`]?\]?\s{0,3}(?:=>|[:=])\s{0,3}\\{0,3}[\"'\[]{0,2})"
            r"(?:(basic|bearer|token|digest|negotiate|ntlm|aws4-hmac-sha256|apikey|key|hawk|splunk|bot)(?:\s{1,3}|%20))?"
            r"([^\s\"'\\,]{1,8192})",
            ignore,
        ),
        "cookie": _compiled(
            r"(?<![a-z0-9])(cookie2?\\{0,3}[\"'`]?\]?\s{0,3}(?:=>|[:=])\s{0,3}\\{0,3}[\"'\[]{0,2})"
            r"([\w.%!#$&*+^`|~-]{1,80}=)([^\"'\r\n]{1,16384})",
            ignore,
        ),
        "bearer": _compiled(r"(?<![A-Za-z0-9])((?:[Bb]earer|BEARER)(?:\s{1,3}|%20))([A-Za-z0-9._~+/=-]{8,8192})"),
        "basic": _compiled(r"(?<![A-Za-z0-9])((?:[Bb]asic|BASIC) )([A-Za-z0-9+/]{6,512}={0,2})"),
        "option": _compiled(
            r"(?<![\w-])(--?[a-z0-9_-]{0,40}?(?:passwd|password|passphrase|secret|token|api-?key|access-?key|"
            r"secret-?key|private-?key|pass|pwd)\s{1,3})(?![-|&;<>])",
            ignore,
        ),
        "short": _compiled(
            r"((?:\bmysql\w{0,10}|\bmariadb[\w-]{0,10}|\bmysqldump)\b[^|;\n]{0,400}?\s-p(?=\S)"
            r"|\bsshpass\s[^|;\n]{0,80}?-p\s{0,3}|\bredis-cli\b[^|;\n]{0,400}?\s-a\s{1,3}"
            r"|\bdocker\s{1,3}login\b[^|;\n]{0,400}?\s-p\s{1,3}|\bcurl\b[^|;\n]{0,400}?\s(?:-u|--user)\s{0,3}[\"']?[^\s:\"']{1,80}:)"
        ),
        "phrase": _compiled(
            r"(\bidentified\s{1,3}(?:with\s{1,3}\w{1,40}\s{1,3})?by\s{1,3}(?:password\s{1,3})?"
            r"|\bpassword\s{1,3}(?=\\{0,2}['\"])|\b(?:requirepass|masterauth)\\?\"?\s{1,3}"
            r"|\blogin\s{1,3}\S{1,80}\s{1,3}password\s{1,3}|\bpass(?:in|out)?\s{1,3}pass:"
            r"|\bpassword\s{1,3}(?:is|was|set\s{1,3}to|changed\s{1,3}to)\s{1,3}:?\s{0,2}(?=\S{0,80}[\d!@#$%^&*\"'])"
            r"|\bAUTH\\?\"?\s{1,3}(?:PLAIN\s{1,3}|LOGIN\s{1,3})?)",
            ignore,
        ),
        "tag": _compiled(
            r"(<[\w:.-]{0,40}?(?:password|passwd|passphrase|secret|token|api[_.-]?key|pwd)\w{0,12}>)([^<]{1,4096})(?=</)",
            ignore,
        ),
        "name": _compiled(_NAME + _ASSIGN, ignore),
    }


# --- masking ---------------------------------------------------------------------------------------------------


def mask(text: str) -> str:
    """`text` with every secret that a rule finds replaced by `MASK`."""
    patterns = _patterns()
    if "-----" in text:
        text = patterns["pem"].sub(_mask_pem, text)
    if "://" in text:
        text = patterns["userinfo"].sub(_mask_userinfo, text)
        text = patterns["hook"].sub(rf"\1{MASK}", text)
    text = patterns["provider"].sub(MASK, text)
    text = patterns["header"].sub(_mask_header, text)
    text = patterns["cookie"].sub(_mask_cookie, text)
    text = patterns["bearer"].sub(_mask_bearer, text)
    text = patterns["basic"].sub(_mask_basic, text)
    text = patterns["tag"].sub(lambda m: m[0] if _is_no_value(m[2]) else m[1] + MASK, text)
    for name in ("option", "short", "phrase"):
        text = _mask_after(patterns[name], text)
    return _mask_named_values(patterns["name"], text)


def mask_value(value: str) -> str:
    """A value whose name says that it is secret: masked unless it is no value at all."""
    stripped = value.strip()
    if not stripped or _is_no_value(stripped) or (_NUMBER.fullmatch(stripped) and len(stripped) < 6):
        return value
    return MASK


@lru_cache(maxsize=4096)
def names_secret(key: str) -> bool:
    """Whether a key of a mapping announces a secret: `DB_PASSWORD`, `clientSecret`, `x-api-key`."""
    found = _patterns()["name"].search(key[-100:] + "=")
    while found is not None:
        if found.end() == len(key[-100:]) + 1 and _name_begins(key[-100:], found):
            return _word(found) not in {"session", "sig", "sid", "auth", "pin", "pat"}
        found = _patterns()["name"].search(key[-100:] + "=", found.start() + 1)
    return False


def named_pair(data: Mapping[Any, Any]) -> str | None:
    """The key that holds a secret in `{"name": "DB_PASSWORD", "value": ...}`, else None."""
    if "value" not in data:
        return None
    names = (data.get("name"), data.get("key"), data.get("Name"))
    return "value" if any(isinstance(name, str) and names_secret(name) for name in names) else None


def _mask_pem(match: re.Match[str]) -> str:
    return f"{match[1]}{MASK}{match[2] or ''}"


def _mask_userinfo(match: re.Match[str]) -> str:
    user, password, tail = match[2], match[3], match[4]
    if password is not None:
        if _is_no_value(password) and not tail:
            return match[0]
        return f"{match[1]}{user}:{MASK}@"
    looks_like_token = len(user) >= 16 and any(c.isdigit() for c in user)
    return f"{match[1]}{MASK}@{tail or ''}" if looks_like_token else match[0]


def _mask_header(match: re.Match[str]) -> str:
    lead, scheme, value = match[1], match[2] or "", match[3]
    if not scheme and not _looks_random(value):
        return match[0]
    if value.startswith(MASK) or _is_no_value(value):
        return match[0]
    return f"{lead}{scheme}{' ' if scheme else ''}{MASK}"


def _mask_cookie(match: re.Match[str]) -> str:
    value = match[3]
    attributes = re.search(r";\s{0,3}(?:path|expires|max-age|domain|secure|httponly|samesite)\b", value, re.IGNORECASE)
    kept = value[attributes.start() :] if attributes else ""
    return f"{match[1]}{match[2]}{MASK}{kept}"


def _mask_bearer(match: re.Match[str]) -> str:
    return f"{match[1]}{MASK}" if _looks_random(match[2]) else match[0]


def _mask_basic(match: re.Match[str]) -> str:
    try:
        pair = b":" in base64.b64decode(match[2], validate=True)
    except (binascii.Error, ValueError):
        pair = False
    return f"{match[1]}{MASK}" if pair else match[0]


def _looks_random(value: str) -> bool:
    """Not a word of prose: it has a digit, or letters of both cases inside, or it is very long."""
    if _is_no_value(value):
        return False
    mixed = value[1:] != value[1:].lower() and value != value.upper()
    return len(value) >= 8 and (any(c.isdigit() for c in value) or mixed or len(value) >= 24)


def _mask_after(pattern: re.Pattern[str], text: str) -> str:
    """Mask the value that follows each match: the argument of an option, the string of a phrase."""
    parts: list[str] = []
    done = 0
    for found in pattern.finditer(text):
        if found.end() < done:
            continue
        start, end = _value_span(text, found.end())
        value = text[start:end]
        if not value or _is_no_value(value):
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
        if not _name_begins(text, found):
            position = found.start() + 1
            continue
        start, end = _value_span(text, found.end())
        if _harmless(text, found, start, end):
            continue
        parts += [text[done:start], MASK]
        done = position = end
    return "".join([*parts, text[done:]]) if parts else text


def _word(found: re.Match[str]) -> str:
    """The word that makes the name one, lower-cased and without separators."""
    return re.sub(r"[_.-]", "", found["word"].lower())


def _name_begins(text: str, found: re.Match[str]) -> bool:
    """Whether the name stands for itself: after no letter, at a camelCase hump, or after a prefix people glue on."""
    start, word = found.start(), _word(found)
    if start == 0 or not text[start - 1].isalpha() or word not in _WEAK:
        return True
    if text[start].isupper() and text[start - 1].islower():
        return True
    return word in {"pass", "pwd"} and text[max(0, start - 10) : start].lower().endswith(_GLUED)


def _value_span(text: str, start: int) -> tuple[int, int]:
    """Where the value that begins at `start` lies, without its quotes. A quote that never closes runs to the end."""
    opening = re.compile(r"(?:[bBrRuU]{1,2}(?=[\"']))?(\\{0,3})([\"'`])").match(text, start)
    if opening:
        begin = opening.end()
        return begin, _closing(text, begin, opening[1], opening[2])
    if text[start : start + 1] == "[":
        close = text.find("]", start, start + 4096)
        return start, close + 1 if close >= 0 else min(len(text), start + 4096)
    if text[start : start + 1] == "{" and text[start : start + 2] != "{{":
        return start, start
    stop = _END_OF_BARE.search(text, start)
    end = stop.start() if stop else len(text)
    while end > start and text[end - 1] in ",;)]}>|":
        end -= 1
    return start, end


def _closing(text: str, begin: int, escape: str, quote_mark: str) -> int:
    """Index of the closing quote that has as many backslashes before it as the opening one had, else the end."""
    position = begin
    while (at := text.find(quote_mark, position)) >= 0:
        slashes = 0
        while at - slashes - 1 >= begin and text[at - slashes - 1] == "\\" and slashes < 8:
            slashes += 1
        if slashes == len(escape) or (escape and slashes < len(escape)) or (not escape and slashes % 2 == 0):
            return at - min(slashes, len(escape))
        position = at + 1
    newline = text.find("\n", begin)
    return newline if newline >= 0 else len(text)


def _is_no_value(value: str) -> bool:
    return len(value) <= 240 and _NOT_A_VALUE.fullmatch(value) is not None


def _harmless(text: str, found: re.Match[str], start: int, end: int) -> bool:
    """Whether what stands after a name is no secret: nothing, a placeholder, a count, a path, or prose."""
    value = text[start:end]
    if not value or _is_no_value(value):
        return True
    quoted, word = start > found.end(), _word(found)
    if _NUMBER.fullmatch(value):
        return _harmless_number(value, word)
    if value[0] == "[" and not any(c.isalpha() for c in value):
        return True
    if " " in value and _PROSE_START.match(value):
        return True
    spaced_colon = found["sep"] == ":" and text[found.end() - 1] == " " and not quoted
    if word in _WEAK and word not in {"pass", "pwd", "psk", *_PIN_LIKE}:
        return not (len(value) >= 12 and _looks_random(value))
    if spaced_colon and value.isalpha() and value.islower():
        # One word alone may be a password; a word that goes on in words is a sentence.
        return (text[end : end + 1] == " " and text[end + 1 : end + 2].isalpha()) or word not in _STRONG
    if spaced_colon and word not in _STRONG:
        return not _looks_random(value)
    return len(value) < 4


def _harmless_number(value: str, word: str) -> bool:
    if not value.isdigit():
        return True
    if word in _STRONG or word in {"pass", "pwd"}:
        return len(value) < 6
    if word in _PIN_LIKE:
        return not 4 <= len(value) <= 8
    return len(value) < 20
