"""What a probe says: the records that panes, checks and the flight recorder share. No probing here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One try of one probe. `ok` None: not tried yet or impossible to tell."""

    name: str
    kind: str
    target: str  # cleaned and redacted
    ok: bool | None
    detail: str  # "200 in 12 ms", "no answer in 3 s", "certificate ends in 5 days"
    latency: float | None  # seconds
    at: float  # unix seconds when the try ended
    since: float  # unix seconds when `ok` last took its present value
    business: bool
    history: tuple[bool, ...] = ()  # last tries, oldest first, at most 30


@dataclass(frozen=True, slots=True)
class ProbesReading:
    probes: tuple[ProbeResult, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What one kind of probe found out, told as `detail` + " in 12 ms" + `more`.

    Both may hold text from outside; `run_probe` cleans them.
    """

    ok: bool | None
    detail: str
    more: str = ""
    timed: bool = True  # whether how long it took belongs into the words
