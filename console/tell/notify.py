"""Sending what lies in the outbox: to Slack, and to any webhook. Never on anybody's way, and never quietly.

A message is tried three times with a pause that grows, each try for five seconds at most. One process of a host sends;
whoever comes second leaves it to the first. What could not be sent stays in the outbox as failed, and is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from console.actions.attempts import open_lock
from console.config import Config, resolve_secret
from console.errors import SevdeckError, UsageError
from console.incident import outbox
from console.incident.disk import ensure_directory
from console.incident.outbox import Delivery, Message
from console.redact import redact
from console.tell.stamps import stamp
from console.text import clean
from console.watch.lane import Lane

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

TIMEOUT = 5.0  # seconds for one try
TRIES = 3
PAUSE = 10.0  # seconds after the first try, then twice as long
EVERY = 2.0  # seconds between two looks into the outbox
_DISK = 5.0


@dataclass(frozen=True, slots=True)
class Channel:
    """One way out. `url` may be a reference such as "env:SLACK_WEBHOOK"; it is resolved for each try."""

    name: str
    url: str
    room: str = ""  # Slack channel
    secret: str = ""  # signs what a webhook gets


def channels(config: Config) -> dict[str, Channel]:
    """The ways out that are configured and that can be used, by name."""
    told = config.extra.get("notify", {})
    return {
        name: Channel(
            name, str(told[name]["url"]), str(told[name].get("channel", "")), str(told[name].get("secret", ""))
        )
        for name in outbox.channels(told)
    }


class Sender:
    """Delivers what waits. `say` hears of what could not be sent."""

    def __init__(
        self,
        config: Config,
        data_dir: Path,
        say: Callable[[str], None] = lambda text: None,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._channels, self._data_dir, self._say, self._wall = channels(config), data_dir, say, wall
        self._lane = Lane("outbox")

    async def live(self) -> None:
        """Send for as long as this task lives; nothing that happens here ends it."""
        if not self._channels:
            return
        while True:
            with contextlib.suppress(OSError, SevdeckError):
                await self.deliver()
            await asyncio.sleep(EVERY)

    async def last(self) -> None:
        """One more round before a command ends: what waits then is for whoever comes next."""
        with contextlib.suppress(OSError, SevdeckError, TimeoutError):
            async with asyncio.timeout(TIMEOUT + 1):
                await self.deliver()

    async def deliver(self) -> list[Message]:
        """Try all that is due, once; what became of them. Raises OSError, SourceError for a disk that hangs."""
        waiting = [m for m in await self._disk(lambda: outbox.read(self._data_dir)) if m.waiting]
        if not waiting:
            return []
        with alone(self._data_dir) as first:
            if not first:
                return []
            done = []
            for message in waiting:
                for name in message.waiting:
                    if message.channels[name].due <= self._wall():
                        message = await self._try(message, name)
                done.append(message)
            await self._disk(lambda: outbox.prune(self._data_dir, self._wall()))
            return done

    async def _try(self, message: Message, name: str) -> Message:
        known, now = message.channels[name], self._wall()
        tries = known.tries + 1
        channel = self._channels.get(name)
        if channel is None:
            found = replace(known, state="failed", at=now, detail="the channel is no longer configured")
        else:
            good, again, detail = await post(channel, message)
            state = "sent" if good else "waiting" if again and tries < TRIES else "failed"
            found = Delivery(state, tries, now + PAUSE * 2.0 ** (tries - 1), now, detail)
        if found.state == "failed":
            self._say(f"NOT SENT to {name} after {tries} tries: {message.title} ({found.detail})")
        return await self._disk(lambda: outbox.settle(self._data_dir, message, name, found))

    async def _disk(self, work: Callable[[], T]) -> T:
        return await self._lane.call(work, deadline=_DISK)

    def close(self) -> None:
        self._lane.close()


async def post(channel: Channel, message: Message) -> tuple[bool, bool, str]:
    """(it is there, another try may help, the receipt or the reason). Five seconds at most, whatever answers."""
    import httpx

    try:
        url, secret = resolve_secret(channel.url), resolve_secret(channel.secret) if channel.secret else ""
    except UsageError as error:
        return False, False, error.message
    body = json.dumps(payload(channel, message)).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "sevdeck"}
    if secret:
        headers["X-Sevdeck-Signature"] = f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"
    try:
        async with asyncio.timeout(TIMEOUT), httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=False) as client:
            answer = await client.post(url, content=body, headers=headers)
    except TimeoutError:
        return False, True, f"no answer in {TIMEOUT:.0f} s"
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError) as error:
        return False, True, _reason(error, url)
    if answer.is_success:
        return True, False, f"{answer.status_code} {_said(answer)}".strip()
    # Too many, and what is wrong over there, may be well in a moment; a wrong address is not.
    again = answer.status_code in (408, 425, 429) or answer.status_code >= 500
    return False, again, f"{answer.status_code} {_said(answer)}".strip()


def payload(channel: Channel, message: Message) -> dict[str, Any]:
    """What is sent. Slack gets words; a webhook gets fields."""
    if channel.name == "slack":
        where = " · ".join(w for w in (message.project, message.host, message.incident) if w)
        words = f"{'PAGE: ' if message.kind == 'page' else ''}{message.title}\n{message.text}\n{where}"
        return {"text": _for_slack(words), **({"channel": channel.room} if channel.room else {})}
    fields = ("id", "kind", "title", "text", "project", "host", "incident")
    return {"time": stamp(message.at), **{name: getattr(message, name) for name in fields}}


@contextlib.contextmanager
def alone(data_dir: Path) -> Iterator[bool]:
    """True for the one process of this host that sends now."""
    place = outbox.directory(data_dir)
    ensure_directory(place)
    fd = open_lock(place / ".lock")
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(fd)


def _for_slack(text: str) -> str:
    """Slack reads these three as marks of its own."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _said(answer: httpx.Response) -> str:
    return redact(clean(answer.text[:200], 100))


def _reason(error: Exception, url: str) -> str:
    """The address of a webhook is its password."""
    return redact(clean((str(error) or type(error).__name__).replace(url, "the address"), 200))
