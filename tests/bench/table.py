"""One measured figure beside its yardstick and its bound, and how a list of them is printed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Row(NamedTuple):
    what: str
    measured: str
    yardstick: str  # of the same run, or what other tools need
    ratio: str
    must: str


def markdown(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    head = ("what", "measured", "beside it", "ratio", "must")
    widths = [max(len(head[i]), *(len(r[i]) for r in rows)) for i in range(5)]
    lines = [head, tuple("-" * w for w in widths), *rows]
    return "\n".join("| " + " | ".join(cell.ljust(w) for cell, w in zip(r, widths, strict=True)) + " |" for r in lines)
