"""A message becomes a signature: its constant words in order, with one wildcard for each run of variable parts.

Two steps, so that the hot path stays cheap. `normal` treats each word by itself and remembers what it made of it;
`signature` looks at neighbours (quotes, units, dates) and is asked only for what `normal` gave for the first time.
Both are pure functions of the text, so the same message has the same signature everywhere.
"""

from __future__ import annotations

import re

from console.redact import MASK
from console.watch.latepattern import LatePattern

WILD = "*"
LIMIT = 4096  # characters of a message that are looked at
WORDS = 160  # words of a message that are looked at
_LONG = 300  # characters from which a word is a value whatever it holds
_REMEMBERED = 8000  # words whose normal form is kept ...
_SHORT = 64  # ... if they are no longer than this

_DIGITS = {ord(digit): "0" for digit in "123456789"}
# Names that hold digits and are no numbers, with every digit written as 0.
_NAMES = frozenset(
    {
        "ipv0", "sha0", "sha000", "md0", "utf0", "utf-0", "oauth0", "http0", "log0j", "x000", "base00", "ssh0",
        "x00", "x00_00", "amd00", "arm00", "k0s", "s0", "ec0", "win00", "e0e", "p00"
    }
)  # fmt: skip
# Last parts of host names: the old generic ones, private ones, and countries.
_TOP = frozenset(
    {
        "com", "org", "net", "edu", "gov", "mil", "biz", "io", "dev", "app", "cloud", "local", "lan",
        "internal", "localdomain", "svc", "ac", "ad", "ae", "ar", "at", "au", "be", "bg", "br", "ca", "cc", "ch",
        "cl", "cn", "co", "cz", "de", "dk", "ee", "es", "eu", "fi", "fr", "gr", "hk", "hr", "hu", "ie", "il",
        "ir", "it", "jp", "kr", "lt", "lu", "lv", "me", "mx", "my", "nl", "no", "nz", "pe", "ph", "pk",
        "pl", "pt", "ro", "rs", "ru", "sa", "se", "sg", "si", "sk", "su", "th", "tr", "tv", "tw", "ua", "uk", "us",
        "uy", "ve", "vn", "za"
    }
)  # fmt: skip
# Last parts of names of files that programs come across; files of their own source code are constants.
_FILES = frozenset(
    {
        "exe", "dll", "txt", "log", "tmp", "pid", "sock", "jpg", "jpeg", "png", "gif", "svg", "pdf", "zip", "gz", "tgz",
        "tar", "bak", "csv", "tsv", "xml", "json", "yaml", "yml", "toml", "conf", "cfg", "ini", "html", "css", "sqlite",
    }
)  # fmt: skip
_HEX = LatePattern(r"^[0a-fA-F]{8,}\Z")
_HOST = LatePattern(r"^(?:[A-Za-z0_-]+\.)+([A-Za-z]{2,11})\.?(?::0+)?\Z")
_PACKAGE = LatePattern(r"^(?:com|org|net|io|edu|gov|de|cn|uk|dev)(?:\.[\w$-]+){2,}\Z")
_RAISED = LatePattern(r"([^\W.$]+(?:Exception|Error|Fault))\Z")
_NAMED = LatePattern(r"^([A-Za-z_$][A-Za-z_$-]*(?:\.[A-Za-z_$-]+)*)[:#@](-?[0.:]+)\Z")  # onExtend:17, worker#3
_CONSTANT = LatePattern(r"[A-Z_]{2,}\(0+\)")  # LOCAL(0) stands for a value
_APOSTROPHE = LatePattern(r"(?<=[A-Za-z])'(?=[A-Za-z])")
_LETTER = LatePattern(r"[^\W_]")
_BETWEEN = re.compile(r"\.{2,}|-{2,}|:")
_PARTS = re.compile(
    r'(?P<key>"([\w.@/ -]{1,60})":)'
    r"|(?P<url>[A-Za-z][A-Za-z0+.-]{0,20}://[^\s\"'<>)\]},;]*)"
    r"|(?P<path>(?<![\w.)\]-])(?:[~.]{0,2}/(?=[\w.*~%+@$?/-])|[A-Za-z]:\\|\\\\)[^\s\"'<>()\[\]{},;|=?]*(?:\?[^\s\"'<>]*)?)"
    r"|(?P<value>=[^\s,;\"'=]*0[^\s,;\"'=]*)"
    r"|(?P<mark>[=\"'`])"
    r"|(?P<word>[^\s=(){}\[\]<>|,;\"'`]+)"
)
_METHODS = "GET|POST|PUT|DELETE|HEAD|PATCH|OPTIONS|CONNECT|TRACE"
_QUOTED = re.compile(
    rf"\" (?!(?:{_METHODS}) )([^\"]{{0,200}}?) ?\"|(?<!\S)' ([^']{{0,200}}?) ?'|` ([^`']{{0,200}}?) ?[`']"
)
_QUOTE = re.compile(r"[\"'`]")
_UNIT = re.compile(
    r"(?<!\S)\* (?:bytes?|[KMGT]i?B|[KMGT]?b|B|ms|us|ns|msecs?|s|secs?|seconds?|mins?|minutes?|hrs?|hours?|days?|%|"
    r"[kMG]?Hz|[KMGT])(?!\S)"
)
_CALENDAR = (
    "Mon|Tue|Wed|Thu|Fri|Sat|Sun|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday|"
    "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec|January|February|March|April|June|July|August|September|"
    "October|November|December|AM|PM|am|pm|UTC|GMT|EST|EDT|CST|CDT|MST|MDT|PST|PDT|CET|CEST"
)
_DATE = re.compile(
    rf"(?:(?<!\S)(?:{_CALENDAR}) ){{1,4}}\*(?!\S)|(?<!\S)\*(?: (?:{_CALENDAR})(?!\S)){{1,4}}",
)
_LITERAL = re.compile(
    r"(?<== )(?:null|None|nil|true|false|True|False|none|NULL|yes|no|undefined|NaN|Inf)(?!\S)",
)
_RUN = re.compile(r"\*(?: \*)+")


class _Normals(dict[str, str]):
    """Normal forms of the words met lately."""

    def __missing__(self, word: str) -> str:
        made = _normal(word)
        if len(word) <= _SHORT:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[word] = made
        return made


_normals = _Normals()


def normal(message: str) -> str:
    """The message with every word in its normal form, and the marks that `signature` needs.

    >>> normal("worker 17 took 35ms for /srv/a.txt (uid=0)")
    'worker * took * for * uid =*'
    """
    return " ".join(map(_normals.__getitem__, message[:LIMIT].translate(_DIGITS).split(None, WORDS)[:WORDS]))


def signature(normal: str) -> tuple[str, ...]:
    """What stays of a normal form: constant words, keys that end with `=`, and `WILD` for each run of values.

    >>> signature(normal("Fri Jul 1 07:57:30: sent 1190 bytes to 10.0.0.1:80 user=bob"))
    ('*', 'sent', '*', 'to', '*', 'user=', 'bob')
    """
    text = normal.replace("=*", "= *")
    if '"' in text or "'" in text or "`" in text:
        text = _QUOTE.sub(" ", _QUOTED.sub(" * ", " ".join(text.split())))
    text = " ".join(text.split())
    if "= " in text:
        text = _LITERAL.sub(WILD, text)
    if WILD in text:
        text = _UNIT.sub(WILD, _DATE.sub(WILD, _DATE.sub(WILD, text)))
        text = _RUN.sub(WILD, text)
    return tuple(text.replace(" =", "=").split())


def _normal(word: str) -> str:
    """One word between spaces."""
    if word.isalpha():
        return WILD if len(word) >= 8 and _HEX.match(word) else word[:_LONG]
    if len(word) > _LONG or word.isdigit():
        return WILD
    word = _CONSTANT.sub("0", _APOSTROPHE.sub("", word))
    out = []
    for m in _PARTS.finditer(word):
        match m.lastgroup:
            case "word":
                made = _piece(m[0])
            case "key":
                made = m[2].replace(" ", "_") + " ="
            case "url" | "path":
                made = WILD
            case "value":
                made = "=" + WILD
            case _:
                made = m[0]
        if made:
            out.append(made)
    return " ".join(out)


def _piece(piece: str) -> str:
    """A part without quotes, brackets and signs: one word, several, a wildcard, or nothing."""
    if MASK in piece:
        return WILD
    piece = piece.strip(".:!?-*#&+~^")
    if not piece or not _LETTER.search(piece):
        return ""
    if piece.isalpha():
        return WILD if len(piece) >= 8 and _HEX.match(piece) else piece
    if ".." in piece or "--" in piece:
        return _pieces(piece)
    if _is_place(piece):
        return WILD
    if "0" in piece:
        if piece.lower() in _NAMES:
            return piece
        m = _NAMED.match(piece)
        if m is None:
            return WILD
        name, number = m.groups()
        port = "." in name and name.islower() and number.isdigit() and 2 <= len(number) <= 5
        return WILD if port else f"{_piece(name)} {WILD}"
    if ":" in piece:
        return _pieces(piece)
    if _PACKAGE.match(piece):
        m = _RAISED.search(piece)
        return m[1] if m is not None else WILD
    return piece


def _pieces(piece: str) -> str:
    return " ".join(filter(None, map(_piece, _BETWEEN.split(piece))))


def _is_place(piece: str) -> bool:
    """An address of mail, a host, a path, a file."""
    if "@" in piece and "." in piece and "0" not in piece:
        return True
    if "/" in piece and (piece.count("/") >= 2 or _PACKAGE.match(piece.partition("/")[0])):
        return True
    if "." not in piece:
        return False
    m = _HOST.match(piece)
    return m is not None and (m[1].lower() in _TOP or m[1] in _FILES) and not _PACKAGE.match(piece)
