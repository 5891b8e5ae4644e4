"""Business metrics: numbers the company lives by, from SQL, HTTP JSON, JSONL files or counted log lines."""

from __future__ import annotations

from console.watch.metrics.log_lines import HubLines
from console.watch.metrics.point import MetricPoint, MetricsReading
from console.watch.metrics.source import KINDS, MetricsSource

__all__ = ["KINDS", "HubLines", "MetricPoint", "MetricsReading", "MetricsSource"]
