"""The ways to write a time: a regular expression each, what must stand in the line for it, how it is read.

`console.watch.logstamp` tries them; here is only the table, more specific shapes first.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Protocol

from console.watch.latepattern import LatePattern

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}
_ZONES = {
    "Z": 0, "UTC": 0, "GMT": 0, "UT": 0, "WET": 0, "BST": 60, "CET": 60, "WEST": 60, "CEST": 120, "EET": 120,
    "EEST": 180, "MSK": 180, "IST": 330, "JST": 540, "KST": 540, "AEST": 600, "AEDT": 660, "BRT": -180,
    "EDT": -240, "EST": -300, "CDT": -300, "CST": -360, "MDT": -360, "MST": -420, "PDT": -420, "PST": -480,
}  # fmt: skip
_ZONE = r"[ ]?(?P<z>Z|[+-]\d\d:?\d\d|[+-]\d\d(?![\d:])|(?:" + "|".join(z for z in _ZONES if z != "Z") + r")\b)"
_MON = r"(?P<mon>(?i:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec))[a-z]*"
_TIME = r"(?P<H>\d{1,2}):(?P<M>\d\d):(?P<S>\d\d)(?:[.,:](?P<f>\d{1,9}))?"


class Known(Protocol):
    """What is known of the source whose stamp is read."""

    day_first: bool  # 22/11/2026, not 11/22/2026

    def nearest(self, build: Callable[[int], datetime]) -> datetime:
        """The stamp in the year that puts it nearest to now."""
        ...


Reader = Callable[[re.Match[str], Known], datetime | None]


@dataclass(frozen=True, slots=True)
class Shape:
    """One way to write a time. `gate` must stand in the blanked line; `named`: a month's name must, too."""

    gate: str
    pattern: LatePattern
    read: Reader
    named: bool


def read_zone(text: str | None) -> tzinfo | None:
    """The zone that a name of the table or an offset tells; None for anything else."""
    if not text:
        return None
    if text in _ZONES:
        minutes = _ZONES[text]
        return timezone(timedelta(minutes=minutes)) if minutes else UTC
    if text[0] not in "+-" or not (digits := text[1:].replace(":", "")).isdecimal():
        return None
    digits = digits.ljust(4, "0")
    minutes = int(digits[:2]) * 60 + int(digits[2:])
    if minutes >= 24 * 60:
        return None
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes)) if minutes else UTC


def _micro(fraction: str | None) -> int:
    return int(fraction[:6].ljust(6, "0")) if fraction else 0


def _build(m: re.Match[str], year: int, month: int, day: int) -> datetime:
    found = m.groupdict()
    hour = int(found["H"])
    half = found.get("ap")
    if half:
        hour = hour % 12 + (12 if half[0] in "pP" else 0)
    return datetime(
        year, month, day, hour, int(found["M"]), int(found["S"] or 0), _micro(found.get("f")), read_zone(found.get("z"))
    )


def _iso(m: re.Match[str], known: Known) -> datetime:
    try:
        return datetime.fromisoformat(m[0])  # most of them, at a tenth of the price
    except ValueError:
        pass
    y, mo, d, hour, minute, second, fraction, zone = m.group("y", "mo", "d", "H", "M", "S", "f", "z")
    return datetime(
        int(y), int(mo), int(d), int(hour), int(minute), int(second or 0), _micro(fraction), read_zone(zone)
    )


def _db2(m: re.Match[str], known: Known) -> datetime:
    """DB2 writes its zone as minutes: 2026-11-22-03.12.01.123456+060."""
    when = _iso(m, known)
    minutes = m["minutes"]
    return when.replace(tzinfo=timezone(timedelta(minutes=int(minutes)))) if minutes else when


def _named(m: re.Match[str], known: Known) -> datetime:
    """A month by name; the year may be missing."""
    month, day = _MONTHS[m["mon"][:3].lower()], int(m["d"])
    year = m["y"] if "y" in m.re.groupindex else None
    if year:
        return _build(m, int(year) + (2000 if len(year) == 2 else 0), month, day)
    return known.nearest(lambda y: _build(m, y, month, day))


def _no_year(m: re.Match[str], known: Known) -> datetime:
    month, day = int(m["mo"]), int(m["d"])
    return known.nearest(lambda y: _build(m, y, month, day))


def _short_year(m: re.Match[str], known: Known) -> datetime:
    return _build(m, 2000 + int(m["y"]), int(m["mo"]), int(m["d"]))


def _slashed(m: re.Match[str], known: Known) -> datetime:
    """`a/b/yyyy`: which is the month is learnt per source from a number above 12; American until then."""
    a, b, year = int(m["a"]), int(m["b"]), int(m["y"])
    if a > 12:
        known.day_first = True
    elif b > 12:
        known.day_first = False
    day, month = (a, b) if known.day_first else (b, a)
    return _build(m, year + 2000 if year < 100 else year, month, day)


def _dotted(m: re.Match[str], known: Known) -> datetime:
    return _build(m, int(m["y"]), int(m["mo"]), int(m["d"]))


def epoch(value: float) -> datetime | None:
    """Unix time in s, ms, us or ns, told apart by its size; None outside 2001-2096."""
    for scale in (1, 1000, 10**6, 10**9):
        seconds = value / scale
        if 1e9 <= seconds < 4e9:
            return datetime.fromtimestamp(round(seconds, 6), UTC)
    return None


def _epoch(m: re.Match[str], known: Known) -> datetime | None:
    return epoch(float(m["n"]))


def _hex_tai(m: re.Match[str], known: Known) -> datetime | None:
    """daemontools TAI64N: seconds since 1970 TAI plus 2^62, ten ahead of UTC as multilog writes it."""
    return epoch(int(m["n"][:16], 16) - (1 << 62) - 10 + int(m["n"][16:24] or "0", 16) / 1e9)


# More specific shapes first
SHAPES: tuple[Shape, ...] = tuple(
    Shape(gate, LatePattern(pattern), reader, "(?P<mon>" in pattern)
    for gate, pattern, reader in (
        (
            "0000-00-00",
            r"(?P<y>[12]\d{3})-(?P<mo>\d\d)-(?P<d>\d\d)(?:[T _]|:|, | {2}| - |\] ?\[)(?P<H>\d{1,2}):(?P<M>\d\d)"
            r"(?::(?P<S>\d\d)(?:[.,:](?P<f>\d{1,9}))?)?(?:" + _ZONE + ")?",
            _iso,
        ),
        (
            "0000/00/00",
            r"(?P<y>[12]\d{3})/(?P<mo>\d\d)/(?P<d>\d\d)(?:[T ]|, | - )(?P<H>\d\d):(?P<M>\d\d)"
            r"(?::(?P<S>\d\d)(?:[.,:](?P<f>\d{1,9}))?)?(?:" + _ZONE + ")?",
            _iso,
        ),
        (
            "0000-00-00-00.00",
            r"(?P<y>[12]\d{3})-(?P<mo>\d\d)-(?P<d>\d\d)-(?P<H>\d\d)\.(?P<M>\d\d)\.(?P<S>\d\d)(?:\.(?P<f>\d{1,9}))?"
            r"(?P<minutes>[+-]\d{3}\b)?(?P<z>)",
            _db2,
        ),
        (
            "0000.00.00 00:00",
            r"(?P<y>[12]\d{3})\.(?P<mo>\d\d)\.(?P<d>\d\d) (?P<H>\d\d):(?P<M>\d\d)"
            r"(?::(?P<S>\d\d)(?:[.,:](?P<f>\d{1,9}))?)?(?:" + _ZONE + ")?",
            _iso,
        ),
        (  # Common Log Format, haproxy, Django
            "/00",
            r"(?P<d>\d\d)/" + _MON + r"/(?P<y>\d{4}|\d\d)[: ]" + _TIME + "(?:" + _ZONE + ")?",
            _named,
        ),
        (  # [Sun Nov 22 03:12:01.123456 2026], date(1), ctime
            ":00:00",
            r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? " + _MON + r" +(?P<d>\d{1,2}),? " + _TIME
            + r"(?: (?P<z>[A-Z]{3,4}|[+-]\d{4}))? (?P<y>(?:19|20)\d\d)\b",
            _named,
        ),
        (  # RFC 2822, redis, tomcat, bind, php: day, month by name, year
            ":00:00",
            r"\b(?P<d>\d{1,2})[ -]" + _MON + r"[ -](?P<y>\d{4})[ :;,]{1,2}" + _TIME + "(?:" + _ZONE + ")?",
            _named,
        ),
        (  # Nov 22, 2026 3:12:01 AM
            ":00:00",
            r"\b" + _MON + r" (?P<d>\d{1,2}),? (?P<y>\d{4}),? " + _TIME + r"(?: ?(?P<ap>[AaPp][Mm])\b)?"
            "(?:" + _ZONE + ")?",
            _named,
        ),
        (  # cisco, rsyslog variants: Nov 22 2026 03:12:01 is above; syslog without year
            ":00:00",
            r"\b" + _MON + r" +(?P<d>\d{1,2}),? " + _TIME + r"(?: (?P<z>[A-Z]{3,4})(?=[ :]))?"
            r"(?: (?P<y>(?:19|20)\d\d)(?=[ :\]]))?",
            _named,
        ),
        (  # 22 Nov 03:12:01.123
            ":00:00",
            r"(?<![\w.])(?P<d>\d{1,2})[ -]" + _MON + r"[ -]" + _TIME,
            _named,
        ),
        (  # 11/22/2026 3:12:01 PM, 22/11/2026 03:12:01
            "/0000",
            r"(?<![\d/])(?P<a>\d{1,2})/(?P<b>\d{1,2})/(?P<y>\d{4}),?[ T-]" + _TIME + r"(?: ?(?P<ap>[AaPp][Mm])\b)?"
            "(?:" + _ZONE + ")?",
            _slashed,
        ),
        (
            "/0000",
            r"(?<![\d/])(?P<a>\d{1,2})/(?P<b>\d{1,2})/(?P<y>\d{4}),? (?P<H>\d{1,2}):(?P<M>\d\d)(?P<S>)"
            r"(?: ?(?P<ap>[AaPp][Mm])\b)?",
            _slashed,
        ),
        (  # 22.11.2026 03:12:01
            ".0000 ",
            r"(?<![\d.])(?P<d>\d{1,2})\.(?P<mo>\d{1,2})\.(?P<y>\d{4}),? " + _TIME + "(?:" + _ZONE + ")?",
            _dotted,
        ),
        (  # 22-11-2026 03:12:01
            "-0000 ",
            r"(?<![\d-])(?P<d>\d{1,2})-(?P<mo>\d{1,2})-(?P<y>\d{4}) " + _TIME + "(?:" + _ZONE + ")?",
            _dotted,
        ),
        (  # spark: 17/06/09 20:10:40
            "00/00/00 00:00:00",
            r"(?<![\d/])(?P<y>\d\d)/(?P<mo>\d\d)/(?P<d>\d\d) " + _TIME,
            _short_year,
        ),
        (  # websphere: 11/24/26 8:15:42:902 CET
            "/00 ",
            r"(?<![\d/])(?P<a>\d{1,2})/(?P<b>\d{1,2})/(?P<y>\d\d),? " + _TIME + r"(?: ?(?P<ap>[AaPp][Mm])\b)?"
            "(?:" + _ZONE + ")?",
            _slashed,
        ),
        (
            "0000?00",
            r"(?P<y>[12]\d{3})年(?P<mo>\d{1,2})月(?P<d>\d{1,2})日 ?" + _TIME,
            _dotted,
        ),
        (  # jupyter, squid helpers: 26-11-22 03:12:01
            "00-00-00 00:00:00",
            r"(?<![\d-])(?P<y>\d\d)-(?P<mo>\d\d)-(?P<d>\d\d) " + _TIME,
            _short_year,
        ),
        (  # 20261122T031201.123Z
            "00000000T000000",
            r"(?<!\d)(?P<y>[12]\d{3})(?P<mo>\d\d)(?P<d>\d\d)T(?P<H>\d\d)(?P<M>\d\d)(?P<S>\d\d)"
            r"(?:[.,](?P<f>\d{1,9}))?(?:" + _ZONE + ")?",
            _iso,
        ),
        (  # 20261122-03:12:01:123, 20261122 03:12:01
            "00000000",
            r"(?<!\d)(?P<y>20\d\d)(?P<mo>\d\d)(?P<d>\d\d)[ T_-]+" + _TIME + "(?:" + _ZONE + ")?",
            _iso,
        ),
        (  # zabbix: 20261122:031201.123; 20261122-031201, 20261122031201
            "00000000",
            r"(?<!\d)(?P<y>20\d\d)(?P<mo>[01]\d)(?P<d>[0-3]\d)(?:[:_ .-]|(?<=^\d{8})|(?<=^\[\d{8}))"
            r"(?P<H>[0-2]\d)(?P<M>[0-5]\d)(?P<S>[0-5]\d)(?:[.,](?P<f>\d{1,9}))?(?=[\s\]|,;:])",
            _dotted,
        ),
        (  # chromium: [41:43:1122/031201.123456:ERROR:...]
            "0000/000000.",
            r"(?<=[:\[])(?P<mo>\d\d)(?P<d>\d\d)/(?P<H>\d\d)(?P<M>\d\d)(?P<S>\d\d)\.(?P<f>\d{1,9})(?=:)",
            _no_year,
        ),
        (  # klog: I1122 03:12:01.123456
            "0000 00:00:00.",
            r"(?<![\w])[IWEFD](?P<mo>\d\d)(?P<d>\d\d) " + _TIME,
            _no_year,
        ),
        (  # old mysql: 261122  3:12:01
            "000000 ",
            r"(?<!\d)(?P<y>\d\d)(?P<mo>\d\d)(?P<d>\d\d) {1,2}" + _TIME,
            _short_year,
        ),
        (  # hadoop's old layout: 081109 203518
            "000000 000000 ",
            r"^(?P<y>\d\d)(?P<mo>\d\d)(?P<d>\d\d) (?P<H>\d\d)(?P<M>\d\d)(?P<S>\d\d)(?= )",
            _short_year,
        ),
        (  # logcat: 11-22 03:12:01.123
            "00-00 00:00:00",
            r"(?<![\d-])(?P<mo>\d\d)-(?P<d>\d\d) " + _TIME,
            _no_year,
        ),
        (  # go-ethereum: [11-22|03:12:01.123]
            "00-00|00:00:00",
            r"(?<=\[)(?P<mo>\d\d)-(?P<d>\d\d)\|" + _TIME,
            _no_year,
        ),
        (  # proxifier: [11.22 03:12:01]; mac: 11/22 03:12:01
            "00 00:00:00",
            r"(?:^|(?<=\[))(?P<mo>\d\d)[./](?P<d>\d\d) " + _TIME,
            _no_year,
        ),
        ("e+00", r"^(?P<n>[1-3]\.\d{6,}e\+0?9)(?=[\s,])", _epoch),  # zap's console writes seconds so
        ("audit(0000000000", r"(?:msg=)?audit\((?P<n>\d{10}\.\d+):\d+\)", _epoch),
        ("0000000000", r"(?:^[\[(<]?|^[A-Z][A-Z_\d]+ |^- )(?P<n>\d{10}(?:\.\d{1,9})?|\d{13}|\d{16}|\d{19})(?=[\])> :,|\t])", _epoch),
        ("@", r"^@(?P<n>4[0-9a-f]{23})(?= )", _hex_tai),
    )
)  # fmt: skip
