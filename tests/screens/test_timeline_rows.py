"""The rows of a timeline are made when they are looked at, and are those that one would make of all entries."""

from __future__ import annotations

from console.incident.events import Actor, Event
from console.incident.records import Entry
from console.incident.state import plain_entry
from widgets.lines import line
from widgets.timeline_rows import TimelineRows, days

DAY = 86_400
ANA = Actor("ana", host="prod-1", via="console")


def entries(*times: float) -> list[Entry]:
    return [
        plain_entry(Event(f"e{n}", "INC-2026-0007", "ab" * 16, n, at, at, (int(at * 1000), n), "note", ANA, {}))
        for n, at in enumerate(times)
    ]


def rows(found: list[Entry]) -> TimelineRows:
    return TimelineRows(found, days(found), lambda entry: line(entry.id))


def test_days_stand_before_their_entries_and_every_row_is_found_by_its_key() -> None:
    made = rows(entries(1 * DAY, 1 * DAY + 5, 2 * DAY - 1, 2 * DAY, 4 * DAY + 7200))
    said = [row.key or row.spans[0].text for row in made]
    assert said == [
        "Fri 02 Jan 1970 (UTC)", "e0", "e1", "e2", "Sat 03 Jan 1970 (UTC)", "e3", "Mon 05 Jan 1970 (UTC)", "e4",
    ]  # fmt: skip
    assert [made.place_of(key) for key in ("e0", "e1", "e2", "e3", "e4")] == [1, 2, 3, 5, 7]
    assert made.place_of("e9") is None and "e9" not in made.ids and "e3" in made.ids
    assert [row.key for row in made[3:6]] == ["e2", "", "e3"] and made[-1].key == "e4"
    assert list(made.ids[1:3]) == ["e1", "e2"] and made.ids.index("e2") == 2


def test_only_what_is_looked_at_is_drawn() -> None:
    drawn: list[str] = []
    found = entries(*range(1000))

    def draw(entry: Entry) -> tuple[()]:
        drawn.append(entry.id)
        return ()

    made = TimelineRows(found, days(found), draw)
    assert len(made) == 1001 and not drawn
    assert len(made[-40:]) == 40 and drawn == [f"e{n}" for n in range(960, 1000)]


def test_without_entries_there_is_nothing() -> None:
    assert len(rows([])) == 0 and rows([]).place_of("") is None and list(rows([])) == []
