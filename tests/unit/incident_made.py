"""A written incident: ten minutes of an app that hung, with everything a post-mortem has to tell."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from console.incident.events import Actor, fact_id
from console.incident.journal import Journal

T0 = 1_795_317_172.0  # 2026-11-22 03:12:52 UTC
ANA = Actor("root", sudo_user="ana", ssh="192.0.2.7", uid=0, host="prod-1", via="console")
RUNNER = Actor("root", host="prod-1", uid=0, via="runner")
CONSOLE = Actor("root", host="prod-1", uid=0, via="automatic")
HOSTILE = "<script>alert(1)</script> | `rm -rf /` [x](http://evil.example/) \x1b]0;owned\x07 ```"
SECRET = "postgres://shop:correct-horse-7@postgres:5432/shop"


class Clock:
    """A wall clock that the story sets."""

    def __init__(self) -> None:
        self.now = T0

    def __call__(self) -> float:
        return self.now


def frozen(until: float = 40.0) -> dict[str, Any]:
    """Half an hour up to `until` seconds after the declaration, as the flight recorder keeps it."""
    start = T0 + until - 1800
    ticks = [5.0 * n for n in range(360)]

    def hung(tick: float) -> bool:
        return -120 <= start + tick - T0 < 65

    latency = [[t, 3000.0 if hung(t) else 12 + 3 * math.sin(t / 25)] for t in ticks]
    cpu = [[t, None if 500 <= t < 510 else 96.0 if hung(t) else 20 + 5 * math.cos(t / 45)] for t in ticks]
    memory = [[t, 60e6 + max(0.0, 80e3 * (t + start - T0 + 1760)) if t + start < T0 + 61 else 62e6] for t in ticks]
    bookings = [[t, 3.0 if hung(t) else 41.0] for t in ticks[::12]]
    down = "down" if until < 65 else "up"
    state = "running unhealthy" if until < 65 else "running healthy"
    return {
        "version": 1,
        "from": start,
        "to": start + 1800,
        "series": [
            {"group": group, "subject": subject, "name": name, "unit": unit, "points": points}
            for group, subject, name, unit, points in (
                ("probe", "edge", "latency", "ms", latency),
                ("container", "shop-app-1", "cpu", "%", cpu),
                ("container", "shop-app-1", "memory", "B", memory),
                ("container", "shop-redis-1", "memory", "B", [[t, 9e6] for t in ticks]),
                ("host", "", "cpu", "%", cpu),
                ("metric", "bookings", "value", "/h", bookings),
            )
        ],
        "transitions": [
            {"at": T0 - 118, "kind": "probe", "subject": "edge", "before": "up", "after": "down", "detail": "no answer"}
        ],
        "states": [
            {"kind": "container", "subject": "shop-app-1", "state": state, "since": T0 - 118},
            {"kind": "probe", "subject": "edge", "state": down, "since": T0 - 118},
        ],
        "events": [
            {
                "at": T0 - 420,
                "action": "start",
                "container": "c" * 64,
                "name": "shop-app-1",
                "service": "app",
                "detail": "",
            }
        ],
        "log": [{"at": T0 - 60, "level": "error", "source": "app", "message": f"pool exhausted {SECRET}"}],
    }


def write(directory: Path) -> Journal:
    """The incident in `directory`, written as the console, the runner and a second responder write it."""
    directory.mkdir(parents=True)
    clock = Clock()
    ana = Journal(directory, ANA, wall=clock)
    runner = Journal(directory, RUNNER, wall=clock)

    def say(after: float, kind: str, data: dict[str, Any], by: Journal = ana, **more: Any) -> str:
        clock.now = T0 + after
        return by.append(kind, data, **more).id

    def fact(after: float, kind: str, subject: str, text: str, bad: bool, happened: float) -> None:
        data = {"fact": kind, "subject": subject, "text": text, "bad": bad, "noticed_at": T0 + happened + 12}
        say(after, "fact", data, id=fact_id(kind, subject, happened), at=T0 + happened, actor=CONSOLE)

    say(0, "declared", {"title": "Checkout returns 502", "severity": 2, "commander": "ana"})
    fact(1, "container.oom", "worker", "worker ran out of memory", True, -174)
    fact(1, "probe.down", "edge", "probe edge fails: no answer in 3 s", True, -120)
    sha = ana.put_blob(json.dumps(frozen()).encode())
    say(2, "flight", {"sha256": sha, "size": len(json.dumps(frozen())), "from": T0 - 1760, "to": T0 + 40})
    say(20, "severity", {"severity": 1, "reason": "nobody can pay", "previous": 2})
    steps = [
        {"id": "confirm", "title": "confirm severity", "type": "instruction", "phase": "now", "due": 60},
        {"id": "notify", "title": "send the first notice", "type": "notify", "phase": "now", "due": 120},
        {"id": "snapshot", "title": "snapshot the database", "type": "command", "phase": "now", "due": 300},
    ]
    phases = [{"id": "now", "title": "Immediate 0-5 min"}]
    started = {
        "run": "r1",
        "playbook": "sev1-response",
        "title": "SEV-1 response",
        "sha256": ana.put_blob(b"id: sev1-response\n"),
        "version": 3,
    }
    say(25, "playbook.started", {**started, "steps": steps, "phases": phases})
    say(30, "step", {"run": "r1", "step": "confirm", "title": "confirm severity", "state": "done"})
    skipped = {"run": "r1", "step": "snapshot", "title": "snapshot the database", "state": "skipped"}
    say(40, "step", {**skipped, "reason": "no room on the disk"})
    note = say(45, "note", {"text": f"log says {HOSTILE}"})
    say(46, "note", {"text": f"dsn was {SECRET}"})
    say(50, "pin", {"event": note, "pinned": True})
    say(52, "annotate", {"event": note, "text": "seen before in INC-2026-0003"})
    measure = {
        "containment": "c1",
        "name": "maintenance page",
        "target": "edge",
        "undo": "rm MAINT",
        "expires_at": T0 + 900,
    }
    say(55, "containment", {**measure, "state": "active"})
    run: dict[str, Any] = {"run": "run-1", "level": 1, "service": "app", "title": "restart app"}
    say(
        60, "recovery.run", {**run, "state": "started", "plan": "7f3a00112233", "targets": ["app"], "by": "ana"}, runner
    )
    step = {"run": "run-1", "step": "restart", "title": "restart app", "command": "docker restart -t 10 shop-app-1"}
    say(61, "recovery.step", {**step, "state": "intent"}, runner)
    say(62, "recovery.step", {**step, "state": "ok", "took": 0.83, "text": "StartedAt changed"}, runner)
    checks = [{"name": "edge answers 200", "ok": True}, {"name": "webhook row written and read", "ok": True}]
    validation = {"run": "run-1", "ok": True, "passed": 6, "total": 6, "checks": checks, "text": "6/6 well, better"}
    say(67, "recovery.validation", validation, runner)
    fact(70, "probe.up", "edge", "probe edge is well again: 200 in 12 ms", False, 65)
    say(
        127,
        "recovery.observation",
        {"run": "run-1", "state": "ok", "good": 6, "total": 6, "text": "6 of 6 samples well"},
        runner,
    )
    say(128, "recovery.run", {**run, "state": "ok", "reason": "validated and stable"}, runner)
    say(130, "containment", {**measure, "state": "undone"})
    say(
        190,
        "step",
        {"run": "r1", "step": "notify", "title": "send the first notice", "state": "done", "text": "in #ops"},
    )
    say(
        190,
        "comms",
        {"audience": "external", "text": "Payments work again", "channel": "status page", "next_at": T0 + 900},
    )
    amended = say(200, "note", {"text": "restarted the worker"})
    say(210, "amend", {"event": amended, "reason": "wrong name", "text": "restarted the app"})
    evidence = ana.put_blob(b"evidence")
    say(220, "attach", {"name": "nginx.log", "sha256": evidence, "size": 8, "text": "error log of the edge"})
    late = json.dumps(frozen(600)).encode()
    say(599, "flight", {"sha256": ana.put_blob(late), "size": len(late), "from": T0 - 1200, "to": T0 + 600})
    say(600, "resolved", {"text": "stable for eight minutes"})
    return ana
