"""Settings: found, read, validated and typed. Every fault names file, key and remedy.

The names of tables and keys are a contract (docs/configuration.md). Secrets are references, resolved late.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Limits:
    """Thresholds in the unit of what they judge. None: never."""

    warn: float | None = None
    crit: float | None = None


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    name: str = ""
    environment: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class DockerConfig:
    host: str = ""  # "" means DOCKER_HOST or the default socket
    project: str = ""
    compose_files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RolesConfig:
    """Compose services by what they are for."""

    edge: tuple[str, ...] = ()
    app: tuple[str, ...] = ()
    database: tuple[str, ...] = ()
    cache: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProbeConfig:
    """`target`: URL for http; host:port for tcp, tls; DSN or its reference for postgres, redis; argv text for command.

    `expect`: http "200", "2xx", "body:TEXT" or "200 body:TEXT"; tls days left; command exit code.
    """

    name: str
    kind: str
    target: str
    method: str = "GET"
    body: str = ""
    expect: str = ""
    every: float = 10.0
    timeout: float = 3.0
    business: bool = False


@dataclass(frozen=True, slots=True)
class LogConfig:
    """One log source: exactly one of `path` (a glob), `container` (service or name), `unit` (journald)."""

    name: str
    path: str = ""
    container: str = ""
    unit: str = ""
    format: str = ""
    timezone: str = ""


@dataclass(frozen=True, slots=True)
class MetricConfig:
    """One business metric. `direction` "up": higher is bad; "down": lower is bad.

    sql: `source` DSN or reference ("" means [database].dsn), `query` one SELECT giving one number.
    http: `source` URL, `field` a path "sla_metrics.response_time.current_value".
    jsonl: `source` a glob, `field` the line's `name`, `query` the aggregate (sum, count, avg, last, p95).
    log_count: `source` a [[logs]] name or a path, `query` a regular expression; counted per minute.
    """

    name: str
    kind: str
    source: str = ""
    query: str = ""
    field: str = ""
    unit: str = ""
    window: float = 3600.0
    warn: float | None = None
    crit: float | None = None
    direction: str = "up"


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """A database or cache: how to reach it and the service that runs it."""

    dsn: str = ""
    container: str = ""


@dataclass(frozen=True, slots=True)
class RecoveryConfig:
    unattended_max_level: int = 2
    observation: float = 0.0  # seconds; 0 means each level's own
    budgets: dict[str, str] = field(default_factory=dict)  # "level1" -> "3/15m"


DEFAULT_THRESHOLDS: dict[str, Limits] = {
    "cpu": Limits(80.0, 95.0),  # percent
    "memory": Limits(85.0, 95.0),  # percent
    "disk": Limits(85.0, 95.0),  # percent
    "inodes": Limits(85.0, 95.0),  # percent
    "load": Limits(2.0, 4.0),  # load1 per core
    "pressure": Limits(40.0, 80.0),  # PSI some avg10, percent
    "container_cpu": Limits(90.0, 98.0),  # percent of its limit
    "container_memory": Limits(90.0, 97.0),  # percent of its limit
    "errors_per_minute": Limits(20.0, 100.0),
}


@dataclass(frozen=True, slots=True)
class Config:
    """Everything a run of sevdeck was told. `path` None: no file, all defaults."""

    path: Path | None = None
    service: ServiceConfig = ServiceConfig()
    docker: DockerConfig = DockerConfig()
    roles: RolesConfig = RolesConfig()
    probes: tuple[ProbeConfig, ...] = ()
    logs: tuple[LogConfig, ...] = ()
    metrics: tuple[MetricConfig, ...] = ()
    thresholds: dict[str, Limits] = field(default_factory=lambda: dict(DEFAULT_THRESHOLDS))
    database: StoreConfig = StoreConfig()
    cache: StoreConfig = StoreConfig()
    recovery: RecoveryConfig = RecoveryConfig()
    keys: dict[str, str] = field(default_factory=dict)  # command id -> key, [keys]
    theme: str = ""  # [console] theme: dark, light, high-contrast, ansi
    refresh: float = 1.0  # [console] refresh: 1, 2 or 5 seconds
