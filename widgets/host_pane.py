"""The host pane: cpu, memory, pressure, disks, traffic and the busiest processes in a few quiet lines."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from textual.reactive import var

from console.watch.source import Reading
from widgets.format import age_text, bytes_text, percent_text, rate_text, spark
from widgets.lines import Line, Span, fit, line
from widgets.pane import Pane

if TYPE_CHECKING:
    from console.config import Limits
    from console.watch.host import Disk, HostReading

_SPARK = 8


def level_tone(value: float | None, limits: Limits | None) -> str:
    """The tone of a figure against its thresholds, higher being worse."""
    if value is None or limits is None:
        return ""
    if limits.crit is not None and value >= limits.crit:
        return "bad"
    return "warn" if limits.warn is not None and value >= limits.warn else ""


def _flag(tone: str) -> str:
    return {"bad": " ✖", "warn": " ▲"}.get(tone, "")


def _key(name: str) -> Span:
    return Span(f"{name:<5} ", "dim")


class HostPane(Pane):
    """Shows one `Reading[HostReading]`."""

    TITLE = "Host"
    reading: var[Reading[HostReading]] = var(Reading())

    def __init__(self, thresholds: Mapping[str, Limits], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._limits = thresholds
        self._cpu: deque[float | None] = deque(maxlen=60)
        self._memory: deque[float | None] = deque(maxlen=60)

    def watch_reading(self, reading: Reading[HostReading]) -> None:
        if reading.value is not None and reading.fault is None:
            self._cpu.append(reading.value.cpu)
            self._memory.append(reading.value.memory_percent)
        self.redraw()

    def subtitle(self) -> str:
        host = self.reading.value
        return f"{host.hostname}  up {age_text(host.uptime)}" if host else ""

    def body(self, width: int, height: int) -> Sequence[Line]:
        host = self.reading.value
        if host is None:
            return [] if self.reading.fault else [line(Span("reading /proc …", "dim"))]
        lines = [self._cpu_line(host), self._memory_line(host), self._pressure_line(host)]
        lines += [self._disk_line(d, width) for d in sorted(host.disks, key=lambda d: -d.percent)]
        lines.append(self._rates_line("net", host.net_in, host.net_out, ("in  ", "out  ")))
        lines.append(self._rates_line("io", host.disk_read, host.disk_write, ("read", "write")))
        busy = "  ".join(f"{p.name} {p.cpu:.0f} %" for p in host.top if p.cpu >= 0.5) or "all quiet"
        lines.append(line(_key("top"), busy))
        if len(host.cpu_per_core) > 1:
            lines.append(
                line(
                    _key("cores"),
                    spark(list(host.cpu_per_core), min(len(host.cpu_per_core), width - 8), top=100),
                )
            )
        return lines

    def _cpu_line(self, host: HostReading) -> Line:
        tone = level_tone(host.cpu, self._limits.get("cpu"))
        load = host.load[0]
        load_tone = level_tone(load / max(1, host.cores), self._limits.get("load"))
        return line(
            _key("cpu"),
            Span(spark(list(self._cpu), _SPARK, top=100), tone or "dim"),
            Span(f" {fit(percent_text(host.cpu), 5, 'right')}{_flag(tone)}", tone),
            Span("  load ", "dim"),
            Span(f"{load:.1f}/{host.cores}{_flag(load_tone)}", load_tone),
        )

    def _memory_line(self, host: HostReading) -> Line:
        tone = level_tone(host.memory_percent, self._limits.get("memory"))
        used = host.memory_total - host.memory_available
        swap = bytes_text(host.swap_used) if host.swap_total else "none"
        return line(
            _key("mem"),
            Span(spark(list(self._memory), _SPARK, top=100), tone or "dim"),
            Span(f" {fit(percent_text(host.memory_percent), 5, 'right')}{_flag(tone)}", tone),
            f"  {bytes_text(used)}/{bytes_text(host.memory_total)}",
            Span("  swap ", "dim"),
            swap,
        )

    def _pressure_line(self, host: HostReading) -> Line:
        p = host.pressure
        parts: list[str | Span] = [_key("wait")]
        for name, value in (("cpu", p.cpu_some), ("io", p.io_some), ("mem", p.memory_some)):
            tone = level_tone(value, self._limits.get("pressure"))
            parts += [Span(f"{name} ", "dim"), Span(f"{percent_text(value)}{_flag(tone)}", tone), "   "]
        return line(*parts)

    def _disk_line(self, disk: Disk, width: int) -> Line:
        tone = level_tone(disk.percent, self._limits.get("disk"))
        inodes = disk.inodes_percent
        inode_tone = level_tone(inodes, self._limits.get("inodes"))
        parts: list[str | Span] = [
            _key("disk"),
            fit(disk.mount, max(10, min(22, width - 34))),
            Span(f" {fit(percent_text(disk.percent), 5, 'right')}{fit(_flag(tone), 2)}", tone),
            Span(f" {bytes_text(disk.free)} free", "dim"),
        ]
        if inode_tone:
            parts.append(Span(f"  inodes {percent_text(inodes)}{_flag(inode_tone)}", inode_tone))
        return line(*parts)

    def _rates_line(self, name: str, inward: float | None, outward: float | None, words: tuple[str, str]) -> Line:
        return line(
            _key(name),
            Span(f"{words[0]} ", "dim"),
            fit(rate_text(inward), 8),
            Span(f"{words[1]} ", "dim"),
            rate_text(outward),
        )
