"""What the Compose files would build, and whether this host still has what it takes. Records and judgements only.

Level 3 removes containers and makes them anew from the files. Before it may, everything the files name must be
here: images (nothing is pulled at 03:12), volumes, bind mounts, ports. `console.actions.survey` fills this in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from console.text import clean


@dataclass(frozen=True, slots=True)
class Wanted:
    """One service as the files have it. `hash` is Compose's own: a container made from it carries the same."""

    service: str
    image: str
    hash: str = ""
    scale: int = 1
    ports: tuple[int, ...] = ()  # published on the host, TCP
    volumes: tuple[str, ...] = ()  # full names of named volumes
    binds: tuple[str, ...] = ()  # paths on the host
    anonymous: bool = False  # it asks for a volume without a name
    depends: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()  # full names
    restart: str = "no"
    published: tuple[str, ...] = ()  # "ADDRESS INSIDE/PROTOCOL"; without an address on all: "0.0.0.0 80/tcp"


@dataclass(frozen=True, slots=True)
class ComposeProject:
    """Where a project comes from: its name, files and directory, from the configuration or from labels."""

    name: str
    files: tuple[str, ...] = ()
    directory: str = ""
    env_files: tuple[str, ...] = ()  # named on the command line when it was brought up; .env needs no naming

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "files": list(self.files),
            "directory": self.directory,
            "env_files": list(self.env_files),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ComposeProject:
        return cls(str(data["name"]), tuple(data["files"]), str(data["directory"]), tuple(data["env_files"]))


@dataclass(frozen=True, slots=True)
class Blueprint:
    """The files' promise and the host's means. `problem` "" when both could be read; else nothing below counts."""

    project: ComposeProject
    services: tuple[Wanted, ...] = ()
    problem: str = ""
    refused: bool = False  # the problem is the files': Compose has read them and says no
    unset: tuple[str, ...] = ()  # variables that the files use and nobody sets
    secrets: tuple[str, ...] = ()  # paths of files that are given to services as secrets
    images: Mapping[str, str] = field(default_factory=dict)  # image of `services` -> id here, "" when absent
    lost_volumes: tuple[str, ...] = ()  # named by the files and not here
    lost_binds: tuple[str, ...] = ()  # paths that are mounted and do not exist
    taken: Mapping[int, str] = field(default_factory=dict)  # port -> who else has it

    def of(self, service: str) -> Wanted | None:
        return next((w for w in self.services if w.service == service), None)

    @property
    def absent(self) -> tuple[str, ...]:
        """Images that are not on this host."""
        return tuple(sorted({w.image for w in self.services if not self.images.get(w.image)}))

    @property
    def nameless(self) -> tuple[str, ...]:
        """Services that ask for a volume without a name: made anew, they would begin with an empty one."""
        return tuple(w.service for w in self.services if w.anonymous)


def wanted(rendered: Mapping[str, Any], hashes: Mapping[str, str]) -> tuple[Wanted, ...]:
    """The services of `docker compose config --format json`, with the hashes of `--hash '*'`.

    Raises AttributeError, TypeError or ValueError for what is not Compose's form.
    """
    project = str(rendered.get("name", ""))
    volumes = {n: str((v or {}).get("name") or f"{project}_{n}") for n, v in (rendered.get("volumes") or {}).items()}
    networks = {n: str((v or {}).get("name") or n) for n, v in (rendered.get("networks") or {}).items()}
    return tuple(
        _one(clean(str(name), 200), body or {}, hashes.get(name, ""), project, volumes, networks)
        for name, body in (rendered.get("services") or {}).items()
    )


def _one(
    name: str,
    body: Mapping[str, Any],
    digest: str,
    project: str,
    volumes: Mapping[str, str],
    networks: Mapping[str, str],
) -> Wanted:
    mounts = [m for m in body.get("volumes") or () if isinstance(m, dict)]
    scale = (body.get("deploy") or {}).get("replicas", body.get("scale", 1))
    return Wanted(
        service=name,
        image=clean(str(body.get("image") or f"{project}-{name}"), 300),
        hash=clean(digest, 100),
        scale=scale if isinstance(scale, int) else 1,
        ports=tuple(_ports(body.get("ports") or ())),
        volumes=_words(volumes.get(m["source"], m["source"]) for m in mounts if _named(m)),
        binds=_words(m.get("source") for m in mounts if m.get("type") == "bind"),
        anonymous=any(m.get("type") == "volume" and not m.get("source") for m in mounts),
        depends=_words(body.get("depends_on") or ()),
        networks=tuple(sorted(_words(networks.get(n, n) for n in body.get("networks") or ()))),
        restart=clean(str(body.get("restart") or "no"), 40),
        published=_words(
            f"{port.get('host_ip') or '0.0.0.0'} {port.get('target')}/{port.get('protocol', 'tcp')}"
            for port in body.get("ports") or ()
        ),
    )


def secret_files(rendered: Mapping[str, Any]) -> tuple[str, ...]:
    """Paths of the files behind `secrets:`. Raises as `wanted`."""
    told = (rendered.get("secrets") or {}).values()
    return _words(secret["file"] for secret in told if (secret or {}).get("file"))


def _named(mount: Mapping[str, Any]) -> bool:
    return mount.get("type") == "volume" and bool(mount.get("source"))


def _words(values: Iterable[Any]) -> tuple[str, ...]:
    return tuple(clean(str(v), 300) for v in values)


def _ports(published: Iterable[Any]) -> Iterable[int]:
    """Single TCP ports; of a range the first, which is what Compose takes when it is free."""
    for port in published:
        first = str((port or {}).get("published") or "").split("-")[0]
        if first.isdigit() and (port or {}).get("protocol", "tcp") == "tcp":
            yield int(first)
