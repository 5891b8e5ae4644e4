"""Hosts whose clocks disagree, found in the record itself and put into words.

An entry that was written after another one was read cannot be the earlier of the two. Where its clock says so, the
clock is behind the other one by at least the difference: a lower bound, short by as long as the answer took. Hosts
that never read each other are not compared. Nothing is put right here: the fold's order is causal already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from console.incident.clock import MAX_AHEAD_MS
from console.incident.events import Event
from console.text import clean

LEAST = 60.0  # seconds; less does not change what a timeline of minutes says
_NEAR_MS = 50  # between the two readings of one clock that an entry carries


def skew(events: Iterable[Event], least: float = LEAST) -> tuple[str, ...]:
    """One sentence for each disagreement of `least` seconds or more, the largest first; () when there is none.

    `events`: of one incident in any order, first lines of files may be among them. With two hosts nobody can say
    whose clock is wrong, so they are named both; a host that disagrees with several others is named alone.
    """
    known = list(events)
    apart = {pair: seconds for pair, seconds in behind(known).items() if seconds >= least}
    said = [(seconds, _words(host, f"was set back by {_long(seconds)}", seconds))
            for host, seconds in set_back(known).items() if seconds >= least]  # fmt: skip
    alone = _alone(apart)
    if alone:
        seconds = max(apart.values())
        way = "behind" if all(late == alone for late, _ in apart) else "ahead"
        said.append((seconds, _words(alone, f"is {_long(seconds)} {way}", seconds)))
    else:
        said += [
            (seconds, _words(late, f"is {_long(seconds)} behind that of {clean(early, 64)}", seconds))
            for (late, early), seconds in apart.items()
        ]
    return tuple(words for _, words in sorted(said, key=lambda one: (-one[0], one[1])))


def behind(events: Iterable[Event]) -> dict[tuple[str, str], float]:
    """(host, other host) -> seconds, more than 0, that the first one's clock is behind the other's at least."""
    known = list(events)
    by_number = {(event.writer, event.seq): event for event in known}
    stamps = {event.hlc[0]: event.actor.host for event in known if _own_stamp(event)}
    found: dict[tuple[str, str], float] = {}

    def take(late: Event, host: str, seconds: float) -> None:
        if seconds > 0 and host and late.actor.host and host != late.actor.host:
            pair = (late.actor.host, host)
            found[pair] = max(found.get(pair, 0.0), seconds)

    for event in known:
        for writer, (seq, _) in (event.seen or {}).items():
            read = by_number.get((writer, seq))
            if read is not None:
                take(event, read.actor.host, read.written_at - event.written_at)
        if not _own_stamp(event):  # it carries the stamp of something that was read
            take(event, stamps.get(event.hlc[0], ""), event.hlc[0] / 1000 - event.written_at)
    return found


def set_back(events: Iterable[Event]) -> dict[str, float]:
    """Host -> seconds that its clock went backwards between two entries of one session, where it did."""
    found: dict[str, float] = {}
    latest: dict[str, float] = {}
    for event in sorted(events, key=lambda event: (event.writer, event.seq)):
        back = latest.get(event.writer, event.written_at) - event.written_at
        latest[event.writer] = event.written_at
        if back > 0 and event.actor.host:
            found[event.actor.host] = max(found.get(event.actor.host, 0.0), back)
    return found


def _own_stamp(event: Event) -> bool:
    return abs(event.hlc[0] - event.written_at * 1000) <= _NEAR_MS


def _alone(apart: Iterable[tuple[str, str]]) -> str:
    """The host that is part of every pair, on the same side of all, where there are several; else ""."""
    pairs = list(apart)
    for side in (0, 1):
        hosts = Counter(pair[side] for pair in pairs)
        if len(pairs) > 1 and len(hosts) == 1:
            return next(iter(hosts))
    return ""


def _words(host: str, what: str, seconds: float) -> str:
    causal = seconds * 1000 <= MAX_AHEAD_MS
    return f"{clean(host, 64)} clock {what} ({'shown in causal order' if causal else 'too far to be put in order'})"


def _long(seconds: float) -> str:
    """A long time in one unit, rounded: what was found falls short by as long as an answer took.

    >>> [_long(s) for s in (61, 14 * 60 - 2.5, 5 * 3600, 3 * 86400, 366 * 86400 * 11)]
    ['61 s', '14 min', '5 h', '3 days', '11 years']
    """
    for size, unit in ((365 * 86400, "years"), (86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
