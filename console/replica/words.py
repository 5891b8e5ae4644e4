"""What state the replica is in, as a record and in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from console.replica.core import Head, Stopped

# state -> what the status line says of the server; the reason follows
_SAID = {
    "connecting": "DB connecting",
    "in step": "DB in step",
    "catching up": "DB catching up",
    "fork": "DB FORK",
    "refused": "DB REFUSES an entry",
    "damaged": "DB DAMAGED",
    "offline": "DB offline",
    "timeout": "DB does not answer",
    "login": "DB login refused",
    "read only": "DB read-only",
    "schema": "DB has no record",
    "tls": "DB TLS failed",
    "settings": "DB settings wrong",
}
AWAY = ("connecting", "offline", "timeout", "login", "schema", "tls", "settings")
WELL = ("in step", "catching up")
STATES = tuple(_SAID)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why the server cannot be used: one of STATES, and the reason for a person."""

    state: str
    reason: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """Where the replica stands. Times are unix seconds; None means unknown, never zero.

    `vectors`: incident id -> writer -> last entry that the server has, as it last said. Writers whose chain there
    is another one (forks) are not in it: nothing of theirs may be called saved there.
    """

    state: str = "connecting"
    reason: str = ""
    since: float = 0.0  # when it went away, or came to this state
    retry_at: float | None = None
    waiting: int | None = None  # entries of this host that the server has not
    missing: int | None = None  # entries of the server that this host has not
    vectors: Mapping[str, Mapping[str, Head]] = field(default_factory=dict)
    stopped: tuple[Stopped, ...] = ()
    collisions: tuple[str, ...] = ()  # numbers that two hosts gave to different incidents, in words
    trouble: str = ""  # this host's disk, in words
    pooled: bool = False  # a pooler is between: no notification comes through, the server is asked every second

    @property
    def away(self) -> bool:
        """The server cannot be asked at all."""
        return self.state in AWAY

    @property
    def well(self) -> bool:
        """Nothing about it needs a person."""
        return self.state in WELL and not self.trouble

    @property
    def in_step(self) -> bool:
        return self.state == "in step"

    def words(self, now: float, *, brief: bool = False) -> str:
        """One line: what is the matter with the server, for how long, what waits, when it is tried again.

        `brief`: for a place beside other words; without the reason.
        """
        parts = [_SAID[self.state]]
        if self.away and self.state != "connecting":
            parts[0] += f" {span(now - self.since)}"
        if self.reason and not brief:
            parts[0] += f" ({self.reason})"
        if self.away and not brief:
            parts.append("recording here")
        if self.waiting is None:
            parts += ["what waits is not known yet"] if self.away else []
        elif self.waiting:
            parts.append(f"{self.waiting} waiting")
        if self.missing:
            parts.append(f"{self.missing} to fetch")
        if self.retry_at is not None and self.away:
            parts.append(f"retry in {max(0, round(self.retry_at - now))} s")
        if self.trouble:
            parts.append(self.trouble)
        return parts[0] + (" - " + ", ".join(parts[1:]) if parts[1:] else "")


def span(seconds: float) -> str:
    """
    >>> span(8.4), span(192), span(7260), span(180000)
    ('8s', '3m12s', '2h01m', '2d02h')
    """
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02}h"
