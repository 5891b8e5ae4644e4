"""Which charts a post-mortem shows, out of everything that was recorded: what users met first, then its causes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from console.tell.charts import Line, Mark, Point, chart
from console.watch.recorder import Series, series

_PROBES, _METRICS, _CONTAINERS = 4, 4, 4  # lines or charts of each kind; more would not be looked at
_MARGIN = 120.0  # seconds kept before the first thing that happened


def charts(report: Mapping[str, Any], flights: Sequence[Mapping[str, Any]]) -> list[str]:
    """SVG elements. Empty when nothing was recorded."""
    known = _merged(flights)
    spans = [(p[0][0], p[-1][0]) for p in known.values() if p]
    if not spans:
        return []
    start, end = min(a for a, _ in spans), max(b for _, b in spans)
    marks = [Mark(_unix(m["at"]), m["name"]) for m in report["moments"]]
    made: list[str] = []

    def add(title: str, unit: str, lines: Iterable[Line], down: Sequence[tuple[float, float]] = ()) -> None:
        drawn = [line for line in lines if any(value is not None for _, value in line.points)]
        if drawn:
            made.append(
                chart(title, unit, drawn, start=start, end=end, marks=marks, outages=down, id=f"chart-{len(made)}")
            )

    probes = sorted(key for key in known if key[0] == "probe")
    worst = _down_first(probes, report)
    for key in worst[:_PROBES]:
        add(
            f"Probe {key[1]}: latency, shaded while it failed",
            "ms",
            [Line(key[1], known[key])],
            _down(key[1], report, end),
        )
    add("Errors logged", "/min", [Line("errors", known.get(("logs", "", "errors", "/min"), ()))])
    for name, unit, title in (
        ("cpu", "%", "Containers: cpu, percent of one core"),
        ("memory", "B", "Containers: memory"),
    ):
        keys = [key for key in known if key[0] == "container" and key[2] == name]
        keys.sort(key=lambda key: (-_swing(known[key]), key))
        add(title, unit, [Line(key[1], known[key]) for key in sorted(keys[:_CONTAINERS])])
    host = [(name, known.get(("host", "", name, "%"), ())) for name in ("cpu", "memory", "swap")]
    add("Host: cpu, memory, swap", "%", [Line(name, points) for name, points in host])
    add("Host: load", "", [Line("load", known.get(("host", "", "load", ""), ()))])
    metrics = sorted((key for key in known if key[0] == "metric"), key=lambda key: (-_swing(known[key]), key))
    for key in sorted(metrics[:_METRICS]):
        add(key[1], key[3], [Line(key[1], known[key])])
    return made


def _merged(flights: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str, str, str], tuple[Point, ...]]:
    """Every figure of all frozen records, in time order, each moment once."""
    found: dict[tuple[str, str, str, str], dict[float, float | None]] = {}
    for frozen in flights:
        try:
            read: Iterable[Series] = series(frozen)
        except ValueError:
            continue
        for one in read:
            found.setdefault((one.group, one.subject, one.name, one.unit), {}).update(one.points)
    return {key: tuple(sorted(points.items())) for key, points in found.items()}


def _swing(points: Sequence[Point]) -> float:
    """How much a figure moved against its own height: what stood still explains nothing."""
    values = [value for _, value in points if value is not None]
    if not values:
        return -1.0
    return (max(values) - min(values)) / (abs(max(values)) or 1.0)


def _down_first(
    keys: Sequence[tuple[str, str, str, str]], report: Mapping[str, Any]
) -> list[tuple[str, str, str, str]]:
    failed = {row["subject"] for row in report["impact"]["down"]}
    return sorted(keys, key=lambda key: (key[1] not in failed, key))


def _down(subject: str, report: Mapping[str, Any], end: float) -> list[tuple[float, float]]:
    return [
        (_unix(row["from"]), _unix(row["to"]) if row["to"] else end)
        for row in report["impact"]["down"]
        if row["subject"] == subject
    ]


def _unix(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()
