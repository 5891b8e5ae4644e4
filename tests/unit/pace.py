"""Time as a quiet machine would have measured it: a limit in microseconds must hold on a busy one too."""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable

_WORDS = " ".join(f"word{number}" for number in range(40))
_QUIET = 6.0e-6  # seconds one yardstick takes on two idle cores, Python 3.11


def _yardstick() -> None:
    sum(len(word) for word in _WORDS.upper().split() if word.endswith("7"))


def cost_of(call: Callable[[], object], number: int = 3000, repeat: int = 9) -> float:
    """Seconds of processor time of one call, the best of several runs, in units of an idle machine.

    A call and a yardstick are measured in turns, so that both meet the same neighbours.
    """
    best = slow = float("inf")
    for _ in range(repeat):
        best = min(best, timeit.timeit(call, timer=time.thread_time, number=number) / number)
        slow = min(slow, timeit.timeit(_yardstick, timer=time.thread_time, number=300) / 300)
    return best / max(1.0, slow / _QUIET)
