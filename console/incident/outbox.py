"""Messages that are to leave this host: a file each until somebody has them. Written at once, sent by another process.

Whoever has something to tell only writes here, which takes a millisecond and needs no network; `console.tell.notify`
sends. A message is for channels by name; addresses and their secrets are in the settings alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from console.incident.disk import ensure_directory, write_atomically
from console.redact import redact
from console.redact_people import People
from console.text import clean

KINDS = ("slack", "webhook")  # channels that can be sent to
KEPT = 30 * 86_400.0  # seconds; what was settled so long ago is removed
_MOST = 1_000  # files in it; a fault that repeats each second fills no disk
_NAME = re.compile(r"\d{13}-[0-9a-f]{8}\.json")


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a message on one channel. `state`: waiting, sent, failed. Times are unix seconds."""

    state: str = "waiting"
    tries: int = 0
    due: float = 0.0  # not before
    at: float = 0.0  # of the last try
    detail: str = ""  # the receipt, or why not


@dataclass(frozen=True, slots=True)
class Message:
    """`kind`: page (a person is needed), opened, closed, flapping, recovered, run, test."""

    id: str
    at: float
    kind: str
    title: str
    text: str
    project: str = ""
    host: str = ""
    incident: str = ""
    channels: dict[str, Delivery] = field(default_factory=dict)

    @property
    def waiting(self) -> list[str]:
        return [name for name, delivery in self.channels.items() if delivery.state == "waiting"]

    @property
    def failed(self) -> list[str]:
        return [name for name, delivery in self.channels.items() if delivery.state == "failed"]


def channels(notify: Mapping[str, Any]) -> tuple[str, ...]:
    """Those that the settings name an address for."""
    return tuple(name for name in KINDS if (notify.get(name) or {}).get("url"))


def directory(data_dir: Path) -> Path:
    return data_dir / "outbox"


def put(
    data_dir: Path,
    channels: Iterable[str],
    kind: str,
    title: str,
    text: str,
    now: float,
    *,
    project: str = "",
    incident: str = "",
) -> Message | None:
    """A message for these channels, durable and masked when this returns. None: there is nobody to tell, or too many
    wait already. Raises OSError."""
    names = dict.fromkeys(channels)
    place = directory(data_dir)
    if not names or (place.is_dir() and not _room(data_dir, place)):
        return None
    ident = f"{int(now * 1000):013d}-{os.urandom(4).hex()}"
    people = People()
    shown = people.text(redact(clean(title, 200))), people.text(redact(clean(text, 2000)))
    told = Message(ident, now, kind, *shown, project, os.uname().nodename, incident, {n: Delivery() for n in names})
    ensure_directory(place)
    _write(data_dir, told)
    return told


def read(data_dir: Path) -> list[Message]:
    """Every message there is, oldest first; a file that is none is passed over."""
    found = []
    for path in sorted(directory(data_dir).glob("*.json")):
        if _NAME.fullmatch(path.name):
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
                found.append(_message(path))
    return found


def settle(data_dir: Path, message: Message, channel: str, delivery: Delivery) -> Message:
    """Write down what became of it on one channel. Raises OSError."""
    told = replace(message, channels={**message.channels, channel: delivery})
    _write(data_dir, told)
    return told


def prune(data_dir: Path, now: float) -> None:
    """Remove what was settled long ago. Raises OSError."""
    for message in read(data_dir):
        if not message.waiting and now - message.at > KEPT:
            (directory(data_dir) / f"{message.id}.json").unlink(missing_ok=True)


def _room(data_dir: Path, place: Path) -> bool:
    """Whether one more may wait. What was settled makes room before its time; what waits does not."""
    if sum(1 for _ in place.iterdir()) <= _MOST:
        return True
    known = read(data_dir)
    settled = [message for message in known if not message.waiting]
    for message in settled[: max(1, len(settled) // 2)]:
        (place / f"{message.id}.json").unlink(missing_ok=True)
    return len(known) - len(settled) < _MOST


def _write(data_dir: Path, message: Message) -> None:
    write_atomically(directory(data_dir) / f"{message.id}.json", json.dumps(asdict(message)).encode())


def _message(path: Path) -> Message:
    raw = json.loads(path.read_bytes())
    channels = {str(name): Delivery(**one) for name, one in raw["channels"].items()}
    words = {key: clean(str(raw[key]), 2000) for key in ("kind", "title", "text", "project", "host", "incident")}
    return Message(id=path.stem, at=float(raw["at"]), channels=channels, **words)
