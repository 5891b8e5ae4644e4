"""The rules behind `console.redact`: what a secret looks like in a log, a command, a URL or a config dump.

Every pattern is bounded, so that a line of a megabyte costs time in proportion to its length. Patterns are
compiled when the first suspicious line arrives; most lines are dismissed by one search for hints.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Any

MASK = "•••"

PEM_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
PEM_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
PEM_BODY = re.compile(r"(?:[A-Za-z0-9+/=]{16,80}|[A-Za-z-]{1,30}: .{0,80}|^\s*|=[A-Za-z0-9+/]{4})\s*$")

# A lower-cased line in which this finds nothing holds no secret that any rule below would find. Each branch
# begins with one character that is rare in logs and looks back from there: `re` skips all others quickly. The same
# words in their natural order, or one branch that begins with a set, take three times as long.
_HINT = re.compile(
    r"""p(?:ass|wd|sk|in["'=:\\]|at["'=:\\]|(?<=otp)["'=:\\]|ypi-|ul-[0-9a-f]{40}|scale_|mak-|i(?<=dapi)[0-9a-f]{32})
|c(?:ret|red|ook|srf|v[vc]["'=:\\])
|k(?:ey(?:["'=:\\_>`%\]s]|\s?[=:]|\s[\w-]{16}|-(?:[0-9a-f]{32}|(?<=tskey-)|---)|\ block-)|en(?<=token)|-(?<=nrak-)|(?<=sk)[0-9a-f]{32}
   |-(?<=sk-)(?:proj|ant|svc|or-|admin|[a-z0-9]{16})|ia(?<=akia)[a-z0-9]{16})
|h(?:oriz|(?<=auth)["'=:%_\]\ \\]|v[sbr]\.[\w-]{20})
|s(?:ession(?:["'=:_.\\-]|id)|ignature|ig["'=:\\]|id["'=:\\]|ia(?<=asia)[a-z0-9]{16}|\.[a-z0-9]{24})
|b(?:earer|asic\ |ia(?<=abia)[a-z0-9]{16}|b(?<=atbb)[a-z0-9]{24}) | ca(?<=acca)[a-z0-9]{16}
|g(?:ocspx|\.(?<=sg\.)[\w-]{16}|l(?:pat|dt|rt|cbt|ptt|soat|ft|imt|agent)-) | fied(?<=identified)
|x(?:ox[a-z][.-]|app-|srf|ai-|keysib|smtpsib) | za(?<=aiza) | y(?:a29\.|j(?<=eyj)[\w-]{8}) | q0[a-z]{3}- | jwt
|v1\.(?<=atlasv1\.) | ltai[a-z0-9]{12} | 3(?<=atatt3) | _[a-z0-9]{16}
|-(?:-[a-z]|(?<=\s-)[aup]) | //(?:0|(?<=://)) | \?code= | &code= | :aa[\w-]{30} | \$(?:2[abxy]|[156]|argon2\w{0,2})\$""",
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
|(?<![_-])eyJ[\w-]{8,8192}\.[\w-]{2,8192}(?:\.[\w-]{0,8192}){0,3}
|dckr_[po]at_[\w-]{20,64} | NRAK-[A-Z0-9]{20,40} | lin_api_[A-Za-z0-9]{30,64} | ntn_[A-Za-z0-9]{40,64}
|figd_[\w-]{30,64} | pul-[0-9a-f]{40} | dapi[0-9a-f]{32} | hf_[A-Za-z]{30,64} | gsk_[A-Za-z0-9]{30,64}
|xai-[A-Za-z0-9]{30,128} | [A-Za-z0-9]{14}\.atlasv1\.[\w-]{40,128} | sntry[su]_[\w+/=-]{30,512}
|glsa_[A-Za-z0-9]{32}_[0-9a-f]{8} | glc_[A-Za-z0-9+/=]{32,400} | AGE-SECRET-KEY-1[0-9A-Z]{50,64}
|(?:bot)?\d{8,10}:AA[\w-]{32,36} | sbp_[0-9a-f]{40} | sb_secret_[\w-]{20,64} | pscale_(?:tkn|pw|oauth)_[\w.-]{30,64}
|PMAK-[0-9a-f]{24}-[0-9a-f]{34} | x(?:key|smtp)sib-[0-9a-f]{64}-\w{16} | ATBB[A-Za-z0-9]{24,40}
|ATATT3[\w=-]{60,255} | LTAI[A-Za-z0-9]{16,24}(?![A-Za-z0-9]) | tskey-[a-z]{2,10}-[\w-]{16,64}
|\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53} | \$argon2\w{0,2}\$[\w=,$+/]{20,255} | \$[156]\$[^\s$]{1,40}\$[./A-Za-z0-9]{20,90}
"""
_HOOKS = (
    r"(hooks\.slack\.com/(?:services|workflows|triggers)/|discord(?:app)?\.com/api/webhooks/\d{5,25}/"
    r"|webhook\.office\.com/webhookb2/)[\w/+=@-]{16,400}"
)

# --- names that announce a value -------------------------------------------------------------------------------

_SEP = r"[_. -]?"
# Grouped by first letter, because `re` tries alternatives one by one.
_WORD = (
    f"a(?:(?:pi|ccess|ccount|uth){_SEP}key|uth)|bearer|c(?:redential|ookie|srf|v[cv])|encryption{_SEP}key|jwt"
    f"|licen[sc]e{_SEP}key|master{_SEP}key|otp|p(?:ass(?:word|wd|phrase|code|wort)?|wd|sk|in|at|rivate{_SEP}key)"
    f"|s(?:ecret|ession(?:{_SEP}id)?|ignature|ig(?:ning{_SEP}key)?|id|(?:hared|ervice|torage){_SEP}key)|token|xsrf"
)
_WEAK = {"pass", "pwd", "psk", "auth", "jwt", "session", "sessionid", "cookie", "csrf", "xsrf", "bearer", "signature"}
_WEAK |= {"sig", "sid", "otp", "pin", "cvv", "cvc", "pat"}  # words of other meanings too: their values are doubted
_STRONG = {"password", "passwd", "passphrase", "passcode", "passwort"}
_NAME = rf"(?P<word>{_WORD})(?P<tail>[\w.-]{{0,40}})"
# What follows the word in a name: these say that the value is about the secret and is not it.
_ABOUT = frozenset(
    [
        "file",
        "path",
        "dir",
        "directory",
        "name",
        "type",
        "kind",
        "length",
        "len",
        "size",
        "count",
        "limit",
        "max",
        "min",
        "expire",
        "expires",
        "expiry",
        "expired",
        "expiration",
        "exp",
        "ttl",
        "age",
        "url",
        "uri",
        "endpoint",
        "host",
        "port",
        "user",
        "username",
        "policy",
        "hint",
        "reset",
        "field",
        "valid",
        "validity",
        "validation",
        "required",
        "enabled",
        "disabled",
        "status",
        "state",
        "error",
        "errors",
        "timeout",
        "version",
        "usage",
        "used",
        "manager",
        "store",
        "provider",
        "service",
        "bucket",
        "budget",
        "rotation",
        "rotate",
        "cache",
        "class",
        "format",
        "algorithm",
        "alg",
        "method",
        "mode",
        "strategy",
        "issuer",
        "audience",
        "scope",
        "scopes",
        "duration",
        "interval",
        "rate",
        "total",
        "index",
        "position",
        "line",
        "column",
        "changed",
        "created",
        "updated",
        "at",
        "date",
        "time",
        "check",
        "checks",
        "attempts",
        "failures",
        "failed",
        "prompt",
        "input",
        "output",
        "stream",
        "ring",
        "chain",
        "ref",
        "refs",
        "from",
        "source",
        "owner",
        "group",
        "namespace",
        "arn",
        "region",
        "label",
        "env",
        "var",
        "variable",
        "agent",
        "secs",
        "seconds",
        "minutes",
        "hours",
        "days",
    ]
)
_TAIL_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")
_GLUED_TAIL = re.compile(r"(?:s|key|hash|text|id|access|value|token)")
_WEAK_TAIL = re.compile(r"[_.-]?(?:key|value|hash|token|id|new|old|\d{1,3})?s?", re.IGNORECASE)
_ASSIGN = r"\\{0,3}[\"'`]?\]?\s{0,3}(?P<sep>=>|:=|=(?!=)|%3[dD]|:(?!:|//))\s{0,3}"
# `dbpass` and `PGPASS` name a password, `compass` and `bypass` do not.
_GLUED = (
    *("db", "my", "user", "root", "admin", "pg", "mysql", "postgres", "redis", "mongo", "smtp", "mail", "ftp", "ldap"),
    *("auth", "sql", "http", "proxy", "svn", "git", "amqp", "rabbit", "rabbitmq", "app", "api", "client", "session"),
    *("access", "store", "key", "trust", "wifi"),
)
_OPENERS = {")": "(", "]": "[", "}": "{"}
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
        "provider": re.compile(rf"(?<![A-Za-z0-9])(?:{_PROVIDERS})", verbose),
        "hook": re.compile(_HOOKS),
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
        "name": re.compile(_NAME + _ASSIGN, ignore),
    }


# --- masking ---------------------------------------------------------------------------------------------------


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
    name = key[-100:] + "="
    found = _patterns()["name"].search(name)
    while found is not None:
        if found.end() == len(name) and _announces(name, found):
            return _word(found) not in {"session", "sig", "sid", "auth", "pin", "pat"}
        found = _patterns()["name"].search(name, found.start() + 1)
    return False


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
    pair = re.search(r"=[^=]", match[2])  # "bearer expires_in=3600" is no token
    return match[0] if pair or not _looks_random(match[2]) else f"{match[1]}{MASK}"


def _mask_told(match: re.Match[str]) -> str:
    value = match[2]
    random = any(c.isdigit() for c in value) and any(c.isalpha() for c in value) and "/" not in value[:1]
    return f"{match[1]}{MASK}" if random and not _is_no_value(value) else match[0]


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
        if not _announces(text, found):
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
    return re.sub(r"[_. -]", "", found["word"].lower())


def _announces(text: str, found: re.Match[str]) -> bool:
    """Whether the name is one of a secret: its word stands for itself, and what follows is not about something else."""
    word, tail = _word(found), found["tail"]
    if not _begins(text, found.start(), word):
        return False
    if word in _WEAK:
        return _WEAK_TAIL.fullmatch(tail) is not None
    if tail[:1].islower() and not _GLUED_TAIL.match(tail):
        return False  # "tokenizer", "secretary"
    return _ABOUT.isdisjoint(part.lower() for part in _TAIL_PARTS.findall(tail))


def _begins(text: str, start: int, word: str) -> bool:
    """Whether a word begins here: after no letter, at a camelCase hump, or after a prefix that people glue on."""
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
    while end > start and (last := text[end - 1]) in ",;)]}>|":
        if last in _OPENERS and text.count(_OPENERS[last], start, end) >= text.count(last, start, end):
            break  # it belongs to the value: ${NAME}
        end -= 1
    return start, end


def _closing(text: str, begin: int, escape: str, quote_mark: str) -> int:
    """Index of the closing quote that has as many backslashes before it as the opening one had, else the end."""
    position = begin
    while (at := text.find(quote_mark, position)) >= 0:
        slashes = 0
        while at - slashes - 1 >= begin and text[at - slashes - 1] == "\\" and slashes < 8:
            slashes += 1
        closes = slashes <= len(escape) if escape else slashes % 2 == 0
        if closes and not escape and quote_mark == "'" and at > begin and text[at + 1 : at + 2] == "'":
            position = at + 2  # SQL doubles the quote inside
        elif closes:
            return at - min(slashes, len(escape))
        else:
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
    if word == "pass" and spaced_colon and found["word"].isupper():
        return True  # PASS: test_login
    if spaced_colon and word not in _STRONG:
        return not (_looks_random(value) or (len(value) >= 5 and any(c.isdigit() for c in value)))
    if found["tail"] and value.isalpha() and value.islower() and len(value) < 12:
        return word not in _STRONG
    return word not in _STRONG and len(value) < 3


def _harmless_number(value: str, word: str) -> bool:
    if not value.isdigit():
        return True
    if word in _STRONG or word in {"pass", "pwd"}:
        return len(value) < 6
    if word in _PIN_LIKE:
        return not 4 <= len(value) <= 8
    return len(value) < 20


def _mask_tag(match: re.Match[str]) -> str:
    return match[0] if _is_no_value(match[2]) else match[1] + MASK


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
