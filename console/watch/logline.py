"""Understand one log line: unwrap what engines and daemons put around it, find its time, level and message.

The order is fixed: wrapping (Docker json-file, CRI, Compose prefix, journald, syslog priority), colours, JSON or
logfmt keys, then the stamp and the shapes of level words. What is learnt of a source (the shape of its stamps)
only makes later lines faster and tells continuation lines; a line means the same wherever it is read.
Nothing here is cleaned for the screen or masked: see `console.watch.logs`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, NamedTuple

from console.watch import loglevel
from console.watch.latepattern import LatePattern
from console.watch.logfields import Fields, json_fields, logfmt_fields, parse_object
from console.watch.logshape import continues, continues_stamped
from console.watch.logstamp import StampReader

PARSE_LIMIT = 65536  # characters; a longer line is read to here

_SGR = LatePattern(r"\x1b\[[0-9;:]*[mK]")
_ENGINE_STAMP = LatePattern(
    r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}[+-]\d\d:\d\d) ?"
)
_CRI = LatePattern(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)) (stdout|stderr) ([PF])(?::\w+)? ")
_COMPOSE = LatePattern(r"^([A-Za-z0-9][\w.-]{0,80}?) {0,30}\| ")
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_PRIORITIES = frozenset("01234567")
_PRI = LatePattern(r"^<(\d{1,3})>(?:1 (?=[\d-]))?")
_LOGFMT_START = LatePattern(r'^@?[A-Za-z_][\w.-]{0,30}=(?:"|\S)')
_SEPARATORS = " \t\r\n\v\f])|>:,;.-"
_SYSLOG_TAG = LatePattern(r"^\s(?:([\w.-]+) +)?([A-Za-z_][\w./()@-]{0,60})(\[\d+\])?(?: \([^)]{1,80}\))?:(?: |$)")
_ACCESS = LatePattern(r'\] "(?:[A-Z]{3,10} |-|\\x)')
_RFC5424 = LatePattern(r"^\s*(\S+) (\S+) (\S+) (\S+) (?:-|\[(?:[^\]\\]|\\.)*\](?:\[(?:[^\]\\]|\\.)*\])*) ?\ufeff?")


class Line(NamedTuple):
    """`time` is naive where the line names no zone. `arrived` is what the wrapping tells (engine, journal).

    A named tuple is made in a third of the time of a frozen dataclass: a microsecond of each line.
    """

    time: datetime | None
    level: str | None
    message: str
    source: str = ""  # named by the line itself: Compose prefix, syslog tag, journald identifier
    continuation: bool = False  # belongs to the record before it, by its own shape or its source's habit
    arrived: datetime | None = None
    stamped: bool = False  # the time stands in the line itself
    partial: bool = False  # the engine cut the line here; the next of this stream goes on with it
    stream: str = ""  # stdout, stderr where the wrapping tells


@dataclass(slots=True)
class Wrap:
    """What the wrapping told; the line's own words count more, except a syslog priority."""

    source: str = ""
    level: str | None = None
    time: datetime | None = None
    partial: bool = False
    stream: str = ""


class LineReader:
    """Reads the lines of one source. Not for two threads at once."""

    def __init__(self, zone: tzinfo | None = None, now: Callable[[], float] | None = None) -> None:
        self._stamps = StampReader(zone, now)
        self._stamped = 0  # how surely this source stamps its lines, 0-20

    def seconds(self, when: datetime) -> float:
        """Unix seconds of a time this reader returned."""
        return self._stamps.seconds(when)

    def read(self, text: str) -> Line:
        """One line, without its line ending."""
        inner, wrap = self.unwrap(text)
        return self.understand(inner, wrap)

    def unwrap(self, text: str) -> tuple[str, Wrap]:
        """What stands inside the wrapping of engines and daemons, and what the wrapping told."""
        wrap = Wrap()
        return self._unwrap(text[:PARSE_LIMIT], wrap), wrap

    def understand(self, inner: str, wrap: Wrap) -> Line:
        """The line that `unwrap` gave."""
        line = self._structured(inner[:PARSE_LIMIT], wrap) or self._plain(inner[:PARSE_LIMIT], wrap)
        return line._replace(partial=wrap.partial, stream=wrap.stream) if wrap.stream else line

    # -- wrapping

    def _unwrap(self, text: str, wrap: Wrap) -> str:
        first = text[:1]
        if first == "{" and text.startswith('{"log":"'):
            text = self._json_file(text, wrap)
        elif first.isdigit():
            m = _CRI.match(text)
            if m is not None:
                wrap.time = self._stamps.value(m[1])
                wrap.stream, wrap.partial = m[2], m[3] == "P"
                text = text[m.end() :]
            else:
                text = self._engine_stamp(text, wrap)
        if "\x1b" in text:
            text = _SGR.sub("", text)
        if "| " in text[:100] and (m := _COMPOSE.match(text)) is not None and m[1].lower() not in loglevel.WORDS:
            wrap.source = m[1]
            text = self._engine_stamp(text[m.end() :], wrap)
        if text[:1] == "<" and (m := _PRI.match(text)) is not None and int(m[1]) < 192:
            wrap.level = loglevel.SYSLOG[int(m[1]) % 8]
            text = text[m.end() :]
        return text.rstrip("\r\n")

    def _engine_stamp(self, text: str, wrap: Wrap) -> str:
        """The stamp that `docker logs --timestamps` puts before lines; a line that is only a stamp keeps it."""
        m = _ENGINE_STAMP.match(text)
        if m is None or m.end() == len(text):
            return text
        wrap.time = self._stamps.value(m[1])
        return text[m.end() :]

    def _json_file(self, text: str, wrap: Wrap) -> str:
        try:
            entry = json.loads(text)
            inner = entry["log"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return text
        if not isinstance(inner, str):
            return text
        stamp, stream = entry.get("time"), entry.get("stream")
        wrap.time = self._stamps.value(stamp) if isinstance(stamp, str) else None
        wrap.stream = stream if stream in ("stdout", "stderr") else "stdout"
        wrap.partial = not inner.endswith("\n")
        return inner.rstrip("\r\n")

    # -- keys

    def _structured(self, text: str, wrap: Wrap) -> Line | None:
        start = text.lstrip()[:1]
        if start == "{":
            data = parse_object(text)
            if data is None:
                return None
            if "__REALTIME_TIMESTAMP" in data:
                return self._journal(data)
            return self._fielded(json_fields(data, self._stamps), text, wrap)
        if "={" not in text[:40] and start and "=" in text[:40] and _LOGFMT_START.match(text):
            fields = logfmt_fields(text, self._stamps)
            return None if fields is None else self._fielded(fields, text, wrap)
        return None

    def _fielded(self, fields: Fields, text: str, wrap: Wrap) -> Line:
        level, when, message = fields.level or wrap.level, fields.time, fields.message
        if message and (level is None or when is None):  # perhaps a line that a collector put into an object
            inner = (self._structured(message, Wrap()) if message[0] == "{" else None) or self._plain(message, Wrap())
            if inner.level is not None or inner.time is not None:
                level, when, message = level or inner.level, when or inner.time, inner.message
        when = when or wrap.time
        return Line(when, level, message or text, wrap.source, arrived=wrap.time, stamped=when is not wrap.time)

    def _journal(self, data: dict[str, Any]) -> Line:
        message = _journal_text(data.get("MESSAGE"))
        inner = self._structured(message, Wrap()) or self._plain(message, Wrap())
        stamp = self._stamps.value(str(data["__REALTIME_TIMESTAMP"])[:30])
        priority = str(data.get("PRIORITY", ""))
        told = loglevel.SYSLOG[int(priority)] if priority in _PRIORITIES else None
        # What is piped into the journal arrives as "info" whatever it says, so the line's own word counts more.
        level = inner.level if inner.level is not None and told in (None, "info", "notice") else told
        source = _journal_text(data.get("SYSLOG_IDENTIFIER") or data.get("_COMM"))
        return Line(stamp, level, inner.message, source, continuation=inner.continuation, arrived=stamp)

    # -- plain text

    def _plain(self, text: str, wrap: Wrap) -> Line:
        stamp = self._stamps.find(text)
        if stamp is None:
            return self._unstamped(text, wrap)
        self._stamped = min(20, self._stamped + 2)
        before, after = text[: stamp.start], text[stamp.end :]
        source = wrap.source
        body = after
        m: re.Match[str] | None
        if (wrap.level is not None and (m := _RFC5424.match(after)) is not None) or (
            (not before or before[:3] in _WEEKDAYS)
            and after[:1] == " "
            and (m := _SYSLOG_TAG.match(after))
            and _is_syslog(m)
        ):
            source, body = source or m[2], after[m.end() :]
        level = wrap.level
        if level is None:
            level = self._level(before, body, text)
        if level is None and body is not after:
            level = loglevel.facility_level(after)
        # The engine's stamp has a zone; the line's own may not, and then says less.
        when = wrap.time if wrap.time is not None and stamp.when.tzinfo is None else stamp.when
        continued = continues_stamped(body)
        if continued:
            level = None
        message = _message(before, body) or text
        return Line(when, level, message, source, continued, wrap.time, stamped=True)

    def _level(self, before: str, after: str, text: str) -> str | None:
        if _ACCESS.match(after) is not None and before.endswith("["):
            return None  # an access log: status and path are data
        level = loglevel.level_of(before, after, text)
        if level is None and before == "":
            level = loglevel.raised(after.lstrip(" :-]|"))
        return level

    def _unstamped(self, text: str, wrap: Wrap) -> Line:
        continued = continues(text)
        own = wrap.level or (None if continued and text[:1] in " \t" else loglevel.level_of("", text, text))
        if own is None and not continued:
            own = loglevel.raised(text)
            if self._stamped > 10 and wrap.time is None:
                continued = True  # a source that stamps its lines did not stamp this one
        if continued:
            own = own if own is not None and text[:1] not in " \t" else None
        self._stamped = max(0, self._stamped - 1)
        if own is not None and not continued:
            text = _message("", text) or text
        return Line(wrap.time, own, text, wrap.source, continuation=continued, arrived=wrap.time)


def _journal_text(value: Any) -> str:
    """A field of the journal: text, numbers where it is not UTF-8, null where it is too long."""
    if isinstance(value, list):
        return bytes(b for b in value if isinstance(b, int) and 0 <= b < 256).decode("utf-8", errors="replace")
    return value if isinstance(value, str) else ""


def _is_syslog(tag: re.Match[str]) -> bool:
    """`host program[pid]:` follows the stamp; a level word after that is a level."""
    host, program, pid = tag.groups()
    if program.lower() in loglevel.WORDS or (host is None and pid is None):
        return False
    return host is None or (host.lower() not in loglevel.WORDS and not host.isdigit())


# A level word in front of the message: in capitals, or with the punctuation that sets a level off.
_LEVEL_TOKEN = LatePattern(
    r"^[\s\[\](<|>:,-]*(?:(?:" + loglevel.UPPER + r")\b[\])>|:]*|(?i:" + loglevel.LEADING + r")\b[\])>|:]+)"
    r"(?:\s+(?:[-|:] )?|$)"
)


def _message(before: str, body: str) -> str:
    """The text after the header: separators and a level word in front go, everything else stays."""
    rest = body.lstrip(_SEPARATORS)
    m = _LEVEL_TOKEN.match(rest)
    if m is not None and m.end() < len(rest):
        rest = rest[m.end() :]
    head = before.strip(" [](){}<>|,;:-\"'")
    if head and head.lower() not in loglevel.WORDS:
        rest = f"{head} {rest}"  # an address or a name stood before the stamp
    return rest
