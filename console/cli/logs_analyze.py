"""`sevdeck logs analyze`: which patterns a log holds, how often, at which level, and what is unusual about them."""

from __future__ import annotations

import json
import sys
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from console.cli.call import Call
from console.errors import UsageError

if TYPE_CHECKING:
    from console.watch.logline import Line, LineReader
    from console.watch.logrecord import Burst
    from console.watch.mining.patterns import Pattern, PatternBook

_MOST_ASSIGNED = 20_000_000  # lines whose patterns are kept in memory until all are known: 80 MB
_MOST_SHOWN = 40  # patterns in the table for people
_MOST_BURSTS = 50
_TRACE = ("Traceback ", "Caused by: ", "Suppressed: ", "... ", "\tat ", "During handling", "The above exception")


def register(commands: Any) -> None:
    parser = commands.add_parser("analyze", help="levels, patterns, bursts and new patterns of logs")
    parser.add_argument("files", nargs="+", metavar="FILE", help="logs of any format; - is standard input")
    parser.add_argument("--assign", action="store_true", help="one JSON object a line instead: the id of its pattern")
    parser.set_defaults(run=_analyze)


class Analysis:
    """What the lines of some files say. One book for all of them: the same message has one pattern."""

    def __init__(self) -> None:
        from console.watch.mining.patterns import PatternBook

        self.book: PatternBook = PatternBook()
        self.lines = 0
        self.levels: Counter[str] = Counter()
        self._spans: set[int] = set()

    def file(self, lines: Iterable[bytes]) -> Iterator[int]:
        """The number of each line's pattern as it is known then; `book.final` tells what it became."""
        from console.watch.logjoin import OrderedReader
        from console.watch.mining.bursts import SPAN

        reader = OrderedReader()
        last: int | None = None
        headed = False  # whether the last line that began a record told its time
        for raw in lines:
            self.lines += 1
            text = raw.decode("utf-8", "replace").rstrip("\r\n")
            line = reader.read(text)
            if last is not None and line.continuation and _belongs(text, headed):
                yield last
                continue
            at = _seconds(reader.lines, line)
            headed = line.time is not None
            self.levels[line.level or "unknown"] += 1
            if at is not None:
                self._spans.add(int(at // SPAN))
            last = self.book.add(line.message, line.level, "", at)
            yield last

    def bursts(self) -> list[Burst]:
        """The five minutes in which a pattern, or all that warns, came in a burst: the last of them, in order of time."""
        newest = max(self._spans, default=0)
        found = [burst for span in sorted(self._spans) if span > newest - 288 for burst in self.book.bursts_at(span)]
        return found[-_MOST_BURSTS:]

    def new(self) -> list[Pattern]:
        """Patterns of warnings and worse that first came in the last 15 minutes of the logs."""
        last = max((one.last for one in self.book.patterns.values() if one.last is not None), default=None)
        return [one for _, one in self.book.new(last)] if last is not None else []


def _belongs(text: str, headed: bool) -> bool:
    """Whether a line that looks like the rest of a record is. Where no line has a header, an indented one may be whole."""
    return headed or not text.strip() or text.lstrip().startswith(('File "', "at ")) or text.startswith(_TRACE)


def _seconds(reader: LineReader, line: Line) -> float | None:
    when = line.time or line.arrived
    return reader.seconds(when) if when is not None else None


def _analyze(call: Call) -> int:
    analysis = Analysis()
    if call.args.assign:
        return _assign(analysis, call.args.files)
    for name in call.args.files:
        for _ in analysis.file(_lines(name)):
            pass
    answer = _answer(analysis)
    call.answer(answer, lambda: "\n".join(_table(answer)))
    return 0


def _assign(analysis: Analysis, files: Iterable[str]) -> int:
    """Ids after all merges, so they are written when the last line is read; four bytes a line are kept until then."""
    numbers = array("I")
    for name in files:
        for number in analysis.file(_lines(name)):
            if len(numbers) >= _MOST_ASSIGNED:
                raise UsageError(
                    f"--assign holds at most {_MOST_ASSIGNED:,} lines", remedy="Split the file, for example by day"
                )
            numbers.append(number)
    book = analysis.book
    written: dict[int, str] = {}
    for number in numbers:
        row = written.get(number)
        if row is None:
            row = written[number] = json.dumps({"pattern": book.patterns[book.final(number)].id}) + "\n"
        sys.stdout.write(row)
    return 0


def _lines(name: str) -> Iterator[bytes]:
    from console.cli.textfile import lines, opened

    with opened(name) as file:
        yield from lines(file, name)


def _answer(analysis: Analysis) -> dict[str, Any]:
    from console.cli.as_json import rfc3339
    from console.watch.logrecord import LEVELS

    def when(at: float | None) -> str | None:
        return rfc3339(at) if at is not None else None

    book = analysis.book
    order = {level: place for place, level in enumerate((*reversed(LEVELS), "unknown"))}
    return {
        "lines": analysis.lines,
        "levels": dict(sorted(analysis.levels.items(), key=lambda item: order[item[0]])),
        "patterns": [
            {
                "id": one.id,
                "pattern": book.text(number),
                "count": int(one.count),
                "level": one.level,
                "first": when(one.first),
                "last": when(one.last),
                "examples": one.examples,
            }
            for number, one in book.ranked()
        ],
        "bursts": [
            {
                "pattern": burst.pattern or None,
                "text": burst.text,
                "level": burst.level,
                "at": rfc3339(burst.at),
                "count": int(burst.count),
                "usual": round(burst.usual, 2),
            }
            for burst in analysis.bursts()
        ],
        "new": [one.id for one in analysis.new()],
    }


def _table(answer: dict[str, Any]) -> Iterator[str]:
    """The answer for people: worst and most frequent first."""
    patterns = answer["patterns"]
    levels = ", ".join(f"{count:,} {level}" for level, count in answer["levels"].items())
    yield f"{answer['lines']:,} lines, {len(patterns):,} patterns" + (f": {levels}" if levels else "")
    if patterns:
        yield ""
        yield f"{'COUNT':>9}  {'LEVEL':<8}  {'ID':<12}  PATTERN"
    for one in patterns[:_MOST_SHOWN]:
        yield f"{one['count']:>9,}  {one['level'] or '-':<8}  {one['id']}  {one['pattern']}"
    if len(patterns) > _MOST_SHOWN:
        yield f"and {len(patterns) - _MOST_SHOWN:,} more; --json has all"
    for title, rows in (("BURSTS", list(_bursts(answer))), ("NEW IN THE LAST 15 MINUTES", list(_new(answer)))):
        if rows:
            yield ""
            yield title
            yield from rows


def _bursts(answer: dict[str, Any]) -> Iterator[str]:
    for burst in answer["bursts"]:
        yield f"  {burst['at'][:16]}  {burst['count']:,} in 5 min, usually {burst['usual']:g}: {burst['text']}"


def _new(answer: dict[str, Any]) -> Iterator[str]:
    fresh = set(answer["new"])
    for one in answer["patterns"]:
        if one["id"] in fresh:
            yield f"  {one['first'][:16]}  {one['level']}: {one['pattern']}"
