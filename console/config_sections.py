"""The sections of `sevdeck.toml`: which keys each has, of what type, and which values make sense together."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from console.config import (
    DEFAULT_THRESHOLDS,
    BackupConfig,
    ChecksConfig,
    Config,
    ContainmentConfig,
    DockerConfig,
    Limits,
    LogConfig,
    MetricConfig,
    MonitorConfig,
    ProbeConfig,
    RecoveryConfig,
    RolesConfig,
    ServiceConfig,
    StoreConfig,
)
from console.config_file import Table, parse_duration
from console.text import clean


class _Named(Protocol):
    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=_Named)

PROBE_KINDS = ("http", "tcp", "tls", "postgres", "redis", "command")
METRIC_KINDS = ("sql", "http", "jsonl", "log_count")
AGGREGATES = ("sum", "count", "avg", "last", "min", "max", "p50", "p90", "p95", "p99")
THEMES = ("dark", "light", "high-contrast", "ansi")
REFRESH = (1, 2, 5)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# Keys of records that nothing reads yet, by table; those of `extra` say it in `_told`.
WITHOUT_EFFECT = {
    "service": ("environment",),
    "logs": ("format",),
    "cache": ("dsn",),
}
_SEVERITIES = ("sev1", "sev2", "sev3", "sev4")


def build(root: Table) -> Config:
    """The settings in `root`. Problems are noted in its document; a wrong value counts as its default."""
    theme, refresh = _console(root.table("console"))
    database, cache = _store(root.table("database")), root.table("cache")
    cache.without_effect(*WITHOUT_EFFECT["cache"])
    config = Config(
        service=_service(root.table("service")),
        docker=_docker(root.table("docker")),
        roles=_roles(root.table("roles")),
        probes=_named(root, "probes", _probe),
        logs=_named(root, "logs", _log),
        metrics=_named(root, "metrics", lambda table: _metric(table, database)),
        thresholds=_thresholds(root.table("thresholds")),
        database=database,
        cache=_store(cache),
        recovery=_recovery(root.table("recovery")),
        backup=_backup(root.table("backup")),
        containment=_containment(root.table("containment")),
        monitor=_monitor(root.table("monitor")),
        checks=_checks(root.table("checks")),
        keys=_keys(root.table("keys")),
        theme=theme,
        refresh=refresh,
        extra=_extra(root),
    )
    root.done()
    return config


def _service(table: Table) -> ServiceConfig:
    section = ServiceConfig(table.text("name"), table.text("environment"), table.text("url", check=_url_fault))
    table.without_effect(*WITHOUT_EFFECT["service"])
    table.done()
    return section


def _docker(table: Table) -> DockerConfig:
    section = DockerConfig(table.text("host", check=_engine_fault), table.text("project"), table.texts("compose_files"))
    table.done()
    return section


def _roles(table: Table) -> RolesConfig:
    section = RolesConfig(*(table.texts(role) for role in ("edge", "app", "database", "cache")))
    table.done()
    return section


def _store(table: Table) -> StoreConfig:
    section = StoreConfig(table.text("dsn"), table.text("container"))
    table.done()
    return section


def _named(root: Table, key: str, one: Callable[[Table], N]) -> tuple[N, ...]:
    """Every `[[key]]`, with names that occur once: screens and events tell them apart by name."""
    seen: set[str] = set()
    items = []
    for table in root.tables(key):
        item = one(table)
        table.done()
        if item.name and item.name in seen:
            table.fault("name", f'the name "{clean(item.name, 40)}" is used twice; names must be unique')
        seen.add(item.name)
        items.append(item)
    return tuple(items)


def _probe(table: Table) -> ProbeConfig:
    kind = _kind(table, PROBE_KINDS)
    check = {"http": _url_fault, "tcp": _address_fault, "tls": _address_fault}.get(kind)
    probe = ProbeConfig(
        name=table.required("name"),
        kind=kind,
        target=table.required("target", check=check),
        method=table.choice("method", METHODS, "GET"),
        body=table.text("body"),
        expect=table.text("expect", check=lambda text: _expect_fault(kind, text)),
        every=table.duration("every", 10.0, least=1.0),
        timeout=table.duration("timeout", 3.0, least=0.05),
        business=table.flag("business"),
    )
    for key in ("method", "body"):
        if key in table and kind != "http":
            table.fault(key, f'only a probe of kind "http" has a {key}')
    return probe


def _log(table: Table) -> LogConfig:
    log = LogConfig(
        name=table.required("name"),
        path=table.text("path"),
        container=table.text("container"),
        unit=table.text("unit"),
        format=table.text("format"),
        timezone=table.text("timezone", check=_timezone_fault),
    )
    table.without_effect(*WITHOUT_EFFECT["logs"])
    places = [key for key in ("path", "container", "unit") if key in table]
    if len(places) != 1:
        found = f"found {' and '.join(places)}" if places else "found none"
        table.fault(places[1] if places else "", f"expected exactly one of path, container, unit; {found}")
    return log


def _metric(table: Table, database: StoreConfig) -> MetricConfig:
    kind = _kind(table, METRIC_KINDS)
    metric = MetricConfig(
        name=table.required("name"),
        kind=kind,
        source=table.text("source", check=_url_fault if kind == "http" else None),
        query=table.text("query", check=lambda text: _query_fault(kind, text)),
        field=table.text("field"),
        unit=table.text("unit"),
        window=table.duration("window", 3600.0, least=1.0),
        warn=table.number("warn", None),
        crit=table.number("crit", None),
        direction=table.choice("direction", ("up", "down"), "up"),
    )
    needed = {"sql": ("query",), "http": ("source", "field"), "jsonl": ("source", "field")}
    for key in needed.get(kind, ("source", "query") if kind else ()):
        if not table.data.get(key):
            table.fault("", f'"{key}" is missing: a metric of kind "{kind}" needs it')
    if kind == "sql" and not metric.source and not database.dsn:
        table.fault("", '"source" is missing: name a DSN such as "env:DATABASE_DSN" here, or as dsn in [database]')
    _order(table, metric.warn, metric.crit, metric.direction)
    return metric


def _thresholds(table: Table) -> dict[str, Limits]:
    limits = dict(DEFAULT_THRESHOLDS)
    for name, default in DEFAULT_THRESHOLDS.items():
        if name in table and not isinstance(table.data[name], dict):
            table.known(name)
            table.fault(name, "expected limits such as {warn = 80, crit = 95}")
            continue
        one = table.table(name)
        warn = one.number("warn", default.warn, least=0.0)
        crit = one.number("crit", default.crit, least=0.0)
        one.done()
        _order(one, warn, crit, "up")
        limits[name] = Limits(warn, crit)
    table.done()
    return limits


def _recovery(table: Table) -> RecoveryConfig:
    level = table.number("unattended_max_level", 2, least=0, most=3, whole=True)
    observation = table.duration("observation", 0.0)
    budgets = table.table("budgets")
    told = {f"level{n}": budgets.text(f"level{n}", check=_budget_fault) for n in range(1, 5)}
    budgets.done()
    table.done()
    return RecoveryConfig(int(level), observation, {key: value for key, value in told.items() if value})


def _containment(table: Table) -> ContainmentConfig:
    section = ContainmentConfig(
        table.duration("duration", 1800.0, least=1.0),
        table.texts("writers"),
        table.text("safe_mode_env", check=_variable_fault),
        table.text("safe_mode_file", check=_absolute_fault),
        table.text("maintenance_page", check=_absolute_fault),
        table.text("maintenance_on", check=_command_fault),
        table.text("maintenance_off", check=_command_fault),
    )
    if bool(section.maintenance_on) != bool(section.maintenance_off):
        table.fault("", "maintenance_on and maintenance_off belong together: without a way back nothing is done")
    if section.safe_mode_env and section.safe_mode_file:
        table.fault("safe_mode_file", "expected one of safe_mode_env and safe_mode_file")
    table.done()
    return section


def _monitor(table: Table) -> MonitorConfig:
    section = MonitorConfig(table.text("metrics_file", check=_metrics_file_fault))
    table.done()
    return section


def _checks(table: Table) -> ChecksConfig:
    section = ChecksConfig(table.flag("suid_files"))
    table.done()
    return section


def _console(table: Table) -> tuple[str, float]:
    theme = table.choice("theme", THEMES)
    refresh = table.number("refresh", 1.0)
    if refresh not in REFRESH:
        table.fault("refresh", "expected 1, 2 or 5 (seconds)")
        refresh = 1.0
    table.done()
    return theme, refresh


def _keys(table: Table) -> dict[str, str]:
    return {name: table.required(name) for name in table.data}


def _extra(root: Table) -> dict[str, Any]:
    """Sections that nothing acts on yet: they are checked, and each key that is set is named as such."""
    return {
        "access": _lists(root.table("access"), ("viewer", "responder", "commander")),
        "notify": _notify(root.table("notify")),
        "contacts": tuple(_contact(table) for table in root.tables("contacts")),
        "escalation": _escalation(root.table("escalation")),
        "replica": _replica(root.table("replica")),
    }


def _backup(table: Table) -> BackupConfig:
    section = BackupConfig(
        table.text("directory"),
        table.text("database"),
        int(table.number("keep_days", 30, least=1, whole=True)),
        table.duration("rpo", 86_400.0),
        table.duration("deadline", 3600.0),
        table.texts("files"),
        table.choice("secrets", ("exclude", "encrypt"), "exclude"),
        table.text("key", check=_backup_key_fault),
        table.text("hook"),
    )
    table.done()
    return section


def _replica(table: Table) -> dict[str, Any]:
    return _set(table, {"dsn": table.text("dsn"), "pooler": table.flag("pooler")})


def _notify(table: Table) -> dict[str, Any]:
    slack, mail, hook = table.table("slack"), table.table("email"), table.table("webhook")
    channels = {
        "slack": _set(slack, {"url": slack.text("url", check=_url_fault), "channel": slack.text("channel")}),
        "email": _told(
            mail,
            {
                **{key: mail.text(key) for key in ("host", "from", "user", "password")},
                "port": mail.number("port", 25, least=1, most=65535, whole=True),
                "to": mail.texts("to"),
                "starttls": mail.flag("starttls"),
            },
        ),
        "webhook": _set(hook, {"url": hook.text("url", check=_url_fault), "secret": hook.text("secret")}),
    }
    table.done()
    return {name: values for name, values in channels.items() if values}


def _contact(table: Table) -> dict[str, Any]:
    values: dict[str, Any] = {key: table.text(key) for key in ("role", "email", "phone", "slack")}
    return _told(table, {"name": table.required("name"), **values, "channels": table.texts("channels")})


def _escalation(table: Table) -> dict[str, Any]:
    values: dict[str, Any] = {"order": table.texts("order"), "channels": table.texts("channels")}
    for clock in ("acknowledge", "mitigate", "update"):
        by_severity = table.table(clock)
        values[clock] = _told(by_severity, {name: by_severity.duration(name, 0.0) for name in _SEVERITIES})
    return _told(table, values)


def _lists(table: Table, keys: tuple[str, ...]) -> dict[str, Any]:
    return _told(table, {key: table.texts(key) for key in keys})


def _told(table: Table, values: dict[str, Any]) -> dict[str, Any]:
    """As `_set`, of a section that nobody reads yet."""
    table.without_effect(*values)
    return _set(table, values)


def _set(table: Table, values: dict[str, Any]) -> dict[str, Any]:
    """Only what the file says, so that whoever reads a section knows what was left open."""
    table.done()
    return {key: value for key, value in values.items() if key in table}


def _kind(table: Table, kinds: tuple[str, ...]) -> str:
    if "kind" not in table:
        table.text("kind")
        table.fault("", f'"kind" is missing: one of {", ".join(kinds)}')
    return table.choice("kind", kinds)


def _order(table: Table, warn: float | None, crit: float | None, direction: str) -> None:
    if warn is None or crit is None:
        return
    if warn > crit if direction == "up" else warn < crit:
        side = "above" if direction == "up" else "below"
        table.fault("crit", f"must not be reached before warn: crit = {crit:g} is not {side} warn = {warn:g}")


def _url_fault(text: str) -> str:
    if not text or text.startswith(("env:", "file:")) or re.fullmatch(r"https?(?:\+insecure)?://[^\s/]+\S*", text):
        return ""
    return "expected a URL that begins with http:// or https://"


def _engine_fault(text: str) -> str:
    if not text or re.match(r"(?:unix|tcp|ssh|https?|npipe)://.", text):
        return ""
    return 'expected an engine such as "unix:///var/run/docker.sock", "tcp://host:2376" or "ssh://user@host"'


def _address_fault(text: str) -> str:
    found = re.fullmatch(r"(?:tls\+insecure://)?(?:\[[0-9a-fA-F:.]+\]|[^\s:/\[\]]+):(\d{1,5})", text)
    return "" if found and 0 < int(found[1]) < 65536 else 'expected "host:port"'


def _expect_fault(kind: str, text: str) -> str:
    if kind == "http" and not re.fullmatch(
        r"(?:(?:[1-5]\d\d|[1-5]xx)(?:,\s*(?:[1-5]\d\d|[1-5]xx))*(?:\s+body:.+)?|body:.+)?", text, re.DOTALL
    ):
        return 'expected "200", "2xx", "200,204", "body:TEXT" or "200 body:TEXT"'
    if kind == "tls" and text and not text.isdigit():
        return 'expected the days a certificate must still be valid, such as "14"'
    if kind == "command" and text and not text.isdigit():
        return 'expected an exit code such as "0"'
    return ""


def _query_fault(kind: str, text: str) -> str:
    if kind == "sql" and not re.match(r"\s*(?:select|with|values|table)\b", text, re.IGNORECASE):
        return "expected one SELECT that gives one number"
    if kind == "jsonl" and text not in AGGREGATES:
        return f"expected one of {', '.join(AGGREGATES)}"
    if kind == "log_count":
        try:
            re.compile(text)
        except re.error as error:
            return f"not a regular expression: {error}"
    return ""


def _backup_key_fault(text: str) -> str:
    ok = not text or text.startswith(("env:", "file:", "age1"))
    return "" if ok else 'expected an age recipient "age1...", or "file:/path" or "env:NAME" of a passphrase'


def _timezone_fault(text: str) -> str:
    if not text or text.upper() in {"UTC", "LOCAL"} or re.fullmatch(r"[+-]\d\d:?\d\d", text):
        return ""
    from zoneinfo import ZoneInfo  # few files name a zone

    try:
        ZoneInfo(text)
    except (OSError, ValueError, KeyError):
        return 'expected a zone this host knows, such as "Europe/Berlin", or an offset such as "+02:00"'
    return ""


def _variable_fault(text: str) -> str:
    return "" if not text or re.fullmatch(r"[A-Za-z_]\w*=.*", text) else 'expected "NAME=VALUE"'


def _absolute_fault(text: str) -> str:
    return "" if not text or text.startswith("/") else "expected a path that begins with /"


def _command_fault(text: str) -> str:
    try:
        shlex.split(text)
    except ValueError as error:
        return f"not a command line: {str(error).lower()}"
    return ""


def _metrics_file_fault(text: str) -> str:
    return "" if not text or re.fullmatch(r"/.+\.prom", text) else 'expected an absolute path that ends in ".prom"'


def _budget_fault(text: str) -> str:
    count, slash, window = text.partition("/")
    try:
        parse_duration(window)
    except ValueError:
        slash = ""
    return "" if slash and count.isdigit() else 'expected runs per time such as "3/15m"'
