"""Business metrics: which crossed their thresholds, which cannot be read."""

from __future__ import annotations

from console.checks.check import Finding, Status
from console.checks.wording import figure
from console.watch.metrics import MetricPoint, MetricsReading

_FILLING = "counting"  # a window that has to fill first is no trouble


def metric_findings(reading: MetricsReading) -> list[Finding]:
    """One finding a crossed metric, and one for each reason that leaves metrics unknown."""
    found: list[Finding] = []
    unknown: dict[str, list[str]] = {}
    for metric in reading.metrics:
        if metric.status in ("warn", "crit") and metric.value is not None:
            found.append(_crossed(metric))
        elif metric.status == "unknown" and metric.fault and not (metric.pending or metric.fault.startswith(_FILLING)):
            unknown.setdefault(metric.fault, []).append(metric.name)
    for fault, names in unknown.items():
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        found.append(
            Finding(
                "metrics.unknown",
                "performance",
                Status.UNKNOWN,
                f"metrics unknown: {shown}: {fault}",
                tuple(names),
                subject=names[0],
            )
        )
    return found


def _crossed(metric: MetricPoint) -> Finding:
    value = figure(metric.value or 0.0)
    status = Status.FAIL if metric.status == "crit" else Status.WARN
    unit = f" {metric.unit}" if metric.unit else ""
    change = f", {metric.change:+.0f} %" if metric.change is not None else ""
    limit = f" ({metric.limit})" if metric.limit else ""
    text = f"{metric.name} is {value}{unit}{limit}{change}"
    evidence = [f"now {value}{unit}"]
    if metric.previous is not None:
        evidence.append(f"the window before {figure(metric.previous)}{unit}")
    return Finding("metrics.limit", "performance", status, text, tuple(evidence), subject=metric.name)
