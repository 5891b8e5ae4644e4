"""The fold: one incident from its events, the same for everybody, and honest about what is unknown."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.errors import RefusedError, UsageError
from console.incident import rules
from console.incident.events import KINDS, Actor, Event
from console.incident.records import STATUSES, Incident
from console.incident.state import fold
from console.incident.timers import next_update, overdue, timers

T0 = 1_795_317_172.0
ANA = Actor("root", sudo_user="ana", host="prod-1", via="console")
BOB = Actor("bob", host="prod-1", via="console")
WATCH = Actor("root", host="prod-1", via="watch")


class Story:
    """Events one after the other; `at` is seconds after T0."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def tell(self, at: float, kind: str, _by: Actor = ANA, _happened: float | None = None, /, **data: Any) -> str:
        number = len(self.events) + 1
        id = f"e{number}"
        when = T0 + at
        happened = when if _happened is None else T0 + _happened
        stamp = (int(when * 1000), number)
        self.events.append(
            Event(id, "INC-2026-0007", "ab" * 16, number, when, happened, stamp, kind, _by, data, f"{number:064x}")
        )
        return id

    def fold(self) -> Incident:
        return fold(self.events)


def outage() -> Story:
    story = Story()
    story.tell(0, "declared", title="Checkout returns 502", severity=1)
    story.tell(1, "fact", WATCH, -120, fact="probe.down", subject="edge", text="edge: no answer", noticed_at=T0 - 110)
    story.tell(20, "role", role="commander", who="ana")
    story.tell(60, "comms", BOB, audience="internal", text="we know")
    story.tell(300, "fact", WATCH, fact="probe.up", subject="edge", text="edge: 200")
    story.tell(400, "resolved")
    story.tell(500, "closed")
    return story


def test_the_figures_follow_their_formulas() -> None:
    incident = outage().fold()
    assert {name: moment.at - T0 for name, moment in incident.moments.items()} == {
        "t0": -120, "t1": -110, "t2": 0, "t3": 20, "t4": 300, "t5": 400, "t6": 500,
    }  # fmt: skip
    assert {measure.name: measure.seconds for measure in incident.metrics} == {
        "MTTD": 10, "MTTA": 130, "time to declare": 110, "time to first comms": 60, "MTTM": 420, "MTTR": 520,
    }  # fmt: skip
    assert all("−" in measure.formula for measure in incident.metrics)
    assert "edge" in incident.moments["t0"].source and "ana" in incident.moments["t5"].source


def test_what_nobody_saw_is_unknown_not_zero() -> None:
    story = Story()
    story.tell(0, "declared", title="x", severity=2)
    figures = {measure.name: measure.seconds for measure in story.fold().metrics}
    assert figures == {"MTTD": None, "MTTA": None, "time to declare": 0, "time to first comms": None,
                       "MTTM": None, "MTTR": None}  # fmt: skip


def test_impact_lasts_until_no_probe_fails_and_people_can_correct_it() -> None:
    story = outage()
    story.tell(310, "fact", WATCH, 299, fact="probe.down", subject="webhook", text="webhook down")
    assert "t4" not in story.fold().moments or story.fold().moments["t4"].source.startswith("resolved")
    story.tell(350, "fact", WATCH, fact="probe.up", subject="webhook", text="webhook up")
    assert story.fold().moments["t4"].at == T0 + 350
    story.tell(600, "impact", reason="the mirror was fine", start=T0 - 60, stop=T0 + 200)
    moments = story.fold().moments
    assert (moments["t0"].at, moments["t4"].at) == (T0 - 60, T0 + 200) and "set by ana" in moments["t0"].source


def test_reopening_takes_back_the_end() -> None:
    story = outage()
    story.tell(900, "reopened", reason="it is back")
    incident = story.fold()
    assert incident.status == "declared" and incident.open and "t5" not in incident.moments
    story.tell(1000, "resolved")
    assert story.fold().moments["t5"].at == T0 + 1000


def test_resolution_waits_for_the_last_containment() -> None:
    story = Story()
    story.tell(0, "declared", title="x", severity=1)
    story.tell(10, "containment", containment="c1", name="block", target="192.0.2.9", state="active", undo="unblock")
    story.tell(20, "resolved")
    assert "t5" not in story.fold().moments and story.fold().active_containment[0].undo == "unblock"
    story.tell(30, "containment", containment="c1", name="block", state="expired")
    assert story.fold().active_containment, "expired is not undone"
    story.tell(50, "containment", containment="c1", name="block", state="undone")
    incident = story.fold()
    assert not incident.active_containment and incident.moments["t5"].at == T0 + 50
    assert incident.containment[0].target == "192.0.2.9"


def test_timeline_stands_by_when_it_happened_and_numbers_by_the_record() -> None:
    timeline = outage().fold().timeline
    assert [entry.seq for entry in timeline] == [2, 1, 3, 4, 5, 6, 7]
    assert timeline[0].automatic and timeline[0].summary == "edge: no answer" and timeline[0].at == T0 - 120
    assert timeline[1].actor == "ana" and timeline[1].host == "prod-1"


def test_an_entry_is_corrected_by_a_later_one_and_keeps_its_original() -> None:
    story = Story()
    story.tell(0, "declared", title="Chekout down", severity=1)
    note = story.tell(10, "note", text="restarted nginx")
    story.tell(20, "amend", BOB, event=note, text="restarted app", reason="wrong service", at=T0 - 5)
    story.tell(21, "amend", BOB, event="e1", text="Checkout down", reason="typo")
    story.tell(22, "pin", event=note, pinned=True)
    story.tell(23, "annotate", BOB, event=note, text="see the log")
    incident = story.fold()
    entry = incident.timeline[0]
    assert (entry.id, entry.at, entry.summary, entry.original) == (note, T0 - 5, "restarted app", "restarted nginx")
    assert entry.amended == "by bob: wrong service" and entry.remarks == ("bob: see the log",)
    assert incident.pins == (entry,) and incident.title == "Checkout down"
    assert entry.data["text"] == "restarted nginx", "the original was rewritten"
    story.tell(24, "pin", event=note, pinned=False)
    assert not story.fold().pins


def test_roles_solo_and_handover() -> None:
    story = Story()
    story.tell(0, "declared", title="x", severity=1, roles={"operations": "ana", "nonsense": "eve"}, commander="ana")
    assert story.fold().solo and story.fold().roles == {"operations": "ana", "commander": "ana"}
    story.tell(5, "role", role="communications", who="bob")
    assert not story.fold().solo
    offer = story.tell(10, "handover.offered", to="bob", brief="all of it")
    assert story.fold().open_handover and story.fold().commander == "ana"
    story.tell(11, "handover.declined", BOB, offer=offer, reason="asleep")
    assert story.fold().commander == "ana" and not story.fold().open_handover
    story.tell(12, "handover.accepted", BOB, offer=offer)
    assert story.fold().commander == "ana", "a declined offer cannot be accepted"
    again = story.tell(13, "handover.offered", to="bob", brief="please")
    story.tell(14, "handover.accepted", BOB, offer=again)
    assert story.fold().commander == "bob"
    story.tell(15, "role", role="commander", who="")
    assert story.fold().commander == ""


def checklist() -> Story:
    story = Story()
    story.tell(0, "declared", title="x", severity=1)
    steps = [{"id": "page", "title": "Page", "phase": "now", "due": 300, "type": "instruction"}, {"id": "look"}]
    story.tell(1, "playbook.started", run="r1", playbook="sev1", title="SEV-1", sha256="0" * 64, steps=steps,
               phases=[{"id": "now", "title": "Now"}], version=3)  # fmt: skip
    return story


def test_checklist_steps_with_who_when_notes_and_claims() -> None:
    story = checklist()
    story.tell(10, "step.claimed", run="r1", step="page", who="ana")
    story.tell(11, "step.claimed", BOB, run="r1", step="page", who="bob")
    story.tell(12, "note", run="r1", step="page", text="no answer yet")
    (run,) = story.fold().runs
    step = run.step("page")
    assert step is not None and step.claimed_by == "ana" and step.state == "pending" and not step.settled
    assert step.due_at == T0 + 301 and run.phases == (("now", "Now"),) and run.version == 3
    story.tell(13, "step.claimed", BOB, run="r1", step="page", who="bob", take=True)
    story.tell(20, "step", BOB, run="r1", step="page", state="done", text="ana answered")
    (run,) = story.fold().runs
    step = run.step("page")
    assert step is not None and (step.claimed_by, step.by, step.at) == ("bob", "bob", T0 + 20)
    assert step.notes == ("no answer yet", "ana answered") and run.settled == 1


def test_timers_follow_severity_promises_and_checklists() -> None:
    story = checklist()

    def due() -> dict[str, float]:
        return {timer.name: timer.due_at - T0 for timer in timers(story.fold(), T0 + 30)}

    assert due()["ack"] == 300 and due()["commander"] == 300 and due()["external"] == 600
    assert due()["update"] == 900 and due()["executive"] == 1800 and due()["step:r1:page"] == 301
    assert due()["escalate:tech lead"] == 300 and due()["join:tech lead"] == 900
    story.tell(30, "ack")
    story.tell(40, "role", role="commander", who="ana")
    story.tell(60, "comms", audience="internal", text="x", next_at=T0 + 200)
    story.tell(61, "step", run="r1", step="page", state="done")
    now = due()
    assert "ack" not in now and "commander" not in now and "step:r1:page" not in now
    assert now["update"] == 200 and now["callout"] == 640 and now["relief"] == 7240 and now["awake"] == 61 + 1200
    assert next_update(story.fold(), T0).name == "update"  # type: ignore[union-attr]
    assert [timer.name for timer in overdue(story.fold(), T0 + 250)] == ["update"]
    story.tell(70, "severity", severity=3, reason="workaround", previous=1)
    assert "executive" not in due() and "external" not in due()
    story.tell(80, "resolved")
    assert set(due()) <= {"review"}


def test_recovery_is_one_run_with_its_steps() -> None:
    story = Story()
    story.tell(0, "declared", title="x", severity=1)
    for at, state in ((10, "planned"), (11, "confirmed"), (12, "started")):
        story.tell(at, "recovery.run", run="p1", state=state, level=1, service="app", title="restart app")
    story.tell(13, "recovery.step", run="p1", step="restart", title="docker restart", state="intent")
    assert story.fold().recoveries[0].steps[0].state == "intent"
    story.tell(15, "recovery.step", run="p1", step="restart", state="ok", took=1.5)
    story.tell(16, "recovery.validation", run="p1", ok=True, passed=6, total=6)
    story.tell(80, "recovery.observation", run="p1", state="ok", good=12, total=12)
    story.tell(81, "recovery.run", run="p1", state="ok")
    (run,) = story.fold().recoveries
    assert (run.level, run.state, run.started_at, run.ended_at) == (1, "ok", T0 + 12, T0 + 81)
    assert run.steps[0].title == "docker restart" and run.steps[0].took == 1.5
    assert run.validation and run.validation["passed"] == 6 and run.observation


def test_rules_of_the_lifecycle() -> None:
    story = checklist()
    incident = story.fold()
    for refused in ("closed", "triage", "false-alarm", "declared"):
        with pytest.raises(RefusedError):
            rules.check_status(incident, refused)
    with pytest.raises(UsageError):
        rules.check_status(incident, "fine")
    rules.check_status(incident, "mitigated")
    rules.check_status(incident, "triage", "declared too early")
    rules.check_severity(incident, 2, "it is less")
    with pytest.raises(RefusedError):
        rules.check_severity(incident, 2, " ")
    with pytest.raises(RefusedError):
        rules.check_close(incident)
    with pytest.raises(RefusedError):
        rules.check_reopen(incident, "why")
    story.tell(5, "containment", containment="c", name="pause", target="worker", state="active")
    with pytest.raises(RefusedError, match="pause worker"):
        rules.check_resolve(story.fold())
    story.tell(6, "containment", containment="c", name="pause", state="undone")
    rules.check_resolve(story.fold())
    story.tell(7, "resolved")
    rules.check_close(story.fold())
    with pytest.raises(RefusedError):
        rules.check_reopen(story.fold(), "")
    rules.check_reopen(story.fold(), "it is back")


KEYS = sorted({key for keys in KINDS.values() for key in keys} | {"at", "text", "take", "commander", "roles", "start"})
WORDS = st.sampled_from(["r1", "page", "done", "e1", "e2", "e5", "commander", "ana", "bob", "probe.down", "probe.up",
                         "active", "undone", "c1", *STATUSES, ""])  # fmt: skip
VALUES = (
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(0, 2e9) | WORDS | st.just([{"id": "page", "due": 5}])
)
TOLD = st.lists(
    st.tuples(st.sampled_from(sorted(KINDS)), st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6)), max_size=30
)


@settings(deadline=None)
@given(TOLD, st.integers(0, 2**32), st.integers(1, 3))
def test_any_order_and_any_repetition_give_the_same_incident(
    told: list[tuple[str, dict[str, Any]]], seed: int, copies: int
) -> None:
    story = Story()
    story.tell(0, "declared", title="x", severity=1)
    for number, (kind, data) in enumerate(told):
        story.tell(number, kind, random.Random(seed + number).choice([ANA, BOB, WATCH]), **data)
    shuffled = story.events * copies
    random.Random(seed).shuffle(shuffled)
    incident = fold(shuffled)
    assert incident == story.fold()
    timers(incident, T0 + 1000)
    assert len(incident.timeline) == len([event for event in story.events if event.kind != "genesis"])


def test_the_same_id_from_two_writers_counts_once_and_the_earlier_wins() -> None:
    first = Event("f", "I", "a" * 32, 2, T0, T0, (5, 0), "note", ANA, {"text": "first"})
    second = Event("f", "I", "b" * 32, 2, T0, T0, (6, 0), "note", BOB, {"text": "second"})
    assert fold([second, first]) == fold([first, second]) and fold([second, first]).timeline[0].summary == "first"


def test_a_record_without_its_declaration_can_still_be_read() -> None:
    story = Story()
    story.tell(0, "note", text="somebody wrote")
    incident = story.fold()
    assert incident.declared_at is None and incident.severity == 1 and incident.timeline[0].summary == "somebody wrote"
    assert fold([]).timeline == ()
