"""Read level, time and message out of the keys of a JSON or logfmt line, whoever's library wrote it.

The usual names are looked up as they are; a key written another way (`error_severity`, `LogLevel`) is compared
without its punctuation and case. JSON that was cut off is read as far as it goes.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from console.watch import loglevel
from console.watch.latepattern import LatePattern
from console.watch.logstamp import StampReader
from console.watch.stampshapes import epoch

_LOOSE_LIMIT = 4096  # characters of JSON that does not parse
_LEVEL_KEYS = (
    "level", "severity", "lvl", "loglevel", "log_level", "levelname", "level_name", "logLevel", "log.level", "Level",
    "LEVEL", "Severity", "severityText", "severity_text", "SeverityText", "@level", "@l", "LogLevel", "s", "L",
    "PRIORITY", "priority", "l", "levelno", "severityNumber", "SeverityNumber",
)  # fmt: skip
_TIME_KEYS = (
    "time", "ts", "timestamp", "@timestamp", "t", "@t", "date", "datetime", "asctime", "eventTime", "Timestamp",
    "time_iso8601", "timeMillis", "created_at", "startTime", "start_time", "StartUTC", "@time", "when", "instant",
    "logged_at", "event_time", "time_local", "__REALTIME_TIMESTAMP", "_time", "Time", "epoch", "timeUnixNano", "T",
)  # fmt: skip
_MESSAGE_KEYS = (
    "msg", "message", "MESSAGE", "@message", "event", "text", "log", "short_message", "@m", "@mt", "Message", "body",
    "textPayload", "M", "error", "err",
)  # fmt: skip
_PLAIN_LEVELS = frozenset(
    ("level", "severity", "lvl", "loglevel", "levelname", "severitytext", "errorseverity", "sev", "sysloglevel")
)
_PLAIN_TIMES = frozenset(("time", "logtime", "datetime", "eventtime", "timelocal", "date"))
_PLAIN_MESSAGES = frozenset(("message", "msg", "logmessage", "description"))
_WEAK_LEVEL_KEYS = ("status", "type")  # levels in some loggers, anything at all in others
_WEAK_LEVELS = frozenset(("error", "warn", "warning", "info", "debug", "critical", "fatal"))
_LOGFMT = re.compile(r'(?:^|\s)@?([A-Za-z_][\w.@/-]{0,40})=("(?:[^"\\]|\\.)*"|\S*)')
_LOOSE = LatePattern(
    r'"([\w@.]{1,40})"\s{0,8}:\s{0,8}(?:"((?:[^"\\]|\\.)*)(?:"|$)|(-?\d{1,20}(?:\.\d{1,9})?)(?=[\s,}]))'
)


@dataclass(frozen=True, slots=True)
class Fields:
    """What the keys told; `message` is "" where no key holds it."""

    time: datetime | None
    level: str | None
    message: str


def parse_object(text: str) -> dict[str, Any] | None:
    """The JSON object that `text` is, as much of it as there is; None when it is none."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        pairs = _LOOSE.finditer(text[:_LOOSE_LIMIT])
        data = {}
        for m in pairs:
            data.setdefault(m[1], m[2] if m[2] is not None else float(m[3]))
    return data if isinstance(data, dict) and data else None


def json_fields(data: dict[str, Any], stamps: StampReader) -> Fields:
    """What a JSON object tells; objects that loggers nest are looked into."""
    for nest in ("log", "fields", "@fields", "record", "jsonPayload", "metadata"):
        inner = data.get(nest)
        if isinstance(inner, dict):
            data = {**inner, **data}
    return Fields(_json_time(data, stamps), _json_level(data), _json_message(data))


def logfmt_fields(text: str, stamps: StampReader) -> Fields | None:
    """What `key=value` pairs tell; None when they are no log line's."""
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
            when = stamps.value(value) or stamps.value(text[m.start(2) : m.start(2) + 40])
            if level is None and key == "at":
                level = loglevel.word(value) if value in loglevel.WORDS else None
        elif not message and key in _MESSAGE_KEYS[:5]:
            message = value
        if message and level is not None and when is not None:
            break
    if level is None and when is None and (keys < 2 or not message or message.startswith("audit(")):
        return None
    return Fields(when, level, message)


def _plain_name(key: object) -> str:
    """A key without case and punctuation."""
    if not isinstance(key, str) or len(key) > 40:
        return ""
    return key.lower().replace("_", "").replace(".", "").replace("-", "").replace("@", "").replace(" ", "")


def _json_message(data: dict[str, Any]) -> str:
    for key in _MESSAGE_KEYS:
        found = data.get(key)
        if isinstance(found, dict):
            found = found.get("message", found.get("stringValue"))
        if isinstance(found, str) and found:
            return found.rstrip("\n")
    for key, value in data.items():
        if isinstance(value, str) and value and _plain_name(key) in _PLAIN_MESSAGES:
            return value.rstrip("\n")
    return ""


def _json_time(data: dict[str, Any], stamps: StampReader) -> datetime | None:
    for key in _TIME_KEYS:
        value = data.get(key)
        if value is not None and (when := _time_of(value, stamps)) is not None:
            return when
    for key, value in data.items():
        name = _plain_name(key)
        if (name.endswith("timestamp") or name in _PLAIN_TIMES) and (when := _time_of(value, stamps)) is not None:
            return when
    return None


def _time_of(value: Any, stamps: StampReader) -> datetime | None:
    more = 0.0
    if isinstance(value, dict):  # MongoDB, log4j2
        nanos = value.get("nanoOfSecond")
        more = nanos / 1e9 if isinstance(nanos, int) and 0 <= nanos < 1e9 else 0.0
        value = value.get("$date", value.get("epochSecond"))
        if isinstance(value, dict):
            value = value.get("$numberLong")
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        when = epoch(value) if abs(value) < 1e20 else None
        return when + timedelta(seconds=more) if when is not None else None
    return stamps.value(value[:64]) if isinstance(value, str) else None


def _json_level(data: dict[str, Any]) -> str | None:
    for key in _LEVEL_KEYS:
        value = data.get(key)
        if value is None or (len(key) == 1 and isinstance(value, str) and not _is_level(value)):
            continue
        if (found := _level_of(key, value)) is not None:
            return found
    for key, value in data.items():
        if _plain_name(key) in _PLAIN_LEVELS and (found := _level_of(key, value)) is not None:
            return found
    for key in _WEAK_LEVEL_KEYS:
        value = data.get(key)
        if isinstance(value, str) and value.lower() in _WEAK_LEVELS:
            return loglevel.word(value)
    tags = data.get("tags")  # Kibana 7 names the level first
    if isinstance(tags, list) and tags and isinstance(tags[0], str) and tags[0].lower() in _WEAK_LEVELS:
        return loglevel.word(tags[0])
    return "info" if "@t" in data and "@mt" in data else None


def _is_level(value: str) -> bool:
    """Keys of one letter hold anything; a level is a letter, a letter with a number, or a word in capitals."""
    return len(value) <= 2 or value in loglevel.WORDS_UPPER


def _level_of(key: str, value: Any) -> str | None:
    if isinstance(value, dict):
        value = value.get("name") or value.get("level")
    if isinstance(value, bool) or value is None:
        return None
    if not isinstance(value, int | float):
        return loglevel.word(str(value)[:40])
    if not math.isfinite(value):
        return None
    number = int(value)
    if key == "levelno":
        return {10: "debug", 20: "info", 30: "warning", 40: "error", 50: "critical"}.get(number)
    if key.lower() == "severitynumber":
        return ("trace", "debug", "info", "warning", "error", "critical")[min(5, max(0, (number - 1) // 4))]
    return loglevel.number(number)
