"""What log patterns cost: lines a second, and the memory of a flood in which no two lines are alike."""

from __future__ import annotations

import random
import string
import subprocess
import sys
import time
from collections.abc import Callable

from console.watch.mining.miner import Miner
from console.watch.mining.patterns import PatternBook
from tests.bench.table import Row
from tests.unit.mined_lines import STATEMENTS, lines

_FLOOD = 60_000
_FLOOD_PROGRAM = "from tests.bench.mining_bench import flood; print(*flood())"


def flood() -> tuple[float, float]:
    """(MiB grown, lines a second) of 60,000 error lines of three random words."""
    import psutil

    r = random.Random(1)
    told = [" ".join("".join(r.choices(string.ascii_lowercase, k=8)) for _ in range(3)) for _ in range(_FLOOD)]
    PatternBook().add("a line that loads what is loaded late", "error", "app", 0.0)
    me = psutil.Process()
    before = me.memory_info().rss
    book, began = PatternBook(), time.process_time()
    for message in told:
        book.add(message, "error", "app", 1.0)
    took = time.process_time() - began
    return (me.memory_info().rss - before) / 2**20, _FLOOD / took


def rows(quick: bool) -> list[Row]:
    """Processor time; the yardstick upper-cases and splits the same lines."""
    messages = [message for source in STATEMENTS for message, _ in lines(source)]
    miner, book = Miner(), PatternBook()
    for message in messages:
        miner.add(message)
        book.add(message, "info", "app", 1.0)
    fresh = [
        message for number in range(3 if quick else 30) for source in STATEMENTS for message in _other(source, number)
    ]
    split = _rate(messages, lambda message: message.upper().split())
    known = _rate(messages, miner.add)
    counted = _rate(messages, lambda message: book.add(message, "info", "app", 1.0))
    met = len(fresh) / _took(fresh, miner.add)  # other values in known statements, each line for the first time
    # A process of its own: what other measurements freed would hide what this one takes.
    told = subprocess.run(
        [sys.executable, "-c", _FLOOD_PROGRAM], capture_output=True, text=True, check=True, timeout=300
    )
    grown, flooded = map(float, told.stdout.split())
    beside = f"upper and split {split:,.0f}/s"
    return [
        Row("log patterns: known messages", f"{known:,.0f}/s", beside, f"{split / known:.1f} x", "60,000/s"),
        Row("... known statements, values never met", f"{met:,.0f}/s", beside, f"{split / met:.1f} x", "60,000/s"),
        Row("... with counts, times and examples", f"{counted:,.0f}/s", beside, f"{split / counted:.1f} x", "60,000/s"),
        Row("... 60,000 lines of three random words", f"{grown:+.1f} MiB, {flooded:,.0f}/s", "", "", "+20 MiB"),
    ]


def _other(source: str, number: int) -> list[str]:
    """The same statements with other values."""
    return [message for message, _ in lines(source, seed=f"{source}{number}")]


def _rate(messages: list[str], call: Callable[[str], object]) -> float:
    return len(messages) / min(_took(messages, call) for _ in range(9))


def _took(messages: list[str], call: Callable[[str], object]) -> float:
    began = time.thread_time()
    for message in messages:
        call(message)
    return time.thread_time() - began
