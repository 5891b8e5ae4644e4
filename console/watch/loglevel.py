"""Find the level a log line tells about itself: words by the shape they stand in, single letters, numbers.

Shapes are tried in tiers from the surest (`[error]`, `level=warn`) to the weakest (an upper-case word); the first
tier that finds one decides. Only the first characters after the stamp count: deeper is message, and messages
talk about errors.
"""

from __future__ import annotations

import re

from console.watch.latepattern import LatePattern

HEAD = 80  # characters after the stamp that are searched

WORDS: dict[str, str] = {
    **dict.fromkeys(("trace", "trac", "trc", "trce", "finest", "silly", "spam"), "trace"),
    **dict.fromkeys(
        ("debug", "debg", "dbg", "dbug", "debu", "deb", "fine", "finer", "verbose", "verb", "vrb",
         "debug1", "debug2", "debug3", "debug4", "debug5", "config"), "debug"
    ),
    **dict.fromkeys(("info", "inf", "information", "informational", "log", "system", "default", "hint"), "info"),
    **dict.fromkeys(("notice", "note", "notic", "noti", "ntc", "success"), "notice"),
    **dict.fromkeys(("warn", "warning", "wrn", "warni", "wrng", "deprecated", "warnung"), "warning"),
    **dict.fromkeys(
        ("error", "err", "eror", "erro", "severe", "fail", "failure", "failed", "fehler", "erreur"), "error"
    ),
    **dict.fromkeys(
        ("critical", "crit", "crt", "fatal", "ftl", "fata", "ftal", "panic", "pani", "dpanic", "emerg",
         "emergency", "alert", "alrt", "crash"), "critical"
    ),
}  # fmt: skip
WORDS_UPPER = frozenset(word.upper() for word in WORDS)
LETTERS = {
    "V": "trace", "T": "trace", "D": "debug", "I": "info", "N": "notice", "W": "warning", "E": "error",
    "C": "critical", "F": "critical", "A": "critical", "S": "error",
}  # fmt: skip
SYSLOG = ("critical", "critical", "critical", "error", "warning", "notice", "info", "debug")
_XORG = {"(EE) ": "error", "(WW) ": "warning", "(II) ": "info"}
_REDIS = {".": "debug", "-": "debug", "*": "notice", "#": "warning"}

# Words that stand in brackets, after a colon and so on, any case.
_SURE = (
    "trace|trce|trc|finest|finer|fine|debug[1-5]?|debu|dbug|dbg|verbose|vrb|information|informational|info|inf|"
    "notice|note|ntc|warning|warn|wrn|error|erro|err|eror|severe|critical|crit|fatal|fata|ftl|dpanic|panic|pani|"
    "emergency|emerg|alert"
)
# Words believed at the start of the message when a colon follows.
LEADING = _SURE + "|log|system|fail|success|failure|deprecated"
UPPER = (
    "TRACE|FINEST|FINER|FINE|DEBUG[1-5]?|DEBU|DBUG|DBG|VERBOSE|VRB|INFO|INF|INFORMATION|NOTICE|WARNING|WARN|WRN|"
    "ERROR|ERRO|ERR|SEVERE|CRITICAL|CRIT|CRT|FATAL|FATA|FTL|DPANIC|PANIC|PANI|EMERG|EMERGENCY|ALERT|LOG|CONFIG|SUCCESS|FAILURE|"
    "FEHLER|WARNUNG|ERREUR"
)

_KEYED = LatePattern(
    r"(?:^|[\s,;{(\[|])[\"']?@?(?:log[._]?)?(?:level|lvl|severity|levelname|level_name|loglevel|sev)[\"']?"
    r"\s*[=:]\s*[\"']?([a-z]{1,13}|\d{1,3})\b",
)
_BRACKETED = LatePattern(
    r"[\[<(|{](?: {0,4}|[\w$#.*-]{1,40}[:.@/ ]{1,2})("
    + _SURE
    + r")(?: {0,4}[\])>|}]|[:/ ][\w.#-]{0,40} {0,4}[\])>|}])",
)
# The ordinary case at the price of one match: the word stands directly behind the stamp.
_FIRST = LatePattern(r"^[\s\]|,:-]{0,4}[\[<(]?(" + UPPER.replace("|LOG", "") + r")(?=[\s\]>)|:/])(?! ?[=/])")
# The ordinary word in small letters right behind the stamp; not the first word of a sentence about something else.
_FIRST_SMALL = LatePattern(
    r"^[\s\]|,:-]{0,4}(error|warning|warn|notice|info|debug|trace|critical|fatal)"
    r" (?!mode|levels?\b|logs?\b|logging|enabled|disabled|rates?\b|count|budget|pages?\b|codes?\b|handl|about|that|=)\S"
)
_CISCO = LatePattern(r"%[A-Z][A-Z\d_]*(?:-[A-Z\d_]+)?-([0-7])-[A-Z\d_]+: ")
_COLUMN = LatePattern(r",\"?(" + UPPER + r")\"?,|\s\s(Error|Info|Debug|Warning)\s\s")
_PYTHON_WARNING = LatePattern(r"\b[A-Z]\w*(Warning): ")
_MYSQL = LatePattern(r"^ \d+ \[(System)\] ")
_LOGRUS = LatePattern(r"^\s*(TRAC|DEBU|INFO|WARN|ERRO|FATA|PANI)\[\d{4,}\]")
_START = LatePattern(
    r"^[\s\W]{0,6}(?:(" + UPPER + r")(?![\w=])(?!/[a-z])|(" + LEADING + r")(?:\[\w+\])?(?: {0,2}:| {1,2}[-|>–] |\t|\])"
    r"|PHP (Notice|Warning|Deprecated|Fatal|Parse)|npm (ERR|WARN|error|warn|notice|info)\b)"
)
_LOWER_START = LatePattern(
    r"^[\s\W]{0,6}(" + LEADING + r")(?:\[\w+\])?(?: {0,2}:(?!\d)| {1,2}[-|>–] |\t|\]| {2,}| [a-z]{1,4}\d{2,6}:|/\w+: )"
)
# A pattern that begins with a set of characters is searched fast; what must stand before is looked back at.
_TAGGED = LatePattern(
    r"[.:/|](?:(?<=^.)|(?<=[\w)\]].)|(?<=[\w)\]] .)) ?("
    + _SURE
    + r")(?=:(?!:|//)|\]|\)| ?\|| - | : |/[\w.]+:)|\.(?<=\w\.)("
    + _SURE
    + r")\b[: ]"
)
_DELIMITED = LatePattern(r"[-|*=>~#](?<!\S.)[-|*=>~#]{0,2} ?(" + _SURE + r") ?[-|*=<~#:]")
_BARE = LatePattern(r"[^\w/.=\"'<&?%$@-](" + UPPER + r")(?![\w/=\"'.(]|-[A-Za-z]| (?:level|code|rate|count|page)\b)")
_AT = LatePattern(r"at=(?<!\w...)(error|warning|info|debug)\b")
_MIXED = LatePattern(r"[\s:](" + _SURE + r"): ")
_SYSLOG_PAIR = LatePattern(
    r"^\s*<?(?:[\w.-]{1,64} )?(?:kern|user|mail|daemon|auth|authpriv|syslog|lpr|news|uucp|cron|ftp|local[0-7]) *[.:] *(\w{3,7})\b"
)
_LETTER_ALONE = LatePattern(r"^[\s\])]{1,3}([TDINWEFC])(?: {1,2}(?=[A-Z\[(<-])| \| |! )|  ([TDINWEFC])  ")
_LETTER_FIRST = LatePattern(r"^[\s]?[\[(|<]([TVDINWECF])(?=[\])|> ])")
_LETTER_BRACKET = LatePattern(r"[|\[(]\s?([TVDINWECF])\s?[|\])]")
# IBM's products number their messages and end the number with the level: WSVR0001I
_IBM = LatePattern(r" [A-Z]{3,5}\d{4,5}([IWE]): ")
_LOGCAT = LatePattern(
    r"^\s{1,2}(?:\d+\s+)?\d+\s+\d+ ([VDIWEFAS]) |^\s?([VDIWEFAS])/[\w.:$ -]{1,60}(?:\(\s*\d+\))?:|^([VDIWEFA])/[\w.]+\("
    r"|^\s{1,2}\d+-\d+/\S+ ([VDIWEFA])/"
)
_REDIS_SIGN = LatePattern(r"^(?:\d+:){1,2}[XCSM] .{15,30} ([.*#-]) ")
_RAISED = LatePattern(
    r"^(?:Uncaught |Unhandled |Exception in thread |(?:[\w$]+[.:\\]{1,2})*[A-Z]\w*(?:Error|Exception|Fault)(?::| at |$|\b \()"
    r"|\S+:\d+:in [`'].{1,200}\([\w:]*[A-Z]\w*\)$|make(?:\[\d+\])?: \*\*\* )"
)
_TRACE = LatePattern(
    r"^(?:Traceback \(most recent call last\)|thread '.{1,60}' panicked at|panic: |fatal error: |Segmentation fault)"
)


def word(text: str) -> str | None:
    """The level a field's value names: a word in any case, a letter, or a number as its writers use it."""
    text = text.strip().lower()
    if text in WORDS:
        return WORDS[text]
    if text.isascii() and text.isdigit():
        return number(int(text))
    if len(text) == 1 or (len(text) == 2 and text[1] in "12345"):  # MongoDB counts its debug levels: D2
        return LETTERS.get(text[0].upper())
    return WORDS.get(re.split("[+-]", text, maxsplit=1)[0])  # slog writes what lies between as INFO+2


def number(value: int) -> str | None:
    """0-7 syslog; 10-60 bunyan, pino; 100-600 monolog (and stackdriver up to 800)."""
    if 0 <= value <= 7:
        return SYSLOG[value]
    if 10 <= value <= 60:
        return ("trace", "debug", "info", "warning", "error", "critical")[value // 10 - 1]
    if value in (100, 200, 250, 300, 400, 500, 550, 600):
        return {100: "debug", 200: "info", 250: "notice", 300: "warning", 400: "error"}.get(value, "critical")
    return None


def level_of(before: str, after: str, line: str) -> str | None:
    """The level of a line split by its stamp into what stands `before` and `after` it (no stamp: all is after)."""
    head = after[:HEAD]
    stamped = after is not line
    first = head.lstrip(" \t]|,:-[<()")[:2]  # tells which of the patterns for the ordinary cases can match
    if first.isupper() and len(first) == 2 and first.isalpha():
        m = _FIRST.match(head)
        if m is not None:
            return WORDS[m[1].lower()]
    elif stamped and (first.isupper() or first.islower()):
        m = _LETTER_ALONE.match(head) or _FIRST_SMALL.match(head)
        if m is not None:
            return LETTERS[m[1]] if m[1] and len(m[1]) == 1 else WORDS[m[1]] if m[1] else LETTERS[m[2]]
    if stamped and (before or line[:1].isalpha()) and (letter := _letter_at(before, line)) is not None:
        return letter
    if line[:1].isdigit() and (m := _REDIS_SIGN.match(line)) is not None:
        return _REDIS[m[1]]
    if before and (found := WORDS.get(before.strip(" \t,;:|-[(<").lower())) is not None:
        return found
    found = _tiers(head)
    if found is None and after[:1] == ",":
        m = _COLUMN.search(after[: 3 * HEAD])
        found = WORDS.get(m[1].lower()) if m is not None and m[1] else None
    return _tiers(before) if found is None and before else found


def facility_level(text: str) -> str | None:
    """The level in `daemon.err`, as busybox writes it in front of the program; None for other text."""
    m = _SYSLOG_PAIR.match(text)
    return WORDS.get(m[1]) if m is not None else None


def _letter_at(before: str, line: str) -> str | None:
    """The letter that is written onto the stamp (`I1122 03:12:01`), or alone in front of it (`[ N 2026-11-22`)."""
    letter = line[len(before) : len(before) + 1]
    if not (letter.isalpha() and line[len(before) + 1 : len(before) + 2].isdigit()):
        glued = before[-1:].isalpha() and not before[-2:-1].isalnum()
        letter = before[-1] if glued else before.strip(" [(<|")
    return LETTERS[letter] if len(letter) == 1 and letter in "TDINWEF" else None


# One of these stands in every word above: a line without any is told by substring tests, not by ten patterns.
_HINTS = (
    "err", "war", "wrn", "inf", "deb", "dbg", "fat", "ftl", "crit", "crt", "fail", "note", "ntc", "notic", "pani",
    "emerg", "alert", "trac", "trc", "seve", "fine", "verb", "vrb", "log", "success", "deprec", "config", "dbug",
    "system", "eror", "level", "lvl", "fehl", "at=",
)  # fmt: skip


def _tiers(part: str) -> str | None:
    if part[1:2] == "/" and (m := _LOGCAT.match(part)) is not None:
        return LETTERS.get(part[0])
    low = part.lower()
    if next(filter(low.__contains__, _HINTS), None) is not None and (found := _by_word(part, low)) is not None:
        return found
    if "%" in part and (m := _CISCO.search(part)) is not None:
        return SYSLOG[int(m[1])]
    m = _LETTER_FIRST.match(part) or _LETTER_BRACKET.search(part) or _LOGCAT.match(part)
    if m is None and ": " in part:
        m = _IBM.search(part)
    if m is not None:
        return LETTERS.get(next(group for group in m.groups() if group))
    return next((_XORG[sign] for sign in _XORG if sign in part), None) if "(" in part else None


def _by_word(part: str, low: str) -> str | None:
    if ("lev" in low or "lvl" in low or "sev" in low) and (m := _KEYED.search(low)) is not None:
        value = m[1]
        odd = value.isdigit() and int(value) > 7 and value[-1] != "0"  # SQL Server's "Severity: 14" is its own scale
        found = None if odd else word(value)
        if found is not None:
            return found
    for pattern, raw, anchored, gate in _BY_WORD:
        text = part if raw else low
        if gate in text:
            m = pattern.match(text) if anchored else pattern.search(text)
            if m is not None and (found := _word_in(m)) is not None:
                return found
    return None


# Pattern, whether it is for the text as it stands or in small letters, whether it begins with ^, and what must
# stand in the text for it: that is twenty times cheaper to find out.
_BY_WORD = (
    (_LOGRUS, True, True, "["), (_MYSQL, True, True, "[System]"), (_BRACKETED, False, False, ""),
    (_START, True, True, ""), (_LOWER_START, False, True, ""), (_SYSLOG_PAIR, False, True, ""),
    (_TAGGED, False, False, ""), (_DELIMITED, False, False, " "), (_COLUMN, True, False, ""),
    (_AT, False, False, "at="), (_BARE, True, False, ""), (_MIXED, False, False, ": "),
    (_PYTHON_WARNING, True, False, "Warning: "),
)  # fmt: skip
_PHP = {"notice": "notice", "warning": "warning", "deprecated": "warning", "fatal": "critical", "parse": "critical"}


def _word_in(m: re.Match[str]) -> str | None:
    text = next((group.lower() for group in m.groups() if group), "")
    return _PHP.get(text) if "PHP " in m[0] else WORDS.get(text)


def raised(message: str) -> str | None:
    """The level of an uncaught exception or panic printed without any header; None for other text."""
    if _TRACE.match(message):
        return "error" if message.startswith("Traceback") else "critical"
    return "error" if _RAISED.match(message) else None
