"""What is unusual about patterns: bursts, silence, new ones; what is kept on disk; what the live console is told."""

from __future__ import annotations

import json
import math
import os
import random
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from console.checks.check import Finding, Status
from console.checks.logs import log_findings
from console.config import Config, Limits
from console.watch.logcount import LineCounter
from console.watch.logline import Line, LineReader
from console.watch.logrecord import Burst, LogStats, PatternStat, Silence
from console.watch.mining.bursts import DAY, SPAN, Counts, is_burst, is_silent
from console.watch.mining.live import LogPatterns
from console.watch.mining.patterns import PatternBook
from console.watch.mining.state import VERSION, load, save, told
from tests.unit.readings_made import errors

HOUR = 3600.0
START = 1_800_000_000.0  # the beginning of a span


def drawn(r: random.Random, mean: float) -> int:
    """A Poisson number."""
    if mean > 50:
        return max(0, round(r.gauss(mean, math.sqrt(mean))))
    bound, product, number = math.exp(-mean), r.random(), 0
    while product > bound:
        product *= r.random()
        number += 1
    return number


@pytest.mark.parametrize(("shape", "bar"), [(None, 0.01), (2.0, 0.11), (0.7, 0.47)])
def test_false_alarms_a_day_stay_below_the_bars(shape: float | None, bar: float) -> None:
    """Series that are only noise: nearly Poisson, bursty, very bursty."""
    r = random.Random(11)
    alarms = days = 0.0
    for mean in (0.3, 2.0, 10.0, 60.0):
        for _ in range(8):
            counts = [
                float(drawn(r, mean if shape is None else r.gammavariate(shape, mean / shape))) for _ in range(4 * DAY)
            ]
            alarms += sum(is_burst(counts[at], counts[at - DAY + 1 : at]) for at in range(DAY, len(counts)))
            days += 3
    assert alarms / days <= bar, alarms / days


def test_real_bursts_are_found() -> None:
    r = random.Random(12)
    for mean in (0.1, 2.0, 10.0):
        quiet = [float(drawn(r, mean)) for _ in range(DAY)]
        assert is_burst(5 * mean + 8, quiet)
        assert not is_burst(4.0, [0.0] * DAY), "four events are no burst"
    assert not is_burst(1000.0, [1.0] * 12), "an hour of history says nothing yet"


def test_silence_is_unusual_only_for_those_who_usually_speak() -> None:
    assert is_silent([3.0] * 100, 3)
    assert not is_silent([3.0] * 100, 2)
    assert not is_silent([3.0] * 12, 50), "one hour of history"
    assert not is_silent([3.0, 0.0, 0.0, 0.0, 1.0] * 20, 40), "it is silent most of the time"
    gaps = [*[3.0] * 60, 0.0, 0.0, 0.0, *[3.0] * 60]
    assert not is_silent(gaps, 6) and is_silent(gaps, 7), "it was silent before, for three spans"


def test_counts_keep_one_day() -> None:
    counts = Counts()
    for span in range(6_000_000, 6_000_000 + 2 * DAY):
        counts.add(span)
    assert len(counts.nonzero()) == DAY and counts.of(6_000_000) == 0
    counts.add(6_000_000)
    assert counts.of(6_000_000) == 0 and sum(n for _, n in counts.nonzero()) == DAY


def day(book: PatternBook, hours: float, *, start: float = START) -> float:
    """Ordinary life for some hours: a line a minute, a warning every ten. Returns when it ended."""
    for minute in range(int(hours * 60)):
        at = start + 60.0 * minute
        if book.watched is not None:
            book.watched.add(int(at // SPAN))
        book.add("request served in 3 ms", "info", "app", at)
        if minute % 10 == 0:
            book.add(f"slow answer: {minute} ms", "warning", "app", at)
    return start + hours * HOUR


def test_a_pattern_is_new_after_the_warm_up_and_only_from_warning() -> None:
    book = PatternBook()
    book.add("first ever warning", "warning", "app", START)
    assert book.new(START + 60) == [], "a fresh deployment"
    now = day(book, 2)
    book.add("noted something strange", "info", "app", now)
    assert book.new(now) == []
    book.add("cannot reach the cache", "error", "app", now)
    assert [book.text(number) for number, _ in book.new(now)] == ["cannot reach the cache"]
    assert book.new(now + 1000) == []
    book.add("cannot reach the cache", "error", "late", now)
    assert len(book.new(now)) == 1, "a source that was not there before"


def test_a_burst_of_one_pattern_and_of_all_warnings() -> None:
    book = PatternBook()
    now = day(book, 24)
    span = int(now // SPAN)
    assert list(book.bursts_at(span - 1)) == []
    for number in range(60):
        book.add(f"slow answer: {number} ms", "warning", "app", now + number)
    assert {(burst.source, bool(burst.pattern), burst.count) for burst in book.bursts_at(span)} == {
        ("app", True, 60.0), ("app", False, 60.0),
    }  # fmt: skip


def test_what_was_not_watched_is_neither_silence_nor_quiet() -> None:
    book = PatternBook(Counts())
    now = day(book, 6) + 9 * HOUR  # the console was closed for nine hours
    assert book.watched is not None
    for span in range(int((now - 600) // SPAN), int(now // SPAN) + 1):
        book.watched.add(span)
    assert book.silent(now) == []
    for span in range(int(now // SPAN), int((now + 3000) // SPAN)):
        book.watched.add(span)
    assert [one.source for one in book.silent(now + 3000)] == ["app"]


def test_a_console_that_was_open_for_a_moment_yesterday_finds_nothing_new() -> None:
    book = PatternBook(Counts())
    now = day(book, 0.1) + 20 * HOUR
    book.add("cannot reach the cache", "error", "app", now)
    assert book.new(now) == []


# -- on disk


def test_what_was_learnt_survives_a_restart(tmp_path: Path) -> None:
    book, path = PatternBook(Counts()), tmp_path / "patterns.json"
    now = day(book, 3)
    for word in ("lamp", "chair", "table", "carpet", "mirror", "drawer"):
        book.add(f"moved the {word} into storage", "error", "app", now, 2.0)
    save(told(book), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again, note = load(path)
    assert note == "" and told(again) == told(book)
    assert {one.id for one in again.patterns.values()} == {one.id for one in book.patterns.values()}
    assert again.add("moved the pillow into storage", "error", "app", now) in again.patterns
    assert len(again.patterns) == len(book.patterns), "a word never seen belongs to the merged pattern, as before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff\xfe", b"null", b'{"version": 1}', b"[" * 100_000, b'{"version": 99, "patterns": [], "sources": {}}',
     b'{"version": 1, "watched": null, "sources": {}, "patterns": [{"id": 1}]}',
     b'{"version": 1, "watched": [[1e999, 1]], "sources": {}, "patterns": []}',
     b'{"version": 1, "watched": null, "sources": {"a": {"since": 0, "lines": 3, "grave": []}}, "patterns": []}'],
)  # fmt: skip
def test_a_damaged_file_is_put_aside_and_said(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "patterns.json"
    path.write_bytes(content)
    book, note = load(path)
    assert not book.patterns and "learnt anew" in note
    assert not path.exists() and (tmp_path / "patterns.json.damaged").exists()


def test_the_file_is_bounded(tmp_path: Path) -> None:
    r = random.Random(1)
    book, path = PatternBook(Counts()), tmp_path / "patterns.json"
    for number in range(8000):
        word = "".join(r.choices("abcdefghij", k=9))
        book.add(f"{word} {word[::-1]} says {'x' * 3000}", "error", f"s{number % 3}", START + number)
    save(told(book), path)
    assert path.stat().st_size < 4 << 20
    assert load(path)[0].patterns


def test_a_state_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "patterns.json"
    path.mkdir()
    with pytest.raises(OSError):
        save(told(PatternBook()), path)
    assert list(tmp_path.iterdir()) == [path]


# -- live


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


def test_the_live_patterns_learn_tell_and_come_back(tmp_path: Path) -> None:
    clock = Clock()
    patterns = LogPatterns(tmp_path, clock)
    patterns.heard("app", Line(None, "error", "before it is open"))
    patterns.open()
    for minute in range(150):
        clock.now = START + 60.0 * minute
        patterns.heard("app", Line(None, "info", f"served {minute} of them"), 3.0)
        patterns.heard("app", Line(None, None, "  at frame", continuation=True))
        patterns.sum_up()
    patterns.heard("app", Line(None, "error", "cannot reach the cache"))
    patterns.sum_up()
    first, second = patterns.summary.patterns
    assert (first.text, first.new, first.count) == ("cannot reach the cache", True, 1)
    assert (second.text, second.new, second.count) == ("served <*> of them", False, 450)
    patterns.save()
    (kept,) = tmp_path.iterdir()
    assert kept.name == f"log-patterns.{os.getuid()}.json" and json.loads(kept.read_text())["version"] == VERSION
    later = LogPatterns(tmp_path, clock)
    later.open()
    later.sum_up()
    assert later.summary == patterns.summary and later.note == ""


def test_the_summary_is_bounded() -> None:
    clock, r = Clock(), random.Random(2)
    patterns = LogPatterns(None, clock)
    patterns.open()
    for number in range(3000):
        word = "".join(r.choices("abcdefghij", k=9))
        patterns.heard(f"s{number % 40}", Line(None, "error", f"{word} {word[::-1]} went away"))
        clock.now += 10
    patterns.sum_up()
    assert 0 < len(patterns.summary.patterns) <= 50 and len(patterns.summary.bursts) <= 20


def test_the_counter_hands_on_what_it_reads_but_not_the_backlog() -> None:
    heard: list[tuple[str, float]] = []
    now = [1000.0]
    counter = LineCounter(
        LineReader(), lambda raw: None, lambda: now[0], lambda line, weight: heard.append((line.message, weight))
    )
    counter.add(b"2026-11-22T19:00:00Z ERROR old one\n", old=True)
    counter.look_back()
    counter.add(b"2026-11-22T19:00:00Z ERROR boom\n")
    assert heard == [("boom", 1.0)]
    counter.add(b"2026-11-22T19:00:01Z INFO served\n" * 5000)
    assert 0 < len(heard) < 200 and 4000 <= sum(weight for _, weight in heard) <= 6000


# -- findings


def stats(**unusual: object) -> LogStats:
    return LogStats((), 1.0, 0.0, 0.0, False, 0, (), None, **unusual)  # type: ignore[arg-type]


def judged(**unusual: object) -> list[Finding]:
    return log_findings(stats(**unusual), Config(), START)


def test_the_unusual_is_a_warning_with_its_reason() -> None:
    fresh = PatternStat("a1", "cannot reach <*>", "app", "error", 7, START - 60, START, True)
    (new,) = judged(patterns=(fresh, PatternStat("a2", "served <*>", "app", "info", 9, START, START, False)))
    assert (new.check, new.status, new.subject) == ("logs.new", Status.WARN, "app")
    assert new.summary == "app logs something new: cannot reach <*>" and "7 times" in new.evidence[0]
    all_of = Burst("", "warnings and errors", "app", None, START, 90.0, 1.5)
    (spike,) = judged(bursts=(all_of, Burst("a1", "cannot reach <*>", "app", "error", START, 80.0, 1.0)))
    assert (spike.check, spike.status) == ("logs.spike", Status.WARN)
    assert spike.summary == "app logs 80 times in 5 min, usually 1: cannot reach <*>" and len(spike.evidence) == 2
    (silence,) = judged(silent=(Silence("app", 1500.0),))
    assert (silence.check, silence.status) == ("logs.silence", Status.WARN)
    assert "25 min" in silence.summary


def test_healthy_busy_and_freshly_deployed_logs_give_no_finding() -> None:
    clock, r = Clock(), random.Random(9)
    patterns = LogPatterns(None, clock)
    patterns.open()
    for second in range(0, 5 * 3600, 2):
        clock.now = START + second
        busy = 5 if 7200 < second < 10_800 else 1
        for _ in range(drawn(r, 1.2 * busy)):
            patterns.heard("app", Line(None, "info", f"order {r.randrange(10**6)} took {r.randrange(900)} ms"))
        if r.random() < 0.004 * busy:
            patterns.heard("app", Line(None, "warning", f"slow query: {r.randrange(10**4)} ms"))
        if second % 300 == 0:
            patterns.sum_up()
            known = patterns.summary
            assert judged(patterns=known.patterns, bursts=known.bursts, silent=known.silent) == [], second
    for word in ("starting up", "no cache yet", "waiting for the database"):  # a second stack begins beside it
        patterns.heard("shop", Line(None, "warning", word))
    patterns.sum_up()
    known = patterns.summary
    assert judged(patterns=known.patterns, bursts=known.bursts, silent=known.silent) == []


def test_a_spike_is_not_told_beside_the_errors_that_it_is_made_of() -> None:
    config = replace(Config(), thresholds={"errors_per_minute": Limits(warn=5.0)})
    spike = Burst("a1", "cannot reach <*>", "app", "error", START, 80.0, 1.0)
    told_of = log_findings(replace(errors("app", "boom", per_minute=16.0), bursts=(spike,)), config, START)
    assert [finding.check for finding in told_of] == ["logs.burst"]
