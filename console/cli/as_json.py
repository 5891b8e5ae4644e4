"""Records of the engine as JSON: fields by name, times as RFC 3339 UTC with microseconds, durations as numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from pathlib import PurePath
from typing import Any


def rfc3339(at: float) -> str:
    """Unix seconds as text.

    >>> rfc3339(0.25)
    '1970-01-01T00:00:00.250000Z'
    """
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def as_json(value: Any) -> Any:
    """`value` as dicts, lists and scalars; a record's field that holds unix seconds (`at`, `since`, `*_at`) as a time."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _field(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_json(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, float) and (value != value or value in {float("inf"), float("-inf")}):
        return None  # JSON has no such number, and it is unknown
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value) if isinstance(value, PurePath) else repr(value)


def _field(name: str, value: Any) -> Any:
    if isinstance(value, float) and (name in {"at", "since", "newest"} or name.endswith("_at")):
        return rfc3339(value)
    return as_json(value)
