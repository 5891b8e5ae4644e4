"""Values out of an event's data, which another version or a person's own tool may have written: checked, never trusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from console.incident.events import Event


def text(event: Event, key: str) -> str:
    value = event.data.get(key)
    return value if isinstance(value, str) else ""


def number(data: Mapping[str, Any], key: str) -> float | None:
    value = data.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
