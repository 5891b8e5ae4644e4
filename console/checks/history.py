"""What changed, in the last hour and since the last good look; and a good look kept as the base of later ones."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from console.checks import baseline
from console.checks.change import Change
from console.checks.check import Finding
from console.checks.recent import recent_changes
from console.checks.scene import Scene
from console.errors import SourceError

DEADLINE = 4.0  # seconds for looking back
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class History:
    """Newest first. `good_at`: when the last good look was, unix seconds; None: there was none."""

    recent: tuple[Change, ...] = ()  # of the last hour
    since_good: tuple[Change, ...] = ()
    good_at: float | None = None

    def told(self, now: float) -> tuple[str, Sequence[str]]:
        """(since when, what): since the last good look, else in the last hour."""
        if self.good_at is not None:
            return "since the last good run", [change.said(now) for change in self.since_good]
        return "in the last hour", [change.said(now) for change in self.recent]


async def look_back(scene: Scene) -> History:
    """Empty where no records are kept and where it cannot be told: a diagnosis never waits or fails for it."""
    if scene.data_dir is None:
        return History()
    try:
        async with asyncio.timeout(DEADLINE):
            before, recent = await baseline.known(scene), await recent_changes(scene)
            since = baseline.changed(before, await baseline.take(scene)) if before else ()
    except (SourceError, TimeoutError) as error:
        _log.info("what changed is not known: %s", str(error) or f"no answer in {DEADLINE:g} s")
        return History()
    return History(recent, since, before.at if before else None)


async def keep_if_good(scene: Scene, findings: Iterable[Finding], *, accept: bool = False) -> bool:
    """Keep what runs as the last good look when these findings, of readings and of all groups, are good."""
    if scene.data_dir is None or not baseline.good(findings):
        return False
    try:
        async with asyncio.timeout(DEADLINE):
            await baseline.keep(scene, accept=accept)
    except (SourceError, OSError, TimeoutError) as error:  # the diagnosis stands without it
        _log.warning("the last good look was not kept: %s", error)
        return False
    return True
