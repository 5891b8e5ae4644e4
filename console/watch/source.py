"""The `Source` protocol and its supervisor: who is read, how often, with what deadline, and how fresh it is.

A source only reads. The supervisor gives each its own task, deadline and backoff, so that a sick source
shows its reason and its last values while the others go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a source is not fresh. `reason` and `remedy` are cleaned, without a final full stop."""

    reason: str
    remedy: str
    since: float  # unix seconds of the first failure in a row


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """What is known of one source: its last good value, when that was taken, and what is wrong now.

    `value` None: never read. `fault` None: fresh. Both set: stale, show the value greyed with the reason.
    """

    value: T | None = None
    taken_at: float | None = None  # unix seconds
    fault: Fault | None = None

    def age(self, now: float) -> float | None:
        """Seconds since the value was taken; None when there never was one."""
        return None if self.taken_at is None else max(0.0, now - self.taken_at)


class Source(Protocol[T_co]):
    """One kind of live data.

    `read` returns one frozen record or raises `SourceError`; it is never called twice at once.
    `changed` returns when a read is worth while before `every` has passed (an event arrived); a source
    without events awaits for ever.
    """

    name: str
    every: float  # seconds between reads
    deadline: float  # seconds one read may take

    async def read(self) -> T_co: ...

    async def changed(self) -> None: ...

    async def close(self) -> None: ...
