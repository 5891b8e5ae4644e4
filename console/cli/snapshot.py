"""`sevdeck snapshot`: every source read for a few seconds at once, then one picture of what is known."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from console.cli.as_json import as_json, rfc3339
from console.config import Config
from console.watch.look import LIMIT, look
from console.watch.source import Reading, Source

_LISTS = {"containers": "containers", "metrics": "metrics", "probes": "probes"}  # source -> the list it is shown as
_ORDER = ("host", "containers", "logs", "metrics", "probes")


async def take(config: Config, sources: Iterable[Source[Any]] | None = None, *, limit: float = LIMIT) -> dict[str, Any]:
    """The picture as JSON-like data. A source that gives nothing is `{"error": reason}`. Ends within `limit` + 1 s."""
    readings = await look(config, sources, limit=limit)
    return {"taken_at": rfc3339(time.time()), **{name: _shown(name, getattr(readings, name), limit) for name in _ORDER}}


def _shown(name: str, reading: Reading[Any], limit: float) -> Any:
    fault = reading.fault
    if reading.value is None or fault is not None:
        # Old values would pass for new ones where nobody sees how they age.
        reason = {"error": fault.reason if fault else f"no answer in {limit:g} s"}
        return {**reason, "remedy": fault.remedy} if fault and fault.remedy else reason
    data = as_json(reading.value)
    return data[_LISTS[name]] if name in _LISTS else data


def lines(taken: dict[str, Any]) -> Iterator[str]:
    """The picture for people: what matters of each source, a few lines each."""
    yield f"taken at {taken['taken_at']}"
    tell: dict[str, Callable[[Any], Iterator[str]]] = {
        "host": _host, "containers": _containers, "logs": _logs, "metrics": _metrics, "probes": _probes,
    }  # fmt: skip
    for name, part in tell.items():
        yield ""
        yield name.upper()
        known = taken[name]
        if isinstance(known, dict) and "error" in known:
            yield f"  unknown: {known['error']}" + (f". {known['remedy']}" if known.get("remedy") else "")
        else:
            yield from part(known)


def _host(host: dict[str, Any]) -> Iterator[str]:
    used = 100.0 * (1 - host["memory_available"] / host["memory_total"]) if host["memory_total"] else None
    load = " ".join(f"{value:.2f}" for value in host["load"])
    yield f"  {host['hostname']}: cpu {_percent(host['cpu'])} of {host['cores']} cores, load {load}, memory {_percent(used)}"
    for disk in host["disks"]:
        total = disk["used"] + disk["free"]
        yield f"  disk {disk['mount']}: {_percent(100.0 * disk['used'] / total if total else None)} of {_size(disk['total'])}"


def _containers(containers: list[dict[str, Any]]) -> Iterator[str]:
    if not containers:
        yield "  none"
    for one in containers:
        state = " ".join(filter(None, (one["status"], one["health"])))
        if one["exit_code"] is not None and one["status"] != "running":
            state += f" (exit {one['exit_code']})"
        yield (
            f"  {one['name']:<30} {state:<26} cpu {_percent(one['cpu']):>6}  memory {_size(one['memory']):>9}"
            f"  restarts {one['restarts']}"
        )


def _logs(logs: dict[str, Any]) -> Iterator[str]:
    if not logs["inputs"]:
        yield "  no log is configured"
    for one in logs["inputs"]:
        trouble = f"  {one['fault']}" if one["fault"] else ""
        yield f"  {one['name']:<30} {one['lines']} lines, {one['errors_per_minute']:g} errors/min{trouble}"
    for record in logs["last_errors"][-5:]:
        yield f"  {record['level'] or 'unknown'}: {record['source']}: {record['message']}"


def _metrics(metrics: list[dict[str, Any]]) -> Iterator[str]:
    if not metrics:
        yield "  no metric is configured"
    for one in metrics:
        value = "unknown" if one["value"] is None else f"{one['value']:g} {one['unit']}".strip()
        yield f"  {one['name']:<30} {value:<20} {one['status']}{': ' + one['fault'] if one['fault'] else ''}"


def _probes(probes: list[dict[str, Any]]) -> Iterator[str]:
    if not probes:
        yield "  no probe is configured"
    words = {True: "ok", False: "FAILED", None: "unknown"}
    for one in probes:
        yield f"  {one['name']:<30} {words[one['ok']]:<8} {one['detail']}"


def _percent(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.0f} %"


def _size(value: float | None) -> str:
    """Bytes for people.

    >>> _size(None), _size(512), _size(1536 * 1024)
    ('unknown', '512 B', '1.5 MiB')
    """
    if value is None:
        return "unknown"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
