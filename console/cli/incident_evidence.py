"""What the host looks like at a declaration from the command line: one short look, kept as an attachment and facts.

A console that is open adds its half hour of readings by itself; this is for when nobody was watching.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

from console.incident.events import Actor
from console.incident.journal import Journal

if TYPE_CHECKING:
    from console.config import Config

LIMIT = 2.5  # seconds; the person who declares is waiting
_NAME = "readings at declaration.json"


def add_evidence(journal: Journal, config: Config) -> None:
    """Look for a moment and write down what is there: nothing, if nothing answered. Raises RecordError."""
    from console.checks.facts import backlog, unsaid
    from console.cli.as_json import as_json
    from console.incident.state import fold
    from console.redact import redact_data
    from console.watch.look import look

    readings = asyncio.run(look(config, limit=LIMIT))
    now = time.time()
    names = ("host", "containers", "probes", "metrics", "logs")
    seen = {name: getattr(readings, name) for name in names if getattr(readings, name).value is not None}
    if not seen:
        return
    watch = Actor.current("watch")
    for fact in unsaid(backlog(readings, config, now), fold(journal.events())):
        journal.append("fact", fact.event(noticed_at=now), id=fact.id, at=fact.at, actor=watch)
    content = json.dumps(redact_data(as_json(seen)), ensure_ascii=False, indent=1).encode("utf-8", "backslashreplace")
    data = {"name": _NAME, "sha256": journal.put_blob(content), "size": len(content), "sources": sorted(seen)}
    journal.append("attach", data, actor=watch)
