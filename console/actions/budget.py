"""How often a level may run: counted from the runs on disk, so that neither a restart nor a second console forgets.

A run counts when it was started, whatever became of it. An override is recorded in the run that used it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from console.actions.facts import PastRun
from console.config import parse_duration

DEFAULTS = {1: "3/15m", 2: "2/2h", 3: "1/6h", 4: "1/24h"}


@dataclass(frozen=True, slots=True)
class Budget:
    """`limit` runs in `window` seconds; `used` of them are spent. `free_at`: when the next one is, unix seconds."""

    level: int
    limit: int
    window: float
    used: int
    free_at: float | None = None

    @property
    def spent(self) -> bool:
        return self.used >= self.limit

    @property
    def text(self) -> str:
        """
        >>> Budget(1, 3, 900.0, 1).text
        '1 of 3 in 15 min'
        """
        return f"{self.used} of {self.limit} in {span(self.window)}"


def span(seconds: float) -> str:
    """
    >>> span(90), span(900), span(7200)
    ('90 s', '15 min', '2 h')
    """
    if seconds >= 3600 and seconds % 3600 == 0:
        return f"{seconds / 3600:g} h"
    return f"{seconds / 60:g} min" if seconds >= 60 and seconds % 60 == 0 else f"{seconds:g} s"


def wait_text(seconds: float) -> str:
    """
    >>> wait_text(40), wait_text(700), wait_text(21_577), wait_text(7200)
    ('40 s', '12 min', '6 h', '2 h')
    """
    if seconds < 120:
        return f"{max(1, round(seconds))} s"
    minutes = -(-round(seconds) // 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def parse(text: str) -> tuple[int, float]:
    """
    >>> parse("3/15m")
    (3, 900.0)
    """
    found = re.fullmatch(r"\s*(\d+)\s*/\s*(\S+)\s*", text)
    if not found:
        raise ValueError(f"{text!r} is no budget; write it as 3/15m")
    return int(found[1]), parse_duration(found[2])


def budget(level: int, service: str, past: Sequence[PastRun], limits: Mapping[str, str], now: float) -> Budget:
    """What is left for this level: level 1 counts each service by itself, the others the whole project."""
    try:
        limit, window = parse(limits.get(f"level{level}", DEFAULTS[level]))
    except ValueError:  # a wrong entry is reported by `config check`; a budget must never silently vanish
        limit, window = parse(DEFAULTS[level])
    times = sorted(
        run.at
        for run in past
        if run.level == level and (level > 1 or run.service == service) and now - window < run.at <= now
    )
    free_at = times[-limit] + window if limit and len(times) >= limit else None
    return Budget(level, limit, window, len(times), free_at)
