"""Settings: found, read, validated and typed. Every fault names file, key and remedy.

The names of tables and keys are a contract (docs/configuration.md). Secrets are references, resolved late by
whoever needs them, who then also tells `console.redact`. Files are read in `console.config_file`, sections in
`console.config_sections`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from console.config_file import Document, parse_duration, show_duration
from console.errors import Problem, UsageError
from console.places import DataDir, config_candidates, data_dir, find_config

__all__ = [
    "DEFAULT_THRESHOLDS",
    "Config",
    "ContainmentConfig",
    "DataDir",
    "DockerConfig",
    "Limits",
    "LogConfig",
    "MetricConfig",
    "MonitorConfig",
    "ProbeConfig",
    "RecoveryConfig",
    "RolesConfig",
    "ServiceConfig",
    "StoreConfig",
    "config_candidates",
    "data_dir",
    "find_config",
    "inline_secrets",
    "load",
    "mask_dsn",
    "parse_duration",
    "read",
    "resolve_secret",
    "show_duration",
]


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
    """`target`: URL for http; host:port for tcp, tls (`tls+insecure://host:port`: only its end counts); DSN or its reference for postgres, redis; argv text for command.

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


@dataclass(frozen=True, slots=True)
class BackupConfig:
    """Where backups of the database go. `directory` "" is `backups` in the data directory; `rpo` in seconds."""

    directory: str = ""
    database: str = ""  # "" is the only one there is
    keep_days: int = 30
    rpo: float = 86_400.0  # a newest backup older than this is alarming
    deadline: float = 3600.0  # seconds that one backup may take
    files: tuple[str, ...] = ()  # globs, copied alongside with the Compose files
    secrets: str = "exclude"  # of those files: "exclude" or "encrypt"
    key: str = ""  # for "encrypt": an age recipient, or a reference to a passphrase
    hook: str = ""  # a command that keeps the backups instead: console.actions.backup.hook


@dataclass(frozen=True, slots=True)
class ContainmentConfig:
    """Temporary measures. `safe_mode_env`: "NAME=VALUE" the service is made anew with; commands run without a shell."""

    duration: float = 1800.0  # seconds until a measure is overdue
    writers: tuple[str, ...] = ()  # what stop-writers stops; () means the role app
    safe_mode_env: str = ""
    safe_mode_file: str = ""
    maintenance_page: str = ""
    maintenance_on: str = ""
    maintenance_off: str = ""


@dataclass(frozen=True, slots=True)
class ChecksConfig:
    """Checks that are left out unless somebody asks for them."""

    suid_files: bool = False  # the engine compares every file of each container with its image


@dataclass(frozen=True, slots=True)
class MonitorConfig:
    metrics_file: str = ""  # for node_exporter's textfile collector


DEFAULT_THRESHOLDS: dict[str, Limits] = {
    "cpu": Limits(80.0, 95.0),  # percent
    "memory": Limits(85.0, 95.0),  # percent
    "disk": Limits(85.0, 95.0),  # percent
    "inodes": Limits(85.0, 95.0),  # percent
    "load": Limits(2.0, 4.0),  # load1 per core
    "pressure": Limits(40.0, 80.0),  # PSI some avg10, percent
    "container_cpu": Limits(90.0, 98.0),  # percent of its limit
    "container_memory": Limits(90.0, 97.0),  # percent of its limit
    "container_pids": Limits(80.0, 100.0),  # percent of its limit of processes and threads
    "open_files": Limits(80.0, 100.0),  # percent of what one process may have open
    "disk_busy": Limits(90.0, None),  # percent of the time
    "errors_per_minute": Limits(20.0, 100.0),
    "log_rate": Limits(20.0, None),  # MiB a minute that one container logs
    "log_file": Limits(1.0, None),  # GiB of one container's log that nothing caps
    "unlimited_memory": Limits(50.0, None),  # percent of the host's memory that one container without a limit holds
    "failed_logins": Limits(20.0, None),  # over ssh in 10 min
    "deadlocks": Limits(5.0, None),  # in an hour
    "turned_away": Limits(100.0, None),  # answers 4xx to one address in 15 min
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
    backup: BackupConfig = BackupConfig()
    containment: ContainmentConfig = ContainmentConfig()
    monitor: MonitorConfig = MonitorConfig()
    checks: ChecksConfig = ChecksConfig()
    keys: dict[str, str] = field(default_factory=dict)  # command id -> key, [keys]
    theme: str = ""  # [console] theme: dark, light, high-contrast, ansi
    refresh: float = 1.0  # [console] refresh: 1, 2 or 5 seconds
    # Sections whose owners read them themselves, checked and with durations in seconds:
    # access, notify, contacts, escalation, replica.
    extra: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)  # key path -> line in the file
    notices: tuple[Problem, ...] = ()  # settings that are well and do nothing yet
    searched: tuple[Path, ...] = ()  # where a file was looked for when none was found


def load(path: Path | None = None, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Config:
    """The settings of this run; defaults when there is no file.

    Raises UsageError when a file that was named is missing, InvalidFileError with every problem in it.
    """
    found = find_config(path, cwd, env)
    if found is None:
        return Config(searched=config_candidates(cwd, env))
    return read(found)


def read(path: Path) -> Config:
    """The settings in one file; raises InvalidFileError with every problem in it."""
    from console.config_sections import build  # the records above are what it builds

    document = Document.read(path)
    config = build(document.root())
    document.raise_if_faulty()
    notices = tuple(sorted(document.notices, key=lambda notice: notice.line or 0))
    return replace(config, path=path, lines=document.settings, notices=notices)


def resolve_secret(ref: str, env: Mapping[str, str] | None = None) -> str:
    """The value behind "env:NAME" or "file:/path"; any other text is the value itself.

    Raises UsageError when the variable is not set or the file cannot be read. Callers mask the result.
    """
    if ref.startswith("env:"):
        name = ref[4:].strip()
        value = (os.environ if env is None else env).get(name)
        if not value:
            raise UsageError(
                f"the environment variable {name} is not set", remedy=f"Set {name} before starting sevdeck"
            )
        return value
    if ref.startswith("file:"):
        file = Path(ref[5:].strip()).expanduser()
        try:
            return file.read_text(encoding="utf-8").strip()
        except UnicodeDecodeError:
            raise UsageError(f"{file} holds no text", remedy="Put the secret alone into the file") from None
        except OSError as error:
            remedy = "Check the path and who may read it"
            raise UsageError(f"{file} cannot be read: {error.strerror or error}", remedy=remedy) from None
    return ref


def inline_secrets(config: Config) -> list[str]:
    """Secrets that stand in the file itself instead of being referenced: passwords of DSNs and URLs, and others.

    For `console.redact.add_literals`, so that they are masked wherever they turn up.
    """
    from urllib.parse import unquote

    found: list[str] = []
    texts = [config.database.dsn, config.cache.dsn, config.service.url]
    texts += [probe.target for probe in config.probes] + [metric.source for metric in config.metrics]
    texts.append(str(config.extra.get("replica", {}).get("dsn", "")))
    for text in texts:
        if not text.startswith(("env:", "file:")):
            found += [match[2] for match in _USERINFO.finditer(text)]
            found += [match[2].strip("'") for match in _PASSWORD_WORD.finditer(text)]
    for channel in config.extra.get("notify", {}).values():
        told = [
            str(channel.get(key, "")) for key in ("password", "secret", "url")
        ]  # who knows a hook's address may post
        found += [text for text in told if not text.startswith(("env:", "file:"))]
    return [form for text in found if text for form in dict.fromkeys((text, unquote(text)))]


# Up to the last @: passwords with @, / or : in them are not always encoded.
_USERINFO = re.compile(r"(://[^:@/\s]*:)(.*)(@)", re.DOTALL)
_PASSWORD_WORD = re.compile(r"(?i)((?:ssl)?password\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&]+)")


def mask_dsn(dsn: str) -> str:
    """A DSN or URL that may be shown. References ("env:NAME") say nothing secret and stay.

    >>> mask_dsn("postgresql://app:s3cret@db:5432/shop?sslmode=require")
    'postgresql://app:•••@db:5432/shop?sslmode=require'
    >>> mask_dsn("host=db password='a b' user=app"), mask_dsn("env:DSN")
    ('host=db password=••• user=app', 'env:DSN')
    """
    if dsn.startswith(("env:", "file:")):
        return dsn
    return _PASSWORD_WORD.sub(r"\1•••", _USERINFO.sub(r"\1•••\3", dsn))
