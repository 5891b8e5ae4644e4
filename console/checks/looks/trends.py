"""What the history says of tomorrow, for a diagnosis: read from the disk, never written."""

from __future__ import annotations

from collections.abc import Callable

from console.checks import files, growth, trends, unusual
from console.checks.diagnosis import Check, Looked
from console.checks.scene import Scene
from console.watch.history import Known, load, place

DEADLINE = 3.0  # seconds


async def _known(scene: Scene) -> Known:
    directory = scene.data_dir
    if directory is None:
        return Known()
    return await scene.once("trends", lambda: files.look(lambda: load(place(directory), scene.now), DEADLINE))


async def _look(scene: Scene, *of: Callable[[Known, float], trends.Told]) -> Looked:
    """Says nothing where no history is kept; where it ended, that it has."""
    known = await _known(scene)
    if known.newest is None:
        return Looked()
    if not trends.fresh(known, scene.now):
        return Looked(cleared="no forecast: nobody fills the history (a console or `sevdeck watch` does)")
    told = await files.look(lambda: [one(known, scene.now) for one in of], DEADLINE)
    found = tuple(finding for one in told for finding in one.findings)
    return Looked(found, ", ".join(words for one in told for words in one.cleared))


async def look_disks(scene: Scene) -> Looked:
    return await _look(scene, trends.disks, lambda known, _: trends.Told(growth.rooms(known)))


async def look_database(scene: Scene) -> Looked:
    def told(known: Known, now: float) -> trends.Told:
        found = (*growth.databases(known), *growth.deadlocks(known, now, scene.config.thresholds))
        asked = bool(known.of("database", "size"))
        return trends.Told(found, ("no more deadlocks and no more growth than usual",) if asked and not found else ())

    return await _look(scene, told)


async def look_figures(scene: Scene) -> Looked:
    directory = scene.data_dir
    looked = await _look(scene, trends.memory, trends.connections)
    if directory is None:
        return looked
    present = await files.look(lambda: unusual.read(place(directory) / unusual.FILE, scene.now))
    return Looked((*looked.findings, *unusual.findings(present, scene.now)), looked.cleared)


CHECKS = (
    Check("quick.trends", "no disk fills up", look_disks, 2 * DEADLINE),
    Check("database.trends", "no deadlocks, no sudden growth", look_database, 2 * DEADLINE),
    Check("performance.trends", "no memory leaks, no connections pile up", look_figures, 2 * DEADLINE),
)
