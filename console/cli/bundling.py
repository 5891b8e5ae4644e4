"""The evidence bundle of a diagnosis that a command made: collected, written, counted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from console.cli.call import Call
from console.errors import RecordError, SevdeckError

if TYPE_CHECKING:
    from console.checks.bundle import Bundle, Written
    from console.checks.diagnose import Outcome
    from console.checks.scene import Scene
    from console.incident.events import Event

    Bundled: TypeAlias = tuple[Bundle, Written] | RecordError | None  # None: none was wanted


async def bundled(call: Call, scene: Scene, outcome: Outcome, directory: Path) -> Bundled:
    """Everything of this moment below `directory`, as files and as an archive; or why it is not there."""
    from console.checks import bundle

    journal = await asyncio.to_thread(_journal, call)
    found, results = outcome.findings, outcome.diagnosis.results
    made = await bundle.collect(scene, findings=found, results=results, journal=journal)
    try:
        return made, await asyncio.to_thread(bundle.write, made, directory, archive=True)
    except RecordError as error:  # the diagnosis is told all the same
        return error


def _journal(call: Call) -> list[Event] | None:
    """The record of the incident that is open; None without one. A record that cannot be read stays away."""
    from console.cli.incident_acts import incident_store

    try:
        store = incident_store(call)
        current = store.current()
        return list(store.open(current).events()) if current else None
    except (SevdeckError, OSError):
        return None


def as_data(bundle: Bundled) -> dict[str, Any] | None:
    """For JSON; None where no bundle was wanted."""
    if bundle is None:
        return None
    if isinstance(bundle, RecordError):
        return {"error": bundle.message, "remedy": bundle.remedy}
    made, written = bundle
    return {
        "path": str(written.path),
        "archive": str(written.archive),
        "sha256": written.sha256,
        "files": written.files,
        "bytes": written.bytes,
        "masked": written.masked,
        "missing": [{"item": item.name, "status": item.status, "reason": item.reason} for item in written.missing],
        "took": round(made.took, 3),
    }


def told(bundle: Bundled) -> Iterator[str]:
    """For people: where it lies and what is in it."""
    from console.checks.bundle import preview

    if bundle is None or isinstance(bundle, RecordError):
        return
    made, written = bundle
    yield f"evidence bundle: {written.path}"
    yield f"  archive: {written.archive}, sha256 {written.sha256}"
    yield from (f"  {line}" for line in preview(made))
