"""The one gate for text from outside: what a terminal would obey becomes visible, and nothing is endless.

Textual and Rich send control sequences found in data straight to the terminal, so every string that did not
come from our own source passes here before a widget or a file sees it. It does not look for secrets
(`console.redact`) and knows no widths, colours or markup.
"""

from __future__ import annotations

import re
import unicodedata

DISPLAY_LIMIT = 4096  # characters; the rest is counted, not shown
BLOCK_LIMIT = 65536
_MAX_COMBINING = 4  # per base character; terminals have crashed on long runs
_TAB = 8

# Colours carry no meaning we keep, so SGR goes silently; any other sequence stays visible.
_SGR = re.compile(r"\x1b\[[0-9;:]*m")
# Marks are neither letters nor digits and begin at U+0300: this finds every line that may have a long run of
# them, and a few that do not (box drawing), without asking for the category of each character.
_MAYBE_MARKS = re.compile(rf"[^\w\x00-\u02ff]{{{_MAX_COMBINING + 1}}}")


class _Visible(dict[int, str | int]):
    """A table for `str.translate`: a character that does not print becomes its escape, a space a space."""

    def __missing__(self, code: int) -> str | int:
        char = chr(code)
        if char.isprintable():
            return code
        if unicodedata.category(char) == "Zs":
            return " "
        if code < 0x100:
            return f"\\x{code:02x}"
        return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_VISIBLE = _Visible({0x0A: "\\n", 0x0D: "\\r"})
_PRINTED = _Visible({0x09: "\t", 0x0A: "\n", 0x0D: "\\r"})


def clean(text: str, limit: int = DISPLAY_LIMIT) -> str:
    r"""One line that is safe to show: every character prints, at most `limit` of them.

    Colours vanish, tabs and odd spaces become spaces, any other character that does not print becomes
    visible. What is cut off is counted at the end. `clean(clean(x)) == clean(x)`.

    >>> clean("ok\x1b[32m done\x1b[0m")
    'ok done'
    >>> clean("\x1b]0;owned\x07")
    '\\x1b]0;owned\\x07'
    >>> clean("x" * 5000, 20)
    'xxxxxxxxxxxxx… +4 KB'
    """
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    # Four times the limit leaves room for colours that vanish; the rest can never be shown.
    shown = text if len(text) <= 4 * limit else text[: 4 * limit]
    unseen = len(text) - len(shown)
    if not shown.isprintable():
        shown = _SGR.sub("", shown)
        if not shown.isprintable():
            shown = _visible(shown)
    if not shown.isascii() and _MAYBE_MARKS.search(shown):
        shown = _cap_marks(shown)
    return _cut(shown, limit, unseen)


def printed(text: str) -> str:
    r"""What a command prints: lines and tabs stay, however many, and nothing else that a terminal obeys.

    >>> printed("one\n\ttwo\x1b]0;owned\x07")
    'one\n\ttwo\\x1b]0;owned\\x07'
    """
    return text.translate(_PRINTED)


def clean_block(text: str, limit: int = BLOCK_LIMIT) -> str:
    r"""Several lines, each cleaned and cut like `clean`, together at most `limit` characters.

    Only `\n` (and `\r\n`) separates lines; other separators become visible.

    >>> clean_block("one\r\ntwo\x07")
    'one\ntwo\\x07'
    """
    shown = text if len(text) <= 4 * limit else text[: 4 * limit]
    unseen = len(text) - len(shown)
    lines = [clean(line.removesuffix("\r")) for line in shown.split("\n")]
    return _cut("\n".join(lines), limit, unseen, before="\n")


def decode(raw: bytes) -> str:
    r"""One line of bytes as text to show, without its line ending; broken UTF-8 shows as U+FFFD.

    >>> decode(b"caf\xc3\xa9 \xff\r\n")
    'café \ufffd'
    """
    return clean(raw.rstrip(b"\r\n").decode("utf-8", errors="replace"))


def _visible(text: str) -> str:
    if "\t" in text:
        # expandtabs would begin its columns anew at \r and \n, which are characters like others here.
        text = "".join(part.expandtabs(_TAB) for part in re.split(r"([\r\n])", text))
    return text.translate(_VISIBLE)


def _cap_marks(text: str) -> str:
    """Keep at most `_MAX_COMBINING` marks in a row; more belong to no language and go silently."""
    kept: list[str] = []
    run = 0
    for char in text:
        run = run + 1 if unicodedata.category(char)[0] == "M" else 0
        if run <= _MAX_COMBINING:
            kept.append(char)
    return "".join(kept)


def _cut(text: str, limit: int, unseen: int, before: str = "") -> str:
    """`text` in at most `limit` characters, saying how much is missing; `unseen` were dropped before."""
    if len(text) <= limit and not unseen:
        return text
    hidden = max(0, len(text) - limit) + unseen
    tail = f"… +{hidden // 1024} KB" if hidden >= 1024 else f"… +{hidden} chars"
    tail = before + tail
    if len(tail) > limit // 2:  # no room to speak
        tail = "…"[: max(0, limit)]
    return text[: max(0, limit - len(tail))] + tail
