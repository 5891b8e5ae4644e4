"""The hybrid logical clock: wall time that never runs backwards and never stands before what was read.

Kulkarni et al., "Logical Physical Clocks" (2014). Adoption is capped, so that one host whose clock stands in
2038 does not drag the others there.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable

# Hosts without NTP drift by minutes, and one hour is a summer time that was missed; more is a clock that is simply
# wrong. A reply from a host that is behind by more than this stands before what it answers.
MAX_AHEAD_MS = 2 * 60 * 60 * 1000


class HybridClock:
    """Thread-safe. `now` gives strictly increasing stamps; `observe` takes those of other writers in."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._lock = threading.Lock()
        self._last = (0, 0)

    def now(self) -> tuple[int, int]:
        with self._lock:
            wall = int(self._wall() * 1000)
            ms, count = self._last
            self._last = (wall, 0) if wall > ms else (ms, count + 1)
            return self._last

    def observe(self, stamps: Iterable[tuple[int, int]]) -> None:
        """Later stamps of ours come after each of these, unless it is further ahead than a clock may be."""
        with self._lock:
            latest = (int(self._wall() * 1000) + MAX_AHEAD_MS, sys.maxsize)
            self._last = max([self._last, *(stamp for stamp in stamps if stamp <= latest)])
