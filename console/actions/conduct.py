"""What the parts of a run share: its pace, its record, and the word that ends it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from console.actions import runs
from console.actions.lock import hold_text
from console.errors import RecordError
from console.incident.journal import Journal

TEXT = 500  # characters of a step's text in the record


@dataclass(frozen=True, slots=True)
class Pace:
    """How long the runner waits for what, in seconds. Tests are impatient; people get these."""

    gate: float = 0.25
    ping: float = 2.0  # between pings while a change is under way
    settle: float = 5.0  # after an engine came back, before anything is judged
    patience: float = 20.0  # for a silent engine, when nothing of ours is down
    long_patience: float = 600.0  # when we took something down: it must come up again
    validate: float = 1.0
    validation: float = 60.0  # at least; longer where health checks are slow
    observe: float = 5.0
    allowed: int = 2  # bad samples of an observation that may be noise
    quiet: float = 5.0  # without a change by others before a paused run goes on
    tolerance: float = 60.0  # for others who change the stack; then the run ends
    before: float = 0.6  # for the look before: evidence must not delay the cure


class StoppedError(Exception):
    """The run ends here: by a person, the hold file, a failed step. Carries the closing state and the reason."""

    def __init__(self, state: str, reason: str) -> None:
        super().__init__(reason)
        self.state = state
        self.reason = reason


class Conduct:
    """One run's journal, and whether it should go on."""

    def __init__(self, data_dir: Path, run_id: str, journal: Journal) -> None:
        self.data_dir, self.run_id, self.journal = data_dir, run_id, journal
        self.putting_back = False
        self.stop_reason = ""

    def append(self, kind: str, data: Mapping[str, Any]) -> None:
        """Record, durably. While we put things back the record is a wish, bringing services up is a duty."""
        try:
            self.journal.append(kind, {"run": self.run_id, **data})
        except RecordError:
            if not self.putting_back:
                raise

    def interrupted(self) -> str:
        """Why the run should end now, "" to go on. While putting things back nothing interrupts."""
        if self.putting_back:
            return ""
        if self.stop_reason:
            return self.stop_reason
        by = runs.cancelled_by(self.data_dir, self.run_id)
        if by:
            return f"cancelled by {by}"
        held = hold_text(self.data_dir)
        return f"on hold: {held}" if held else ""
