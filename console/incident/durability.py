"""Where an entry is durable: on this disk, on the server, both, or not yet. Marks, counts and the line. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
    """Entries of one incident, first lines of files included, as both sides count them."""

    saved: int  # on this disk, whoever wrote them
    database: int | None  # on the server; None: no server is configured, or it has not answered yet
    waiting: int  # here and not there
    missing: int  # there and not here
    unsaved: int = 0  # in memory only


def counts(here: Heads, there: Heads | None, unsaved: int = 0) -> Counts:
    """`there` None: not known."""
    saved = sum(seq for seq, _ in here.values())
    if there is None:
        return Counts(saved, None, 0, 0, unsaved)
    return Counts(
        saved,
        sum(seq for seq, _ in there.values()),
        sum(max(0, seq - there.get(writer, (0, ""))[0]) for writer, (seq, _) in here.items()),
        sum(max(0, seq - here.get(writer, (0, ""))[0]) for writer, (seq, _) in there.items()),
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
