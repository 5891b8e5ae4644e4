"""Incidents of any length for measuring, written in one go: the chain's own functions without a sync for each event."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from console.incident.chain import START, frame
from console.incident.events import Actor, Event, encode_event, new_id

ANA = Actor("root", sudo_user="ana", uid=0, host="prod-1", via="console")
WATCH = Actor("root", uid=0, host="prod-1", via="watch")
TITLE = "the shop does not answer"


def make_incident(directory: Path, count: int) -> Path:
    """The journal of `count` events that began `count` seconds ago: one declaration, notes and facts in turn."""
    directory.mkdir(parents=True, mode=0o700, exist_ok=True)
    writer = uuid.uuid4().hex
    path = directory / f"prod-1-{writer}.jsonl"
    head, lines = START, []
    began = int(time.time()) - count - 10
    for number, (kind, actor, data) in enumerate(_story(count), 1):
        when = float(began + number)
        stamp = (int(when * 1000), 0)
        event = Event(new_id(), directory.name, writer, number, when, when, stamp, kind, actor, data)
        head, line = frame(head, encode_event(event))
        lines.append(line)
    path.write_bytes(b"".join(lines))
    path.chmod(0o600)
    return path


def _story(count: int) -> Iterator[tuple[str, Actor, dict[str, Any]]]:
    yield "genesis", ANA, {"host": "prod-1", "pid": 1, "version": "0"}
    yield "declared", ANA, {"title": TITLE, "severity": 2, "drill": False, "commander": "ana"}
    for number in range(1, count):
        if number % 10 == 0:
            text = f"looked at worker {number}, which answers in {number % 97} ms"
            yield "note", ANA, {"text": text}
        else:
            text = f"shop-app-{number % 7}: restarted, {number % 13} times in the last hour"
            data = {"fact": "container.restart", "subject": f"shop-app-{number % 7}", "text": text}
            yield "fact", WATCH, {**data, "bad": number % 5 == 0}
