"""Where an entry is durable: on this disk, on the server, both, or not yet. Marks, counts and the line. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from console.incident.chain import Damage
    from console.incident.records import Entry

Heads = Mapping[str, tuple[int, str]]  # writer -> (number of its last entry, hash), as `Journal.heads` gives it

MARKS = {
    "unsaved": ("○", "not saved"),
    "here": ("●", "saved here"),
    "both": ("◆", "saved here + DB"),
    "server": ("◇", "DB only"),
}


def place(writer: str, seq: int, here: Heads, there: Heads) -> str:
    """Where entry `seq` of a writer is: a key of MARKS. `there` must not name writers whose chain is another one.

    >>> place("a", 3, {"a": (3, "")}, {"a": (2, "")})
    'here'
    """
    saved = 0 < seq <= here.get(writer, (0, ""))[0]
    known = 0 < seq <= there.get(writer, (0, ""))[0]
    return {(False, False): "unsaved", (True, False): "here", (True, True): "both", (False, True): "server"}[
        saved, known
    ]


@dataclass(frozen=True, slots=True)
class Counts:
    """Entries of one incident as both sides count them; the first lines of files, which say who writes, are none."""

    saved: int  # on this disk, whoever wrote them
    database: int | None  # on the server; None: no server is configured, or it has not answered yet
    waiting: int  # here and not there
    missing: int  # there and not here
    unsaved: int = 0  # in memory only


def counts(here: Heads, there: Heads | None, unsaved: int = 0) -> Counts:
    """`there` None: not known."""
    saved = _entries(here)
    if there is None:
        return Counts(sum(saved.values()), None, 0, 0, unsaved)
    known = _entries(there)
    return Counts(
        sum(saved.values()),
        sum(known.values()),
        sum(max(0, count - known.get(writer, 0)) for writer, count in saved.items()),
        sum(max(0, count - saved.get(writer, 0)) for writer, count in known.items()),
        unsaved,
    )


def line(found: Counts, server: str = "") -> str:
    """The status line. `server`: what the replica says when it is not simply in step or catching up.

    >>> line(Counts(812, 809, 3, 0))
    '● 812 saved · DB 809 · 3 waiting'
    >>> line(Counts(812, None, 0, 0), "DB offline 3m12s - recording here, 41 waiting, retry in 2 s")
    '● 812 saved · DB offline 3m12s - recording here, 41 waiting, retry in 2 s'
    """
    parts = [f"○ {found.unsaved} NOT SAVED"] if found.unsaved else []
    parts.append(f"● {found.saved} saved")
    if server:
        return " · ".join([*parts, server])
    if found.database is not None:
        parts.append(f"DB {found.database}")
        parts += [f"{found.waiting} waiting"] if found.waiting else []
        parts += [f"{found.missing} to fetch"] if found.missing else []
    return " · ".join(parts)


@dataclass(frozen=True, slots=True)
class Standing:
    """How far one incident is safe, for a screen."""

    here: Heads = field(default_factory=dict)
    there: Heads | None = None  # None: no server, or it has not said anything yet
    server: str = ""  # what is the matter with it, in words; "" while it is well
    unsaved: tuple[Entry, ...] = ()  # what is in memory only, oldest first
    warnings: tuple[str, ...] = ()  # what else people must know of this record

    def place(self, entry: Entry) -> str:
        """A key of MARKS."""
        return place(entry.writer, entry.number, self.here, self.there or {})

    @property
    def brief(self) -> str:
        """What deserves a look on every screen: trouble with the server, or how much it has; "" without one."""
        if self.server or self.there is None:
            return self.server
        found = counts(self.here, self.there)
        behind = found.waiting + found.missing
        return f"◆ DB {found.database}" + (f" ({behind} under way)" if behind else "")

    @property
    def line(self) -> str:
        """The status line; "" while there is nothing to say."""
        if not self.here and not self.unsaved and not self.server:
            return ""
        kept = sum(self.place(entry) == "server" for entry in self.unsaved)
        said = line(counts(self.here, self.there, len(self.unsaved) - kept), self.server)
        return f"◇ {kept} in DB only · {said}" if kept else said


def damage_words(damage: Sequence[Damage], has_copy: Callable[[str, int], bool]) -> str:
    """Places of files that cannot be served, in one sentence; "" for none. An unfinished last line is none."""
    lost = [place for place in damage if not place.torn]
    if not lost:
        return ""
    copied = all(has_copy(place.writer, place.after_seq + 1) for place in lost)
    entries = "entry" if len(lost) == 1 else "entries"
    where = f"{lost[0].writer[:8]}#{lost[0].after_seq + 1}"
    more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
    what = "read from a copy" if copied else f"not readable: {lost[0].reason}. `sevdeck incident verify` says more"
    return f"{len(lost)} damaged {entries} on this disk ({where}{more}), {what}"


def _entries(heads: Heads) -> dict[str, int]:
    return {writer: max(0, seq - 1) for writer, (seq, _) in heads.items()}
