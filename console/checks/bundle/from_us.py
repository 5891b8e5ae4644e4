"""What sevdeck itself knows: the diagnosis, the flight record, the incident's journal, its settings, its own log."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from console.checks.bundle.items import Collector, Got
from console.checks.check import Finding, overall
from console.checks.diagnosis import CheckResult
from console.checks.scene import Scene
from console.config_show import effective
from console.errors import SourceError
from console.incident.events import Event
from console.incident.privacy import redacted
from console.watch.lane import Lane

JOURNAL = "incident/journal.jsonl"
_LOG_BYTES = 256 * 1024
_LOG = "sevdeck.log"


def of_us(
    scene: Scene,
    findings: Sequence[Finding],
    results: Sequence[CheckResult],
    flight: Mapping[str, Any] | None,
    journal: Sequence[Event] | None,
) -> list[Collector]:
    async def diagnosis() -> Got:
        told = {
            "at": scene.now,
            "status": str(overall(findings)),
            "findings": [asdict(one) for one in findings],
            "results": [asdict(one) for one in results],
        }
        return Got(plain(told), "" if findings or results else "no check was run for this bundle")

    async def settings() -> Got:
        rows = [{"key": row.key, "value": row.value, "source": row.source} for row in effective(scene.config)]
        return Got({"file": str(scene.config.path or ""), "settings": plain(rows)})

    async def frozen() -> Got:
        return Got(plain(flight))

    async def slice_() -> Got:
        return Got([plain(event._asdict() | {"actor": event.actor.as_json()}) for event in redacted(journal or ())])

    found = [Collector("diagnosis.json", diagnosis), Collector("sevdeck/settings.json", settings)]
    if flight is not None:
        found.append(Collector("incident/flight.json", frozen))
    if journal is not None:
        found.append(Collector(JOURNAL, slice_))
    if scene.data_dir is not None:
        place = scene.data_dir / _LOG
        found.append(Collector("sevdeck/sevdeck.log.txt", lambda: _log(place)))
    return found


def plain(data: Any) -> Any:
    """Records as JSON has them."""
    return json.loads(json.dumps(data, default=str))


async def _log(path: Path) -> Got:
    def read() -> tuple[bytes, int]:
        with path.open("rb") as file:
            before = max(0, file.seek(0, 2) - _LOG_BYTES)
            file.seek(before)
            return file.read(_LOG_BYTES), before

    lane = Lane("bundle log")
    try:
        data, before = await lane.call(read)
    except FileNotFoundError:
        return Got("")  # nothing was worth a line
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error
    finally:
        lane.close()
    return Got(data.decode("utf-8", "replace"), f"{before} bytes before these are left out" if before else "")
