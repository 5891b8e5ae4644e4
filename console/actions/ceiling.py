"""How far recovery may go by itself: the configured ceiling, and level 3 for as long as a person armed it.

Arming is for one incident and an hour at most. It is written into the incident's record before it takes effect.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from console.actions.attempts import directory
from console.actions.budget import span
from console.config import Config
from console.errors import RefusedError
from console.incident.disk import ensure_directory, write_atomically
from console.incident.events import Actor
from console.incident.store import IncidentStore
from console.text import clean

NEVER = 4  # the level that is never run without a person
ARMABLE = 3
LONGEST = 3600.0  # seconds


@dataclass(frozen=True, slots=True)
class Armed:
    """A person allowed this level, unattended, for this incident, until then (unix seconds)."""

    level: int
    incident: str
    by: str
    at: float
    until: float

    def holds(self, incident: str, now: float) -> bool:
        """Not when the clock was set back to before it was armed: an hour must not become a day."""
        return bool(incident) and incident == self.incident and self.at - 60 <= now < self.until

    def words(self, now: float) -> str:
        """
        >>> Armed(3, "INC-2026-0001", "ana", 0.0, 3600.0).words(600.0)
        'level 3 is armed for INC-2026-0001 by ana, for another 50 min'
        """
        left = max(1.0, float(round(self.until - now)))
        left = left if left < 60 else 60.0 * round(left / 60)
        return f"level {self.level} is armed for {self.incident} by {self.by}, for another {span(left)}"


def ceiling(config: Config, most: int | None, armed: Armed | None, incident: str, now: float) -> int:
    """The highest level that may be run unattended now: 0 to 3, never 4.

    `most` is what the command line said and only lowers; None: nothing was said. Arming lifts level 2 to 3.
    """
    configured = min(config.recovery.unattended_max_level, ARMABLE - 1)
    if configured == ARMABLE - 1 and armed is not None and armed.holds(incident, now):
        configured = min(armed.level, ARMABLE)
    return max(0, configured if most is None else min(configured, most))


def arm(
    data_dir: Path, config: Config, level: int, incident: str, seconds: float, actor: Actor, now: float | None = None
) -> Armed:
    """Allow `level` for this incident; in the record and durable when it returns.

    Raises RefusedError for what nobody may arm, UsageError for an incident there is not, RecordError.
    """
    now = time.time() if now is None else now
    if level >= NEVER:
        raise RefusedError("level 4 is never run unattended", remedy="A person runs it: sevdeck recover plan 4")
    if level != ARMABLE:
        raise RefusedError(
            f"level {level} needs no arming",
            remedy="[recovery] unattended_max_level allows levels 1 and 2; only level 3 is armed",
        )
    if config.recovery.unattended_max_level < ARMABLE - 1:
        raise RefusedError(
            f"unattended recovery is limited to level {config.recovery.unattended_max_level} here",
            remedy="Change [recovery] unattended_max_level first",
        )
    if not 0 < seconds <= LONGEST:
        raise RefusedError("a level is armed for an hour at most", remedy="Use --for 60m or less; arm it again later")
    store = IncidentStore(data_dir, actor)
    name = store.directory(incident).name
    if not any(one.id == name for one in store.list(open_only=True)):
        raise RefusedError(f"{name} is over", remedy="Arm a level for an incident that is open")
    armed = Armed(level, name, actor.name, now, now + seconds)
    journal = store.open(name)
    try:
        text = f"armed level {level} for unattended recovery, for {span(float(round(seconds)))}"
        journal.append("note", {"text": text, "armed": {"level": level, "until": armed.until}})
    finally:
        journal.close()
    path = _path(data_dir)
    ensure_directory(path.parent)
    write_atomically(path, json.dumps(asdict(armed)).encode())
    return armed


def disarm(data_dir: Path, actor: Actor) -> Armed | None:
    """Take it back; what had been armed, None when nothing was. Effective first, recorded after."""
    found = armed_now(data_dir)
    _path(data_dir).unlink(missing_ok=True)
    if found is not None:
        journal = IncidentStore(data_dir, actor).open(found.incident)
        try:
            journal.append("note", {"text": f"disarmed level {found.level}", "armed": {"level": 0, "until": None}})
        finally:
            journal.close()
    return found


def armed_now(data_dir: Path, now: float | None = None) -> Armed | None:
    """What is armed and has not run out. Whatever cannot be read is not armed."""
    now = time.time() if now is None else now
    try:
        found = json.loads(_path(data_dir).read_bytes())
        armed = Armed(
            int(found["level"]),
            clean(str(found["incident"]), 40),
            clean(str(found["by"]), 64),
            float(found["at"]),
            min(float(found["until"]), float(found["at"]) + LONGEST),
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return armed if armed.holds(armed.incident, now) else None


def _path(data_dir: Path) -> Path:
    return directory(data_dir) / "armed.json"
