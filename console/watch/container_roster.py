"""Which containers there are and in what state, kept true with few questions: events, inspects, and a full look.

An event is believed at once and checked a moment later: the engine tells of a death before it has tidied up, and
an inspect in between waits for that (80-110 ms on 20.10, while its list still says "running"). Everything is
listed and inspected every 30 s, since events get lost. Figures are not its business.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace

from console.watch.container_records import Container, EngineEvent
from console.watch.engine_api import Engine, EngineError, EngineSilentError, NoSuchContainerError
from console.watch.inspected import container_after, container_from_inspect, container_from_list

_RECONCILE = 30.0  # seconds
_ROUTINE = 20  # looks over which a reconcile spreads its inspects
_SETTLE = 0.12  # seconds from an event to the inspect
_TROUBLED = 5.0  # seconds between inspects of a container whose health check fails: its output changes unheard
_BUDGET = 1.2  # seconds of one look for inspects; the rest waits for the next look
_ONE_INSPECT = 0.8  # seconds: a container whose lock hangs in the engine never answers, while its list does


class Roster:
    """The containers of one engine by id, without figures. `look` is called by one thread at a time."""

    def __init__(self, engine: Engine) -> None:
        self.known: dict[str, Container] = {}  # read by the thread of the event stream too
        self._engine = engine
        self._due: dict[str, float] = {}  # container -> monotonic time of its inspect
        self._troubled: dict[str, float] = {}  # container whose health check fails -> time of its next inspect
        self._routine: dict[str, None] = {}  # to inspect a few at a time
        self._share = 0  # how many of those in one look
        self._all = True
        self._listed_at = float("-inf")
        self._inspected_at: dict[str, float] = {}  # unix seconds, before the engine was asked

    @property
    def next_due(self) -> float | None:
        """Monotonic time of the next inspect that is worth a look of its own; None when there is none."""
        return min(self._due.values(), default=None)

    def look(self, events: Iterable[EngineEvent], everything: bool) -> None:
        """Bring `known` up to date. Raises EngineError; what could not be asked then is asked at the next look."""
        now = time.monotonic()
        for event in events:
            self._believe(event, now)
        self._all = self._all or everything
        if self._all or now - self._listed_at >= _RECONCILE:
            self._reconcile(now)
        for id_ in [id_ for id_, at in self._troubled.items() if at <= now] + list(self._routine)[: self._share]:
            self._due.setdefault(id_, now)
        for id_ in [id_ for id_, due in self._due.items() if due <= now]:
            if time.monotonic() - now > _BUDGET:
                break
            self._inspect(id_)

    def _believe(self, event: EngineEvent, now: float) -> None:
        id_ = event.container
        if event.action == "destroy":
            self._forget(id_)
            return
        known = self.known.get(id_)
        if known is not None and self._engine.local:
            # Elsewhere clocks differ, and what is older than the last inspect cannot be told from what is newer.
            if event.at > self._inspected_at.get(id_, 0.0):
                self.known[id_] = container_after(known, event)
            self._due.setdefault(id_, now + _SETTLE)
        else:
            self._due[id_] = now

    def _reconcile(self, now: float) -> None:
        """List everything; inspect at once what is new or differs, the rest over the next looks."""
        if self._all:
            self._engine.pin()  # anew after a reconnect: it may be another engine now
        asked_at = time.time()
        entries = {str(entry["Id"]): entry for entry in self._engine.get("/containers/json", all=1)}
        for id_ in [id_ for id_ in self.known if id_ not in entries]:
            self._forget(id_)
        for id_, entry in entries.items():
            listed, known = container_from_list(entry), self.known.get(id_)
            if known is None:
                self.known[id_] = listed
                self._inspected_at[id_] = asked_at
            if self._all or known is None or _differ(known, listed):
                self._due.setdefault(id_, now)
            else:
                self._routine[id_] = None
        self._share = -(-len(self._routine) // _ROUTINE)
        self._listed_at, self._all = now, False

    def _inspect(self, id_: str) -> None:
        asked_at = time.time()
        try:
            told = self._engine.get(f"/containers/{id_}/json", _ONE_INSPECT)
        except NoSuchContainerError:
            self._forget(id_)
            return
        except EngineSilentError as error:
            self._hangs(id_, error)
            return
        self._drop_plans(id_)
        container = self.known[id_] = container_from_inspect(told)
        self._inspected_at[id_] = asked_at
        if container.status == "running" and (
            container.health in ("unhealthy", "starting") or container.failing_streak
        ):
            self._troubled[id_] = time.monotonic() + _TROUBLED

    def _hangs(self, id_: str, error: EngineError) -> None:
        """One container does not answer; the engine must, or the whole look fails with `error`."""
        try:
            self._engine.ping(0.5)
        except EngineError:
            raise error from None
        self._drop_plans(id_)
        known = self.known.get(id_)
        if known is not None:
            self.known[id_] = replace(known, health_detail="the engine does not answer about this container")

    def _forget(self, id_: str) -> None:
        self.known.pop(id_, None)
        self._inspected_at.pop(id_, None)
        self._drop_plans(id_)

    def _drop_plans(self, id_: str) -> None:
        self._due.pop(id_, None)
        self._troubled.pop(id_, None)
        self._routine.pop(id_, None)


def _differ(known: Container, listed: Container) -> bool:
    return (known.status, known.health, known.name, known.networks) != (
        listed.status,
        listed.health,
        listed.name,
        listed.networks,
    )
