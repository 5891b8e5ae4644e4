"""The seat: what a screen may use of the engine, and who sits there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from console.config import Config
    from console.guide.desk import Desk
    from console.incident.events import Actor
    from console.watch.lane import QueueLane


@dataclass(frozen=True, slots=True)
class Seat:
    """Settings, the data directory, the person, the desk of the incident, and a thread for slow calls."""

    config: Config
    data_dir: Path
    actor: Actor
    desk: Desk
    engine: QueueLane
