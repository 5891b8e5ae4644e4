"""Times and spans as reports write them."""

from __future__ import annotations

from datetime import UTC, datetime


def stamp(at: float | None) -> str | None:
    """
    >>> stamp(0.5), stamp(None)
    ('1970-01-01T00:00:00.500000Z', None)
    """
    return None if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def rounded(seconds: float | None) -> float | None:
    """Milliseconds are more than any clock here is good for."""
    return None if seconds is None else round(seconds, 3)
