"""`sevdeck recover plan / run / status / attach / resume / cancel` and `sevdeck validate`.

Imports stay inside functions: a second responder is to be refused before asyncio and the engine are even loaded.
"""

from __future__ import annotations

import re
import shlex
import time
from typing import TYPE_CHECKING, Any

from console.cli.call import Call
from console.errors import RefusedError, UsageError
from console.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from console.actions.action import Plan
    from console.actions.runs import RunView
    from console.incident.events import Actor

_EXIT = {"ok": 0, "failed": 1, "rolled_back": 1, "unknown": 4}
_MARKS = {"ok": "✔", "failed": "✖", "unknown": "○", "skipped": "–", "running": "▶", "pending": "·"}
_REFUSED = 3


def register(commands: Any) -> None:
    recover = commands.add_parser("recover", help="plan, run and follow a recovery level")
    actions = recover.add_subparsers(metavar="plan|run|auto|status|attach|resume|cancel|arm|disarm", required=True)
    plan = actions.add_parser("plan", help="what a level would do now; changes nothing")
    run = actions.add_parser("run", help="run a level, after a confirmation")
    for parser in (plan, run):
        parser.add_argument(
            "level",
            type=int,
            metavar="LEVEL",
            help="1 one service, 2 all services in order, 3 containers made anew, 4 a backup",
        )
        parser.add_argument("--service", default="", metavar="S", help="Compose service of level 1 (default: the app)")
        parser.add_argument(
            "--backup", default="", metavar="ID", help="backup of level 4 (default: the newest good one)"
        )
    run.add_argument("--confirm", metavar="TEXT", default=None, help="the words that the plan asks for")
    run.add_argument("--consent", metavar="TEXT", default=None, help="what a plan asks for beside its confirmation")
    run.add_argument("--incident", metavar="ID", default="", help="record it in this incident's timeline")
    run.add_argument("--detach", action="store_true", help="do not follow it")
    run.add_argument("--override", metavar="REASON", default="", help="go over the budget, once; is recorded")
    plan.set_defaults(run=_plan)
    run.set_defaults(run=_run)
    for name, function, about in (
        ("status", _status, "where a run stands"),
        ("attach", _attach, "follow a run until it is over"),
        ("resume", _resume, "go on with a run that was cut off or ended in doubt; looks before it acts"),
        ("cancel", _cancel, "stop after the present step, or cut the observation short"),
    ):
        parser = actions.add_parser(name, help=about)
        parser.add_argument("run_id", nargs="?", default="", metavar="RUN", help="default: the newest")
        parser.set_defaults(run=function)
    from console.cli.recover_auto import register as register_auto

    register_auto(actions)
    commands.add_parser("validate", help="is everything well that users go through?").set_defaults(run=_validate)


def _make_plan(call: Call) -> Plan:
    import asyncio

    from console.actions import gather, recovery

    restoring = call.args.backup if call.args.level == 4 else None
    facts = asyncio.run(gather.gather(call.config, call.data_dir, restoring=restoring))
    # As the engine's own names are read and shown: what is typed from a plan is that very service.
    return recovery.plan(call.args.level, clean(call.args.service, 300), facts, call.config)


def _actor() -> Actor:
    from console.incident.events import Actor

    return Actor.current("cli")


def _plan(call: Call) -> int:
    plan = _make_plan(call)
    if plan.refused is not None and not plan.facts and not call.json:  # no container is in it: there is no plan to show
        raise _refusal(plan)
    call.answer(_plan_data(plan), lambda: _plan_text(plan))
    return _REFUSED if plan.refused is not None else 0


def _refusal(plan: Plan) -> RefusedError:
    how = ": --override REASON" if plan.over_budget else ""
    return RefusedError(f"refused: {plan.refused}", remedy=f"{plan.help[:1].upper()}{plan.help[1:]}{how}")


def _plan_data(plan: Plan) -> dict[str, Any]:
    return {
        "plan_id": plan.plan_id,
        "level": plan.level,
        "title": plan.title,
        "service": plan.service,
        "project": plan.project,
        "targets": plan.targets,
        "steps": [{"id": s.id, "title": s.title, "command": s.command, "undo": s.undo} for s in plan.steps],
        "blast_radius": plan.blast.text,
        "containers": plan.blast.containers,
        "preconditions": [{"name": p.name, "ok": p.ok, "detail": p.detail} for p in plan.preconditions],
        "refused": plan.refused,
        "help": plan.help,
        "confirm": plan.confirm,
        "consent": plan.consent,
        "expected_downtime": plan.expected_downtime,
        "budget": plan.budget,
        "advice": plan.advice,
    }


def _plan_text(plan: Plan) -> str:
    downtime = "unknown" if plan.expected_downtime is None else f"about {plan.expected_downtime:g} s"
    lines = [
        f"Plan {plan.plan_id}: level {plan.level}, {plan.title} ({plan.project})",
        f"  touches {plan.blast.text}; outage {downtime}; budget {plan.budget}",
    ]
    for i, s in enumerate(plan.steps, 1):
        lines += [f"  {i:2} {s.title}", f"       {s.command}"]
    lines += [f"  ✖ {p.name}: {p.detail}" for p in plan.preconditions if p.ok is False]
    lines += [f"  ▲ {text}" for text in plan.advice]
    if plan.refused is not None:
        lines += [f"REFUSED: {plan.refused}", f"  what would help: {plan.help}"]
    else:
        lines.append(
            f"To run it: sevdeck recover run {plan.level}{_service(plan)} --confirm {_quoted(plan.confirm)}"
            + (f" --consent {_quoted(plan.consent)}" if plan.consent else "")
            + " (within 2 minutes)"
        )
    return "\n".join(map(clean, lines))  # a name with a line feed in it makes no line of its own


def _service(plan: Plan) -> str:
    return f" --service {shlex.quote(plan.service)}" if plan.service else ""


def _quoted(words: str) -> str:
    """For a shell: it is pasted there as it is, and names may hold what a shell would do."""
    return f'"{words}"' if re.fullmatch(r"[\w .,:/@%+=-]*", words, re.ASCII) else shlex.quote(words)


def _run(call: Call) -> int:
    from console.actions.lock import LockedError, holder

    project = call.config.docker.project
    held = holder(call.data_dir, project) if project else None
    if held is not None:  # said at once, without looking at anything first
        raise LockedError(project, held)
    from console.actions import runner
    from console.cli.recover_auto import incident_id

    incident = incident_id(call, call.args.incident)
    plan = _make_plan(call)
    if plan.refused is not None and not (plan.over_budget and call.args.override):
        raise _refusal(plan)
    call.confirm(plan.confirm, _plan_text(plan), call.args.confirm)
    if plan.consent:
        call.confirm(plan.consent, f"This loses for certain: {plan.blast.writes_lost}.", call.args.consent, "--consent")
    run_id = runner.start(
        plan,
        plan.confirm,
        call.config,
        call.data_dir,
        _actor(),
        incident=incident,
        override=call.args.override,
        consent=plan.consent,
    )
    if call.args.detach:
        view = _look(call.data_dir, run_id)
        call.answer(_view_data(view), f"Run {run_id} started. Follow it with: sevdeck recover attach {run_id}")
        return 0
    return _follow(call, run_id)


def _look(data_dir: Path, run_id: str = "") -> RunView:
    from console.actions import runs

    view = runs.status(data_dir, run_id)
    if view is None:
        raise UsageError("nothing was ever run here", remedy="Begin with: sevdeck recover plan 1")
    return view


def _follow(call: Call, run_id: str) -> int:
    """Show every change until the run is over. Ctrl-C ends the showing, not the run."""
    import asyncio

    from console.actions import runs
    from console.tell.notify import Sender

    say: Callable[[str], None] = (lambda text: None) if call.json else call.say

    async def follow() -> RunView:
        said: set[str] = set()
        sender = Sender(call.config, call.data_dir, call.note)
        sending = asyncio.ensure_future(sender.live())
        try:
            async for view in runs.follow(call.data_dir, run_id):
                for line in _progress(view):
                    if line not in said:
                        said.add(line)
                        say(line)
            await sender.last()
        finally:
            sending.cancel()
            sender.close()
        return view

    try:
        view = asyncio.run(follow())
    except KeyboardInterrupt:
        call.note(f"the run goes on; follow it again with: sevdeck recover attach {run_id}")
        raise
    call.answer(_view_data(view), lambda: _ending(view))
    return _exit(view)


def _exit(view: RunView) -> int:
    if view.outcome is None:
        return 4 if view.state == "interrupted" else 0
    if view.cancelled and all(s.state == "pending" for s in view.steps):
        return _REFUSED
    return _EXIT.get(view.outcome, 1)


def _progress(view: RunView) -> list[str]:
    lines = [f"run {view.run_id}: {view.plan.title}, by {view.actor}"]
    for step in (*view.steps, *view.compensation):
        if step.state == "running":
            lines.append(f"  {_MARKS['running']} {step.step.title} …")
        elif step.state != "pending":
            took = f" ({step.took:.1f} s)" if step.took is not None else ""
            detail = f": {step.detail}" if step.detail else ""
            lines.append(f"  {_MARKS.get(step.state, '?')} {step.step.title}{took}{detail}")
    if view.validation is not None:
        mark = _MARKS["ok"] if view.validation.ok else _MARKS["running" if view.validation.ok is None else "failed"]
        lines.append(f"  {mark} validation: {view.validation.detail}")
        lines += [f"      ✖ {f['summary']}" for f in view.validation.findings if f.get("status") in ("fail", "unknown")]
    if view.observation is not None:
        text = f": {view.observation.detail}" if view.observation.detail else ""
        lines.append(f"  observation of {view.observation.seconds:.0f} s: {view.observation.state}{text}")
    return lines


def _ending(view: RunView) -> str:
    words = {"ok": "OK", "failed": "FAILED", "rolled_back": "PUT BACK", "unknown": "UNKNOWN"}
    head = words.get(view.outcome or "", view.state.upper())
    lines = [f"{head}: {view.reason}"]
    if view.frozen:
        lines.append("Call a person: nothing more is tried by itself.")
    if view.resumable:
        lines.append(f"Go on with: sevdeck recover resume {view.run_id}")
    return "\n".join(lines)


def _view_data(view: RunView) -> dict[str, Any]:
    now = time.time()
    watch = view.observation
    data = {
        "run_id": view.run_id,
        "state": view.state,
        "step": view.step or None,
        "outcome": view.outcome,
        "reason": view.reason,
        "cancelled": view.cancelled,
        "frozen": view.frozen,
        "level": view.plan.level,
        "title": view.plan.title,
        "actor": view.actor,
        "incident": view.incident or None,
        "override": view.override or None,
        "started_at": view.started_at,
        "ended_at": view.ended_at,
        "downtime": view.downtime,
        "steps": [_step_data(s) for s in (*view.steps, *(c for c in view.compensation if c.state != "pending"))],
        "validation": None
        if view.validation is None
        else {
            "ok": view.validation.ok,
            "verdict": view.validation.verdict,
            "detail": view.validation.detail,
            "findings": view.validation.findings,
        },
        "observation": None
        if watch is None
        else {
            "state": watch.state,
            "seconds": watch.seconds,
            "elapsed": round(watch.elapsed(now), 1),
            "samples": watch.samples,
            "failures": watch.failures,
            "detail": watch.detail,
        },
    }
    return _times(data)


def _step_data(view: Any) -> dict[str, Any]:
    return {
        "id": view.step.id,
        "title": view.step.title,
        "command": view.step.command,
        "state": view.state,
        "detail": view.detail,
        "started_at": view.started_at,
        "took": view.took,
        "attempt": view.attempt,
        "exit": view.exit,
        "output_sha256": view.sha256,
    }


def _times(data: dict[str, Any]) -> dict[str, Any]:
    """Unix seconds of plain dictionaries as RFC 3339, which the answer does by itself only for records."""
    from console.cli.as_json import rfc3339

    for entry in (data, *data["steps"]):
        for key in ("started_at", "ended_at"):
            if isinstance(entry.get(key), float):
                entry[key] = rfc3339(entry[key])
    return data


def _status(call: Call) -> int:
    from console.cli.recover_auto import automation, automation_lines

    auto = automation(call)
    lines = automation_lines(auto)
    try:
        view = _look(call.data_dir, call.args.run_id)
    except UsageError:
        for text in lines:  # a monitor may be frozen or silent before anything was run
            call.note(text)
        raise
    call.answer({**_view_data(view), **auto}, lambda: "\n".join([*_progress(view), _standing(view), *lines]))
    return 0


def _standing(view: RunView) -> str:
    if view.over or view.state == "interrupted":
        return _ending(view)
    step = f", at {view.step}" if view.step else ""
    return f"{view.state}{step}"


def _attach(call: Call) -> int:
    return _follow(call, _look(call.data_dir, call.args.run_id).run_id)


def _resume(call: Call) -> int:
    from console.actions import runner

    view = _look(call.data_dir, call.args.run_id)
    runner.resume(call.data_dir, view.run_id, call.config, _actor())
    return _follow(call, view.run_id)


def _cancel(call: Call) -> int:
    from console.actions import runs

    view = _look(call.data_dir, call.args.run_id)
    if view.over:
        raise RefusedError(f"run {view.run_id} is over: {view.outcome}", remedy="There is nothing to cancel")
    if view.state == "interrupted":
        raise RefusedError(
            f"run {view.run_id} was cut off, so nobody would hear it",
            remedy=f"sevdeck recover resume {view.run_id} puts things in order",
        )
    runs.cancel(call.data_dir, view.run_id, _actor())
    call.answer(_view_data(view), f"Asked run {view.run_id} to stop after {view.step or view.state}.")
    return 0


def _validate(call: Call) -> int:
    import asyncio

    from console.actions import gather, validation
    from console.checks.check import Status

    began = time.monotonic()

    async def look() -> Any:
        facts = await gather.gather(call.config, call.data_dir, seen=gather.Seen(), probing=False)
        return await validation.validate(call.config, facts)

    found = asyncio.run(look())
    worst = max((f.status for f in found), key=lambda s: s.rank, default=Status.UNKNOWN)
    marks = {Status.OK: "●", Status.WARN: "▲", Status.FAIL: "✖", Status.UNKNOWN: "○"}
    data = {"status": worst.value, "took": round(time.monotonic() - began, 3), "findings": found}
    call.answer(data, lambda: "\n".join([*(f"{marks[f.status]} {f.summary}" for f in found), worst.value]))
    return 0 if validation.passed(found) else 1
