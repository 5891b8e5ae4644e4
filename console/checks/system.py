"""The host: memory, swap, disks, inodes, and whether cpu and pressure are more than a busy second.

A busy host is no outage: cpu, load and pressure stay warnings here; `suggest` raises them when callers suffer.
"""

from __future__ import annotations

from collections.abc import Mapping

from console.checks.check import Finding, Status
from console.checks.containers import crossed
from console.config import Config, Limits
from console.watch.host import Disk, HostReading

_GIB = 2**30
SWAP_WARN = 80.0  # percent; full swap with little memory left is the step before the OOM killer


def host_findings(host: HostReading, config: Config) -> list[Finding]:
    limits = config.thresholds
    found = [f for disk in host.disks for f in _disk(disk, limits)]
    found += _memory(host, limits)
    found += _busy(host, limits)
    return found


def _disk(disk: Disk, limits: Mapping[str, Limits]) -> list[Finding]:
    found: list[Finding] = []
    if disk.fault:
        text = f"disk {disk.mount} does not tell its figures: {disk.fault}"
        return [Finding("host.mount", "quick", Status.UNKNOWN, text, (disk.device,), subject=disk.mount)]
    if status := crossed(disk.percent, limits.get("disk", Limits())):
        text = f"disk {disk.mount} is {disk.percent:.0f} % full, {disk.free / _GIB:.1f} GiB left"
        if disk.free < 2**20 * 16:
            text = f"disk {disk.mount} is full"
        evidence = (f"{disk.device}: {disk.used / _GIB:.1f} of {disk.total / _GIB:.1f} GiB used",)
        found.append(Finding("host.disk", "quick", status, text, evidence, subject=disk.mount))
    inodes = disk.inodes_percent
    if inodes is not None and (status := crossed(inodes, limits.get("inodes", Limits()))):
        text = f"disk {disk.mount} has used {inodes:.0f} % of its inodes"
        evidence = (f"{disk.device}: {disk.inodes_free} inodes free",)
        found.append(Finding("host.inodes", "quick", status, text, evidence, subject=disk.mount))
    return found


def _memory(host: HostReading, limits: Mapping[str, Limits]) -> list[Finding]:
    status = crossed(host.memory_percent, limits.get("memory", Limits()))
    stalled = host.pressure.memory_full
    swap = 100.0 * host.swap_used / host.swap_total if host.swap_total else 0.0
    left = f"{host.memory_available / _GIB:.1f} of {host.memory_total / _GIB:.1f} GiB available"
    evidence = [left, f"swap {swap:.0f} % used", *_top(host, by_memory=True)]
    if stalled is not None:
        evidence.append(f"stalled for lack of memory {stalled:.0f} % of the last 10 s")
    if stalled is not None and stalled > 5 and status is not None:
        text = f"the host is out of memory: {left}, everything waits {stalled:.0f} % of the time"
        return [Finding("host.memory", "quick", Status.FAIL, text, tuple(evidence), subject="host")]
    if status is not None:
        text = f"memory of the host is {host.memory_percent:.0f} % used, {left}"
        return [Finding("host.memory", "quick", status, text, tuple(evidence), subject="host")]
    if swap >= SWAP_WARN and host.memory_percent > 70:
        text = f"swap is {swap:.0f} % used"
        return [Finding("host.swap", "quick", Status.WARN, text, tuple(evidence), subject="host")]
    return []


def _busy(host: HostReading, limits: Mapping[str, Limits]) -> list[Finding]:
    """At most one finding for cpu, load and pressure: they are three views of the same queue."""
    cores = max(1, host.cores)
    load = host.load[0] / cores
    pressure = host.pressure
    over: list[str] = []
    # cpu is one second's sample: it counts only when the load says that it lasts. Who looks once is busy at that moment.
    used = host.cpu - host.own_cpu if host.cpu is not None else 0.0
    if crossed(used, limits.get("cpu", Limits())) and load >= 0.7:
        over.append(f"cpu {used:.0f} %")
    if crossed(load, limits.get("load", Limits())):
        over.append(f"load {host.load[0]:.1f} on {cores} cores")
    bound = limits.get("pressure", Limits())
    for name, value in (("cpu", pressure.cpu_some), ("disk", pressure.io_some), ("memory", pressure.memory_some)):
        if value is not None and crossed(value, bound):
            over.append(f"waiting for {name} {value:.0f} % of the time")
    if not over:
        return []
    evidence = (f"load {host.load[0]:.2f} {host.load[1]:.2f} {host.load[2]:.2f}", *_top(host))
    text = "the host is busy: " + ", ".join(over)
    return [Finding("host.busy", "quick", Status.WARN, text, evidence, subject="host")]


def _top(host: HostReading, by_memory: bool = False) -> list[str]:
    if by_memory:
        top = sorted(host.top, key=lambda p: -p.rss)[:3]
        return [f"{p.name} (pid {p.pid}) holds {p.rss / _GIB:.1f} GiB" for p in top]
    top = sorted(host.top, key=lambda p: -p.cpu)[:3]
    return [f"{p.name} (pid {p.pid}) uses {p.cpu:.0f} % of a core" for p in top]
