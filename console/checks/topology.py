"""The stack as judging sees it: services, what each is for, what each needs, and which probe asks which.

Everything is derived from one reading; nothing is remembered and nothing is read from outside.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from console.config import Config
from console.watch.containers import Container, ContainersReading
from console.watch.discover import Service, guess_roles
from console.watch.probes import ProbeResult, ProbesReading

ROLES = ("edge", "app", "database", "cache")
# Who calls whom where Compose does not say: the edge the apps, the apps their stores.
_ROLE_NEEDS = {"edge": ("app",), "app": ("database", "cache")}
_KIND_ROLE = {"postgres": "database", "redis": "cache"}
_LOCAL = {"localhost", "127.0.0.1", "::1", "0.0.0.0", ""}
_ONE_OFF = re.compile(r"-run-[0-9a-f]{12}$|_run_[0-9a-f]{12}$")
_PUBLISHED = re.compile(r"^(?:.*:)?(\d+)->(\d+)")


@dataclass(frozen=True, slots=True)
class Topology:
    """Services by label. `needs` is direct, `reach` transitive; both name only services that exist."""

    services: Mapping[str, tuple[Container, ...]]
    roles: Mapping[str, str]  # label -> edge, app, database, cache; absent: unknown
    needs: Mapping[str, frozenset[str]]
    declared: Mapping[str, frozenset[str]]  # the part of `needs` that Compose itself states
    reach: Mapping[str, frozenset[str]]
    ports: Mapping[int, str]  # published port -> label
    watched: frozenset[str]  # labels of the project that this console looks after

    def with_role(self, role: str) -> tuple[str, ...]:
        return tuple(label for label, its in self.roles.items() if its == role)

    def container(self, label: str) -> Container | None:
        """The first replica; None when there is no such service."""
        replicas = self.services.get(label)
        return replicas[0] if replicas else None

    def service(self, label: str) -> str:
        """The name by which Compose and the recovery levels know it."""
        container = self.container(label)
        return container.label if container else label

    def networks(self, label: str) -> frozenset[str]:
        return frozenset(net for c in self.services.get(label, ()) for net in c.networks)

    def owner(self, probe: ProbeResult) -> str:
        """The service that answers this probe: by published port, by kind, by words of its name; "" unknown."""
        host, port = _host_port(probe.target)
        if host in _LOCAL and port is not None and port in self.ports:
            return self.ports[port]
        role = _KIND_ROLE.get(probe.kind, "")
        if role and (found := self.with_role(role)):
            return found[0]
        words = set(re.split(r"[^a-z0-9]+", f"{probe.name} {host}".lower()))
        if probe.kind == "command":
            words |= set(re.split(r"[^a-z0-9]+", probe.target.lower()))
        for label in self.services:
            if label.lower() in words:
                return label
        for role in ROLES:
            if role in words and (found := self.with_role(role)):
                return found[0]
        return ""

    def siblings(self, container: Container) -> list[Container]:
        """The other containers of its Compose project."""
        every = (c for replicas in self.services.values() for c in replicas)
        return [c for c in every if c.project == container.project and c.id != container.id]


@lru_cache(maxsize=512)
def _host_port(target: str) -> tuple[str, int | None]:
    """Host and port of a URL, DSN or host:port.

    >>> _host_port("http://127.0.0.1:8080/readyz")
    ('127.0.0.1', 8080)
    >>> _host_port("https://localhost/")
    ('localhost', 443)
    """
    try:
        parts = urlsplit(target if "://" in target else f"//{target}")
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
        return parts.hostname or "", port
    except ValueError:
        return "", None


def topology(reading: ContainersReading | None, config: Config) -> Topology:
    """The stack in this reading. One-off containers (`compose run`) are left out."""
    containers = [c for c in reading.containers if not _ONE_OFF.search(c.name)] if reading else []
    labels = _labels(containers, config.docker.project)
    services: dict[str, list[Container]] = {}
    for container in containers:
        services.setdefault(labels[container.id], []).append(container)
    roles = _roles(services, config)
    named = {(its[0].project, its[0].service): label for label, its in services.items()}
    declared = {
        label: frozenset(
            named[its[0].project, other] for other in its[0].depends_on if (its[0].project, other) in named
        )
        for label, its in services.items()
    }
    needs = {label: declared[label] | _implied(label, services, roles, declared[label]) for label in services}
    project = config.docker.project
    return Topology(
        services={label: tuple(replicas) for label, replicas in services.items()},
        roles=roles,
        needs=needs,
        declared=declared,
        reach={label: _reach(label, needs) for label in services},
        ports=_ports(services),
        watched=frozenset(
            label
            for label, replicas in services.items()
            if (replicas[0].project == project if project else bool(replicas[0].project)) or label in roles
        ),
    )


def _labels(containers: Iterable[Container], project: str) -> dict[str, str]:
    """Container id -> label. What is not of `project` is called project/service; without one, only namesakes are."""
    projects: dict[str, set[str]] = {}
    containers = list(containers)
    for c in containers:
        projects.setdefault(c.label, set()).add(c.project)

    def plain(c: Container) -> bool:
        return not c.project or (c.project == project if project else len(projects[c.label]) == 1)

    return {c.id: c.label if plain(c) else f"{c.project}/{c.label}" for c in containers}


def _roles(services: Mapping[str, list[Container]], config: Config) -> dict[str, str]:
    """Roles from the configuration; where it names none, guessed from service names and images."""
    told = {service: role for role in ROLES for service in getattr(config.roles, role)}
    project = config.docker.project
    ours = {label: its for label, its in services.items() if not project or its[0].project == project}
    roles: dict[str, str] = {} if told else _guesses(ours)
    for label, replicas in ours.items():
        first = replicas[0]
        role = told.get(label) or told.get(first.service) or told.get(first.name)
        if role:
            roles[label] = role
    if told:
        # The first of a role is the one that is meant when one has to be named.
        order = list(told)
        roles = dict(sorted(roles.items(), key=lambda item: _place(services[item[0]][0].service, order)))
    # Stores may also be named by their own tables.
    for name, role in ((config.database.container, "database"), (config.cache.container, "cache")):
        for label, replicas in ours.items():
            if name and name in (label, replicas[0].service, replicas[0].name):
                roles[label] = role
    return roles


def _place(service: str, order: list[str]) -> int:
    return order.index(service) if service in order else len(order)


def _guesses(services: Mapping[str, list[Container]]) -> dict[str, str]:
    """Label -> role, guessed project by project as `sevdeck init` does."""
    projects: dict[str, list[tuple[str, Container]]] = {}
    for label, replicas in services.items():
        projects.setdefault(replicas[0].project, []).append((label, replicas[0]))
    roles: dict[str, str] = {}
    for its in projects.values():
        guessed = dict(_guessed(tuple(_as_service(c) for _, c in its)))
        roles |= {label: guessed[c.label] for label, c in its if c.label in guessed}
    return roles


def _as_service(c: Container) -> Service:
    published = []
    for text in c.ports:
        if found := _PUBLISHED.match(text):
            published.append(("", int(found[1]), int(found[2])))
    return Service(c.label, c.image, "", c.running, tuple(published), (), (), c.depends_on, "")


@lru_cache(maxsize=64)
def _guessed(services: tuple[Service, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((guess.what, role) for role, found in guess_roles(services).items() for guess in found)


def _implied(
    label: str, services: Mapping[str, list[Container]], roles: Mapping[str, str], declared: frozenset[str]
) -> frozenset[str]:
    """What its role needs, for each role of which Compose names none."""
    told = {roles.get(other, "") for other in declared}
    wanted = [role for role in _ROLE_NEEDS.get(roles.get(label, ""), ()) if role not in told]
    project = services[label][0].project
    return frozenset(
        other
        for other, role in roles.items()
        if role in wanted and other != label and services[other][0].project == project
    )


def _reach(label: str, needs: Mapping[str, frozenset[str]]) -> frozenset[str]:
    seen: set[str] = set()
    open_ = list(needs.get(label, ()))
    while open_:
        other = open_.pop()
        if other not in seen:
            seen.add(other)
            open_ += needs.get(other, ())
    return frozenset(seen - {label})


def _ports(services: Mapping[str, list[Container]]) -> dict[int, str]:
    ports: dict[int, str] = {}
    for label, replicas in services.items():
        for container in replicas:
            for published in container.ports:
                if found := _PUBLISHED.match(published):
                    ports.setdefault(int(found[1]), label)
    return ports


def probes_by_service(reading: ProbesReading | None, stack: Topology) -> dict[str, list[ProbeResult]]:
    """Direct probes of each service; "" holds those that ask nobody of this stack."""
    found: dict[str, list[ProbeResult]] = {}
    for probe in reading.probes if reading else ():
        found.setdefault(stack.owner(probe), []).append(probe)
    return found
