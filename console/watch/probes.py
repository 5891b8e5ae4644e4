"""Probes: does it answer, how fast, and is the answer right? http, tcp, tls, postgres, redis, command."""

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
