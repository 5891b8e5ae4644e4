"""Which services are edge, app, database and cache: as configured, else guessed from what they are called and run.

Guesses are for hosts without a configuration; `sevdeck init` writes them down for a person to check.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from console.actions.facts import Facts, ServiceContainer
from console.config import Config, ProbeConfig

_LOCAL = {"127.0.0.1", "localhost", "::1", "0.0.0.0"}
_PORTS = {"https": 443, "http": 80}

_DATABASE = re.compile(r"postgres|postgis|timescale|mysql|mariadb|mongo|\bdb\b")
_CACHE = re.compile(r"redis|valkey|memcache|keydb|dragonfly")
_EDGE = re.compile(r"nginx|traefik|caddy|haproxy|envoy|\b(edge|proxy|gateway|ingress)\b")


@dataclass(frozen=True, slots=True)
class Roles:
    """Services that exist on this host, by role; a role may be empty."""

    edge: tuple[str, ...] = ()
    app: tuple[str, ...] = ()
    database: tuple[str, ...] = ()
    cache: tuple[str, ...] = ()


def roles(facts: Facts, config: Config) -> Roles:
    """The configured roles where they name services of this project; guesses for the roles left empty."""
    known = {c.service: c for c in facts.containers}
    names = tuple(dict.fromkeys((*facts.order, *known)))

    def matching(pattern: re.Pattern[str]) -> tuple[str, ...]:
        return tuple(n for n in names if n in known and pattern.search(f"{n} {known[n].image}".lower()))

    def configured(wanted: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(n for n in wanted if n in names)

    edge = configured(config.roles.edge) or matching(_EDGE)
    database = configured(config.roles.database) or matching(_DATABASE)
    cache = configured(config.roles.cache) or matching(_CACHE)
    app = configured(config.roles.app) or _apps(facts, names, edge, {*edge, *database, *cache})
    return Roles(edge, app, database, cache)


def _apps(facts: Facts, names: tuple[str, ...], edge: tuple[str, ...], taken: set[str]) -> tuple[str, ...]:
    """What the edge needs is the app; without an edge, whatever publishes a port, else whatever is left."""
    left = [n for n in names if n not in taken]
    behind = [n for n in left if any(n in facts.depends.get(e, ()) for e in edge)]
    published = [n for n in left if any(c.ports for c in facts.of(n))]
    return tuple(behind or published or left)


def place(probe: ProbeConfig, containers: Sequence[ServiceContainer], config: Config) -> tuple[str, bool]:
    """Whose published port a probe knocks on ("" when that cannot be told), and whether it goes past the edge.

    A web target that is no port of the project comes from outside, so it goes through the edge.
    """
    host, port = _host_port(probe)
    for container in containers:
        if container.service and ((host in _LOCAL and port in container.ports) or host == container.service):
            edge = roles(Facts(0.0, "", containers=tuple(containers)), config).edge
            return container.service, container.service not in edge
    if probe.kind in ("postgres", "redis"):
        stores = roles(Facts(0.0, "", containers=tuple(containers)), config)
        return next(iter(stores.database if probe.kind == "postgres" else stores.cache), ""), True
    return "", probe.kind == "command"


def _host_port(probe: ProbeConfig) -> tuple[str, int]:
    if probe.kind == "command":
        return "", 0
    text = probe.target if "://" in probe.target else f"//{probe.target}"
    with contextlib.suppress(ValueError):
        parts = urlsplit(text)
        return parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
    return "", 0
