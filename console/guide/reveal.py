"""Writes down that somebody is shown a log line with its secrets, before it is shown.

Into the open incident, else into `reveals.log` of the data directory. Where neither can be written, nothing may be
shown. Neither holds the line: only its source, its time, and the hash of the line as it is masked.
"""

from __future__ import annotations

import asyncio
import grp
import hashlib
import json
import os
import pwd
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from console.config import Config
from console.errors import RecordError
from console.guide.desk import Desk
from console.incident.disk import open_log
from console.incident.events import Actor
from console.redact import redact
from console.watch.lane import Lane
from console.watch.logs import LogRecord, whole_line

REVEALED = 30.0  # seconds that the line stays
_DEADLINE = 5.0  # seconds for writing it down


def may_not(config: Config, actor: Actor) -> str:
    """Why this person may not see it, "" when they may: who is only a viewer in `[access]` may not."""
    access = config.extra.get("access", {})
    grouped = any(name.startswith("@") for names in access.values() for name in names)
    them = {actor.name, *(_groups(actor.name) if grouped else ())}  # a directory of users may be slow to ask
    viewer, responder, commander = (
        not them.isdisjoint(access.get(r, ())) for r in ("viewer", "responder", "commander")
    )
    return f"{actor.name} is a viewer in [access]" if viewer and not (responder or commander) else ""


def _groups(name: str) -> list[str]:
    """The person's groups as `[access]` writes them: `@ops`."""
    with suppress(KeyError, OSError):
        gids = os.getgrouplist(name, pwd.getpwnam(name).pw_gid)
        return [f"@{group.gr_name}" for group in grp.getgrall() if group.gr_gid in gids]
    return []


def recorded_in(desk: Desk) -> bool:
    """Whether it will stand in the incident."""
    return desk.incident is not None and desk.incident.open


def place(data_dir: Path) -> Path:
    """The file for what is revealed outside of an incident."""
    return data_dir / "reveals.log"


async def write_down(desk: Desk, data_dir: Path, actor: Actor, record: LogRecord, lane: Lane) -> None:
    """Returns when it is on disk. Raises RecordError when it is not there within five seconds.

    An incident that cannot be written now keeps trying: it may say of a line that was not shown that it was.
    """
    entry = _entry(record)
    try:
        if recorded_in(desk):
            await asyncio.wait_for(desk.append("reveal", entry), _DEADLINE)
        else:
            await asyncio.wait_for(lane.call(_append, place(data_dir), actor, entry), _DEADLINE)
    except TimeoutError:
        raise RecordError(
            f"it could not be written down within {_DEADLINE:.0f} s", remedy="Look at the disk of the data directory"
        ) from None
    except OSError as error:
        raise RecordError(
            f"{place(data_dir)} cannot be written: {error.strerror}", remedy="Look at the disk of the data directory"
        ) from None


def _entry(record: LogRecord) -> dict[str, str]:
    """Which line it was. The hash is of the masked line: one of the line itself would let a short PIN be guessed."""
    at = record.at if record.at is not None else record.arrived
    when = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds") if at else "no time"
    place = f", byte {record.offset}" if record.offset is not None else ""
    digest = hashlib.sha256(whole_line(record).encode("utf-8", "replace")).hexdigest()[:16]
    return {"source": redact(record.source), "line": f"{when}{place}, masked {digest}"}


def _append(path: Path, actor: Actor, entry: dict[str, str]) -> None:
    body = {"time": datetime.fromtimestamp(time.time(), UTC).isoformat(), "by": actor.as_json(), **entry}
    with open_log(path) as file:
        file.write((json.dumps(body) + "\n").encode())
        file.flush()
        os.fsync(file.fileno())
