"""The settings in effect as rows for people: value, and whether it comes from a line of the file or is a default."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from console.config import Config, Limits, mask_dsn
from console.config_file import show_duration
from console.config_sections import WITHOUT_EFFECT

_DURATIONS = {"duration", "every", "timeout", "window", "observation", "rpo", "sev1", "sev2", "sev3", "sev4"}
_SECRET_KEYS = {"password", "secret", "token"}
_WITHOUT_EFFECT = {f"{table}.{key}" for table, keys in WITHOUT_EFFECT.items() for key in keys}
_TABLES = (
    *("service", "docker", "roles", "probes", "logs", "metrics", "thresholds", "database", "cache"),
    *("recovery", "backup", "containment", "monitor", "checks"),
)


@dataclass(frozen=True, slots=True)
class Row:
    key: str
    value: Any  # JSON-like, secrets masked
    source: str  # "default" or "sevdeck.toml:12"

    @property
    def shown(self) -> str:
        return json.dumps(self.value, ensure_ascii=False)


def effective(config: Config) -> list[Row]:
    """Every setting with its value and source. References to secrets are shown, secrets are masked.

    What has no effect yet is shown only where the file sets it, and says so.
    """
    told = {notice.where for notice in config.notices}
    return [row for row in _rows(config) if row.key in told or re.sub(r"\[\d+\]", "", row.key) not in _WITHOUT_EFFECT]


def _rows(config: Config) -> list[Row]:
    rows = []
    for table in _TABLES:
        rows += [Row(key, value, _source(config, key)) for key, value in _walk(table, getattr(config, table))]
    rows += [Row(f"keys.{name}", key, _source(config, f"keys.{name}")) for name, key in config.keys.items()]
    for key in ("theme", "refresh"):
        rows.append(Row(f"console.{key}", getattr(config, key), _source(config, f"console.{key}")))
    for table, value in config.extra.items():
        rows += [Row(key, shown, _source(config, key)) for key, shown in _walk(table, value)]
    return rows


def _walk(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Limits):
        yield key, {"warn": value.warn, "crit": value.crit}
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from _walk(f"{key}.{field.name}", getattr(value, field.name))
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _walk(f"{key}.{name}", item)
    elif isinstance(value, tuple) and any(dataclasses.is_dataclass(i) or isinstance(i, Mapping) for i in value):
        for index, item in enumerate(value):
            yield from _walk(f"{key}[{index}]", item)
    else:
        yield key, _masked(key.rpartition(".")[2], value)


def _masked(name: str, value: Any) -> Any:
    if isinstance(value, tuple):
        return [_masked(name, item) for item in value]
    if isinstance(value, float) and name in _DURATIONS:
        return show_duration(value)
    if not isinstance(value, str) or value.startswith(("env:", "file:")):
        return value
    if name in _SECRET_KEYS and value:
        return "•••"
    return mask_dsn(value)


def _source(config: Config, key: str) -> str:
    """The line that set `key`: its own, one of a part of it (`cpu.crit`), or that of a table written inline."""
    without = ", has no effect yet" if any(notice.where == key for notice in config.notices) else ""
    around = [key[: match.start()] for match in re.finditer(r"[.\[]", key)]
    inside = [place for place in config.lines if place.startswith(f"{key}.")]
    for place in (key, *inside, *reversed(around)):
        if config.path is not None and place in config.lines:
            return f"{config.path.name}:{config.lines[place]}{without}"
    return "default"
