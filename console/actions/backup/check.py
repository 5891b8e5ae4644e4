"""Is there a backup that a restore can use: as a check, beside those of the database itself."""

from __future__ import annotations

import asyncio

from console.actions.backup.manifest import alarms
from console.actions.backup.shelf import known
from console.checks.check import Finding, Status, Suggestion
from console.checks.diagnosis import Check, Looked
from console.checks.looks.database import GROUP, services, serving
from console.checks.scene import Scene
from console.errors import SevdeckError, SourceError


async def look(scene: Scene) -> Looked:
    """Only where there is a database to back up, or a backup."""
    if scene.data_dir is None:
        return Looked()
    label, _ = serving(await services(scene), "database")
    try:
        found = await known(scene.config, scene.data_dir)
    except (SevdeckError, OSError) as error:
        raise SourceError(f"the backups cannot be listed: {error}") from error
    if not found and not label:
        return Looked()
    wrong = await asyncio.to_thread(alarms, found, scene.config.backup.rpo, scene.now)
    if not wrong:
        return Looked(cleared=f"the newest of {len(found)} backups is young enough and of ordinary size")
    verify = "verified" in wrong[0]
    fix = Suggestion(
        f"verify the newest backup: sevdeck backup verify {found[0].short}"
        if verify
        else "make one: sevdeck backup create",
        "level 4 restores from it; nothing else brings lost data back",
        "none",
        0.7,
        cost="some seconds of disk load",
        falsified_by="backups are made elsewhere: then name them as [backup] hook",
    )
    return Looked((Finding(f"{GROUP}.backup", GROUP, Status.WARN, wrong[0], tuple(wrong[1:]), (fix,), subject=label),))


CHECK = Check(f"{GROUP}.backup", "there is a backup that a restore can use", look, 4.0)
