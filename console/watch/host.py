"""The host: cpu, memory, pressure, disks, network and the busiest processes, from psutil and /proc.

It reads only this machine and never starts a program.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pressure:
    """PSI, percent of time stalled over the last 10 s; None where the kernel does not tell."""

    cpu_some: float | None
    io_some: float | None
    io_full: float | None
    memory_some: float | None
    memory_full: float | None


@dataclass(frozen=True, slots=True)
class Disk:
    """One mounted file system that holds data. Bytes; inode figures are None where there are none."""

    mount: str
    device: str
    total: int
    used: int
    free: int  # available to ordinary users
    inodes_total: int | None
    inodes_free: int | None

    @property
    def percent(self) -> float:
        """Share in use as `df` counts it: used / (used + available), 0-100."""
        return 100.0 * self.used / (self.used + self.free) if self.used + self.free else 0.0

    @property
    def inodes_percent(self) -> float | None:
        if not self.inodes_total or self.inodes_free is None:
            return None
        return 100.0 * (self.inodes_total - self.inodes_free) / self.inodes_total


@dataclass(frozen=True, slots=True)
class Process:
    """One process. `cpu` is percent of one core since the last reading; `name` is cleaned."""

    pid: int
    name: str
    cpu: float
    rss: int  # bytes


@dataclass(frozen=True, slots=True)
class HostReading:
    """One look at the host. Rates are bytes per second since the last reading and None at the first."""

    hostname: str
    cores: int
    cpu: float | None  # percent of all cores together, 0-100
    cpu_per_core: tuple[float, ...]
    load: tuple[float, float, float]
    pressure: Pressure
    memory_total: int
    memory_available: int
    swap_total: int
    swap_used: int
    disks: tuple[Disk, ...]
    net_in: float | None
    net_out: float | None
    disk_read: float | None
    disk_write: float | None
    top: tuple[Process, ...]
    uptime: float  # seconds since boot

    @property
    def memory_percent(self) -> float:
        return 100.0 * (self.memory_total - self.memory_available) / self.memory_total if self.memory_total else 0.0
