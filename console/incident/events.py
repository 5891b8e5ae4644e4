"""The kinds of event, who wrote one, and the door every event passes on its way to disk.

An event is immutable and small (32 KiB); large things are blobs that an event names by hash. This module
knows nothing of files: `journal` stores events, `state` folds them, `summary` puts them into words.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import math
import os
import re
import secrets
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from sys import intern
from typing import Any, NamedTuple

from console.errors import RecordError
from console.redact import redact_data
from console.text import clean

FORMAT = 1
MAX_BODY = 32 * 1024  # bytes of one encoded event; PostgreSQL and a tired reader both want it small
MAX_DEPTH = 12
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")  # the escape; not a backslash that somebody wrote before u0000
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_YEAR_9999 = 253_402_300_799.0
_HEAD_DIGITS = 16  # of a hash where it only has to be recognised

ROLES = ("commander", "operations", "communications", "scribe", "expert", "observer")

# kind -> keys its data must have. docs: what else each may carry stands in `state`, which reads it.
KINDS: dict[str, tuple[str, ...]] = {
    "genesis": ("host", "pid"),
    "declared": ("title", "severity"),
    "note": ("text",),
    "severity": ("severity", "reason"),
    "role": ("role", "who"),
    "status": ("status",),
    "ack": (),
    "joined": (),
    "left": (),
    "handover.offered": ("to", "brief"),
    "handover.accepted": ("offer",),
    "handover.declined": ("offer", "reason"),
    "playbook.started": ("run", "playbook", "title", "sha256", "steps"),
    "step": ("run", "step", "state"),
    "step.claimed": ("run", "step", "who"),
    "fact": ("fact", "subject", "text"),
    "impact": ("reason",),
    "pin": ("event", "pinned"),
    "annotate": ("event", "text"),
    "amend": ("event", "reason"),
    "redact": ("event", "reason"),
    "attach": ("name", "sha256", "size"),
    "flight": ("sha256", "size"),
    "recovery.run": ("run", "state"),
    "recovery.step": ("run", "step", "state"),
    "recovery.validation": ("run", "ok"),
    "recovery.observation": ("run", "state"),
    "containment": ("containment", "name", "state"),
    "comms": ("audience", "text"),
    "reveal": ("source", "line"),
    "resolved": (),
    "closed": (),
    "reopened": ("reason",),
}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it and through what. `via`: console, cli, monitor, runner ... `ssh`: address of the ssh client."""

    login: str
    sudo_user: str = ""
    ssh: str = ""
    uid: int = -1
    host: str = ""
    via: str = ""

    @property
    def name(self) -> str:
        """The person: whoever used sudo, else the login.

        >>> Actor("root", sudo_user="ana").name
        'ana'
        """
        return self.sudo_user or self.login

    @property
    def human(self) -> bool:
        """False for what the machine writes by itself."""
        return self.via not in ("monitor", "runner", "watch", "automatic")

    @classmethod
    def current(cls, via: str = "console", env: Mapping[str, str] | None = None) -> Actor:
        """The person at this terminal, from the process's owner, `SUDO_USER` and `SSH_CONNECTION`."""
        values: Mapping[str, str] = os.environ if env is None else env
        ssh = (values.get("SSH_CONNECTION") or values.get("SSH_CLIENT") or "").split()
        return cls(
            login=clean(_login(values), 64),
            sudo_user=clean(values.get("SUDO_USER", ""), 64),
            ssh=clean(ssh[0], 64) if ssh else "",
            uid=os.getuid(),
            host=clean(socket.gethostname(), 64),
            via=via,
        )

    def as_json(self) -> dict[str, Any]:
        """The `by` field: only what is known."""
        full = {
            "login": self.login,
            "sudo_user": self.sudo_user,
            "ssh": self.ssh,
            "uid": self.uid,
            "host": self.host,
            "via": self.via,
        }
        return {key: value for key, value in full.items() if value not in ("", -1)}

    @classmethod
    def from_json(cls, data: object) -> Actor:
        """Reads a `by` field; what is missing or of the wrong type is unknown."""
        values = data if isinstance(data, dict) else {}
        uid = values.get("uid", -1)
        words = {key: str(values.get(key, "")) for key in ("login", "sudo_user", "ssh", "host", "via")}
        return cls(uid=uid if isinstance(uid, int) else -1, **words)


class Event(NamedTuple):  # made 100,000 times when a long record is read: four times as fast as a dataclass
    """One entry of the record. Equal ids are the same event, whoever wrote it down."""

    id: str
    incident: str
    writer: str  # 32 hex digits, one per writing session
    seq: int  # 1, 2, 3 ... within the writer; 1 is its genesis
    written_at: float  # unix seconds by the writer's clock
    at: float  # unix seconds when it happened; equal to written_at unless said otherwise
    hlc: tuple[int, int]  # hybrid logical clock: milliseconds, counter
    kind: str
    actor: Actor
    data: Mapping[str, Any]
    hash: str = ""  # 64 hex digits, chained to the line before
    seen: Mapping[str, tuple[int, str]] | None = None  # heads of other writers that this one had read

    @property
    def order(self) -> tuple[tuple[int, int], str, int]:
        """The one total order: causes before effects also where clocks differ."""
        return (self.hlc, self.writer, self.seq)

    @property
    def place(self) -> tuple[float, tuple[tuple[int, int], str, int]]:
        """Where it stands in the timeline: by when it happened, a cause never after its effect."""
        when = self.at if self.at != self.written_at else self.hlc[0] / 1000
        return (when, self.order)


def new_id() -> str:
    """A fresh event id (UUID version 7: sortable by time)."""
    raw = bytearray(int(time.time() * 1000).to_bytes(6, "big") + secrets.token_bytes(10))
    raw[6] = (raw[6] & 0x0F) | 0x70
    raw[8] = (raw[8] & 0x3F) | 0x80
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def fact_id(fact: str, subject: str, *parts: object) -> str:
    """The id of an automatic fact, made from the fact itself, so that any number of consoles may write it.

    `parts` tell one occurrence from the next by what every observer sees alike: the engine's event time, a
    container's StartedAt, the time a probe last succeeded rounded to the probe's interval.

    >>> fact_id("container.die", "shop-app-1", 17.5) == fact_id("container.die", "shop-app-1", 17.5)
    True
    """
    text = "\n".join([fact, subject, *map(str, parts)])
    return "fact-" + hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:32]


def check_kind(kind: str, data: Mapping[str, Any]) -> None:
    """Raises RecordError for an event that no reader would understand."""
    if kind not in KINDS:
        raise RecordError(f"no event is called {kind!r}", remedy="Known: " + ", ".join(KINDS))
    missing = [key for key in KINDS[kind] if key not in data]
    if missing:
        raise RecordError(f"a {kind} event needs {', '.join(missing)}")


def check_time(at: float) -> None:
    """Raises RecordError for unix seconds that no calendar has: below 1970, beyond the year 9999, not a number."""
    if not 0 <= at <= _YEAR_9999:
        raise RecordError(f"{at} is no time that can be recorded", remedy="Give it in seconds since 1970")


def admit(data: Mapping[str, Any]) -> dict[str, Any]:
    """`data` as it will be stored: plain JSON values, secrets masked, every character one that prints.

    Secrets are masked before and after cleaning: before, so that a cut does not leave half of one; after,
    because colour codes can hide one.
    """
    masked = redact_data(_plain(redact_data(dict(data)), 1))
    if not isinstance(masked, dict):  # pragma: no cover - redact_data keeps mappings mappings
        raise RecordError("the data of an event must be a mapping")
    return masked


def draft(
    incident: str, kind: str, data: Mapping[str, Any], id: str, actor: Actor, now: float, at: float | None
) -> Event:
    """An event that stands in nobody's file yet: without writer, number and hash. `data` must have been admitted."""
    return Event(id, incident, "", 0, now, now if at is None else at, (round(now * 1000), 0), kind, actor, data)


def encode_event(event: Event) -> bytes:
    """The body of a line: compact strict UTF-8 JSON without NUL, surrogates or NaN, at most 32 KiB.

    `event.data` must have passed `admit`. Raises RecordError for what cannot be stored for ever.
    """
    body: dict[str, Any] = {
        "v": FORMAT,
        "id": event.id,
        "inc": event.incident,
        "w": event.writer,
        "s": event.seq,
        "t": round(event.written_at * 1000),
        "lc": list(event.hlc),
        "k": event.kind,
        "by": event.actor.as_json(),
        "d": event.data,
    }
    if event.at != event.written_at:
        body["at"] = round(event.at * 1000)
    if event.seen:
        body["seen"] = {writer: [seq, head] for writer, (seq, head) in sorted(event.seen.items())}
    try:
        text = _ENCODER.encode(body)
        raw = text.encode("utf-8")
    except (ValueError, TypeError) as error:
        raise RecordError(f"this cannot be recorded: {error}") from None
    if len(raw) > MAX_BODY:
        raise RecordError(
            f"too long to record: {len(raw) // 1024} KiB, at most {MAX_BODY // 1024}",
            remedy="Attach it as a file instead",
        )
    if _NUL.search(text):
        raise RecordError("this cannot be recorded: it contains a NUL character")
    return raw


def decode_event(raw: bytes, digest: str) -> Event:
    """The event of a verified body. Raises ValueError for what is no event. Unknown kinds are kept."""
    try:
        body = json.loads(raw.decode("utf-8"))  # of bytes it would guess the encoding first
        written = int(body["t"]) / 1000
        seen = body.get("seen")
        return Event(
            id=str(body["id"]),
            incident=intern(str(body["inc"])),
            writer=intern(str(body["w"])),
            seq=int(body["s"]),
            written_at=written,
            at=int(body["at"]) / 1000 if "at" in body else written,
            hlc=(int(body["lc"][0]), int(body["lc"][1])),
            kind=intern(str(body["k"])),
            actor=_actor(body.get("by")),
            data=body["d"] if isinstance(body["d"], dict) else {},
            hash=digest,
            seen={str(w): (int(s), str(h)) for w, (s, h) in seen.items()} or None if seen is not None else None,
        )
    except (KeyError, TypeError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"not an event: {error}") from None


def _actor(by: object) -> Actor:
    try:
        return _known_actor(**by) if isinstance(by, dict) else Actor.from_json(by)
    except TypeError:  # a value that is no key
        return Actor.from_json(by)


@lru_cache(maxsize=256, typed=True)
def _known_actor(**by: object) -> Actor:
    """One object for the thousands of entries of one person: in a long record that is much time and memory."""
    return Actor.from_json(by)


def short(digest: str) -> str:
    """The part of a hash that people compare: 16 hex digits."""
    return digest[:_HEAD_DIGITS]


def _plain(value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise RecordError(f"nested deeper than {MAX_DEPTH} levels")
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return "\n".join(clean(line, MAX_BODY) for line in value.replace("\r\n", "\n").split("\n"))
    if isinstance(value, float):
        if not math.isfinite(value):
            raise RecordError(f"{value} is not a number that can be recorded", remedy="Use null for unknown")
        return value
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise RecordError("keys of an event must be text")
        return {clean(key, 200): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return [_plain(item, depth + 1) for item in items]
    raise RecordError(f"a {type(value).__name__} cannot be recorded")


def _login(env: Mapping[str, str]) -> str:
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):
        pass
    try:
        return env.get("USER") or getpass.getuser()
    except OSError:
        return f"uid {os.getuid()}"
