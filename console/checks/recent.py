"""Changes of the last hour, each with its time and what shows it. The first is suspect number one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from console.checks import baseline, migrations
from console.checks.baseline import Baseline
from console.checks.change import RECENT, TOGETHER, Change
from console.checks.made import Made, listed, made
from console.checks.migrations import Migration
from console.checks.scene import Scene
from console.errors import SourceError
from console.watch.inspected import moment


async def recent_changes(scene: Scene) -> tuple[Change, ...]:
    """Newest first. Raises SourceError when the engine does not answer."""
    some = [made(one) for one in await scene.watched()]
    now, before, newest = await asyncio.gather(baseline.take(scene), baseline.known(scene), migrations.newest(scene))
    built = await _built(scene, some)
    found = [*containers(some, before, built), *settings(now, before, some), *applied(newest, before)]
    fresh = [c for c in found if c.when is not None and 0 <= scene.now - c.when <= RECENT]
    return tuple(sorted(fresh, key=lambda change: -(change.when or 0.0)))


def containers(some: Sequence[Made], before: Baseline | None, built: Mapping[str, float]) -> list[Change]:
    """What was made anew: named for its image where that is another one, or new. `built` by image id.

    A stack that was made as a whole, of what it was made of before, is one change.
    """
    found = [_of(m, before, built) for m in some if m.created is not None]
    plain = [c for c in found if c.kind == "container"]
    times = [c.when for c in plain if c.when is not None]
    if len(plain) == len(some) > 1 and max(times) - min(times) <= TOGETHER:
        text = f"all {len(some)} containers were made together"
        return [Change("container", "", text, max(times), tuple(c.what for c in plain), _services(some))]
    return found


def _of(m: Made, before: Baseline | None, built: Mapping[str, float]) -> Change:
    was = before.services.get(m.label) if before else None
    evidence, mine = (f"{m.name} runs {m.image} ({baseline.short(m.image_id)})",), (m.label,)
    if was is not None and was.image_id != m.image_id:
        text = f"{m.label}: image {baseline.short(was.image_id)} -> {baseline.short(m.image_id)}"
        return Change("image", m.label, text, m.created, (f"was {was.image}", *evidence), mine)
    if was is not None and was.hash != m.hash:
        return Change("settings", m.label, f"{m.label}: made of other settings", m.created, evidence, mine)
    age = (m.created or 0.0) - built.get(m.image_id, 0.0)
    if was is None and 0 <= age <= RECENT:
        return Change("image", m.label, f"{m.label}: made of a new image {m.image}", m.created, evidence, mine)
    return Change("container", m.label, f"{m.label}: container made anew of {m.image}", m.created, evidence, mine)


def settings(now: Baseline, before: Baseline | None, some: Sequence[Made]) -> Iterable[Change]:
    """Files with another content than at the last good look; without such a look, by the time of their change."""
    for path, (digest, at) in now.files.items():
        if before is not None and before.files.get(path, ("",))[0] == digest:
            continue
        readers = [m for m in some if any(mount.shows(path) for mount in m.mounts)]
        late = [m for m in readers or some if m.started is not None and m.started < at]
        evidence = (f"{listed([m.label for m in late])} started before that and may not have read it",) if late else ()
        yield Change("file", path, f"{path} was changed", at, evidence, _services(readers))


def applied(newest: Mapping[str, Migration], before: Baseline | None) -> Iterable[Change]:
    """Migrations with a time; one without a time, where the last good look knew another: since that look."""
    for table, one in newest.items():
        was = before.migrations.get(table) if before else None
        if one.entry == was:
            continue
        at = one.at if one.at is not None else before.at if before and was else None
        since = ("applied at some time after the last good look",) if one.at is None else ()
        yield Change("migration", table, f"migration {one.entry} ({table})", at, since)


def _services(some: Iterable[Made]) -> tuple[str, ...]:
    return tuple(sorted({m.label for m in some}))


async def _built(scene: Scene, some: Iterable[Made]) -> dict[str, float]:
    """Image id -> when it was built; who does not tell is left out."""

    async def one(ident: str) -> float | None:
        try:
            told = await scene.get(f"/images/{ident}/json")
        except SourceError:
            return None
        return moment(told.get("Created"))

    ids = sorted({m.image_id for m in some if m.image_id})
    times = await asyncio.gather(*map(one, ids))
    return {ident: at for ident, at in zip(ids, times, strict=True) if at is not None}
