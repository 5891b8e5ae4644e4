"""From samples to episodes: 3 bad of 5 open one, 10 good in a row close it, 4 turns in 10 minutes are flapping.

Pure and bounded. Times are seconds of one clock that never goes back.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

OPEN_BAD, OPEN_OF = 3, 5
CLOSE_GOOD = 10
TURNS, TURNS_WITHIN = 4, 600.0
# A fault that comes and goes must show as that before anybody acts: bad without a break for so long is no flapping.
# Measured on a cache that stands still for 9 of every 13 s: bad for 9 s at most when looked at every 2 s.
CERTAIN = 15.0


@dataclass(frozen=True, slots=True)
class Sample:
    """What users got at `at` (when the look began). `ok` None: nobody could be asked, which is neither."""

    at: float
    ok: bool | None
    detail: str = ""


class Episode:
    """Take samples with `take`; it names what they changed: opened, closed, flapping, steady."""

    def __init__(self) -> None:
        self.opened_at: float | None = None
        self.flapping = False
        self.last: Sample | None = None  # the newest that was good or bad
        self.bad_since: float | None = None  # start of the present row of bad samples
        self.good = 0  # in a row
        self._window: deque[bool] = deque(maxlen=OPEN_OF)
        self._turns: deque[float] = deque(maxlen=TURNS)

    @property
    def open(self) -> bool:
        return self.opened_at is not None

    @property
    def suspicious(self) -> bool:
        """The newest sample is bad: worth a closer look."""
        return self.last is not None and self.last.ok is False

    def turns(self, now: float) -> int:
        """Changes between good and bad in the last 10 minutes; 4 means 4 or more."""
        return sum(1 for at in self._turns if now - at < TURNS_WITHIN)

    def certain(self, since: float) -> bool:
        """Open, and bad without a break for long enough. Nothing before `since` counts."""
        if not self.open or self.last is None or self.last.ok or self.bad_since is None:
            return False
        return self.last.at - max(self.bad_since, since) >= CERTAIN

    def take(self, sample: Sample) -> list[str]:
        """Count a sample. One that could not tell changes nothing."""
        if sample.ok is None:
            return []
        if self.last is not None and self.last.ok != sample.ok:
            self._turns.append(sample.at)
        self.last = sample
        self._window.append(sample.ok)
        if sample.ok:
            self.good, self.bad_since = self.good + 1, None
        else:
            self.good = 0
            self.bad_since = sample.at if self.bad_since is None else self.bad_since
        return [*self._episode(sample), *self._flapping(sample)]

    def forget_row(self) -> None:
        """Something was changed meanwhile: what was seen before says nothing of how it is now. Turns still count."""
        self._window.clear()
        self.bad_since, self.good = None, 0

    def _episode(self, sample: Sample) -> list[str]:
        if not self.open and list(self._window).count(False) >= OPEN_BAD:
            self.opened_at = sample.at
            return ["opened"]
        if self.open and self.good >= CLOSE_GOOD:
            self.opened_at = None
            self._window.clear()
            return ["closed"]
        return []

    def _flapping(self, sample: Sample) -> list[str]:
        if not self.flapping and self.turns(sample.at) >= TURNS:
            self.flapping = True
            return ["flapping"]
        if self.flapping and not self.open and self.good >= CLOSE_GOOD and self.turns(sample.at) < TURNS:
            self.flapping = False
            return ["steady"]
        return []
