"""Probes: does it answer, how fast, and is the answer right? http, tcp, tls, postgres, redis, command."""

from __future__ import annotations

from console.watch.probes.result import ProbeResult, ProbesReading
from console.watch.probes.run import KINDS, run_probe
from console.watch.probes.source import ProbesSource

__all__ = ["KINDS", "ProbeResult", "ProbesReading", "ProbesSource", "run_probe"]
