"""Regular expressions over log lines that cannot bring the console to a halt.

Python's `re` holds every thread while it matches, and some expressions take exponential time on some lines.
Such shapes are refused, lines are cut, and one line that takes too long ends the use of the expression.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator

_LONGEST_LINE = {0: 8192, 1: 4096, 2: 2048, 3: 1024}  # characters, by the number of open-ended repeats
_SHORT_LINE = 512
_SLOW_LINE = 0.05  # seconds
_TOKEN = re.compile(
    r"""(?P<escape>\\.)
    | (?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])
    | (?P<flags>\(\?[aiLmsux]+(?:-[imsx]+)?[:)])
    | (?P<open>\((?:\?(?:P<\w+>|<?[=!]|[:>]|P=\w+\)|\#[^)]*\)))?)
    | (?P<close>\))
    | (?P<either>\|)
    | (?P<many>[*+]|\{\d*,\})[?+]?
    | (?P<few>\?|\{\d*(?:,\d+)?\})[?+]?
    | (?P<plain>.)""",
    re.VERBOSE | re.DOTALL,
)


class SlowPatternError(ValueError):
    """The expression takes too long, or may."""


class LinePattern:
    """A compiled expression, counted over lines. Raises ValueError for one that is wrong or dangerous."""

    def __init__(self, expression: str) -> None:
        if not expression:
            raise ValueError("query: no regular expression")
        try:
            self._regex = re.compile(expression)
        except re.error as error:
            raise ValueError(f"query is no regular expression: {error}") from None
        repeats = open_ended_repeats(expression)
        self._cut = _LONGEST_LINE.get(repeats, _SHORT_LINE)
        self._needed = required_text(expression).encode()

    def count(self, lines: Iterable[bytes]) -> int:
        """How many lines it is found in. Raises SlowPatternError."""
        search, cut = self._regex.search, self._cut
        found = 0
        for line in lines:
            if self._needed and self._needed not in line:
                continue
            text = line[: 4 * cut].decode("utf-8", "replace")[:cut]
            began = time.perf_counter()
            found += search(text) is not None
            if time.perf_counter() - began > _SLOW_LINE and self._still_slow(text):
                raise SlowPatternError("query: the expression takes too long on some lines; make it simpler")
        return found

    def _still_slow(self, text: str) -> bool:
        """Not only a moment in which this thread had to wait."""
        began = time.thread_time()
        self._regex.search(text)
        return time.thread_time() - began > _SLOW_LINE


def _tokens(expression: str) -> Iterator[tuple[str, str]]:
    for match in _TOKEN.finditer(expression):
        yield match.lastgroup or "plain", match[0]


def open_ended_repeats(expression: str) -> int:
    """How many open-ended repeats there are. Raises SlowPatternError when one lies in another.

    >>> open_ended_repeats(r"user=\\w+ took \\d+ ms")
    2
    >>> open_ended_repeats(r"(\\w+\\s*)+$")
    Traceback (most recent call last):
    ...
    console.watch.metrics.pattern.SlowPatternError: query: "(...)+" around a repeat or a choice can take ...
    """
    repeats = 0
    groups: list[bool] = []  # for each open group: does it hold a repeat or a choice
    closed = False  # the last token closed a group that does
    for kind, text in _tokens(expression):
        if kind == "many":
            repeats += 1
            if closed:
                raise SlowPatternError(f'query: "(...){text}" around a repeat or a choice can take for ever')
        if kind in ("many", "few", "either") and groups:
            groups[-1] = True
        risky = False
        if (kind == "open" and not text.endswith(")")) or (kind == "flags" and text.endswith(":")):
            groups.append(False)
        elif kind == "close" and groups:
            risky = groups.pop()
            if groups and risky:
                groups[-1] = True
        closed = risky
    return repeats


def required_text(expression: str) -> str:
    """The longest run of characters that every match contains; "" when there is none to be sure of.

    Looking for it first passes over most lines at a hundredth of the cost.

    >>> required_text("payment (failed|declined)"), required_text("(?i)error"), required_text("a|b")
    ('payment ', '', '')
    """
    runs, run, depth = [""], "", 0
    for kind, text in _tokens(expression):
        if kind == "flags" or (kind == "either" and depth == 0):
            return ""
        literal = (kind == "plain" and text not in ".^$") or (kind == "escape" and not text[1].isalnum())
        if depth == 0 and literal:
            run += text[-1]
            continue
        if kind in ("many", "few"):
            run = run[:-1] if kind == "few" or text[0] in "*{" else run  # the last character may be absent
        runs.append(run)
        run = ""
        if kind == "open" and not text.endswith(")"):
            depth += 1
        elif kind == "close":
            depth -= 1
    return max([*runs, run], key=len)
