"""What a bundle is made of: items, each with what came of it, and the manifest that lists them. Records only."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

OK, FAILED, LATE = "ok", "failed", "timed out"
NAMED, KNOWN, RULE, PERSONAL = "by name", "known values", "by rule", "personal"  # how something was masked


@dataclass(frozen=True, slots=True)
class Got:
    """What a collector brings: text, or JSON-like data. `note` says what is not in it; "" when all is."""

    value: Any
    note: str = ""


@dataclass(frozen=True, slots=True)
class Collector:
    """One item to get. The name is its path in the bundle; `.json` and `.jsonl` hold data, everything else text.

    `get` may raise SourceError for what cannot be had.
    """

    name: str
    get: Callable[[], Awaitable[Got]]


@dataclass(frozen=True, slots=True)
class Item:
    """One part of a bundle, masked. Only what is "ok" has content. `took` in seconds, without the masking."""

    name: str
    status: str
    took: float
    reason: str = ""
    note: str = ""
    content: bytes = b""
    masked: Mapping[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return self.status == OK

    def as_json(self) -> dict[str, Any]:
        told: dict[str, Any] = {"file": self.name, "status": self.status, "seconds": round(self.took, 3)}
        told |= {key: value for key, value in (("reason", self.reason), ("note", self.note)) if value}
        if self.ok:
            told["bytes"] = len(self.content)
            told["sha256"] = hashlib.sha256(self.content).hexdigest()
            told["masked"] = dict(self.masked)
        return told


@dataclass(frozen=True, slots=True)
class Bundle:
    """`made_at` in unix seconds, `took` in seconds. `facts` are those of the manifest: tool, host, clock."""

    host: str
    made_at: float
    took: float
    items: tuple[Item, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def missing(self) -> tuple[Item, ...]:
        """Items that could not be had, or are not whole."""
        return tuple(item for item in self.items if not item.ok or item.note)

    @property
    def masked(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for item in self.items:
            total.update(item.masked)
        return total

    @property
    def size(self) -> int:
        return sum(len(item.content) for item in self.items)

    def manifest(self) -> bytes:
        told = {
            **self.facts,
            "seconds": round(self.took, 3),
            "masked": dict(self.masked),
            "items": [item.as_json() for item in self.items],
        }
        return (json.dumps(told, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "backslashreplace")

    def without(self, name: str, reason: str) -> Bundle:
        """The same bundle with this item left out, which its manifest says."""

        def kept(item: Item) -> Item:
            return item if item.name != name else replace(item, status=FAILED, reason=reason, content=b"", masked={})

        return replace(self, items=tuple(map(kept, self.items)))
