"""Lines in the order they were written: which belong together, and the events they make.

`LineReader` tells a continuation by the line alone, because screens read lines in any order. Here the lines before
are known too: the last line of a traceback, frames of a Go panic, the rest of an entry that the engine cut at
16 KiB. Used where a file is read from its start; bounded whatever comes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from console.watch.latepattern import LatePattern
from console.watch.loglevel import raised
from console.watch.logline import Line, LineReader, Wrap
from console.watch.logrecord import RANK

MAX_LINES = 500  # lines kept of one event
MAX_CHARS = 64 << 10  # characters kept of one event
MAX_PARTS = 100  # pieces of one entry that the engine cut: 1.6 MB
MAX_SOURCES = 200  # sources (Compose services, syslog tags) whose last lines are remembered

_WARNING = RANK["warning"]
# Kinds of block: what opens one, and the unindented lines that belong to it while it is open.
_BLOCKS = (
    (
        "python",
        LatePattern(r"^(?:Traceback \(most recent call last\):|\s+File \"|\s+[+|])"),
        LatePattern(r"^(?!(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL)\b)[A-Za-z_][\w.]*(?:: |:?$)"),
    ),
    ("chain", LatePattern(r"^(?:During handling of|The above exception)"), LatePattern(r"^Traceback ")),
    (
        "go",
        LatePattern(r"^(?:panic: |fatal error: |goroutine \d+ \[|SIG[A-Z]+: )"),
        LatePattern(r"^(?:[\w./*()\[\]{}·$-]{1,200}\(.{0,400}\)$|exit status \d+$|[a-z\d]{2,4} +0x[0-9a-f]+$)"),
    ),
    ("rust", LatePattern(r"^thread '[^']{0,80}' (?:\(\d+\) )?panicked at .*:$"), LatePattern(r"^(?!thread ')")),
    (
        "node",
        LatePattern(r"^(?:file://|node:)?\S{1,300}:\d+$"),
        LatePattern(r"^(?:throw |[A-Z]\w*(?:Error|Exception)\b|Thrown at:)"),
    ),
    ("export", LatePattern(r"^__CURSOR="), LatePattern(r"^(?!__CURSOR=)[A-Z_\d]+(?:=|$)")),
    ("object", LatePattern(r"^[{\[]\s*$"), LatePattern(r"^[\]})\"]")),
)  # fmt: skip
_INSIDE = {name: inside for name, _, inside in _BLOCKS}
_ONCE = frozenset(("python", "rust", "node"))  # one such line, the message; then the block is over
_TWO_LINES = LatePattern(r"\b[AP]M(?: [A-Z]{3,4})? [\w.$]+ [\w$<>]+$")  # java.util.logging's first line of two
_LEVEL_FIRST = LatePattern(r"^(?:SEVERE|WARNING|INFO|CONFIG|FINE|FINER|FINEST): ")


@dataclass(frozen=True, slots=True)
class Event:
    """A line with the lines that continue it. `level` and `time` are the first that one of them tells.

    `lines` are the continuing lines, unwrapped; `left_out` counts those beyond the caps.
    """

    source: str
    time: datetime | None
    level: str | None
    message: str
    lines: tuple[str, ...] = ()
    left_out: int = 0


@dataclass(slots=True)
class _Last:
    """What was last written by one source."""

    head: Line | None = None
    text: str = ""  # of the head
    block: str = ""  # kind of block that is open

    def follows(self, text: str, line: Line) -> bool:
        """Whether `line` (its text unwrapped) continues what is here; remembers it either way."""
        follows = line.continuation or ((not line.stamped or self.block == "export") and self._belongs(text))
        if not follows:
            self.head, self.text, self.block = line, text, ""
        self._look(text)
        return follows

    def _look(self, text: str) -> None:
        if text[:1] in "}]":  # also where nothing stands at all
            self.block = "" if self.block == "object" else self.block
            return
        for name, opening, _ in _BLOCKS:
            if opening.match(text):
                self.block = name
                return

    def _belongs(self, text: str) -> bool:
        if self.head is None:
            return False
        if self.block and _INSIDE[self.block].match(text):
            if self.block in _ONCE:
                self.block = ""
            return True
        if _LEVEL_FIRST.match(text):
            return self.head.stamped and self.head.level is None and _TWO_LINES.search(self.text) is not None
        level = self.head.level
        grave = level is not None and RANK[level] >= _WARNING
        # An exception printed under the line that reports it; two exceptions in a row are two events.
        return grave and raised(text) is not None and raised(self.text) is None


class Order:
    """Remembers the last lines of many sources and tells which lines continue them."""

    def __init__(self) -> None:
        self._of: OrderedDict[str, _Last] = OrderedDict()
        self._latest = ""

    def follows(self, text: str, line: Line) -> bool:
        """Whether a line continues the record before it of its source. Call it once for each line, in order."""
        return self._last(self.key(line)).follows(text, line)

    def key(self, line: Line) -> str:
        """The source whose record a line may continue: its own; the latest where it names none and has no time."""
        if line.source or line.stamped:
            self._latest = line.source
        return self._latest

    def _last(self, key: str) -> _Last:
        last = self._of.get(key)
        if last is None:
            last = self._of[key] = _Last()
            if len(self._of) > MAX_SOURCES:
                self._of.popitem(last=False)
        else:
            self._of.move_to_end(key)
        return last


class OrderedReader:
    """Reads the lines of one file or stream in order: as `LineReader`, with continuations as the order tells them."""

    def __init__(self, zone: tzinfo | None = None, now: Callable[[], float] | None = None) -> None:
        self.lines = LineReader(zone, now)
        self._order = Order()
        self._cut: set[str] = set()  # streams whose last entry the engine cut

    def read(self, text: str) -> Line:
        """One line, without its line ending. A later part of a cut entry is a continuation without a level."""
        inner, wrap = self.lines.unwrap(text)
        if wrap.stream in self._cut:
            if not wrap.partial:
                self._cut.discard(wrap.stream)
            return Line(wrap.time, None, inner, wrap.source, True, wrap.time, False, wrap.partial, wrap.stream)
        line = self.lines.understand(inner, wrap)
        if line.partial:
            self._cut.add(line.stream)
        continued = self._order.follows(inner, line)
        return line if continued == line.continuation else line._replace(continuation=continued)


@dataclass(slots=True)
class _Open:
    """An event that may go on."""

    source: str
    time: datetime | None
    level: str | None
    message: str
    lines: list[str] = field(default_factory=list)
    chars: int = 0
    left_out: int = 0

    def add(self, text: str, line: Line) -> None:
        self.level = self.level or line.level
        self.time = self.time or line.time
        if len(self.lines) < MAX_LINES and self.chars + len(text) <= MAX_CHARS:
            self.lines.append(text)
            self.chars += len(text)
        else:
            self.left_out += 1

    def event(self) -> Event:
        return Event(self.source, self.time, self.level, self.message, tuple(self.lines), self.left_out)


class Joiner:
    """Lines in, events out, one as soon as the next of its source begins; `flush` gives those that are left."""

    def __init__(self, zone: tzinfo | None = None, now: Callable[[], float] | None = None) -> None:
        self._reader = LineReader(zone, now)
        self._order = Order()
        self._open: OrderedDict[str, _Open] = OrderedDict()
        self._parts: dict[str, tuple[Wrap, list[str]]] = {}

    def add(self, text: str) -> Iterator[Event]:
        """The events that this line ends."""
        inner, wrap = self._reader.unwrap(text)
        if wrap.stream in self._parts or wrap.partial:
            first, parts = self._parts.setdefault(wrap.stream, (wrap, []))
            if len(parts) < MAX_PARTS:
                parts.append(inner)
            if wrap.partial:
                return
            del self._parts[wrap.stream]
            inner, wrap = "".join(parts), first
        yield from self._line(inner, wrap)

    def flush(self) -> Iterator[Event]:
        """What is open, oldest first. Afterwards the joiner is empty."""
        parts, self._parts = self._parts, {}
        for wrap, pieces in parts.values():
            yield from self._line("".join(pieces), wrap)
        events, self._open = self._open, OrderedDict()
        yield from (one.event() for one in events.values())

    def _line(self, inner: str, wrap: Wrap) -> Iterator[Event]:
        line = self._reader.understand(inner, wrap)
        key = self._order.key(line)
        going = self._open.get(key)
        if self._order.follows(inner, line) and going is not None:
            going.add(inner, line)
            return
        if going is not None:
            yield self._open.pop(key).event()
        self._open[key] = _Open(line.source, line.time, line.level, line.message)
        if len(self._open) > MAX_SOURCES:
            yield self._open.popitem(last=False)[1].event()


def joined(lines: Iterable[str], zone: tzinfo | None = None, now: Callable[[], float] | None = None) -> Iterator[Event]:
    """The events of lines in order, without keeping more than those that are open."""
    joiner = Joiner(zone, now)
    for text in lines:
        yield from joiner.add(text)
    yield from joiner.flush()
