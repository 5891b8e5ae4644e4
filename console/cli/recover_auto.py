"""`sevdeck recover auto`: the router chooses, then it climbs under the ceiling. `recover arm` and `disarm` lift it.

Imports stay inside functions, as in `recover`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from console.cli.call import Call
from console.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from console.actions.action import Plan
    from console.actions.climb import Climbed, Rung, Ways
    from console.actions.router import Route
    from console.actions.runview import RunView

_REFUSED = 3
_WAYS = {"well": 0, "mended": 0, "waiting": _REFUSED, "cancelled": 1, "stopped": 1, "frozen": 1}


def register(actions: Any) -> None:
    """Adds `auto`, `arm` and `disarm` to the words after `recover`."""
    auto = actions.add_parser("auto", help="choose the level that mends the cause, and climb only while it must")
    auto.add_argument(
        "--max-level", type=int, metavar="N", default=None, help="never above N; the settings may say less"
    )
    auto.add_argument("--incident", metavar="ID", default="", help="record it in this incident's timeline")
    auto.add_argument("--confirm", metavar="TEXT", default=None, help="the words that the first plan asks for")
    auto.add_argument("--unattended", action="store_true", help="ask nobody; for cron")
    auto.set_defaults(run=_auto)
    arm = actions.add_parser("arm", help="allow level 3 unattended, for one incident and an hour at most")
    arm.add_argument("level", type=int, metavar="LEVEL", help="3")
    arm.add_argument("--for", dest="span", metavar="SPAN", default="60m", help="at most 60m, which is the default")
    arm.add_argument("--incident", metavar="ID", required=True, help="only while this one is open")
    arm.add_argument("--confirm", metavar="TEXT", default=None, help="the words that it asks for")
    arm.set_defaults(run=_arm)
    actions.add_parser("disarm", help="take it back").set_defaults(run=_disarm)


def incident_id(call: Call, wanted: str) -> str:
    """The id behind "current", a number or an id; "" for "". Raises UsageError when there is none."""
    if not wanted:
        return ""
    from console.cli.recover import _actor
    from console.incident.store import IncidentStore

    store = IncidentStore(call.data_dir, _actor())
    if wanted.lower() != "current":
        return store.directory(wanted).name
    found = store.current()
    if not found:
        raise UsageError("no incident is open", remedy="See: sevdeck incident list")
    return found


def _auto(call: Call) -> int:
    from dataclasses import replace

    from console.actions import attempts, climb
    from console.actions.ceiling import armed_now, ceiling
    from console.incident.events import Actor
    from console.watch.lane import Lane

    args, config = call.args, call.config
    if args.max_level is not None and args.max_level < 0:
        raise UsageError("--max-level is 0 or more")
    incident = incident_id(call, args.incident)
    lowered = climb.lowered(args.max_level, config)
    if lowered:
        call.note(lowered)
    project = [config.docker.project]
    lane = Lane("auto")

    def most() -> int:
        import time

        now = time.time()
        return ceiling(config, args.max_level, armed_now(call.data_dir, now), incident, now)

    actor = Actor.current("automatic" if args.unattended else "cli")
    ways = climb.real_ways(
        config, call.data_dir, actor, incident=incident, ceiling=most, project=lambda: project[0], lane=lane
    )

    async def look() -> Any:
        facts = await ways.look()
        project[0] = project[0] or facts.project
        return facts

    full = replace(
        ways,
        look=look,
        confirm=None if args.unattended else lambda plan, route: _confirm(call, plan, route),
        **_words(call, ways),
    )
    try:
        with climb.alone(call.data_dir, actor.name):
            ended = asyncio.run(climb.climb(config, full))
    except OSError as error:
        raise RefusedError(
            f"nothing can be recorded in {attempts.directory(call.data_dir)}: {error.strerror}",
            remedy="Nothing was changed. Free some space, or use --data-dir",
        ) from error
    finally:
        lane.close()
    call.answer(_data(ended), lambda: _text(ended))
    return _exit(ended)


def _confirm(call: Call, plan: Plan, route: Route) -> None:
    from console.cli.recover import _plan_text

    if call.args.confirm is not None and call.args.confirm != plan.confirm:
        raise RefusedError(
            f"not confirmed: level {plan.level} is due ({route.why}), and its words are {plan.confirm}",
            remedy="Nothing was changed",
        )
    try:
        shown = _plan_text(plan).rpartition("\n")[0]  # without how to run it: that is what is being asked
        call.confirm(plan.confirm, f"{shown}\nWhy: {route.why}", call.args.confirm)
    except RefusedError as error:
        if not error.remedy.startswith("Repeat"):
            raise
        remedy = f"{error.remedy}, or with --unattended where nobody can be asked"
        raise RefusedError(f"{error.message}: level {plan.level}, because {route.why}", remedy=remedy) from error


def _words(call: Call, ways: Ways) -> dict[str, Any]:
    """What is said while it goes on; nothing with --json, where the answer is all there is."""
    if call.json:
        return {}
    from console.cli.recover import _progress
    from console.redact import redact

    said: set[str] = set()

    def progress(view: RunView) -> None:
        for text in _progress(view):
            if text not in said:
                said.add(text)
                call.say(redact(text))

    return {"say": lambda text: call.say(redact(text)), "progress": progress}


def _data(ended: Climbed) -> dict[str, Any]:
    """The keys of a run, of the last one, and `levels[]`; null where nothing was run."""
    from console.cli.recover import _view_data

    keys = ("run_id", "state", "step", "outcome", "cancelled", "frozen", "level", "title", "actor", "incident",
            "override", "started_at", "ended_at", "downtime", "validation", "observation")  # fmt: skip
    empty: dict[str, Any] = {**dict.fromkeys(keys), "steps": []}
    data = _view_data(ended.view) if ended.view is not None else empty
    own = {"verdict": ended.verdict, "reason": ended.reason, "help": ended.help, "page": ended.page}
    return {**data, **own, "levels": [_rung(r) for r in ended.rungs]}


def _rung(rung: Rung) -> dict[str, Any]:
    return {
        "level": rung.level,
        "service": rung.service,
        "title": rung.title,
        "why": rung.why,
        "run_id": rung.run_id,
        "outcome": rung.outcome,
        "reason": rung.reason,
    }


def _text(ended: Climbed) -> str:
    words = {"well": "WELL", "mended": "OK", "waiting": "NOT NOW", "stopped": "STOPPED", "frozen": "FROZEN"}
    lines = [f"{words.get(ended.verdict, ended.verdict.upper())}: {ended.reason}"]
    if ended.help:
        lines.append(f"  what would help: {ended.help}")
    if ended.page:
        lines.append("Call a person: nothing more is tried by itself.")
    return "\n".join(lines)


def _exit(ended: Climbed) -> int:
    last = ended.rungs[-1].outcome if ended.rungs else ""
    if last in ("unknown", "interrupted"):
        return 4
    if not last and ended.verdict not in ("well", "mended"):
        return _REFUSED
    return _WAYS[ended.verdict]


def _arm(call: Call) -> int:
    import time

    from console.actions.ceiling import arm
    from console.cli.recover import _actor
    from console.config import parse_duration

    args = call.args
    try:
        seconds = parse_duration(args.span)
    except ValueError as error:
        raise UsageError(f"--for: {error}", remedy="Such as 30m") from None
    incident = incident_id(call, args.incident)
    if args.level == 3:  # what nobody may arm is refused without a question
        question = (
            f"For {args.span}, recovery may run level 3 by itself while {incident} is open: everything is taken down\n"
            "and brought up again without another question."
        )
        call.confirm(f"arm level {args.level}", question, args.confirm)
    armed = arm(call.data_dir, call.config, args.level, incident, seconds, _actor())
    data = {
        "level": armed.level,
        "incident": armed.incident,
        "by": armed.by,
        "armed_at": armed.at,
        "until": armed.until,
    }
    call.answer(_stamped(data), armed.words(time.time()))
    return 0


def _disarm(call: Call) -> int:
    from console.actions.ceiling import disarm
    from console.cli.recover import _actor

    found = disarm(call.data_dir, _actor())
    data = {"level": found.level if found else None, "incident": found.incident if found else None}
    call.answer(data, f"level {found.level} is no longer armed" if found else "nothing was armed")
    return 0


def _stamped(data: dict[str, Any]) -> dict[str, Any]:
    from console.cli.as_json import rfc3339

    return {key: rfc3339(value) if key in ("armed_at", "until") else value for key, value in data.items()}


def automation(call: Call) -> dict[str, Any]:
    """What `recover status` says of automatic recovery: the monitor, what is armed, backoff, and what is frozen."""
    import time

    from console.actions import attempts
    from console.actions.ceiling import armed_now
    from console.actions.climb import backoff_words
    from console.actions.monitor import heartbeat

    now, project = time.time(), call.config.docker.project
    beat = heartbeat.read(call.data_dir)
    project = project or (beat.project if beat else "")
    armed = armed_now(call.data_dir, now)
    try:
        known = attempts.load(call.data_dir, project) if project else attempts.Attempts()
    except OSError:
        known = attempts.Attempts()
    return {
        "monitor": heartbeat.standing(call.data_dir, now) or None,
        "armed": armed.words(now) if armed is not None else None,
        "backoff": backoff_words(known, now) or None,
        "automation_frozen": known.frozen or None,
    }


def automation_lines(data: dict[str, Any]) -> list[str]:
    frozen = f"automatic recovery is frozen: {data['automation_frozen']}" if data["automation_frozen"] else None
    backoff = f"automatic recovery: {data['backoff']}" if data["backoff"] else None
    return [text for text in (data["monitor"], data["armed"], backoff, frozen) if text]
