"""Alone at night: the deputy says where things stand every ten minutes, once, and the record keeps it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from console.checks.check import Finding, Status
from console.config import Config
from console.guide.deputy import FRESH, call_out
from console.guide.desk import Desk
from console.incident.events import Actor
from console.incident.records import Incident
from console.incident.state import fold
from console.incident.store import IncidentStore
from console.incident.timers import CALLOUT

T0 = 1_795_317_172.0
ANA = Actor("root", sudo_user="ana", host="prod-1", via="console")
HUNG = Finding("probes.http", "quick", Status.FAIL, "app hangs: no answer within 3 s", subject="app")
SYMPTOM = Finding("probes.edge", "quick", Status.FAIL, "edge answers 504", subject="edge", cause=HUNG.key)


class Clock:
    now = T0

    def __call__(self) -> float:
        return self.now


def declared(place: Path, clock: Clock) -> tuple[IncidentStore, str]:
    store = IncidentStore(place, ANA, wall=clock)
    journal = store.create("Checkout hangs", 1, commander="ana")
    return store, journal.incident


def folded(store: IncidentStore, id: str) -> Incident:
    return fold(store.open(id).events())


def test_it_speaks_at_the_tenth_minute_and_not_between(tmp_path: Path) -> None:
    store, id = declared(tmp_path, Clock())
    incident = folded(store, id)
    assert incident.solo_since is not None
    alone = incident.solo_since
    assert call_out(incident, [], alone + CALLOUT - 1) is None
    assert call_out(incident, [], alone + CALLOUT + FRESH + 1) is None, "nobody was there to hear it"
    first, second = call_out(incident, [], alone + CALLOUT), call_out(incident, [], alone + 2 * CALLOUT + 3)
    assert first is not None and (first.number, first.at) == (1, alone + CALLOUT)
    assert second is not None and (second.number, second.at) == (2, alone + 2 * CALLOUT)


def test_it_names_the_cause_the_acts_and_what_is_late(tmp_path: Path) -> None:
    clock = Clock()
    store, id = declared(tmp_path, clock)
    clock.now = T0 + 120
    store.open(id).append("status", {"status": "triage"})
    said = call_out(folded(store, id), [HUNG, SYMPTOM], T0 + CALLOUT)
    assert said is not None
    assert "SEV-1, 10 min, triage." in said.text
    assert "Wrong now: app hangs: no answer within 3 s." in said.text, "a symptom is not counted beside its cause"
    assert "last: " in said.text and "triage" in said.text
    assert "Due now: tell users." in said.text
    later = call_out(folded(store, id), [], T0 + 2 * CALLOUT)
    assert later is not None
    assert "Nothing is found wrong now." in later.text and "No act in the last ten minutes" in later.text
    assert "Late: tell users" in later.text


def test_with_a_second_pair_of_hands_there_is_no_deputy(tmp_path: Path) -> None:
    store, id = declared(tmp_path, Clock())
    store.open(id).append("role", {"role": "operations", "who": "bo"})
    assert call_out(folded(store, id), [HUNG], T0 + CALLOUT) is None


def test_two_consoles_write_it_down_once(tmp_path: Path) -> None:
    clock = Clock()
    _, id = declared(tmp_path, clock)
    clock.now = T0 + CALLOUT + 1

    async def story() -> list[str]:
        said = []
        for _ in range(2):
            desk = Desk(IncidentStore(tmp_path, ANA, wall=clock), Config(), lambda: None, clock)
            await desk.follow(id)
            said += [await desk.call_out([HUNG]), await desk.call_out([HUNG])]
            await desk.drain()
        return said

    spoken = asyncio.run(story())
    assert [bool(text) for text in spoken] == [True, False, True, False], "each console says it once"
    store = IncidentStore(tmp_path, ANA, wall=clock)
    written = [entry for entry in folded(store, id).timeline if entry.data.get("fact") == "callout"]
    assert len(written) == 1 and "app hangs" in written[0].summary and written[0].automatic
