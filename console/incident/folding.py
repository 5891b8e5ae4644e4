"""The fold of a record that grows: one event more costs what it changes, not what was there before.

The answer is always that of `state.fold` over the same events. An event that stands late in the total order is put
in its place by going back to a state from before it; corrections and redactions, which are rare, fold everything
anew. Blocking; a screen asks in a thread.
"""

from __future__ import annotations

import bisect
import contextlib
import copy
import gc
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping

from console.incident.events import Event
from console.incident.fields import text
from console.incident.journal import Journal
from console.incident.measures import decisive
from console.incident.privacy import redacted
from console.incident.records import Entry, Incident, Moment
from console.incident.state import Folding

_BACK = 500  # events between two states that are kept to go back to
_MUCH = 2_000  # events that the collector need not look through again
_BACKWARDS = ("amend", "redact")  # kinds that change what earlier events mean
_ABOUT = ("pin", "annotate")  # kinds that change the line of one other event


class RunningFold:
    """Takes events in portions, in whatever order and however often each is given."""

    def __init__(self) -> None:
        self._known: dict[str, Event] = {}  # as they were written
        self._redacted: set[str] = set()  # ids, also of events that have not come yet
        self._ordered: list[Event] = []  # in the total order, without the words that were redacted
        self._folding = Folding(self._ordered)
        self._states: list[tuple[int, Folding]] = []  # after so many events; the last two
        self._by_time: list[Event] = []
        self._entries: list[Entry] = []  # of `_by_time`
        self._numbers: dict[str, int] = {}
        self._decisive: list[Event] = []  # those of `_by_time` that the moments depend on
        self._moments: Mapping[str, Moment] | None = None
        self._incident: Incident | None = None

    def take(self, events: Iterable[Event]) -> Incident:
        """The incident after these as well; the very same object when they change nothing."""
        fresh, replaced = [], False
        for event in sorted(events, key=lambda event: event.order):
            known = self._known.get(event.id)
            if event.kind != "genesis" and (known is None or event.order < known.order):
                self._known[event.id] = event
                fresh.append(event)
                replaced |= known is not None
        if fresh or self._incident is None:
            back = len(self._ordered)
            if fresh and self._ordered:
                back = bisect.bisect_right(self._ordered, fresh[0].order, key=lambda event: event.order)
            many = len(fresh) > max(_BACK, len(self._ordered) // 10)
            backwards = any(event.kind in _BACKWARDS or event.id in self._redacted for event in fresh)
            if many or replaced or backwards or back < self._earliest():
                self._begin_anew()
            else:
                self._go_on(fresh, back)
            self._incident = self._made()
        return self._incident

    def _earliest(self) -> int:
        """The number of events before which nothing new can be put."""
        return self._states[0][0] if self._states else len(self._ordered)

    def _begin_anew(self) -> None:
        self._redacted = {text(event, "event") for event in self._known.values() if event.kind == "redact"}
        self._ordered = redacted(sorted(self._known.values(), key=lambda event: event.order))
        self._folding = folding = Folding(self._ordered)
        self._states, self._moments = [], None
        early = max(0, len(self._ordered) - _BACK)
        for number, event in enumerate(self._ordered):
            if number == early:
                self._keep_state(number)
            folding.take(event)
        self._by_time = sorted(self._ordered, key=folding.place)
        self._numbers = {event.id: number for number, event in enumerate(self._ordered, 1)}
        self._entries = [folding.entry(event, self._numbers[event.id]) for event in self._by_time]
        self._decisive = [event for event in self._by_time if decisive(event)]

    def _go_on(self, fresh: list[Event], back: int) -> None:
        """Put these in; the first of them comes after `back` others."""
        again = back < len(self._ordered)
        later = self._ordered[back:]
        if again:
            self._go_back(back)
            back = min(back, self._states[-1][0]) if self._states else 0
            later = self._ordered[back:]
            del self._ordered[back:]
        self._ordered.extend(sorted([*later, *fresh], key=lambda event: event.order) if later else fresh)
        place = self._folding.place
        for event in fresh:
            if decisive(event):
                bisect.insort(self._decisive, event, key=place)
                self._moments = None
            at = bisect.bisect_right(self._by_time, place(event), key=place)
            self._by_time.insert(at, event)
            self._entries.insert(at, self._folding.entry(event, 0))
        changed: dict[str, None] = {}
        for number in range(back, len(self._ordered)):
            event = self._ordered[number]
            if number - (self._states[-1][0] if self._states else 0) >= _BACK:
                self._keep_state(number)
            self._folding.take(event)
            self._numbers[event.id] = number + 1
            changed[event.id] = None
            if event.kind in _ABOUT:
                changed[text(event, "event")] = None
            if event.kind == "containment":
                self._moments = None
        for id in changed:
            self._renew_entry(id)

    def _go_back(self, count: int) -> None:
        while self._states and self._states[-1][0] > count:
            self._states.pop()
        self._folding = self._copy(self._states[-1][1])

    def _renew_entry(self, id: str) -> None:
        number = self._numbers.get(id)
        if number is None:
            return
        event = self._ordered[number - 1]
        at = bisect.bisect_left(self._by_time, self._folding.place(event), key=self._folding.place)
        entry = self._folding.entry(event, number)
        if entry != self._entries[at]:
            self._entries[at] = entry

    def _keep_state(self, count: int) -> None:
        self._states = [*self._states[-1:], (count, self._copy(self._folding))]

    def _copy(self, folding: Folding) -> Folding:
        """One that can go on by itself; events are shared."""
        return copy.deepcopy(folding, folding.shared())

    def _made(self) -> Incident:
        if self._moments is None:
            self._moments = self._folding.moments(self._decisive)
        return self._folding.made(self._moments, tuple(self._entries))


class _Followed:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.fold = RunningFold()
        self.taken = 0


_followed: weakref.WeakKeyDictionary[Journal, _Followed] = weakref.WeakKeyDictionary()
_making = threading.Lock()


def incident_of(journal: Journal) -> Incident:
    """`fold(journal.events())`, at the price of what is new since this journal was asked about last."""
    with _making:
        followed = _followed.setdefault(journal, _Followed())
    with followed.lock, _no_collection_of(followed):
        fresh = journal.arrived(followed.taken)
        followed.taken += len(fresh)
        return followed.fold.take(fresh)


@contextlib.contextmanager
def _no_collection_of(followed: _Followed) -> Iterator[None]:
    """While much is read the collector would look through all of it again and again, and the screen would wait.

    Events hold no cycles and are freed without it. A collection of 100,000 stops every thread for 0.3 s.
    """
    if followed.taken or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if followed.taken > _MUCH:
            gc.freeze()
        gc.enable()
