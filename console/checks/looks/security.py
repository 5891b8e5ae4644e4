"""What gives a container the host, shows data to the network or to other users, and who knocks at the door.

All of it is advice: nothing here is down. What a Compose file asks for may be right; the finding says what it opens.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from console.checks import baseline, files
from console.checks.check import Finding, Suggestion, advice
from console.checks.diagnosis import Check, Looked
from console.checks.looks import access, logins, suid
from console.checks.made import Made, Port, count, listed, made, names
from console.checks.scene import Scene
from console.config import inline_secrets
from console.errors import SourceError
from console.programs.blueprint import Blueprint

SOCKETS = ("/var/run/docker.sock", "/run/docker.sock")
# What each lets a container do to the host.
DANGEROUS = {
    "ALL": "everything",
    "SYS_ADMIN": "mounts and namespaces, nearly root of the host",
    "SYS_MODULE": "loads kernel modules",
    "SYS_RAWIO": "reads and writes devices",
    "SYS_PTRACE": "reads the memory of other processes",
    "NET_ADMIN": "changes network and firewall",
    "DAC_READ_SEARCH": "reads every file",
    "BPF": "programs the kernel",
}
_STORE_PORTS = {f"{port}/tcp" for port in (3306, 5432, 5984, 6379, 8086, 9042, 9200, 11211, 27017)}
_ROOT = {"0", "root"}


async def _containers(scene: Scene) -> Looked:
    some = [made(one) for one in await scene.watched()]
    if not some:
        return Looked()
    users = await _users(scene, some)
    found = (privileged(some), sockets(some), capabilities(some), namespaces(some), root(some, users))
    roots = [m for m in some if (m.user or users.get(m.image_id, "")).partition(":")[0] in {"", *_ROOT}]
    said = f"{count(len(some), 'container')} without rights over the host"
    return Looked(tuple(f for f in found if f), said + (f"; started as root: {names(roots)}" if roots else ""))


async def _users(scene: Scene, some: Sequence[Made]) -> dict[str, str]:
    """Image id -> the user that the image declares; an image that does not tell is left out."""

    async def one(ident: str) -> str:
        try:
            told = await scene.get(f"/images/{ident}/json")
        except SourceError:
            return ""
        return str((told.get("Config") or {}).get("User") or "")

    ids = sorted({m.image_id for m in some if m.image_id})
    return dict(zip(ids, await asyncio.gather(*map(one, ids)), strict=True))


def privileged(some: Sequence[Made]) -> Finding | None:
    bad = [m for m in some if m.privileged]
    if not bad:
        return None
    return advice(
        "security.privileged",
        f"privileged: {names(bad)}",
        [f"{m.name} has every right over the host" for m in bad],
        Suggestion(
            f"remove `privileged: true` from {names(bad)}; name single `cap_add` or `devices` where one is needed",
            "who breaks into it is root of the host",
            "none",
            0.6,
            cost="made anew",
            falsified_by="it manages the host on purpose",
        ),
    )


def sockets(some: Sequence[Made]) -> Finding | None:
    bad = [(m, mount) for m in some for mount in m.mounts if mount.source in SOCKETS]
    if not bad:
        return None
    who = names(m for m, _ in bad)
    return advice(
        "security.socket",
        f"the engine's socket is mounted: {who}",
        [f"{m.label}: {mount.source} at {mount.inside}{'' if mount.writable else ', read-only'}" for m, mount in bad],
        Suggestion(
            f"give {who} a socket proxy that only answers what it asks",
            "who reaches the socket is root of the host; mounting it read-only does not change that",
            "none",
            0.5,
            cost="made anew",
            falsified_by="it manages containers on purpose and takes nothing from outside",
        ),
    )


def capabilities(some: Sequence[Made]) -> Finding | None:
    bad = [(m, cap) for m in some for cap in m.capabilities if cap in DANGEROUS and not m.privileged]
    if not bad:
        return None
    return advice(
        "security.capabilities",
        f"rights over the host: {listed([f'{m.label} {cap}' for m, cap in bad])}",
        [f"{m.label}: {cap} ({DANGEROUS[cap]})" for m, cap in bad],
        Suggestion(
            f"remove from cap_add what is not needed: {listed([cap for _, cap in bad])}",
            "each of them is a way out of the container",
            "none",
            0.4,
            cost="made anew",
            falsified_by="its program fails without",
        ),
    )


def namespaces(some: Sequence[Made]) -> Finding | None:
    bad = [m for m in some if m.namespaces]
    if not bad:
        return None
    return advice(
        "security.namespaces",
        f"not apart from the host: {listed([f'{m.label} ({listed(m.namespaces)})' for m in bad])}",
        [f"{m.label} shares the host's {listed(m.namespaces)}" for m in bad],
        Suggestion(
            f"remove `network_mode: host` and `pid: host` from {names(bad)}; publish the ports it needs",
            "it sees the host's processes, or every port that listens on the host alone",
            "none",
            0.4,
            cost="made anew",
            falsified_by="it measures or routes for the host on purpose",
        ),
    )


def root(some: Sequence[Made], users: Mapping[str, str]) -> Finding | None:
    """Root where the image wants somebody else; `users` by image id. Images that declare nobody are only noted."""
    bad = []
    for m in some:
        declared = users.get(m.image_id, "").partition(":")[0]
        if declared not in {"", *_ROOT} and m.user.partition(":")[0] in _ROOT:
            bad.append((m, declared))
    if not bad:
        return None
    who = names(m for m, _ in bad)
    return advice(
        "security.root",
        f"root although the image has a user of its own: {who}",
        [f"{m.label}: root instead of {declared}" for m, declared in bad],
        Suggestion(
            f"remove `user: root` from {who}",
            "the image was made to run without root",
            "none",
            0.5,
            cost="made anew; files it wrote as root may need another owner",
            falsified_by="it must write where only root may",
        ),
    )


async def _ports(scene: Scene) -> Looked:
    blueprint, stack = await scene.blueprint(), await scene.stack()
    ours = [made(one) for one in await scene.watched()]
    loose = [m for m in map(made, (await scene.inspects()).values()) if m.loose]
    roles = {c.id: stack.roles.get(label, "") for label, its in stack.services.items() for c in its}
    every = {m.id: m for m in (*ours, *loose)}.values()
    found = (stores(ours, roles), unnamed(every, blueprint))
    shown = [f"{m.label} {port.outside}" for m in every if m.running for port in m.ports if not port.address]
    said = f"open to the network: {listed(shown)}" if shown else "no port is open to the network"
    return Looked(tuple(f for f in found if f), said)


def stores(some: Iterable[Made], roles: Mapping[str, str]) -> Finding | None:
    """Databases and caches that the whole network reaches."""
    bad = [
        (m, port)
        for m in some
        for port in m.ports
        if m.running and not port.address and (roles.get(m.id) in ("database", "cache") or port.inside in _STORE_PORTS)
    ]
    if not bad:
        return None
    lines = [f'{m.label}: "127.0.0.1:{p.outside}:{p.inside.partition("/")[0]}"' for m, p in bad]
    return advice(
        "security.ports",
        f"data open to the network: {listed([f'{m.label} on port {port.outside}' for m, port in bad])}",
        [f"{m.label} listens on {port}" for m, port in bad],
        Suggestion(
            f"publish on this host alone: {'; '.join(lines)}",
            "the engine's rules come before those of most firewalls (ufw): the port is open to all",
            "none",
            0.6,
            cost="made anew; clients on other hosts are cut off",
            falsified_by="a firewall before this host closes the port, or clients elsewhere need it",
        ),
    )


def unnamed(some: Iterable[Made], blueprint: Blueprint) -> Finding | None:
    """Ports on all addresses that the files do not publish so. Nothing, where the files cannot be read."""
    if blueprint.problem:
        return None
    named = {w.service: set(w.published) for w in blueprint.services}

    def wanted(m: Made, port: Port) -> bool:
        mine = named.get(m.service, set())
        return bool({f"0.0.0.0 {port.inside}", f":: {port.inside}"} & mine)

    bad = [(m, p) for m in some for p in m.ports if m.running and not p.address and not wanted(m, p)]
    if not bad:
        return None
    return advice(
        "security.published",
        f"open to the network and not in the Compose files: {listed([f'{m.label} {p.outside}' for m, p in bad])}",
        [f"{m.name} listens on {p}" for m, p in bad],
        Suggestion(
            f"find out who published it: docker inspect {' '.join(sorted({m.name for m, _ in bad}))}",
            "the files publish no such port on all addresses",
            "none",
            0.4,
            falsified_by="it belongs to something that is run beside the project on purpose",
        ),
    )


async def _files(scene: Scene) -> Looked:
    if not scene.engine.local:
        return Looked()
    blueprint, own = await scene.blueprint(), scene.config
    mine = [own.path] if own.path and inline_secrets(own) else []
    looked, bad = await files.look(lambda: looked_at(blueprint, mine))
    found = world_readable(bad) if bad else None
    return Looked((found,) if found else (), f"{count(looked, 'file')} for secrets closed to other users")


def looked_at(blueprint: Blueprint, more: Sequence[Path]) -> tuple[int, list[Path]]:
    """How many files may hold secrets, and which of them anybody may read. Raises OSError."""
    certain = {*map(Path, blueprint.secrets), *more}
    looked, bad = 0, []
    for path in (*files.settings(blueprint.project), *sorted(certain)):
        try:
            looked += path.is_file()
            if path.is_file() and files.open_to_all(path) and (path in certain or files.holds_secrets(path)):
                bad.append(path)
        except PermissionError:  # closed to us, too, who are somebody
            looked += 1
    return looked, bad


def world_readable(bad: Sequence[Path]) -> Finding:
    every = [str(path) for path in bad]
    return advice(
        "security.files",
        f"any user of this host may read {listed(every)}",
        [f"{path} holds secrets, and others may read it" for path in every],
        Suggestion(
            f"chmod 600 {shlex.join(every)}",
            "passwords in it are known to whoever has an account, or a foot, on this host",
            "none",
            0.7,
            falsified_by="a service reads it under another user: then chown it to that user first",
        ),
    )


async def _unexpected(scene: Scene) -> Looked:
    known = await baseline.known(scene)
    if known is None:
        return Looked()
    blueprint = await scene.blueprint()
    some = [made(one) for one in (await scene.inspects()).values()]
    services = {w.service for w in blueprint.services} | set(known.services)
    found = strangers(some, known, services)
    said = f"no container that was not there at the last good look ({len(some)} are)"
    return Looked((found,) if found else (), said)


def strangers(some: Iterable[Made], known: baseline.Baseline, services: Collection[str]) -> Finding | None:
    """Running containers of no project, or of this one under a name that it never had."""
    bad = [
        m
        for m in some
        if m.running
        and (
            (m.loose and m.name not in known.loose)
            or (m.project and m.project == known.project and m.service not in services)
        )
    ]
    if not bad:
        return None
    return advice(
        "security.unexpected",
        f"containers that were not here at the last good look: {listed([m.name for m in bad])}",
        [f"{m.name} runs {m.image} ({m.image_id.removeprefix('sha256:')[:12]})" for m in bad],
        Suggestion(
            f"find out who started it: docker inspect {' '.join(sorted(m.name for m in bad))}",
            "neither the Compose files nor the last good look know it; keep it for evidence before you stop it",
            "none",
            0.4,
            falsified_by="a colleague started it: take a new base with a diagnosis that accepts it",
        ),
    )


CHECKS = (
    Check("security.containers", "containers have no rights over the host", _containers),
    Check("security.ports", "only what should be is open to the network", _ports),
    Check("security.files", "files with secrets are closed to other users", _files),
    Check("security.logins", "nobody tries passwords over ssh", logins.look),
    Check("security.access", "nobody is turned away again and again", access.look),
    Check("security.suid", "no new program runs with another's rights", suid.look, 2 * suid.DEADLINE),
    Check("security.unexpected", "nothing unexpected runs here", _unexpected),
)
