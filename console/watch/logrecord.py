"""What a log line becomes, and what is known of all logs at one moment. Records only; nothing here reads."""

from __future__ import annotations

from dataclasses import dataclass

LEVELS = ("trace", "debug", "info", "notice", "warning", "error", "critical")
RANK = {level: rank for rank, level in enumerate(LEVELS)}


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One line as it was understood.

    `message` is cleaned and has secrets masked; `raw` is the untouched line (bytes as read, no newline) and must
    pass `console.text` and `console.redact` before anybody sees it. `offset` is the line's first byte in its file.
    """

    at: float | None  # unix seconds told by the line; None when it tells none
    level: str | None  # one of LEVELS
    source: str
    message: str
    raw: bytes = b""
    arrived: float = 0.0  # unix seconds when it was read; 0.0 when read back from disk
    continuation: bool = False  # belongs to the record before it (a traceback's frames)
    offset: int | None = None
    seq: int | None = None  # place in the order of arrival; None when read back from disk


@dataclass(frozen=True, slots=True)
class InputStats:
    """One input now. `estimated`: errors and warnings were extrapolated from a sample because of the rate."""

    name: str
    kind: str  # file, container, journal
    lines: int  # since this console looked
    lines_per_second: float
    errors_per_minute: float  # error and critical, over the last 60 s
    warnings_per_minute: float
    estimated: bool
    dropped: int  # lines never kept in memory because reading fell behind
    fault: str  # "" when well: "no such file", "engine does not answer"
    remedy: str


@dataclass(frozen=True, slots=True)
class PatternStat:
    """One pattern of log messages: `text` has `<*>` for what varies."""

    id: str
    text: str
    source: str
    level: str | None
    count: int  # estimated where the rate was high
    first_at: float | None  # unix seconds
    last_at: float | None
    new: bool  # a warning or worse that came lately for the first time


@dataclass(frozen=True, slots=True)
class Burst:
    """Many more events within five minutes than the day before. `pattern` is "" for all warnings of a source."""

    pattern: str
    text: str
    source: str
    level: str | None
    at: float  # unix seconds when the five minutes began
    count: float
    usual: float  # mean of five minutes of the day before


@dataclass(frozen=True, slots=True)
class Silence:
    """A source that usually speaks and does not."""

    source: str
    seconds: float


@dataclass(frozen=True, slots=True)
class LogStats:
    """The reading named "logs": what all inputs did lately."""

    inputs: tuple[InputStats, ...]
    lines_per_second: float
    errors_per_minute: float
    warnings_per_minute: float
    estimated: bool
    dropped: int
    last_errors: tuple[
        LogRecord, ...
    ]  # error and critical, oldest first, at most 5 of each source and 40 in all, masked
    newest: float | None  # unix seconds at which the newest line arrived
    patterns: tuple[PatternStat, ...] = ()  # worst and most frequent of the last hour first, new ones before all
    bursts: tuple[Burst, ...] = ()  # of this five minutes and the five before
    silent: tuple[Silence, ...] = ()

    @property
    def faults(self) -> tuple[InputStats, ...]:
        """Inputs that cannot be read now."""
        return tuple(one for one in self.inputs if one.fault)
