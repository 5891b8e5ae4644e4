"""The marks that say a state in one column, their tones.

State is never colour alone: every mark differs in shape, and its word stands beside it.
"""

from __future__ import annotations

from widgets.lines import Span

OK, WARN, BAD, UNKNOWN, STALE = "●", "▲", "✖", "○", "⧗"

_TONE = {OK: "ok", WARN: "warn", BAD: "bad", UNKNOWN: "unknown", STALE: "warn"}


def mark(glyph: str) -> Span:
    """A state mark in its tone."""
    return Span(glyph, _TONE.get(glyph, ""))


def status_mark(status: str) -> str:
    """The mark of ok, warn, crit/fail or unknown."""
    return {"ok": OK, "warn": WARN, "crit": BAD, "fail": BAD}.get(status, UNKNOWN)
