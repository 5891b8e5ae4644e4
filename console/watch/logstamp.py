"""Find the time a log line tells about itself.

The digits of a line are first blanked to one letter ("2026-11-22" becomes "0000-00-00"), so that one substring
test tells which of the shapes below can be there at all; only those regular expressions run. A stamp must stand
before the message: prose in front of it makes it a time the line talks about, not the time it was written.

Dates without a year are resolved to the year that puts them nearest to now, at most two days ahead of it.
A time of day without a date is no stamp.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from console.watch.latepattern import LatePattern

HEAD = 200  # characters looked at
_BLANK = str.maketrans("123456789", "000000000")
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
_MONTH_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MON = r"(?P<mon>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
_TIME = r"(?P<H>\d{1,2}):(?P<M>\d\d):(?P<S>\d\d)(?:[.,:](?P<f>\d{1,9}))?"


@dataclass(frozen=True, slots=True)
class Stamp:
    """`when` is naive where the line names no zone. `start` and `end` bound its characters in the line."""

    when: datetime
    start: int
    end: int


Reader = Callable[[re.Match[str], "StampReader"], datetime | None]


@dataclass(frozen=True, slots=True)
class _Shape:
    """One way to write a time. `gate` must stand in the blanked line; `named`: a month's name must, too."""

    gate: str
    pattern: LatePattern
    read: Reader
    named: bool


def _zone(text: str | None) -> tzinfo | None:
    if not text:
        return None
    if text in _ZONES:
        minutes = _ZONES[text]
        return timezone(timedelta(minutes=minutes)) if minutes else UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
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
        year, month, day, hour, int(found["M"]), int(found["S"] or 0), _micro(found.get("f")), _zone(found.get("z"))
    )


def _iso(m: re.Match[str], reader: StampReader) -> datetime:
    y, mo, d, hour, minute, second, fraction, zone = m.group("y", "mo", "d", "H", "M", "S", "f", "z")
    return datetime(int(y), int(mo), int(d), int(hour), int(minute), int(second or 0), _micro(fraction), _zone(zone))


def _db2(m: re.Match[str], reader: StampReader) -> datetime:
    """DB2 writes its zone as minutes: 2026-11-22-03.12.01.123456+060."""
    when = _iso(m, reader)
    minutes = m["minutes"]
    return when.replace(tzinfo=timezone(timedelta(minutes=int(minutes)))) if minutes else when


def _named(m: re.Match[str], reader: StampReader) -> datetime:
    """A month by name; the year may be missing."""
    month, day = _MONTHS[m["mon"][:3].lower()], int(m["d"])
    year = m.groupdict().get("y")
    if year:
        return _build(m, int(year), month, day)
    return reader.nearest(lambda y: _build(m, y, month, day))


def _no_year(m: re.Match[str], reader: StampReader) -> datetime:
    month, day = int(m["mo"]), int(m["d"])
    return reader.nearest(lambda y: _build(m, y, month, day))


def _short_year(m: re.Match[str], reader: StampReader) -> datetime:
    return _build(m, 2000 + int(m["y"]), int(m["mo"]), int(m["d"]))


def _slashed(m: re.Match[str], reader: StampReader) -> datetime:
    """`a/b/yyyy`: which is the month is learnt per source from a number above 12; American until then."""
    a, b, year = int(m["a"]), int(m["b"]), int(m["y"])
    if a > 12:
        reader.day_first = True
    elif b > 12:
        reader.day_first = False
    day, month = (a, b) if reader.day_first else (b, a)
    return _build(m, year + 2000 if year < 100 else year, month, day)


def _dotted(m: re.Match[str], reader: StampReader) -> datetime:
    return _build(m, int(m["y"]), int(m["mo"]), int(m["d"]))


def epoch(value: float) -> datetime | None:
    """Unix time in s, ms, us or ns, told apart by its size; None outside 2001-2096."""
    for scale in (1.0, 1e3, 1e6, 1e9):
        seconds = value / scale
        if 1e9 <= seconds < 4e9:
            return datetime.fromtimestamp(round(seconds, 6), UTC)
    return None


def _epoch(m: re.Match[str], reader: StampReader) -> datetime | None:
    return epoch(float(m["n"]))


def _hex_tai(m: re.Match[str], reader: StampReader) -> datetime | None:
    """daemontools TAI64N: seconds since 1970 TAI plus 2^62, ten ahead of UTC as multilog writes it."""
    return epoch(int(m["n"][:16], 16) - (1 << 62) - 10 + int(m["n"][16:24] or "0", 16) / 1e9)


# More specific shapes first
_SHAPES: tuple[_Shape, ...] = tuple(
    _Shape(gate, LatePattern(pattern), reader, "(?P<mon>" in pattern)
    for gate, pattern, reader in (
        (
            "0000-00-00",
            r"(?P<y>[12]\d{3})-(?P<mo>\d\d)-(?P<d>\d\d)(?:[T _]|:|, | {2}| - )(?P<H>\d{1,2}):(?P<M>\d\d)"
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
            "/0000",
            r"(?P<d>\d\d)/" + _MON + r"/(?P<y>\d{4})[: ]" + _TIME + "(?:" + _ZONE + ")?",
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
            r"\b(?P<d>\d{1,2})[ -]" + _MON + r"[ -](?P<y>\d{4})[ :]" + _TIME + "(?:" + _ZONE + ")?",
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
        (  # proxifier: [11.22 03:12:01]; mac: 11/22 03:12:01
            "00 00:00:00",
            r"(?:^|(?<=\[))(?P<mo>\d\d)[./](?P<d>\d\d) " + _TIME,
            _no_year,
        ),
        ("audit(0000000000", r"(?:msg=)?audit\((?P<n>\d{10}\.\d+):\d+\)", _epoch),
        ("0000000000", r"(?:^[\[(<]?|^[A-Za-z]\w* |^- )(?P<n>\d{10}(?:\.\d{1,9})?|\d{13}|\d{16}|\d{19})(?=[\])> :,|\t]|$)", _epoch),
        ("@", r"^@(?P<n>4[0-9a-f]{23})(?= )", _hex_tai),
    )
)  # fmt: skip

_PROSE = LatePattern(
    r"[a-z]{2,} [a-z]{2,} |[a-z]{3,}, |\b(?:at|for|on|since|until|from|before|after|to|by|is|was|in|of) $"
)
_TIME_KEY = LatePattern(
    r"(?:^|[^\w])@?(?:t|ts|at|time|date|datetime|timestamp|time_local|asctime|when|start_?time|created|logged|[a-z_]*time)"
    r"[\"']?\s*[=:]\s*[\"'\[]?$",
    re.I,
)
_PREFIX_LIMIT = 120


class StampReader:
    """Reads stamps of one source; remembers which shape stood where, and the order of day and month.

    `zone` is that of stamps that name none, where it is known; `now` (unix seconds) resolves missing years.
    """

    def __init__(self, zone: tzinfo | None = None, now: Callable[[], float] | None = None) -> None:
        self.zone = zone
        self.day_first = False
        self._now = now or (lambda: datetime.now(UTC).timestamp())
        self._last: _Shape | None = None
        self._misses = 0

    def nearest(self, build: Callable[[int], datetime]) -> datetime:
        """The stamp in the year that puts it nearest to now; ValueError when it is valid in none (29 February)."""
        now = self._now()
        this = datetime.fromtimestamp(now, UTC).year
        best: datetime | None = None
        best_gap = 0.0
        for year in (this, this - 1, this + 1, this - 2, this - 3, this - 4):
            try:
                candidate = build(year)
            except ValueError:
                continue
            ahead = self.seconds(candidate) - now
            gap = -ahead if ahead <= 2 * 86400 else ahead + 1e9
            if best is None or gap < best_gap:
                best, best_gap = candidate, gap
            if year == this and 0 <= gap < 180 * 86400:
                break
        if best is None:
            raise ValueError("no year has this day")
        return best

    def seconds(self, when: datetime) -> float:
        """Unix seconds; a stamp without a zone is taken in the source's zone, else in this host's."""
        if when.tzinfo is None and self.zone is not None:
            when = when.replace(tzinfo=self.zone)
        return when.timestamp()

    def find(self, line: str) -> Stamp | None:
        """The stamp of a line, or None."""
        if self._last is not None:  # locked: the shape that stood at the very start of earlier lines
            m = self._last.pattern.match(line)
            if m is not None:
                self._misses = 0
                stamp = self._read(m, self._last.read)
                if stamp is not None:
                    return stamp
            else:
                self._misses += 1
                if self._misses > 20:
                    self._last = None
        return self._probe(line[:HEAD])

    def _probe(self, head: str) -> Stamp | None:
        blank = head.translate(_BLANK)
        if "00" not in blank:
            return None
        named: bool | None = None
        best: Stamp | None = None
        for shape in _SHAPES:
            if shape.gate not in blank:
                continue
            if shape.named:
                if named is None:
                    named = any(month in head for month in _MONTH_NAMES)
                if not named:
                    continue
            m = shape.pattern.search(head)
            if m is None or (best is not None and m.start() >= best.start) or not _is_header(head[: m.start()]):
                continue
            stamp = self._read(m, shape.read)
            if stamp is None:
                continue
            best = stamp
            if m.start() == 0:
                self._last, self._misses = shape, 0
                break
            blank = blank[: m.start()]  # only a stamp wholly before this one would count more
        return best

    def _read(self, m: re.Match[str], read: Reader) -> Stamp | None:
        try:
            when = read(m, self)
        except (ValueError, OverflowError):
            return None
        return None if when is None else Stamp(when, m.start(), m.end())

    def value(self, text: str) -> datetime | None:
        """The time in a field that holds nothing else: any shape, or a Unix time."""
        text = text.strip().strip("\"'[]")
        if not text:
            return None
        if text.replace(".", "", 1).isdigit():
            return epoch(float(text)) if len(text) < 25 else None
        stamp = self.find(text)
        return stamp.when if stamp is not None and stamp.start <= 5 else None


def _is_header(prefix: str) -> bool:
    """What stands before a stamp is a header: addresses, ids, level words, keys; not a sentence."""
    if not prefix:
        return True
    if len(prefix) > _PREFIX_LIMIT or _PROSE.search(prefix):
        return False
    last = prefix.rstrip("\"'[ ")[-1:]
    if last in "=:" and prefix.rstrip()[-1:] in "=:\"'[" and not prefix.endswith(": ") and "=" in prefix[-16:]:
        return bool(_TIME_KEY.search(prefix))
    return True
