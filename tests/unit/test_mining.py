"""The miner: the same statements are found again, and no text breaks it, slows it or fills the memory."""

from __future__ import annotations

import random
import string
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.watch.mining.masks import normal, signature
from console.watch.mining.miner import MOST_KNOWN, MOST_SIGNATURES, MOST_SLOTS, Miner
from console.watch.mining.patterns import PatternBook
from tests.bench.loghub import score
from tests.unit.mined_lines import STATEMENTS, lines

WORDS = "lamp chair table carpet mirror drawer shelf basket".split()  # noqa: SIM905


def mined(messages: list[str], miner: Miner | None = None) -> list[int]:
    """The final pattern of each message."""
    miner = miner or Miner()
    numbers = [miner.add(message) for message in messages]
    return [miner.final(number) for number in numbers]


def test_statements_of_invented_programs_are_found_again() -> None:
    figures = {}
    for source in STATEMENTS:
        told = lines(source)
        figures[source] = score(mined([message for message, _ in told]), [statement for _, statement in told])
    assert sum(ga for ga, _ in figures.values()) / len(figures) > 0.95, figures
    assert sum(fga for _, fga in figures.values()) / len(figures) > 0.92, figures
    assert min(ga for ga, _ in figures.values()) > 0.8, figures


def test_one_miner_keeps_all_programs_apart() -> None:
    told = [line for source in STATEMENTS for line in lines(source)]
    random.Random(3).shuffle(told)
    ga, fga = score(mined([message for message, _ in told]), [statement for _, statement in told])
    assert ga > 0.95 and fga > 0.85, (ga, fga)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("read 512 bytes from 10.0.0.1:80", "read 3.4 MB from [fe80::1]:443"),
        ("link 5c:50:15:36:bc:03 up", "link f8:4f:57:3b:ea:b2 up"),
        ("id 0b1c7cd0-4f4f-4f4e-8a43-1c5a5c8b1c11 done", "id 9d3e2b10-aaaa-bbbb-cccc-ddddeeeeffff done"),
        ("saved /srv/a/b.txt today", "saved C:\\srv\\b.txt today"),
        ("mail to bob@example.org sent", "mail to ann.lee@shop.example.com sent"),
        ("get https://a.example.org/x?y=z now", "get http://10.0.0.1/ now"),
        ('no table "orders" here', 'no table "order items" here'),
        ("uid=0 gid=null", "uid=1000 gid=17"),
        ("since Fri Jul 1 07:57:30 2005", "since Mon Nov 23 11:00:00 2026"),
        ("took 3ms", "took 1.5 s"),
    ],
)
def test_values_are_masked_whatever_their_form(one: str, other: str) -> None:
    assert signature(normal(one)) == signature(normal(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("disk sda1 mounted", "disk sda1 failed"),
        ('10.0.0.1 "GET /a HTTP/1.1" 200', '10.0.0.1 "POST /a HTTP/1.1" 200'),
        ("org.example.app.NotFoundError: gone", "org.example.app.TimeoutError: gone"),
        ("onResume:17", "onPause:17"),
    ],
)
def test_words_that_tell_statements_apart_stay(one: str, other: str) -> None:
    assert signature(normal(one)) != signature(normal(other))


def test_a_place_becomes_a_variable_once_enough_words_stood_there() -> None:
    messages = [f"moved the {word} into storage" for word in WORDS]
    assert len(set(mined(messages[:4]))) == 4
    assert len(set(mined(messages))) == 1


def test_two_places_that_vary_at_once_are_found() -> None:
    messages = [f"guest {a} asked for the {b} again" for a, b in zip(WORDS, reversed(WORDS), strict=True)]
    messages += [f"guest {a}x asked for the {b}y again" for a, b in zip(WORDS, WORDS[3:] + WORDS[:3], strict=True)]
    assert len(set(mined(messages))) == 1


def test_patterns_of_other_levels_sources_and_outcomes_stay_apart() -> None:
    book = PatternBook()
    for word in WORDS:
        for level in ("info", "error"):
            for source in ("app", "edge"):
                book.add(f"moved the {word} into storage", level, source)
    assert sorted((one.level, one.source, one.count) for one in book.patterns.values()) == [
        ("error", "app", 8), ("error", "edge", 8), ("info", "app", 8), ("info", "edge", 8),
    ]  # fmt: skip
    outcomes = ("failed", "refused", "timeout", "killed", "denied", "succeeded", "closed", "opened", "lost", "started")
    assert len(set(mined([f"the long job has {word} today" for word in outcomes]))) == len(outcomes)


def test_a_merged_pattern_keeps_the_oldest_id_and_all_counts() -> None:
    book = PatternBook()
    numbers = [book.add(f"moved the {word} into storage", "error", "app", 100.0 + n) for n, word in enumerate(WORDS)]
    alone = PatternBook()
    alone.add(f"moved the {WORDS[0]} into storage", "error", "app", 0.0)
    (one,) = book.patterns.values()
    assert one.id == next(iter(alone.patterns.values())).id
    assert (one.count, one.first, one.last, len(one.examples)) == (8, 100.0, 107.0, 3)
    assert {book.final(number) for number in numbers} == set(book.patterns)
    assert book.text(book.final(numbers[0])) == "moved the <*> into storage"
    assert one.counts is not None and sum(number for _, number in one.counts.nonzero()) == 8


def test_the_same_lines_give_the_same_ids() -> None:
    def ids() -> list[str]:
        book = PatternBook()
        numbers = [book.add(message, None) for source in STATEMENTS for message, _ in lines(source)]
        return [book.patterns[book.final(number)].id for number in numbers]

    assert ids() == ids()


def test_no_secret_is_kept() -> None:
    book = PatternBook()
    for secret in ("hunter2secret", "Xk29dLmw0qZ"):
        book.add(f"login with password={secret} for bob", "error", "app", 1.0)
    kept = repr([(one.examples, book.text(number), book.forms(number)) for number, one in book.patterns.items()])
    assert "hunter" not in kept and "Xk29" not in kept
    assert [book.text(number) for number in book.patterns] == ["login with password=<*> for bob"]


# -- any text


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(max_size=80), max_size=30))
def test_any_text_has_a_pattern(messages: list[str]) -> None:
    book = PatternBook()
    numbers = [book.add(message, "error", "app", float(n)) for n, message in enumerate(messages)]
    assert sum(one.count for one in book.patterns.values()) == len(messages)
    for number in numbers:
        text = book.text(book.final(number))
        assert text and text.isprintable()
    assert all(example.isprintable() for one in book.patterns.values() for example in one.examples)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_counts_survive_merges_and_forgetting(data: st.DataObject) -> None:
    """Few words in any order: what merges most."""
    words = st.sampled_from(
        ["a", "bb", "cc", "dd", "ee", "ff", "7", "user", "x=", "failed", "-", '"', "node.example.org"]
    )
    messages = data.draw(st.lists(st.lists(words, min_size=1, max_size=7).map(" ".join), min_size=30, max_size=150))
    book = PatternBook()
    numbers = [book.add(message, "warning", "", float(n)) for n, message in enumerate(messages)]
    assert sum(one.count for one in book.patterns.values()) == len(messages)
    assert {book.final(number) for number in numbers} == set(book.patterns)
    book.prune(7 * 86400.0 + len(messages) / 2)
    assert all(one.last is not None and one.last >= len(messages) / 2 for one in book.patterns.values())
    for message in messages:
        book.add(message, "warning", "", 1e6)


def test_what_is_forgotten_leaves_nothing_behind() -> None:
    book = PatternBook()
    for source in STATEMENTS:
        for message, _ in lines(source):
            book.add(message, "error", source, 1.0)
    miner = book._miner
    before = len(book.patterns)
    book.prune(2.0)
    assert len(book.patterns) == before and not miner._into
    for message, _ in lines("shop"):
        assert book.add(message, "error", "shop", 3.0) in book.patterns
    assert len(book.patterns) == before, "what was kept is still known"
    book.prune(1e9)
    held = (miner.templates, miner._known, miner._ids, miner._slots, miner._crowds, miner._merged, miner._words)
    assert not book.patterns and not any(held)


def test_every_control_byte_passes() -> None:
    miner = Miner()
    for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x202E, 0xD800, 0xE0001):
        miner.add(f"a{chr(code)}b failed {chr(code)} 17", "error")
    assert miner.templates


@pytest.mark.parametrize(
    "line",
    ["x" * 1_000_000, "x " * 500_000, '"' * 1_000_000, "a." * 500_000, "a=" * 500_000, "/a" * 500_000, "Mon " * 250_000,
     "* " * 500_000, "' x " * 250_000, "a@b." * 250_000, "1:" * 500_000, "\x1b[" * 500_000, "--a" * 300_000,
     "aException" * 100_000, "((((" * 250_000, "".join(map(chr, range(0x3400, 0x9FFF))) * 30],
)  # fmt: skip
def test_endless_lines_cost_no_more_than_long_ones(line: str) -> None:
    miner = Miner()
    began = time.process_time()
    miner.add(line)
    assert time.process_time() - began < 0.5


def test_a_flood_of_few_words_in_any_order_is_bounded_too() -> None:
    r = random.Random(6)
    words = ["".join(r.choices(string.ascii_lowercase, k=6)) for _ in range(300)]
    miner = Miner()
    began = time.process_time()
    for _ in range(15_000):
        miner.add(" ".join(r.choices(words, k=r.randrange(2, 9))), "error")
    assert time.process_time() - began < 20
    assert len(miner._ids) <= MOST_SIGNATURES + 600 and len(miner._slots) <= MOST_SLOTS
    assert miner._known_size <= MOST_KNOWN


@pytest.mark.parametrize("shape", ["{} {} {}", "failed to {} {} {}", "{}={} {}={}", "user {} did {} on {} at once"])
def test_a_flood_of_random_words_takes_bounded_memory_and_time(shape: str) -> None:
    r = random.Random(5)
    flood = [shape.format(*("".join(r.choices(string.ascii_lowercase, k=8)) for _ in range(4))) for _ in range(20_000)]
    book = PatternBook()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for message in flood[:8_000]:
        book.add(message, "error", "app", 1.0)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    began = time.process_time()
    for message in flood[8_000:]:
        book.add(message, "error", "app", 1.0)
    assert time.process_time() - began < 10
    assert sum(one.count for one in book.patterns.values()) == len(flood)
    miner = book._miner
    assert len(miner._ids) <= MOST_SIGNATURES + 600 and len(miner._slots) <= MOST_SLOTS
    assert grown < 20 << 20
