"""The last good snapshot: what ran, of which images and files, when a whole diagnosis was well; and what differs now.

One small file for each project in the data directory. It holds names, hashes and times, no values of settings.
A damaged or older file counts as none: the next good diagnosis writes a new one.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from console.checks import files, migrations
from console.checks.change import Change
from console.checks.check import Finding, Status
from console.checks.made import Made, listed, made
from console.checks.scene import Scene
from console.errors import SourceError
from console.incident.disk import ensure_directory, write_atomically
from console.redact import redact_data
from console.text import clean

VERSION = 1
_LIMIT = 1 << 20  # bytes; a hundred services take about 40 kB
_SETTINGS = {".cfg", ".cnf", ".conf", ".env", ".ini", ".json", ".properties", ".toml", ".xml", ".yaml", ".yml"}


@dataclass(frozen=True, slots=True)
class ServiceSeen:
    """One service. `created` of its newest container, unix seconds."""

    image: str
    image_id: str
    hash: str
    ports: tuple[str, ...] = ()
    created: float | None = None


@dataclass(frozen=True, slots=True)
class Baseline:
    """One moment of one project. `files`: path -> (hash, time of its last change)."""

    at: float
    project: str
    services: Mapping[str, ServiceSeen] = field(default_factory=dict)
    loose: tuple[str, ...] = ()  # names of containers that no project has
    files: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    migrations: Mapping[str, str] = field(default_factory=dict)  # table -> its newest entry

    def as_json(self) -> dict[str, Any]:
        return {"version": VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Baseline:
        """Raises KeyError, TypeError, ValueError or AttributeError for what is not this version's form."""
        if data["version"] != VERSION:
            raise ValueError("another version")
        seen = {
            str(name): ServiceSeen(
                str(one["image"]),
                str(one["image_id"]),
                str(one["hash"]),
                tuple(map(str, one["ports"])),
                None if one["created"] is None else float(one["created"]),
            )
            for name, one in data["services"].items()
        }
        return cls(
            float(data["at"]),
            str(data["project"]),
            seen,
            tuple(map(str, data["loose"])),
            {str(path): (str(one[0]), float(one[1])) for path, one in data["files"].items()},
            {str(table): str(newest) for table, newest in data["migrations"].items()},
        )


def place(data_dir: Path, project: str) -> Path:
    """
    >>> place(Path("/d"), "shop").name, place(Path("/d"), "../x").name
    ('shop.json', '.._x.json')
    """
    return data_dir / "baseline" / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', project) or 'host'}.json"


def load(data_dir: Path, project: str) -> Baseline | None:
    """The last good snapshot; None without one, and for one that cannot be read."""
    try:
        with place(data_dir, project).open("rb") as file:
            found = Baseline.from_json(json.loads(file.read(_LIMIT)))
    except (OSError, KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError):
        return None
    return found if found.project == project else None


def save(data_dir: Path, snapshot: Baseline) -> None:
    """Durable, or not at all. Raises OSError."""
    target = place(data_dir, snapshot.project)
    ensure_directory(target.parent)
    write_atomically(target, json.dumps(redact_data(snapshot.as_json()), sort_keys=True).encode())


def good(findings: Iterable[Finding]) -> bool:
    """Whether a moment with these findings, those of all groups, may be the base of later ones: nothing fails.

    What is not known must not be about what happens now: that a user may not read the journal is no trouble.
    """
    made = ("configuration", "security")
    return all(
        f.status.rank <= Status.WARN.rank and (f.status is not Status.UNKNOWN or f.group in made) for f in findings
    )


async def known(scene: Scene) -> Baseline | None:
    """The last good snapshot of this scene's project."""
    directory = scene.data_dir
    if directory is None:
        return None
    project = (await scene.project()).name
    return await scene.once("baseline", lambda: files.look(lambda: load(directory, project)))


async def take(scene: Scene) -> Baseline:
    """This moment. Raises SourceError when the engine does not answer."""
    return await scene.once("moment", lambda: _taken(scene))


async def _taken(scene: Scene) -> Baseline:
    project = await scene.project()
    ours = [made(one) for one in await scene.watched()]
    every = [made(one) for one in (await scene.inspects()).values()]
    seen, newest = await asyncio.gather(_fingerprints(scene), migrations.newest(scene))
    loose = tuple(sorted(m.name for m in every if m.loose))
    return Baseline(scene.now, project.name, services(ours), loose, seen, {t: m.entry for t, m in newest.items()})


async def keep(scene: Scene, *, accept: bool = False) -> Baseline:
    """Take a snapshot and save it. `accept`: somebody says that all of it is right.

    Without that, a container of no project that the last snapshot did not know stays unknown, so that it is told of
    again. Raises SourceError or OSError; nothing is saved where there is no data directory.
    """
    now, before = await take(scene), await known(scene)
    if before is not None and not accept:
        loose = tuple(name for name in now.loose if name in before.loose)
        now = Baseline(now.at, now.project, now.services, loose, now.files, now.migrations)
    if scene.data_dir is not None:
        await asyncio.to_thread(save, scene.data_dir, now)
    return now


def services(some: Iterable[Made]) -> dict[str, ServiceSeen]:
    """By service; of several containers of one the newest."""
    found: dict[str, ServiceSeen] = {}
    for m in sorted(some, key=lambda m: m.created or 0.0):
        ports = tuple(str(port) for port in m.ports)
        found[m.label] = ServiceSeen(m.image, m.image_id, m.hash, ports, m.created)
    return found


async def _fingerprints(scene: Scene) -> dict[str, tuple[str, float]]:
    """Of the Compose files, the settings beside them and what is mounted read-only. Empty where nobody can look."""
    if not scene.engine.local:
        return {}
    project = await scene.project()
    mounted = [mount for one in await scene.watched() for mount in made(one).mounts if mount.kind == "bind"]

    def seen() -> dict[str, tuple[str, float]]:
        read = [Path(f) for f in project.files] + list(files.settings(project))
        # What is written to all the time (logs, data) is no configuration.
        kept = {Path(m.source) for m in mounted if not m.writable or Path(m.source).suffix in _SETTINGS}
        read += files.within(sorted(kept))
        marks = {str(path): files.fingerprint(path) for path in read}
        return {clean(path, 300): mark for path, mark in marks.items() if mark is not None}

    try:
        return await files.look(seen)
    except SourceError:
        return {}


def changed(before: Baseline, now: Baseline) -> tuple[Change, ...]:
    """What differs, newest first; what has no time last."""
    found = [*_services_changed(before, now), *_files_changed(before, now)]
    found += [
        Change("migration", table, f"{table}: {before.migrations.get(table, 'none')} -> {entry}", None)
        for table, entry in now.migrations.items()
        if before.migrations and before.migrations.get(table) != entry
    ]
    new = sorted(set(now.loose) - set(before.loose))
    found += [Change("container", name, f"{name}: a container of no project", None) for name in new]
    return tuple(sorted(found, key=lambda change: -(change.when or 0.0)))


def _services_changed(before: Baseline, now: Baseline) -> Iterable[Change]:
    for label, one in now.services.items():
        was = before.services.get(label)
        if was is None:
            yield Change("container", label, f"{label}: new, of {one.image}", one.created)
        elif was.image_id != one.image_id:
            tags = "" if was.image == one.image else f" ({was.image} -> {one.image})"
            text = f"{label}: image {short(was.image_id)} -> {short(one.image_id)}{tags}"
            yield Change("image", label, text, one.created, (f"was {was.image}", f"is {one.image}"))
        elif was.hash != one.hash:
            what = f"ports {listed(was.ports) or 'none'} -> {listed(one.ports) or 'none'}"
            text = f"{label}: made of other settings" + ("" if was.ports == one.ports else f", {what}")
            yield Change("settings", label, text, one.created, (f"was {was.hash[:12]}", f"is {one.hash[:12]}"))
    for label in sorted(set(before.services) - set(now.services)):
        yield Change("container", label, f"{label}: its container is gone", None)


def _files_changed(before: Baseline, now: Baseline) -> Iterable[Change]:
    for path, (digest, at) in now.files.items():
        was = before.files.get(path)
        if was is None or was[0] != digest:
            yield Change("file", path, f"{path}: {'new' if was is None else 'changed'}", at)
    for path in sorted(set(before.files) - set(now.files)):
        yield Change("file", path, f"{path}: gone", None)


def short(ident: str) -> str:
    """
    >>> short("sha256:ab12cd34ef56789012345678")
    'sha256:ab12cd34ef56'
    """
    return ident[:19]
