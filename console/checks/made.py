"""A container as it was made: the settings that configuration and security are judged by, from its inspect document.

What it does now (figures, health) is `console.watch.containers`' part. Nothing secret is kept: of its environment,
names only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from console.text import clean
from console.watch.inspected import moment, restart_policy

_LABEL = "com.docker.compose."
_STAND_IN = "sevdeck.stands-in-for"  # what recovery and containment put in a service's place
_NAMELESS = re.compile(r"[0-9a-f]{64}")  # the engine's own names for volumes
_ANYWHERE = {"", "0.0.0.0", "::"}


@dataclass(frozen=True, slots=True)
class Port:
    """One published port. `address` "" is every address of the host."""

    address: str
    outside: int
    inside: str  # "5432/tcp"

    def __str__(self) -> str:
        return f"{self.address or '0.0.0.0'}:{self.outside}->{self.inside}"


@dataclass(frozen=True, slots=True)
class Mount:
    """`source`: the path on the host, or the volume's name. `nameless`: a volume that only its container knows."""

    kind: str
    source: str
    inside: str
    writable: bool
    nameless: bool = False

    def shows(self, path: str) -> bool:
        """Whether the container sees this file of the host."""
        return self.kind == "bind" and (path == self.source or path.startswith(self.source.rstrip("/") + "/"))


@dataclass(frozen=True, slots=True)
class Made:
    """Times in unix seconds, `memory` in bytes; None is unknown, or no limit for `memory`."""

    id: str
    name: str
    service: str
    project: str
    image: str  # as it was asked for: "shop/app:1"
    image_id: str
    hash: str  # Compose's, of the settings that it was made from; "" without Compose
    status: str
    exit_code: int
    restart: str
    created: float | None
    started: float | None
    checked: bool  # it has a health check
    log_driver: str
    log_capped: bool
    log_file: str
    memory: int | None
    user: str
    privileged: bool
    capabilities: tuple[str, ...]
    namespaces: tuple[str, ...]  # those of the host that it is in: "network", "pid", "ipc"
    ports: tuple[Port, ...]
    mounts: tuple[Mount, ...]
    variables: frozenset[str]  # names
    stand_in: bool  # ours, for a while

    @property
    def label(self) -> str:
        return self.service or self.name

    @property
    def loose(self) -> bool:
        """Neither Compose nor sevdeck made it."""
        return not self.project and not self.stand_in

    @property
    def running(self) -> bool:
        return self.status == "running"


def made(data: Mapping[str, Any]) -> Made:
    """One container from GET /containers/{id}/json. What is missing counts as not set."""
    state, config, host = _part(data, "State"), _part(data, "Config"), _part(data, "HostConfig")
    labels, log = _part(config, "Labels"), _part(host, "LogConfig")
    test = _part(config, "Healthcheck").get("Test") or []
    return Made(
        id=str(data.get("Id", "")),
        name=_text(data, "Name").lstrip("/"),
        service=_text(labels, _LABEL + "service"),
        project=_text(labels, _LABEL + "project"),
        image=_text(config, "Image"),
        image_id=_text(data, "Image"),
        hash=_text(labels, _LABEL + "config-hash"),
        status=_text(state, "Status"),
        exit_code=int(state.get("ExitCode") or 0),
        restart=restart_policy(host),
        created=moment(data.get("Created")),
        started=moment(state.get("StartedAt")),
        checked=bool(test) and test[0] != "NONE",
        log_driver=_text(log, "Type"),
        log_capped="max-size" in _part(log, "Config"),
        log_file=_text(data, "LogPath"),
        memory=int(host.get("Memory") or 0) or None,
        user=_text(config, "User"),
        privileged=bool(host.get("Privileged")),
        capabilities=tuple(sorted(clean(str(c)).upper().removeprefix("CAP_") for c in host.get("CapAdd") or ())),
        namespaces=tuple(
            name
            for name, key in (("network", "NetworkMode"), ("pid", "PidMode"), ("ipc", "IpcMode"))
            if host.get(key) == "host"
        ),
        ports=tuple(sorted(set(_ports(_part(data, "NetworkSettings"))), key=str)),
        mounts=tuple(_mount(m) for m in data.get("Mounts") or () if isinstance(m, dict)),
        variables=frozenset(clean(str(pair).partition("=")[0], 200) for pair in config.get("Env") or ()),
        stand_in=_STAND_IN in labels,
    )


def names(some: Iterable[Made]) -> str:
    """The services, each once: "app, worker"."""
    return listed([m.label for m in some])


def listed(words: Sequence[str], most: int = 6) -> str:
    """
    >>> listed(["b", "a", "b"]), listed(["a", "b", "c"], 2)
    ('a, b', 'a, b and 1 more')
    """
    each = sorted(set(words))
    return ", ".join(each[:most]) + (f" and {len(each) - most} more" if len(each) > most else "")


def count(number: int, what: str) -> str:
    """
    >>> count(1, "service"), count(3, "service")
    ('1 service', '3 services')
    """
    return f"{number} {what}" + ("" if number == 1 else "s")


def _ports(network: Mapping[str, Any]) -> Iterable[Port]:
    for inside, bindings in _part(network, "Ports").items():
        for binding in bindings or ():
            outside, address = str(binding.get("HostPort", "")), str(binding.get("HostIp", ""))
            if outside.isdigit():
                yield Port("" if address in _ANYWHERE else clean(address, 60), int(outside), clean(str(inside), 20))


def _mount(data: Mapping[str, Any]) -> Mount:
    kind, name = _text(data, "Type"), _text(data, "Name")
    source = name if kind == "volume" else _text(data, "Source")
    nameless = kind == "volume" and bool(_NAMELESS.fullmatch(name))
    return Mount(kind, source, _text(data, "Destination"), bool(data.get("RW")), nameless)


def _part(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = data.get(key)
    return found if isinstance(found, dict) else {}


def _text(data: Mapping[str, Any], key: str) -> str:
    found = data.get(key)
    return clean(found) if isinstance(found, str) else ""
