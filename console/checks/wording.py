"""How findings say times, spans and exit codes: short, the same everywhere, and true across midnight."""

from __future__ import annotations

import re
import time

EXIT_CODES = {
    125: "the engine could not start it",
    126: "its command cannot be executed",
    127: "its command does not exist",
    134: "aborted",
    137: "killed",
    139: "segmentation fault",
    143: "asked to stop",
}
_STATUS = re.compile(r"(?:^|\bHTTP[ /0-9.]*\s|\bstatus\s)([1-5]\d\d)\b")


def clock(at: float, now: float) -> str:
    """Local time of day, with the date as soon as it is not today's."""
    moment, today = time.localtime(at), time.localtime(now)
    if (moment.tm_year, moment.tm_yday) == (today.tm_year, today.tm_yday):
        return time.strftime("%H:%M:%S", moment)
    return time.strftime("%d %b %H:%M", moment)


def since(at: float | None, now: float) -> str:
    """ " since 03:10:52", or nothing when the beginning is unknown."""
    return "" if at is None else f" since {clock(at, now)}"


def span(seconds: float) -> str:
    """A length of time in its largest fitting unit.

    >>> span(12), span(300), span(8000), span(200000)
    ('12 s', '5 min', '2 h', '2 d')
    """
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def figure(value: float) -> str:
    """
    >>> figure(5.98212), figure(41.0), figure(123456.7)
    ('5.98', '41', '123457')
    """
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def exit_text(code: int | None) -> str:
    """
    >>> exit_text(137), exit_text(3), exit_text(None)
    ('exited 137, killed', 'exited 3', 'exited')
    """
    if code is None:
        return "exited"
    meaning = EXIT_CODES.get(code)
    return f"exited {code}, {meaning}" if meaning else f"exited {code}"


def status_code(detail: str) -> int | None:
    """The HTTP status a probe's detail begins with, else None.

    >>> status_code("502 in 3 ms"), status_code("no answer in 3 s")
    (502, None)
    """
    found = _STATUS.search(detail)
    return int(found[1]) if found else None


def brief(detail: str) -> str:
    """A probe's detail without how long a wrong answer took and what was wished for.

    >>> brief("502 in 3 ms, expected 200"), brief("no answer in 3 s")
    ('502', 'no answer in 3 s')
    """
    return re.sub(r"^([1-5]\d\d) in [\d.]+ (?:ms|s)(?:, expected [\w ]*)?", r"\1", detail)


def shorten(text: str, width: int) -> str:
    """`text` in `width` characters: whole clauses are dropped from the end before a word is cut.

    >>> shorten("app is hung: no answer since 03:10; edge 502", 40)
    'app is hung: no answer since 03:10'
    >>> shorten("abcdefgh", 5)
    'abcd…'
    """
    while len(text) > width:
        cut = max(text.rfind("; "), text.rfind(", "), text.rfind(" ("))
        if cut < width // 3:
            return text[: max(0, width - 1)].rstrip() + "…"
        text = text[:cut]
    return text


_HANGS = ("no answer", "timed out", "timeout", "exceeded", "deadline")


def hangs(text: str) -> bool:
    """Whether the words say that nothing came back, rather than something wrong.

    >>> hangs("no answer in 3 s"), hangs("500 in 3 ms")
    (True, False)
    """
    lower = text.lower()
    return any(word in lower for word in _HANGS)


def size(amount: float) -> str:
    """
    >>> size(5.4 * 2**30), size(-3 * 2**20), size(900)
    ('5.4 GiB', '-3 MiB', '0.9 KiB')
    """
    if abs(amount) >= 2**30:
        return f"{amount / 2**30:.{1 if abs(amount) < 10 * 2**30 else 0}f} GiB"
    if abs(amount) >= 2**20:
        return f"{amount / 2**20:.0f} MiB"
    return f"{amount / 1024:.1f} KiB"
