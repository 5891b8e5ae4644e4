"""Names that announce a secret (`DB_PASSWORD`, `clientSecret`, `token:`), and values that are none.

Entropy never decides alone: a name must announce, and the value must not be a placeholder, a count, a path or prose.
Finds spans; `console.redact_rules` masks them.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache

_SEP = r"[_. -]?"
# Grouped by first letter, because `re` tries alternatives one by one.
_WORD = (
    f"a(?:(?:pi|ccess|ccount|uth|pp|pplication|dmin){_SEP}key|uth)|bearer"
    f"|c(?:redential|ookie|srf|v[cv]|ontrase(?:n|ñ|\\\\u00f1)a|(?:lient|onsumer){_SEP}key)"
    f"|(?:deploy|encryption|fastly|functions?|hmac|ingest(?:ion)?|integration|licen[sc]e|master|routing){_SEP}key|hmac|jwt|mnemonic"
    f"|otp|p(?:ass(?:word|wd|phrase|code|wort|key)?|wd?|sk|in|at|r(?:ivate|e{_SEP}?shared){_SEP}key)"
    f"|r(?:oot|ecovery){_SEP}key|s(?:e(?:cret|nha|ss(?:ion(?:{_SEP}id)?|id))|ignature|ig(?:ning{_SEP}key)?|id"
    f"|(?:hared|ervice|torage|ubscription){_SEP}key|eed{_SEP}phrase)|token|xsrf|(?:unseal|user|write){_SEP}key"
)
_WEAK = {"pass", "pwd", "psk", "auth", "jwt", "session", "sessionid", "cookie", "csrf", "xsrf", "bearer", "signature"}
_WEAK |= {"sig", "sid", "otp", "pin", "cvv", "cvc", "pat"}  # words of other meanings too: their values are doubted
# Keys that route, count or cache as often as they open something: only what looks made by a machine is masked.
_DOUBTED_KEYS = {f"{of}key" for of in ("app", "application", "admin", "client", "consumer", "deploy", "fastly", "function",
                 "functions", "hmac", "ingest", "ingestion", "integration", "routing", "root", "recovery", "subscription",
                 "unseal", "user", "write", "pass")}  # fmt: skip
_WEAK |= {"hmac", "sessid", "pw"}
_KEYS_OF_MUCH = {"session", "sig", "sid", "auth", "pin", "pat", "hmac", "pw"} | _DOUBTED_KEYS  # too many to mask unseen
_STRONG = {"password", "passwd", "passphrase", "passcode", "passwort", "senha", "contraseña", "contrasena"}
_NAME = rf"(?P<word>{_WORD})(?P<tail>[\w.-]{{0,40}})"
# What follows the word in a name: these say that the value is about the secret and is not it.
_ABOUT = frozenset(
    re.findall(
        r"\w+",
        """file path dir directory name type kind length len size count limit max min expire expires expiry expired
        expiration exp ttl age url uri endpoint host port user username policy hint reset field valid validity
        validation required enabled disabled status state error errors timeout version usage used manager store
        provider service bucket budget rotation rotate cache class format algorithm alg method mode strategy issuer
        audience scope scopes duration interval rate total index position line column changed created updated at
        date time check checks attempts failures failed prompt input output stream ring chain ref refs from source
        owner group namespace arn region label env var variable agent secs seconds minutes hours days""",
    )
)
_TAIL_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")
_GLUED_TAIL = re.compile(r"(?:s|key|hash|text|id|access|value|token|data)")
_WEAK_TAIL = re.compile(r"[_.-]?(?:key|value|hash|token|id|new|old|\d{1,3})?s?", re.IGNORECASE)
_ASSIGN = r"\\{0,3}[\"'`]?\]?\s{0,3}(?P<sep>=>|:=|=(?!=)|%3d|:(?!:|//)|-{1,2}>|→)[^\S\n]{0,3}"
# `dbpass` and `PGPASS` name a password, `compass` and `bypass` do not.
_GLUED = (
    *("db", "my", "user", "root", "admin", "pg", "mysql", "postgres", "redis", "mongo", "smtp", "mail", "ftp", "ldap"),
    *("auth", "sql", "http", "proxy", "svn", "git", "amqp", "rabbit", "rabbitmq", "app", "api", "client", "session"),
    *("access", "store", "key", "trust", "wifi", "bind", "temp"),
)
_OPENERS = {")": "(", "]": "[", "}": "{"}
_LINES_QUOTED = 2  # a quoted value that goes on for more lines was never closed
_PIN_LIKE = {"otp", "pin", "cvv", "cvc"}

_NOT_A_VALUE = re.compile(
    r"(?i:null|nil|none|undefined|true|false|yes|no|on|off|ok|empty|n/a|set|unset|not[ _-]set|default|hidden|string|"
    r"str|bytes|int|bool|object|text|hashed|encrypted|plaintext|weak|strong|sensitive|present|absent|bcrypt|argon2\w{0,2}|sha\d{1,3}|"
    r"required|expired|invalid|missing|incorrect|wrong|failed|failure|mismatch|unexpected|error|denied|unauthori[sz]ed|"
    r"must|should|cannot|not|is|was|has|too|unknown|changed|updated|reset|rotated|revoked|accepted|rejected|success|"
    r"refreshed|disabled|enabled|provided|valid|verified|authentication|authenticated|read|write|eof|identifier|"
    r"number|optional|prompt|please|enter|the|a|an|for|and|or|never|always|basic|bearer|digest|plain|login|md5|"
    r"scram-sha-256|peer|trust|ident|ldap|local|started|stopped|closed|opened|created|deleted|lax|strict)"
    r"|[\w-]{0,12}\*{3,}[\w* -]{0,24}|[\w-]{0,8}…[\w-]{0,6}|_{2}[a-z]{3,20}_{2}|%!\w\(.{0,20}\)|![a-z-]{2,20}"
    r"|[*xX#.•-]{2,}|\*|•+|\W{1,2}"
    r"|\[[\w ]{0,40}\]|<[^<>]{0,60}>|\(?(?:redacted|masked|filtered|removed|hidden|scrubbed|sanitized)\)?"
    r"|\$\{[^}]{0,120}\}|\$\(?[A-Za-z_]\w{0,80}\)?|\$\d{1,2}|\{\{.{0,80}\}\}|\{\w{0,40}\}|%[sdv]|%\(\w{1,40}\)s"
    r"|(?:env|file|vault|ssm|sops|arn):.{1,200}"
    r"|(?:~|\.{1,2})?(?:/[a-z][a-z._-]{0,40}){2,12}(?:/[\w.-]{0,60})?|/run/secrets/[\w.-]{1,80}|\./[\w./-]{1,200}"
    r"|[A-Z]:\\.{1,200}|process\.env\.\w{1,80}|os\.(?:environ|getenv).{0,120}"
    r"|SecretStr\(.{0,20}\)"
)
NUMBER = re.compile(r"[-+]?\d[\d.,_]{0,30}(?:ms|s|m|h|d|%|k|kb|mb)?|0x[0-9a-fA-F]{1,16}")
_PROSE_START = re.compile(
    r"(?i)(?:must|should|is|was|has|have|cannot|can|may|required|field|this|the|please|your|minimum|maximum|at|too|"
    r"not|ensure|invalid|expected|unexpected|value|missing|length|no|only|does|for|wrong|incorrect|enter|failed)\b"
)
_END_OF_BARE = re.compile(
    r"[\s\"'`<]|&(?:amp;)?[\w.-]{1,40}=|%26|[,;|](?:\s|$|[\"'{]|[\w.-]{1,40}[=:])|\\[nrt\"']|\}\}?,"
)


@cache
def name_pattern() -> re.Pattern[str]:
    """A name and what assigns to it: groups `word`, `tail` (the rest of the name) and `sep`. The value follows.

    For lower-cased text: `re` takes four times as long where it ignores case.
    """
    return re.compile(_NAME + _ASSIGN)


def lowered(text: str) -> str:
    """In lower case and of the same length, so that places in it are places in `text`."""
    low = text.lower()
    return low if len(low) == len(text) else text.replace("\u0130", "I").lower()


@lru_cache(maxsize=4096)
def names_secret(key: str) -> bool:
    """Whether a key of a mapping announces a secret: `DB_PASSWORD`, `clientSecret`, `x-api-key`."""
    name = key[-100:] + "="
    low = lowered(name)
    found = name_pattern().search(low)
    while found is not None:
        if found.end() == len(name) and announces(name, found):
            return _word(found) not in _KEYS_OF_MUCH
        found = name_pattern().search(low, found.start() + 1)
    return False


def looks_random(value: str) -> bool:
    """Not a word of prose: it has a digit, or letters of both cases inside, or it is very long."""
    if is_no_value(value):
        return False
    mixed = value[1:] != value[1:].lower() and value != value.upper()
    return len(value) >= 8 and (any(c.isdigit() for c in value) or mixed or len(value) >= 24)


def looks_made(value: str) -> bool:
    """A run of 16 letters and digits mixed, which no person types and no naming scheme gives."""
    return any(
        any(c.isdigit() for c in run) and any(c.isalpha() for c in run)
        for run in re.findall(r"[A-Za-z0-9+/]{16,}", value)
    )


def _word(found: re.Match[str]) -> str:
    """The word that makes the name one, lower-cased and without separators."""
    return re.sub(r"[_. -]", "", found["word"])


def announces(text: str, found: re.Match[str]) -> bool:
    """Whether the name is one of a secret: its word stands for itself, and what follows is not about something else."""
    word, tail = _word(found), text[found.start("tail") : found.end("tail")]
    if not _begins(text, found.start(), word):
        return False
    if word in _WEAK:
        return _WEAK_TAIL.fullmatch(tail) is not None
    if word in _DOUBTED_KEYS:
        return tail in ("", "-data", "_data", "s", "_base64")
    if tail[:1].islower() and not _GLUED_TAIL.match(tail):
        return False  # "tokenizer", "secretary"
    return _ABOUT.isdisjoint(part.lower() for part in _TAIL_PARTS.findall(tail))


def _begins(text: str, start: int, word: str) -> bool:
    """Whether a word begins here: after no letter, at a camelCase hump, or after a prefix that people glue on."""
    if start == 0 or not text[start - 1].isalpha() or (word not in _WEAK and word not in _DOUBTED_KEYS):
        return True
    if text[start].isupper() and text[start - 1].islower():
        return True
    if word in {"sessid", "sessionid"}:
        return True  # PHPSESSID, JSESSIONID
    return word in {"pass", "pwd", "pw"} and text[max(0, start - 10) : start].lower().endswith(_GLUED)


def value_span(text: str, start: int) -> tuple[int, int]:
    """Where the value that begins at `start` lies, without its quotes. A quote that never closes runs to the end."""
    opening = re.compile(
        r"(?:(?:Some|Ok|Just|String::from|Secret\w{0,6}|Password)\(|\[\]string\{)?(?:[bBrRuU]{1,2}(?=[\"']))?(\\{0,3})([\"'`])"
    ).match(text, start)
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
            if text.count("\n", begin, at) > _LINES_QUOTED:
                break
            return at - min(slashes, len(escape))
        else:
            position = at + 1
    newline = text.find("\n", begin)
    return newline if newline >= 0 else len(text)


def is_no_value(value: str) -> bool:
    return len(value) <= 240 and _NOT_A_VALUE.fullmatch(value) is not None


def harmless(text: str, found: re.Match[str], start: int, end: int) -> bool:
    """Whether what stands after a name is no secret: nothing, a placeholder, a count, a path, or prose."""
    value = text[start:end]
    if not value or is_no_value(value):
        return True
    quoted, word = start > found.end(), _word(found)
    if NUMBER.fullmatch(value):
        return _harmless_number(value, word)
    if value[0] == "[" and not any(c.isalpha() for c in value):
        return True
    if " " in value and _PROSE_START.match(value):
        return True
    spaced_colon = found["sep"] in (":", "->", "-->", "→") and text[found.end() - 1] == " " and not quoted
    if word in _DOUBTED_KEYS:
        return not looks_made(value)
    if word in {"pwd", "pw"} and re.match(r"/|~|[A-Za-z]:[\\/]", value):
        return True  # the directory one is in
    if word == "cookie" and re.fullmatch("[A-Z]{20}", value):
        return False  # Erlang's
    if word in _WEAK and word not in {"pass", "pwd", "pw", "psk", *_PIN_LIKE}:
        return not (len(value) >= 12 and looks_random(value))
    if spaced_colon and value.isalpha() and value.islower():
        # One word alone may be a password; a word that goes on in words is a sentence.
        return (text[end : end + 1] == " " and text[end + 1 : end + 2].isalpha()) or word not in _STRONG
    if word == "pass" and spaced_colon and text[found.start() : found.start() + 4] == "PASS":
        return True  # PASS: test_login
    if spaced_colon and word not in _STRONG:
        return not (looks_random(value) or (len(value) >= 5 and any(c.isdigit() for c in value)))
    if found["tail"] and value.isalpha() and value.islower() and len(value) < 12:
        return word not in _STRONG
    return word not in _STRONG and len(value) < 3


def _harmless_number(value: str, word: str) -> bool:
    if not value.isdigit():
        return True
    if word in _STRONG or word in {"pass", "pwd", "pw"}:
        return len(value) < 6
    if word in {"cvv", "cvc"}:
        return not 3 <= len(value) <= 4
    if word in _PIN_LIKE:
        return not 4 <= len(value) <= 8
    return len(value) < 20
