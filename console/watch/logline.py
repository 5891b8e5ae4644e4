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
from typing import Any

from console.watch import loglevel
from console.watch.latepattern import LatePattern
from console.watch.logstamp import StampReader, epoch

PARSE_LIMIT = 65536  # characters; a longer line is read to here

_SGR = LatePattern(r"\x1b\[[0-9;:]*[mK]")
_ENGINE_STAMP = LatePattern(
    r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}[+-]\d\d:\d\d) ?"
)
_CRI = LatePattern(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)) (stdout|stderr) ([PF])(?::\w+)? ")
_COMPOSE = LatePattern(r"^([A-Za-z0-9][\w.-]{0,80}?) {0,30}\| ")
_PRI = LatePattern(r"^<(\d{1,3})>(?:1 (?=[\d-]))?")
_LOGFMT = re.compile(r'(?:^|\s)@?([A-Za-z_][\w.@/-]{0,40})=("(?:[^"\\]|\\.)*"|\S*)')
_LOGFMT_START = LatePattern(r'^@?[A-Za-z_][\w.-]{0,30}=(?:"|\S)')
_AFTER_HEADER = LatePattern(r"^[\s\]\)|>:,;.-]*")
_SYSLOG_TAG = LatePattern(r"^\s(?:([\w.-]+) +)?([A-Za-z_][\w./()@-]{0,60})(\[\d+\])?:(?: |$)")
_ACCESS = LatePattern(r'\] "(?:[A-Z]{3,10} |-|\\x)')
_RFC5424 = LatePattern(r"^\s*(\S+) (\S+) (\S+) (\S+) (?:-|\[(?:[^\]\\]|\\.)*\](?:\[(?:[^\]\\]|\\.)*\])*) ?\ufeff?")
_CONTINUED = LatePattern(
    r"^(?:\s+\S|\s*$|Caused by: |Suppressed: |\.\.\. \d+ more|During handling of |The above exception |[})\]]+[,;]?\s*$|"
    r"  File \"|#\d+ |\tat |   at |--- End of )"
)

_LEVEL_KEYS = (
    "level", "severity", "lvl", "loglevel", "log_level", "levelname", "level_name", "logLevel", "log.level", "Level",
    "LEVEL", "Severity", "severityText", "severity_text", "SeverityText", "@level", "@l", "LogLevel", "s", "PRIORITY",
    "priority", "l", "levelno", "severityNumber", "SeverityNumber",
)  # fmt: skip
_TIME_KEYS = (
    "time", "ts", "timestamp", "@timestamp", "t", "@t", "date", "datetime", "asctime", "eventTime", "Timestamp",
    "time_iso8601", "timeMillis", "created_at", "startTime", "start_time", "StartUTC", "@time", "when", "instant",
    "logged_at", "event_time", "time_local", "__REALTIME_TIMESTAMP", "_time", "Time", "epoch", "timeUnixNano",
)  # fmt: skip
_MESSAGE_KEYS = (
    "msg", "message", "MESSAGE", "@message", "event", "text", "log", "short_message", "@m", "@mt", "Message", "body",
    "textPayload", "error", "err",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """`time` is naive where the line names no zone. `arrived` is what the wrapping tells (engine, journal)."""

    time: datetime | None
    level: str | None
    message: str
    source: str = ""  # named by the line itself: Compose prefix, syslog tag, journald identifier
    continuation: bool = False
    arrived: datetime | None = None


@dataclass(slots=True)
class _Wrap:
    """What the wrapping told; the line's own words count more, except a syslog priority."""

    source: str = ""
    level: str | None = None
    time: datetime | None = None
    partial: bool = False


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
        if len(text) > PARSE_LIMIT:
            text = text[:PARSE_LIMIT]
        wrap = _Wrap()
        text = self._unwrap(text, wrap)
        line = self._structured(text, wrap)
        return line if line is not None else self._plain(text, wrap)

    # -- wrapping

    def _unwrap(self, text: str, wrap: _Wrap) -> str:
        first = text[:1]
        if first == "{" and text.startswith('{"log":"'):
            text = self._json_file(text, wrap)
        elif first.isdigit():
            m = _CRI.match(text)
            if m is not None:
                wrap.time = self._stamps.value(m[1])
                wrap.partial = m[3] == "P"
                text = text[m.end() :]
            elif (m := _ENGINE_STAMP.match(text)) is not None and _has_own_header(text[m.end() :]):
                wrap.time = self._stamps.value(m[1])
                text = text[m.end() :]
        if "\x1b" in text:
            text = _SGR.sub("", text)
        if "| " in text[:100] and (m := _COMPOSE.match(text)) is not None and m[1].lower() not in loglevel.WORDS:
            wrap.source = m[1]
            text = text[m.end() :]
        if text[:1] == "<" and (m := _PRI.match(text)) is not None and int(m[1]) < 192:
            wrap.level = loglevel.SYSLOG[int(m[1]) % 8]
            text = text[m.end() :]
        return text.rstrip("\r\n")

    def _json_file(self, text: str, wrap: _Wrap) -> str:
        try:
            entry = json.loads(text)
            inner = entry["log"]
            stamp = entry.get("time")
        except (ValueError, KeyError, TypeError, AttributeError):
            return text
        if not isinstance(inner, str):
            return text
        wrap.time = self._stamps.value(stamp) if isinstance(stamp, str) else None
        wrap.partial = not inner.endswith("\n")
        return inner.rstrip("\r\n")

    # -- keys

    def _structured(self, text: str, wrap: _Wrap) -> Line | None:
        start = text.lstrip()[:1]
        if start == "{":
            return self._json(text, wrap)
        if "={" not in text[:40] and start and "=" in text[:40] and _LOGFMT_START.match(text):
            return self._logfmt(text, wrap)
        return None

    def _json(self, text: str, wrap: _Wrap) -> Line | None:
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if not isinstance(data, dict):
            return None
        if "__REALTIME_TIMESTAMP" in data:
            return self._journal(data)
        return self._fields(data, text, wrap)

    def _fields(self, data: dict[str, Any], text: str, wrap: _Wrap) -> Line:
        for nest in ("log", "fields", "@fields", "record"):
            inner = data.get(nest)
            if isinstance(inner, dict):
                data = {**inner, **data}
        when = self._json_time(data) or wrap.time
        level = _json_level(data)
        message = ""
        for key in _MESSAGE_KEYS:
            found = data.get(key)
            if isinstance(found, str) and found:
                message = found.rstrip("\n")
                break
            if isinstance(found, dict) and isinstance(found.get("message"), str):
                message = found["message"]
                break
        return Line(when, level or wrap.level, message or text, wrap.source, arrived=wrap.time)

    def _json_time(self, data: dict[str, Any]) -> datetime | None:
        for key in _TIME_KEYS:
            value = data.get(key)
            if value is None or value == "":
                continue
            if isinstance(value, dict):
                value = value.get("$date", value.get("epochSecond"))
                if isinstance(value, dict):
                    value = value.get("$numberLong")
            if isinstance(value, bool) or value is None:
                continue
            numeric = isinstance(value, (int, float))
            when = epoch(float(value)) if numeric else self._stamps.value(str(value)[:64])
            if when is not None:
                return when
        return None

    def _journal(self, data: dict[str, Any]) -> Line:
        raw = data.get("MESSAGE")
        if isinstance(raw, list):  # not UTF-8: journald writes numbers
            raw = bytes(b for b in raw if isinstance(b, int) and 0 <= b < 256).decode("utf-8", errors="replace")
        message = raw if isinstance(raw, str) else ""
        inner = self._structured(message, _Wrap()) or self._plain(message, _Wrap())
        stamp = epoch(float(data["__REALTIME_TIMESTAMP"])) if str(data["__REALTIME_TIMESTAMP"]).isdigit() else None
        priority = str(data.get("PRIORITY", ""))
        told = loglevel.SYSLOG[int(priority)] if priority.isdigit() and int(priority) < 8 else None
        # What is piped into the journal arrives as "info" whatever it says, so the line's own word counts more.
        level = inner.level if inner.level is not None and told in (None, "info", "notice") else told
        source = data.get("SYSLOG_IDENTIFIER") or data.get("_COMM") or ""
        return Line(stamp, level, inner.message, str(source), arrived=stamp)

    def _logfmt(self, text: str, wrap: _Wrap) -> Line | None:
        level: str | None = None
        when: datetime | None = None
        message = ""
        keys = 0
        for m in _LOGFMT.finditer(text[:2048]):
            keys += 1
            key, value = m[1], m[2]
            if value[:1] == '"':
                value = value[1:-1] if value[-1:] == '"' else value[1:]
                if "\\" in value:
                    value = value.replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")
            if level is None and key in _LEVEL_KEYS:
                level = loglevel.word(value)
            elif when is None and (key in _TIME_KEYS or key == "at"):
                # A value with a space and no quotes ("time=2026-11-22 03:12:01") continues after it.
                when = self._stamps.value(value) or self._stamps.value(text[m.start(2) : m.start(2) + 40])
                if level is None and key == "at":
                    level = loglevel.word(value) if value in loglevel.WORDS else None
            elif not message and key in _MESSAGE_KEYS[:5]:
                message = value
        if level is None and when is None and (keys < 2 or not message or message.startswith("audit(")):
            return None
        return Line(when or wrap.time, level or wrap.level, message or text, wrap.source, arrived=wrap.time)

    # -- plain text

    def _plain(self, text: str, wrap: _Wrap) -> Line:
        stamp = self._stamps.find(text)
        if stamp is None:
            return self._unstamped(text, wrap)
        self._stamped = min(20, self._stamped + 2)
        before, after = text[: stamp.start], text[stamp.end :]
        source = wrap.source
        body = after
        m: re.Match[str] | None
        if (wrap.level is not None and (m := _RFC5424.match(after)) is not None) or (
            stamp.start == 0 and after[:1] == " " and (m := _SYSLOG_TAG.match(after)) and _is_syslog(m)
        ):
            source, body = source or m[2], after[m.end() :]
        level = wrap.level
        if level is None:
            level = self._level(before, after if body is after else body, text)
        # The engine's stamp has a zone; the line's own may not, and then says less.
        when = wrap.time if wrap.time is not None and stamp.when.tzinfo is None else stamp.when
        return Line(when, level, _message(before, body) or text, source, arrived=wrap.time)

    def _level(self, before: str, after: str, text: str) -> str | None:
        if _ACCESS.match(after) is not None and before.endswith("["):
            return None  # an access log: status and path are data
        level = loglevel.level_of(before, after, text)
        if level is None and before == "":
            level = loglevel.raised(after.lstrip(" :-]|"))
        return level

    def _unstamped(self, text: str, wrap: _Wrap) -> Line:
        continued = wrap.partial is False and bool(_CONTINUED.match(text))
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


def _has_own_header(rest: str) -> bool:
    """The engine's `timestamps=1` puts its stamp before lines; a line that is only a stamp keeps it as its own."""
    return bool(rest)


def _is_syslog(tag: re.Match[str]) -> bool:
    """`host program[pid]:` follows the stamp; a level word after that is a level."""
    host, program, pid = tag.groups()
    if program.lower() in loglevel.WORDS or (host is None and pid is None):
        return False
    return host is None or (host.lower() not in loglevel.WORDS and not host.isdigit())


def _json_level(data: dict[str, Any]) -> str | None:
    for key in _LEVEL_KEYS:
        value = data.get(key)
        if value is None or isinstance(value, bool):
            continue
        if key in ("s", "l") and len(str(value)) > 2:
            continue
        if isinstance(value, dict):
            value = value.get("name") or value.get("level")
        if isinstance(value, (int, float)):
            number = int(value)
            if key == "levelno":
                found = {10: "debug", 20: "info", 30: "warning", 40: "error", 50: "critical"}.get(number)
            elif key.lower() == "severitynumber":
                found = ("trace", "debug", "info", "warning", "error", "critical")[min(5, max(0, (number - 1) // 4))]
            else:
                found = loglevel.number(number)
        else:
            found = loglevel.word(str(value))
        if found is not None:
            return found
    return "info" if "@t" in data and "@mt" in data else None


# A level word in front of the message: in capitals, or with the punctuation that sets a level off.
_LEVEL_TOKEN = LatePattern(
    r"^[\s\[\](<|>:,-]*(?:(?:" + loglevel.UPPER + r")\b[\])>|:]*|(?i:" + loglevel.LEADING + r")\b[\])>|:]+)"
    r"(?:\s+(?:[-|:] )?|$)"
)


def _message(before: str, body: str) -> str:
    """The text after the header: separators and a level word in front go, everything else stays."""
    rest = _AFTER_HEADER.sub("", body, count=1)
    m = _LEVEL_TOKEN.match(rest)
    if m is not None and m.end() < len(rest):
        rest = rest[m.end() :]
    head = before.strip(" [](){}<>|,;:-\"'")
    if head and head.lower() not in loglevel.WORDS:
        rest = f"{head} {rest}"  # an address or a name stood before the stamp
    return rest
