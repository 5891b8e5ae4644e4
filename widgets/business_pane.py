"""The business pane: what users get. Probes first, then the figures the company lives by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.reactive import var

from console.watch.source import Fault, Reading
from widgets.format import age_text, number_text, spark, time_text
from widgets.lines import Line, Span, fit, line, width_of
from widgets.marks import BAD, OK, UNKNOWN, mark, status_mark
from widgets.pane import Pane, greyed, wrap

if TYPE_CHECKING:
    from console.watch.metrics import MetricPoint, MetricsReading
    from console.watch.probes import ProbeResult, ProbesReading


def probe_line(probe: ProbeResult, names: int, width: int, now: float) -> Line:
    """One probe: mark, name, last tries, and what it said; since when it is down."""
    glyph = UNKNOWN if probe.ok is None else OK if probe.ok else BAD
    tries = "".join("▁" if ok else "█" for ok in probe.history[-8:])
    parts: list[str | Span] = [mark(glyph), Span(f" {fit(probe.name, names)} ")]
    if width >= 50:
        parts.append(Span(tries.rjust(8) + " ", "dim" if probe.ok else "bad"))
    parts.append(Span(probe.detail, "" if probe.ok else "bad" if probe.ok is False else "unknown"))
    if probe.ok is False and now:
        at, age = time_text(probe.since), age_text(now - probe.since)
        told = _fitting(parts, width, f"  since {at} ({age})", f"  since {at}", f"  for {age}", f"  {age}")
        parts.append(Span(told, "bad"))
    return line(*parts)


def _fitting(before: Sequence[str | Span], width: int, *words: str) -> str:
    """The first of `words` that still fits into the line whole, "" for none."""
    room = width - width_of(line(*before))
    return next((text for text in words if len(text) <= room), "")


def metric_line(metric: MetricPoint, names: int, units: int, width: int) -> Line:
    """One metric: mark, name, spark, value with unit, change against the window before, crossed limit."""
    tone = {"warn": "warn", "crit": "bad"}.get(metric.status, "")
    parts: list[str | Span] = [mark(status_mark(metric.status)), Span(f" {fit(metric.name, names)} ")]
    if width >= 50:
        parts.append(Span(spark(list(metric.spark), 8) + " ", tone or "dim"))
    if metric.value is None:
        parts.append(Span(metric.fault or "no value yet", "unknown"))
        return line(*parts)
    parts += [Span(fit(number_text(metric.value), 7, "right"), tone), Span(f" {fit(metric.unit, units)}", "dim")]
    change = metric.change
    if change is not None:
        parts.append(Span(f" {change:+.0f} %".rjust(7), "dim"))  # whole, as the findings say it
    if metric.limit:
        bare = " ".join(metric.limit.split()[:2])  # without its unit, which stands beside the value
        parts.append(Span(_fitting(parts, width, f"  {metric.limit}", f"  {bare}"), tone))
    if metric.fault:
        parts.append(Span(f"  stale: {metric.fault}", "warn"))
    return line(*parts)


class BusinessPane(Pane):
    """Shows `Reading[ProbesReading]` and `Reading[MetricsReading]` together."""

    TITLE = "Business"
    probes: var[Reading[ProbesReading]] = var(Reading())
    reading: var[Reading[MetricsReading]] = var(Reading())

    def watch_probes(self) -> None:
        self.redraw()

    def watch_reading(self) -> None:
        self.redraw()

    def watch_now(self) -> None:
        probes = self.probes.value.probes if self.probes.value else ()
        if any(probe.ok is False for probe in probes):  # the only lines that count time
            self.redraw()

    def subtitle(self) -> str:
        probes = self.probes.value.probes if self.probes.value else ()
        tried = [p for p in probes if p.ok is not None]
        return f"{sum(bool(p.ok) for p in tried)}/{len(probes)} probes ●" if probes else ""

    def body(self, width: int, height: int) -> Sequence[Line]:
        probes = self.probes.value.probes if self.probes.value else ()
        metrics = self.reading.value.metrics if self.reading.value else ()
        if not probes and not metrics:
            return [] if self.reading.fault else teach(width)
        names = max([8, *(len(p.name) for p in probes), *(len(m.name) for m in metrics)])
        units = min(10, max([0, *(len(m.unit) for m in metrics)]))
        names = min(names, max(8, width - (9 if width >= 50 else 0) - 18 - units))
        shown = [probe_line(p, names, width, self.now) for p in probes]
        if (fault := self.probes.fault) is not None:
            shown = [_fault_line(fault), *greyed(shown)]
        return shown + [metric_line(m, names, units, width) for m in metrics]


def _fault_line(fault: Fault) -> Line:
    return line(Span(f"⧗ probes: {fault.reason}. {fault.remedy}", "warn"))


def teach(width: int) -> list[Line]:
    """What would be here and how to get it."""
    words = (
        "No probes or business metrics are configured. `sevdeck init` looks at this host and writes sevdeck.toml "
        "with health endpoints; add what your users do as a probe with business = true."
    )
    return [line(Span(text, "dim")) for text in wrap(words, width)]
