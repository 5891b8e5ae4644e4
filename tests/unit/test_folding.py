"""The fold of a growing record: in whatever portions and order events come, the answer is that of the full fold."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.incident import folding
from console.incident.events import Actor, Event
from console.incident.folding import RunningFold, incident_of
from console.incident.journal import Journal
from console.incident.records import STATUSES
from console.incident.state import fold

ANA = Actor("root", sudo_user="ana", host="prod-1", via="console")
BOB = Actor("bob", host="prod-2", via="console")
WATCH = Actor("root", host="prod-1", via="watch")
T0 = 1_795_317_172.0


CORRECTIONS: tuple[dict[str, Any], ...] = ({"text": "better"}, {"at": T0 + 7})


def _data(chance: random.Random, kind: str, count: int) -> dict[str, Any]:
    about = f"e{chance.randrange(max(1, count))}"
    found: dict[str, dict[str, Any]] = {
        "declared": {"title": "x", "severity": 2, "commander": chance.choice(["", "ana"])},
        "note": {"text": chance.choice(["seen", "done"]), **chance.choice([{}, {"run": "r1", "step": "a"}])},
        "severity": {"severity": chance.randrange(1, 5), "reason": "r"},
        "status": {"status": chance.choice(STATUSES)},
        "role": {"role": chance.choice(["commander", "scribe"]), "who": chance.choice(["ana", "bob", ""])},
        "fact": {
            "fact": chance.choice(["probe.down", "probe.up", "container.die"]),
            "subject": chance.choice(["edge", "shop"]),
            "text": "t",
            "bad": chance.random() < 0.3,
        },
        "pin": {"event": about, "pinned": chance.random() < 0.7},
        "annotate": {"event": about, "text": "because"},
        "amend": {"event": about, "reason": "wrong", **chance.choice(CORRECTIONS)},
        "redact": {"event": about, "reason": "name"},
        "playbook.started": {"run": "r1", "playbook": "p", "title": "P", "steps": [{"id": "a"}, {"id": "b"}]},
        "step": {"run": "r1", "step": chance.choice("ab"), "state": "done"},
        "containment": {"containment": "c1", "name": "block", "state": chance.choice(["active", "undone"])},
        "recovery.run": {"run": "v1", "state": chance.choice(["started", "ok"])},
        "recovery.step": {"run": "v1", "step": "s", "state": "ok"},
        "handover.offered": {"to": "bob", "brief": "b"},
        "handover.accepted": {"offer": about},
        "comms": {"audience": "internal", "text": "t"},
        "impact": {"reason": "r", "start": T0 - 60},
    }
    return found.get(kind, {})


KINDS = (
    "declared", "note", "note", "note", "fact", "fact", "fact", "severity", "status", "role", "pin", "annotate", "step",
    "playbook.started", "containment", "recovery.run", "recovery.step", "handover.offered", "handover.accepted",
    "comms", "impact", "joined", "left", "ack", "resolved", "closed", "reopened", "attach", "flight", "unheard-of",
)  # fmt: skip


def story(chance: random.Random, count: int, rare: float) -> list[Event]:
    events = []
    for number in range(count):
        kind = chance.choice(("amend", "redact")) if chance.random() < rare else chance.choice(KINDS)
        written = T0 + number // 3
        at = written - chance.choice([0, 0, 0, 30, 3])
        id = f"e{number}" if chance.random() < 0.97 else f"e{chance.randrange(number + 1)}"
        actor = chance.choice([ANA, BOB, WATCH])
        writer = {ANA: "aa" * 16, BOB: "bb" * 16, WATCH: "cc" * 16}[actor]
        stamp = (int(written * 1000), chance.randrange(3))
        data = _data(chance, kind, number)
        events.append(
            Event(id, "INC-2026-0007", writer, number, written, at, stamp, kind, actor, data, f"{number:064}")
        )
    return events


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.02]), st.sampled_from([3, 20, 500]), st.integers(0, 12))
def test_in_whatever_portions_it_is_the_full_fold(seed: int, rare: float, back: int, late: int) -> None:
    chance = random.Random(seed)
    events = story(chance, 160, rare)
    events.sort(key=lambda event: (event.seq + chance.uniform(0, late), event.seq))
    running, given = RunningFold(), 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folding, "_BACK", back)
        while given < len(events):
            portion = events[max(0, given - chance.choice([0, 0, 5])) : given + chance.choice([1, 1, 2, 30])]
            given = max(given, events.index(portion[-1]) + 1)
            assert running.take(portion) == fold(events[:given])
    assert running.take(events) is running.take([])


def test_lines_that_did_not_change_stay_the_same_objects() -> None:
    events = [e._replace(id=f"e{e.seq}") for e in story(random.Random(1), 50, 0.0)]
    running = RunningFold()
    before = running.take(events[:-1])
    after = running.take(events[-1:])
    same = {id(entry) for entry in before.timeline}
    assert sum(id(entry) not in same for entry in after.timeline) <= 2


def test_a_journal_is_folded_once_whoever_asks(tmp_path: Path) -> None:
    ours, theirs = Journal(tmp_path, ANA), Journal(tmp_path, BOB)
    ours.append("declared", {"title": "x", "severity": 1})
    first = incident_of(ours)
    assert first == fold(ours.events()) and incident_of(ours) is first
    theirs.append("note", {"text": "from bob"})
    assert incident_of(ours) == fold(ours.events()) == fold(theirs.events())
    assert [event.kind for event in ours.poll()] == ["declared", "note"]


def test_what_was_redacted_before_it_came_is_redacted() -> None:
    redaction, note, more = (
        Event(f"e{n}", "INC-2026-0007", "aa" * 16, n, T0 + n, T0 + n, (int(T0 * 1000) + at, 0), kind, ANA, data)
        for n, at, kind, data in (
            (1, 5, "redact", {"event": "e2", "reason": "a name"}),
            (2, 3, "note", {"text": "the words of a customer"}),
            (3, 9, "note", {"text": "more"}),
        )
    )
    running = RunningFold()
    running.take([redaction])
    running.take([more])
    assert running.take([note]) == fold([redaction, note, more])
    assert not any("customer" in entry.summary for entry in running.take([]).timeline)
