"""Who is on the incident, and what a person is told of the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from console.guide.news import news
from console.incident.events import Actor
from console.incident.journal import Journal
from console.incident.records import Incident, Person
from console.incident.state import fold
from tests.unit.readings_made import NOW

ANA = Actor("ana", host="prod-1", via="console")
BEN = Actor("ben", host="prod-2", via="console")


class Hosts:
    """Consoles that write to one directory, as they do once the replica has brought everything."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self._directory = directory
        self._journals: dict[Actor, Journal] = {}
        self.now = NOW

    def say(self, actor: Actor, kind: str, later: float = 1.0, **data: Any) -> str:
        self.now += later
        if actor not in self._journals:
            self._journals[actor] = Journal(self._directory, actor, wall=lambda: self.now)
        return self._journals[actor].append(kind, data).id

    def incident(self) -> Incident:
        return fold(Journal(self._directory, ANA).events())


@pytest.fixture
def hosts(tmp_path: Path) -> Hosts:
    made = Hosts(tmp_path / "INC-2026-0001")
    made.say(ANA, "declared", title="checkout is down", severity=1)
    return made


def test_who_came_who_left_and_who_is_silent(hosts: Hosts) -> None:
    hosts.say(BEN, "joined")
    hosts.say(replace(BEN, via="cli"), "note", 60, text="from a script")
    hosts.say(replace(ANA, via="automatic"), "fact", fact="probe.down", subject="edge", text="edge fails")
    assert hosts.incident().people == (
        Person("ana", "prod-1", NOW + 1, NOW + 1, here=True),
        Person("ben", "prod-2", NOW + 2, NOW + 62, here=True),
    )
    hosts.say(BEN, "left")
    assert [(one.name, one.here) for one in hosts.incident().people] == [("ana", True), ("ben", False)]


def test_coming_and_going_is_no_sign_of_life_and_no_answer(hosts: Hosts) -> None:
    before = hosts.incident()
    hosts.say(BEN, "joined", 300)
    after = hosts.incident()
    assert after.last_human_at == before.last_human_at and after.moments == before.moments


def test_a_command_is_over_when_it_has_answered(hosts: Hosts) -> None:
    hosts.say(replace(BEN, via="cli"), "note", text="looked")
    assert [one.here for one in hosts.incident().people if one.name == "ben"] == [False]


def test_what_others_do_is_told_and_what_one_does_is_not(hosts: Hosts) -> None:
    before = hosts.incident()
    hosts.say(BEN, "joined")
    hosts.say(BEN, "severity", severity=2, reason="half of the users")
    hosts.say(BEN, "recovery.run", run="r1", state="started", title="restart app", level=1)
    offer = hosts.say(BEN, "handover.offered", to="ana", brief="all of it")
    after = hosts.incident()
    assert news(before, after, "ana") == [
        "ben hands the command over to you: H answers",
        "ben: SEV-2, half of the users",
        "ben on prod-2: restart app started",
        "ben is here, on prod-2",
    ]
    assert news(before, after, "ben") == [] == news(after, after, "ana")
    hosts.say(ANA, "handover.accepted", offer=offer)
    assert news(after, hosts.incident(), "ben") == ["ana accepted the command"]


def test_of_two_claims_the_first_holds_and_the_other_hears_of_it(hosts: Hosts) -> None:
    steps = [{"id": "notice", "title": "send the first notice"}]
    hosts.say(ANA, "playbook.started", run="r", playbook="p", title="P", sha256="0" * 64, steps=steps)
    hosts.say(BEN, "joined")  # and reads nothing after it
    first = hosts.now
    hosts.say(ANA, "step.claimed", 10, run="r", step="notice", who="ana")
    before = hosts.incident()
    hosts.now = first
    hosts.say(BEN, "step.claimed", 5, run="r", step="notice", who="ben")  # earlier, and heard of later
    after = hosts.incident()
    assert after.runs[0].steps[0].claimed_by == "ben"
    assert "ben is on “send the first notice”, not you" in news(before, after, "ana")
