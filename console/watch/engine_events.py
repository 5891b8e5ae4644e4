"""What the engine tells by itself, heard in two daemon threads: its event stream, and its pulse.

The stream says which containers changed, within milliseconds and without asking. When the engine dies it ends
silently, and when the engine is frozen it says nothing at all; so a pulse asks every second whether the engine
answers. That marks a frozen engine within 3 s and its return within half a second, for 0.06 ms of cpu a second.
Nothing here inspects containers.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from console.watch.container_records import Container, EngineEvent
from console.watch.engine_api import Engine, EngineError
from console.watch.inspected import event_from

if TYPE_CHECKING:
    from docker.types.daemon import CancellableStream

_log = logging.getLogger(__name__)

HISTORY = 120.0  # seconds that deaths are counted over, and that are asked for when the stream opens
_KEPT = 500  # events
_PULSE_EVERY = 1.0
_PULSE_DEADLINE = 1.8  # with the second between two pulses: marked after 2.8 s
_SICK_PAUSE = 0.3
_REOPEN_PAUSE = 0.2

# Asked for by name, so that the three events of every health check never wake us.
_CONTAINER = ["create", "start", "die", "stop", "kill", "oom", "pause", "unpause", "restart", "rename", "update",
              "destroy", "health_status"]  # fmt: skip
_FILTERS = {"type": ["container", "network"], "event": [*_CONTAINER, "connect", "disconnect"]}
# A signal sent changes nothing yet: a read now would only delay that of the `die` to come.
_CHANGES_NOTHING = frozenset({"kill"})


class Inbox:
    """What the threads found out and the reader has not looked at yet. All methods are safe from any thread."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._lock = threading.Lock()
        self._new: list[EngineEvent] = []
        self._reconcile = True
        self._events: deque[EngineEvent] = deque(maxlen=_KEPT)
        self._told: tuple[EngineEvent, ...] | None = ()
        self._trouble: EngineError | None = None
        self._since = time.time() - HISTORY

    @property
    def since(self) -> float:
        """When the newest event was, by the engine's clock; before the first one, 120 s before we began."""
        return self._since

    @property
    def trouble(self) -> EngineError | None:
        """Why the engine cannot be asked now; None while its pulse is well."""
        return self._trouble

    def add(self, event: EngineEvent) -> None:
        with self._lock:
            if event in self._events:  # told again after a reconnect
                return
            self._events.append(event)
            self._told = None
            self._since = max(self._since, event.at)
            if event.action in _CHANGES_NOTHING:
                return
            self._new.append(event)
        self._ring()

    def want_all(self, *, ring: bool = True) -> None:
        """Something may have been missed: list and inspect everything at the next read."""
        with self._lock:
            self._reconcile = True
        if ring:
            self._ring()

    def set_trouble(self, trouble: EngineError | None) -> None:
        with self._lock:
            self._trouble = trouble
            self._reconcile = True
        self._ring()

    def take(self) -> tuple[list[EngineEvent], bool]:
        """Events since the last call that change something, and whether everything must be looked at."""
        with self._lock:
            new, self._new = self._new, []
            reconcile, self._reconcile = self._reconcile, False
        return new, reconcile

    def events(self) -> tuple[EngineEvent, ...]:
        with self._lock:
            if self._told is None:
                self._told = tuple(self._events)
            return self._told

    def deaths(self, now: float) -> Mapping[str, int]:
        """`die` events of the last 120 s, by container."""
        counts: dict[str, int] = {}
        for event in reversed(self.events()):
            if event.at < now - HISTORY:
                break
            if event.action == "die":
                counts[event.container] = counts.get(event.container, 0) + 1
        return counts


class Pulse:
    """Asks the engine every second whether it answers, and tells the inbox when that changes."""

    def __init__(self, engine: Engine, inbox: Inbox, turned: Callable[[], None]) -> None:
        self._engine = engine
        self._inbox = inbox
        self._turned = turned  # called when the engine is well again
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine-pulse", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        sick = False
        while not self._stop.wait(_SICK_PAUSE if sick else _PULSE_EVERY):
            trouble = self._beat()
            if self._stop.is_set():
                return
            before = self._inbox.trouble
            sick = trouble is not None
            if (before and before.message) != (trouble and trouble.message):
                self._inbox.set_trouble(trouble)
            if before is not None and trouble is None:
                self._turned()

    def _beat(self) -> EngineError | None:
        try:
            self._engine.ping(_PULSE_DEADLINE)
        except EngineError as error:
            return error
        except Exception as error:  # the pulse itself must not die
            _log.exception("pulse of the engine")
            return EngineError(f"Docker engine: {type(error).__name__}")
        return None


def past_events(engine: Engine, since: float) -> list[EngineEvent]:
    """What the engine still remembers from `since` (unix seconds) until now. Raises EngineError."""
    until = int(time.time()) + 1
    told = engine.lines(
        "/events", since=int(since), until=until, filters=json.dumps({"type": ["container"], "event": _CONTAINER})
    )
    events = (event_from(line, {}) for line in told if isinstance(line, dict))
    return [event for event in events if event is not None]


class EventStream:
    """One connection to the engine's events, read into the inbox and opened again whenever it ends.

    docker-py reads it without a timeout, since silence is its normal state. A stream that lost its engine
    unnoticed is therefore replaced by a new `EventStream` once the pulse has seen the engine come back; its
    thread may stay in the system until TCP gives up, and is not heard any more.
    """

    def __init__(self, engine: Engine, inbox: Inbox, known: Mapping[str, Container], delay: float = 0.0) -> None:
        self._engine = engine
        self._inbox = inbox
        self._known = known
        self._delay = delay  # seconds before docker-py is imported, for the first frame to be drawn
        self._lock = threading.Lock()
        self._stream: CancellableStream[Any] | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine-events", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Hear nothing any more. Never waits."""
        self._stop.set()
        with self._lock:
            stream, self._stream = self._stream, None
        if stream is not None:
            with suppress(Exception):  # it may be half closed already
                stream.close()

    def _run(self) -> None:
        self._stop.wait(self._delay)
        while not self._stop.is_set():
            if self._inbox.trouble is None:
                try:
                    self._listen()
                except EngineError as error:
                    _log.debug("events: %s", error)  # the pulse tells the user
                except Exception:
                    _log.exception("events of the engine")
            self._stop.wait(_REOPEN_PAUSE)

    def _listen(self) -> None:
        """Open the stream and read it to its end. Raises EngineError where it does not open."""
        client = self._engine.client()
        stream: Any = None
        try:
            with self._engine.plain_words():
                stream = client.events(since=int(self._inbox.since), filters=_FILTERS, decode=True)
            with self._lock:
                self._stream = stream
            if self._stop.is_set():
                self.close()
                return
            # It is open: whatever happened until now is seen by the look this asks for, the rest is told.
            self._inbox.want_all()
            for line in stream:
                if self._stop.is_set():
                    return
                event = event_from(line, self._known) if isinstance(line, dict) else None
                if event is not None:
                    self._inbox.add(event)
        finally:
            if stream is not None:
                # Its own close() only shuts the socket; the response keeps the descriptor until it is collected.
                with suppress(Exception):
                    stream._response.close()
            client.close()
