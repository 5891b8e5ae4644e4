"""Turn raw lines into `LogRecord`s that may be shown: understood, cleaned, secrets masked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

from console.redact import MASK, redact
from console.text import clean, clean_block
from console.watch.logline import LineReader
from console.watch.logrecord import RANK, LogRecord
from console.watch.logstamp import zone_named

RAW_LIMIT = 64 << 10  # bytes of a line that are looked at
_MESSAGE_LIMIT = 16 << 10  # characters masked before the display limit cuts
_WARNING = RANK["warning"]
# Lines of a private key that is printed to the log: lines are read in any order here, so each is judged alone.
_KEY_BODY = re.compile(r"^(?![0-9a-fA-F]+$)[A-Za-z0-9+/]{64}$")
# Lower-case parts of the words that warnings and worse are written with.
_WORDS = (
    b"err",
    b"war",
    b"wrn",
    b"fat",
    b"ftl",
    b"crit",
    b"crt",
    b"fail",
    b"anic",
    b"emerg",
    b"alert",
    b"sever",
    b"excep",
    b"trace",
)
_OPAQUE = frozenset(b'{<"[|')  # first bytes of lines whose level may be a number or a letter


class RecordReader:
    """Reads the lines of all sources; one `LineReader` each. For one thread."""

    def __init__(self, zones: Mapping[str, str], clock: Callable[[], float]) -> None:
        self._zones = zones
        self._clock = clock
        self._readers: dict[str, LineReader] = {}
        self._wordless: set[str] = set()  # sources that write warnings without any of the words

    def fresh(self, source: str) -> LineReader:
        """A reader of this source for another thread."""
        return LineReader(zone_named(self._zones.get(source, "")), self._clock)

    def read(
        self, source: str, raw: bytes, *, arrived: float = 0.0, offset: int | None = None, seq: int | None = None
    ) -> LogRecord:
        reader = self._readers.get(source)
        if reader is None:
            reader = self._readers[source] = self.fresh(source)
        line = reader.read(raw[:RAW_LIMIT].decode("utf-8", "replace"))
        if (
            line.level is not None
            and RANK[line.level] >= _WARNING
            and source not in self._wordless
            and not _worded(raw)
        ):
            self._wordless.add(source)
        return LogRecord(
            at=reader.seconds(line.time) if line.time is not None else None,
            level=line.level,
            source=source,
            message=_shown(line.message),
            raw=raw,
            arrived=arrived,
            continuation=line.continuation,
            offset=offset,
            seq=seq,
        )

    def may_pass(self, source: str, raw: bytes, minimum: int) -> bool:
        """False when the line surely ranks below `minimum`: three times cheaper than reading it."""
        if minimum < _WARNING or source in self._wordless or not raw or raw[0] in _OPAQUE or raw[0] in b" \t":
            return True
        return _worded(raw) or raw[0] in b"EWFC"


def _shown(message: str) -> str:
    return MASK if _KEY_BODY.match(message) else clean(redact(message[:_MESSAGE_LIMIT]))


def _worded(raw: bytes) -> bool:
    low = raw[:300].lower()
    return any(word in low for word in _WORDS)


def whole_line(record: LogRecord, limit: int = RAW_LIMIT) -> str:
    """All of a record's line for reading and copying: unwrapped, cleaned, masked, several lines where it has them."""
    text = bare_line(record, limit)
    return MASK if _KEY_BODY.match(text) else redact(text)


def bare_line(record: LogRecord, limit: int = RAW_LIMIT) -> str:
    """The same with its secrets. Only for what a person was let see: `console.guide.reveal` writes that down first."""
    raw = record.raw
    if raw.startswith(b'{"log":"'):
        try:
            raw = str(json.loads(raw)["log"]).encode()
        except (ValueError, KeyError, TypeError):
            raw = record.raw
    more = len(raw) - limit
    shown = clean_block(raw[:limit].decode("utf-8", "replace").rstrip("\r\n"), limit)
    return f"{shown}\n… +{more // 1024} KB" if more > 0 else shown
