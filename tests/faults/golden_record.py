"""Writes the golden record of the present format: three sessions on two hosts, every kind of event.

Run by the test beside it with SEVDECK_TEST_RENEW=1, once for each format: what stands there is read for ever and
never written again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from console.incident.chain import writer_of
from console.incident.disk import write_atomically
from console.incident.events import KINDS, Actor, fact_id
from console.incident.journal import Journal
from console.incident.shelf import MIRROR

T0 = 1_795_317_172.0  # 2026-11-22 03:12:52 UTC
INCIDENT = "INC-2026-0001"
ANA = Actor("root", sudo_user="ana", ssh="192.0.2.7", uid=0, host="host-a", via="console")
BOB = Actor("bob", ssh="2001:db8::7", uid=1001, host="host-b", via="console")
SCRIPT = Actor("deploy", uid=1002, host="host-a", via="cli")
WATCH = Actor("root", uid=0, host="host-a", via="watch")
PLAYBOOK = b"title: The app does not answer\n"
FLIGHT = b'{"version":1,"series":[]}'
EVIDENCE = "pool exhausted\nünïcode, ▇ and a tab\t\n".encode()
STEPS = [
    {"id": "look", "title": "Look at the pool", "type": "instruction", "phase": "assess", "roles": ["operations"]},
    {"id": "restart", "title": "Restart the app", "type": "command", "phase": "mitigate", "due": 300, "expect": 20},
    {"id": "tell", "title": "Tell the users", "type": "instruction", "phase": "tell"},
]


class _Story:
    """Both hosts; each turn begins ten seconds after the last one, with everything the other host wrote by then."""

    def __init__(self, here: Path, there: Path) -> None:
        self.now = T0
        self._homes = {"host-a": here, "host-b": there}
        self._journals = {actor: self._session(actor) for actor in (ANA, SCRIPT, BOB)}

    def _session(self, actor: Actor) -> Journal:
        late = 90.0 if actor.host == "host-b" else 0.0  # its clock is behind
        return Journal(self._homes[actor.host], actor, wall=lambda: self.now - late)

    def say(self, who: Actor, kind: str, data: Mapping[str, Any] | None = None, **more: Any) -> str:
        self.now += 10.125
        for one, other in (("host-a", "host-b"), ("host-b", "host-a")):
            for path in self._homes[one].glob("*.jsonl"):
                write_atomically(self._homes[other] / MIRROR / f"{writer_of(path)}.jsonl", path.read_bytes())
        journal = self._journals[who]
        journal.poll()
        return journal.append(kind, data or {}, **more).id

    def blob(self, actor: Actor, content: bytes) -> dict[str, Any]:
        return {"sha256": self._journals[actor].put_blob(content), "size": len(content)}

    def close(self) -> None:
        for journal in self._journals.values():
            journal.close()


def write(here: Path, there: Path) -> None:
    """Make the record in `here`, as host-a has it; `there` is what host-b has."""
    for home in (here, there):
        (home / MIRROR).mkdir(mode=0o700, parents=True)
    story = _Story(here, there)
    say = story.say
    say(ANA, "declared", {"title": "Bookings fail — ünïcode", "severity": 2, "drill": False, "commander": "ana",
                          "roles": {"scribe": "bob"}}, at=T0 - 60)  # fmt: skip
    say(ANA, "joined")
    say(BOB, "ack")
    say(BOB, "joined")
    say(ANA, "fact", {"fact": "container.die", "subject": "shop-app-1", "text": "shop-app-1 died: exit 137"},
        id=fact_id("container.die", "shop-app-1", T0 - 118), at=T0 - 118, actor=WATCH)  # fmt: skip
    say(ANA, "flight", {**story.blob(ANA, FLIGHT), "from": T0 - 1800, "to": T0, "moment": "declared"}, actor=WATCH)
    first = say(BOB, "note", {"text": "the pool is exhausted\nsince the deploy"})
    slip = say(ANA, "note", {"text": "restarted shop-redis-1"})
    say(ANA, "amend", {"event": slip, "reason": "wrong container", "text": "restarted shop-app-1", "at": T0 + 70})
    secret = say(BOB, "note", {"text": "the customer is Erika Mustermann"})
    say(ANA, "redact", {"event": secret, "reason": "personal data"})
    say(ANA, "pin", {"event": first, "pinned": True})
    say(BOB, "annotate", {"event": first, "text": "see the graph"})
    say(BOB, "reveal", {"source": "shop-app-1", "line": "token [token-1]"})
    say(ANA, "severity", {"severity": 1, "previous": 2, "reason": "all users"})
    say(ANA, "role", {"role": "operations", "who": "bob"})
    say(ANA, "status", {"status": "mitigating", "reason": "the cause is known"})
    book = story.blob(ANA, PLAYBOOK)["sha256"]
    say(ANA, "playbook.started", {"run": "r1", "playbook": "app-hung", "title": "The app does not answer",
                                  "version": 3, "sha256": book, "steps": STEPS, "phases": []})  # fmt: skip
    say(BOB, "step.claimed", {"run": "r1", "step": "look", "who": "bob", "title": "Look at the pool"})
    say(BOB, "step", {"run": "r1", "step": "look", "state": "done", "title": "Look at the pool"})
    say(BOB, "step", {"run": "r1", "step": "restart", "state": "failed", "result": {"exit": 1, "took": 2.5}})
    say(ANA, "step", {"run": "r1", "step": "tell", "state": "skipped", "reason": "they know"})
    say(ANA, "note", {"text": "on a step", "run": "r1", "step": "restart"})
    say(ANA, "containment", {"containment": "c1", "name": "maintenance page", "state": "active", "target": "edge",
                             "undo": "remove the page", "expires_at": T0 + 3600})  # fmt: skip
    say(SCRIPT, "recovery.run", {"run": "v1", "state": "started", "service": "app", "level": 1, "title": "restart"})
    say(SCRIPT, "recovery.step", {"run": "v1", "step": "s1", "state": "done", "title": "docker restart", "took": 3.25})
    say(SCRIPT, "recovery.validation", {"run": "v1", "ok": True, "text": "3 of 3 probes"})
    say(SCRIPT, "recovery.observation", {"run": "v1", "state": "stable", "text": "5 minutes"})
    say(SCRIPT, "recovery.run", {"run": "v1", "state": "succeeded"})
    say(BOB, "comms", {"audience": "users", "text": "Bookings work again", "channel": "status page",
                       "next_at": T0 + 1800})  # fmt: skip
    say(ANA, "attach", {**story.blob(ANA, EVIDENCE), "name": "app.log", "text": "its last lines"})
    say(ANA, "impact", {"start": T0 - 118, "stop": T0 + 250, "reason": "from the edge's log"})
    refused = say(ANA, "handover.offered", {"to": "bob", "brief": "it is stable"})
    say(BOB, "handover.declined", {"offer": refused, "reason": "in a call"})
    offer = say(ANA, "handover.offered", {"to": "bob", "brief": "still stable"})
    say(BOB, "handover.accepted", {"offer": offer})
    say(BOB, "containment", {"containment": "c1", "name": "maintenance page", "state": "lifted"})
    say(BOB, "resolved", {"text": "bookings at the usual rate"})
    say(BOB, "reopened", {"reason": "it came back"})
    say(BOB, "resolved", {"text": "now it is"})
    say(BOB, "closed", {"text": "review on Monday"})
    say(ANA, "left")
    say(BOB, "left")
    say(SCRIPT, "note", {"text": "the last word"})  # so that the copy of host-b's file is whole
    story.close()
    written = {line.split('"k":"')[1].split('"')[0] for path in here.rglob("*.jsonl")
               for line in path.read_text("utf-8").splitlines()}  # fmt: skip
    assert written == set(KINDS), f"kinds without an event: {set(KINDS) - written}"
