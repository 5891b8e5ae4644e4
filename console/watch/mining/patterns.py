"""What is known of each pattern: how often, since when, a few examples, and what is new or unusual now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from console.redact import redact
from console.text import clean
from console.watch.logrecord import RANK, Burst, Silence
from console.watch.mining.bursts import DAY, LEAST, SPAN, Counts, is_burst, is_silent
from console.watch.mining.masks import WILD
from console.watch.mining.miner import Form, Miner

EXAMPLES = 3
NEW_FOR = 900.0  # seconds that a pattern is new
WARM_UP = 12  # spans of five minutes that a source is watched before a pattern of it can be new
KEPT_FOR = 7 * 86400.0  # seconds after which a pattern that does not come back is forgotten
_EXAMPLE_LIMIT = 300
_TEXT_LIMIT = 400
_MOST_COUNTED = 1000  # patterns whose counts are kept, 2.3 KB each
_MOST_SOURCES = 500
_WARNING = RANK["warning"]


@dataclass(slots=True)
class Pattern:
    """One pattern. Times are unix seconds, None where its lines tell none."""

    id: str
    source: str
    level: str | None
    count: float = 0.0  # estimated where lines were sampled
    first: float | None = None
    last: float | None = None
    examples: list[str] = field(default_factory=list)
    counts: Counts | None = None  # of warnings and worse

    @property
    def grave(self) -> bool:
        return self.level is not None and RANK[self.level] >= _WARNING


@dataclass(slots=True)
class Speaker:
    """One source: since when it is watched, all its lines, and those that warn."""

    since: float
    lines: Counts
    grave: Counts


class PatternBook:
    """All patterns of some sources. For one thread.

    `watched` counts the spans in which somebody listened: what was not heard in the others says nothing. None: all.
    """

    def __init__(self, watched: Counts | None = None) -> None:
        self.watched = watched
        self.patterns: dict[int, Pattern] = {}
        self.speakers: dict[str, Speaker] = {}
        self._miner = Miner(self._join)
        self._counted = 0

    def add(self, message: str, level: str | None, source: str = "", at: float | None = None, weight: float = 1) -> int:
        """Count a message; returns the number of its pattern, which `final` follows through later merges."""
        number = self._miner.add(message, level, source)
        one = self.patterns.get(number)
        if one is None:
            number = self._miner.final(number)
            one = self.patterns.get(number) or self._begin(number)
        one.count += weight
        if len(one.examples) < EXAMPLES:
            self._exemplify(one, message)
        if at is not None:
            self._time(one, at, weight)
        return number

    def id_of(self, message: str, level: str | None, source: str = "") -> str | None:
        """The id of the pattern that a message is of; None where it is of none that is known."""
        number = self._miner.find(message, level, source)
        one = self.patterns.get(number) if number is not None else None
        return one.id if one is not None else None

    def known_since(self, message: str, level: str | None, source: str) -> float | None:
        """When the first line of its pattern came, 0.0 where none told its time; None where it is of none known."""
        number = self._miner.find(message, level, source)
        one = self.patterns.get(number) if number is not None else None
        return None if one is None else one.first or 0.0

    def familiar(self, source: str, now: float) -> bool:
        """Whether it was listened to for long enough, within a day, for a pattern of it to be new."""
        speaker = self.speakers.get(source)
        return speaker is not None and len(self._before(speaker.lines, now // SPAN, speaker)) >= WARM_UP

    def final(self, number: int) -> int:
        return self._miner.final(number)

    def text(self, number: int) -> str:
        """The pattern as people read it, `<*>` for what varies; it has fewer words after merges."""
        return _text(self._miner.templates[number].signature)

    def forms(self, number: int) -> list[Form]:
        """What `restore` needs to bring a pattern back."""
        return self._miner.forms(number)

    def restore(self, pattern: Pattern, forms: Sequence[Form]) -> None:
        """Bring back a pattern of an earlier process. Raises ValueError without a form."""
        number = self._miner.restore((pattern.source, pattern.level), pattern.id, forms)
        if number not in self.patterns:
            self.patterns[number] = pattern
            self._counted += pattern.counts is not None

    def ranked(self) -> list[tuple[int, Pattern]]:
        """Worst first, then most frequent."""
        return sorted(
            self.patterns.items(),
            key=lambda item: (
                -(RANK[item[1].level] if item[1].grave and item[1].level else 0),
                -item[1].count,
                item[0],
            ),
        )

    # -- what is unusual

    def new(self, now: float) -> list[tuple[int, Pattern]]:
        """Patterns of warnings and worse that came lately, of sources that were watched before."""
        found = [
            (number, one)
            for number, one in self.patterns.items()
            if one.grave
            and one.first is not None
            and now - NEW_FOR <= one.first <= now
            and self.familiar(one.source, one.first)
        ]
        return sorted(found, key=lambda item: item[1].first or 0.0)

    def bursts_at(self, span: int) -> Iterator[Burst]:
        """What is a burst in one span of five minutes, sums of sources first."""
        for source, speaker in self.speakers.items():
            if told := self._burst(speaker.grave, span, speaker):
                yield Burst("", "warnings and errors", source, None, *told)
        for number, one in self.patterns.items():
            home = self.speakers.get(one.source)
            if one.counts is not None and home is not None and (told := self._burst(one.counts, span, home)):
                yield Burst(one.id, self.text(number), one.source, one.level, *told)

    def silent(self, now: float) -> list[Silence]:
        """Sources that usually speak and do not."""
        found = []
        for source, one in self.speakers.items():
            quiet = [span for span in range(one.lines.newest + 1, int(now // SPAN)) if self._heard(span)][:DAY]
            if quiet and is_silent(self._before(one.lines, one.lines.newest + 1, one), len(quiet)):
                found.append(Silence(source, now - (one.lines.newest + 1) * SPAN))
        return found

    def prune(self, now: float) -> None:
        """Forget what did not come back for long, and the older half when the miner is full."""
        gone = [number for number, one in self.patterns.items() if one.last is None or now - one.last > KEPT_FOR]
        if self._miner.full:
            by_age = sorted(self.patterns, key=lambda number: self.patterns[number].last or 0.0)
            gone = list({*gone, *by_age[: len(by_age) // 2]})
        self._miner.drop(gone)
        for number in gone:
            self._counted -= self.patterns.pop(number).counts is not None
        for source in [name for name, one in self.speakers.items() if now - one.lines.newest * SPAN > KEPT_FOR]:
            del self.speakers[source]

    # -- inside

    def _heard(self, span: int) -> bool:
        return self.watched is None or self.watched.of(span) > 0

    def _before(self, counts: Counts, span: float, speaker: Speaker) -> list[float]:
        """The counts of the day before a span, oldest first, of the spans in which the source was listened to."""
        first = max(int(speaker.since // SPAN), int(span) - DAY + 1)
        return [counts.of(one) for one in range(first, int(span)) if self._heard(one)]

    def _burst(self, counts: Counts, span: int, speaker: Speaker) -> tuple[float, float, float] | None:
        number = counts.of(span)
        if number < LEAST:
            return None
        before = self._before(counts, span, speaker)
        return (span * float(SPAN), number, sum(before) / len(before)) if is_burst(number, before) else None

    def _begin(self, number: int) -> Pattern:
        template = self._miner.templates[number]
        source, level = template.room
        one = Pattern(template.id, source, level)
        if one.grave and self._counted < _MOST_COUNTED:
            one.counts = Counts()
            self._counted += 1
        self.patterns[number] = one
        return one

    def _exemplify(self, one: Pattern, message: str) -> None:
        shown = clean(redact(message[: 4 * _EXAMPLE_LIMIT]), _EXAMPLE_LIMIT)
        if shown not in one.examples:
            one.examples.append(shown)

    def _time(self, one: Pattern, at: float, weight: float) -> None:
        if one.first is None or at < one.first:
            one.first = at
        if one.last is None or at > one.last:
            one.last = at
        span = int(at // SPAN)
        speaker = self.speakers.get(one.source)
        if speaker is None:
            if len(self.speakers) >= _MOST_SOURCES:
                return
            speaker = self.speakers[one.source] = Speaker(at, Counts(), Counts())
        speaker.since = min(speaker.since, at)
        speaker.lines.add(span, weight)
        if one.grave:
            speaker.grave.add(span, weight)
            if one.counts is not None:
                one.counts.add(span, weight)

    def _join(self, kept: int, gone: int) -> None:
        """The miner made one pattern of two."""
        other = self.patterns.pop(gone, None)
        if other is None:
            return
        one = self.patterns.get(kept) or self._begin(kept)
        one.count += other.count
        firsts = [at for at in (one.first, other.first) if at is not None]
        lasts = [at for at in (one.last, other.last) if at is not None]
        one.first, one.last = min(firsts, default=None), max(lasts, default=None)
        one.examples = list(dict.fromkeys(one.examples + other.examples))[:EXAMPLES]
        if other.counts is not None:
            self._counted -= 1
            if one.counts is not None:
                one.counts.join(other.counts)


def _text(words: tuple[str, ...]) -> str:
    joined = " ".join("<*>" if word == WILD else word for word in words).replace("= ", "=")
    return clean(joined, _TEXT_LIMIT) or "(no words)"
