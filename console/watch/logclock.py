"""Read the time a person types to jump to: a time of day, a date with time, or how long ago."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

_AGO = re.compile(r"^-?\s*(\d+(?:\.\d+)?)\s*(s|m|h|d)$")
_OF_DAY = re.compile(r"^(\d{1,2}):(\d\d)(?::(\d\d))?$")
_UNIT = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_moment(text: str, now: float) -> float | None:
    """Unix seconds of `-5m`, `03:12`, `03:12:30`, `2026-11-22 03:12`; None when it is none of them.

    A time of day is the last one that has passed, in this host's zone.

    >>> parse_moment("-5m", 1000.0)
    700.0
    >>> parse_moment("soon", 1000.0) is None
    True
    """
    text = text.strip()
    if (m := _AGO.match(text)) is not None:
        return now - float(m[1]) * _UNIT[m[2]]
    today = datetime.fromtimestamp(now).astimezone()
    if (m := _OF_DAY.match(text)) is not None:
        try:
            moment = today.replace(hour=int(m[1]), minute=int(m[2]), second=int(m[3] or 0), microsecond=0)
        except ValueError:
            return None
        if moment.timestamp() > now + 60:
            moment -= timedelta(days=1)
        return moment.timestamp()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.timestamp()
