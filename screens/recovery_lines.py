"""What the recovery screen says, in lines: the levels and their verdicts, a plan, a run. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from widgets.choice import Row
from widgets.format import clock_text, time_text
from widgets.lines import Line, Span, between, fit, line, width_of
from widgets.marks import BAD, OK, UNKNOWN, WARN, mark
from widgets.pane import greyed, wrap

if TYPE_CHECKING:
    from console.actions.action import LevelView, Plan
    from console.actions.facts import Holder
    from console.actions.runview import RunView, StepView
    from console.incident.records import Incident

_VERDICT = {"recommended": OK, "possible": UNKNOWN, "unneeded": UNKNOWN, "refused": BAD}
_STEP = {"ok": ("✔", "ok"), "failed": (BAD, "bad"), "unknown": (UNKNOWN, "warn"), "running": ("▶", "strong"),
         "skipped": ("–", "dim"), "pending": ("·", "dim")}  # fmt: skip


class Instead(NamedTuple):
    """What is said of every level while the verdicts do not hold: in two or three words, and the reason."""

    words: str
    why: str


def level_rows(views: Sequence[LevelView], width: int, instead: Instead | None = None) -> list[Row]:
    """A level in two lines: what it would do and the verdict; then the reason in full.

    With `instead` each has one line, greyed, and the reason stands once below all of them.
    """
    rows: list[Row] = []
    for view in views:
        glyph, words, why = _VERDICT[view.verdict], view.verdict, view.why
        tone = {"recommended": "ok", "refused": "bad"}.get(view.verdict, "")
        if instead is None and view.help:
            why = f"{sentence(why)} Would help: {sentence(view.help)}"
        if instead is not None:
            glyph, words, tone = UNKNOWN, instead.words, ""
        head = line(
            Span(f" {view.level} ", "key"),
            Span(fit(view.name, 8), "strong"),
            fit(view.title, 34),
            Span(fit(view.outage, 15), "dim"),
            mark(glyph),
            Span(f" {words}", tone),
        )
        rows.append(Row(f"{view.level}:{view.service}", head if instead is None else greyed([head])[0]))
        if instead is None:
            rows += _reason(why, width)
    return rows if instead is None else [*rows, *_reason(instead.why, width)]


def _reason(why: str, width: int) -> list[Row]:
    return [Row("", line(Span(f"{' ' * 11}{text}", "dim"))) for text in wrap(why, width - 12)]


def sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def under_way(run: RunView | None, holder: Holder | None) -> Instead | None:
    """What every level says while a run is under way, whoever started it; None when none is."""
    if run is not None and run.outcome is None and run.state != "interrupted":
        who, level, title, since, run_id = run.actor, run.plan.level, run.plan.title, run.started_at, run.run_id
    elif holder is not None and holder.run_id and not holder.level:  # no recovery: a containment, over in seconds
        return Instead("a change is under way", f"{holder.who}: {holder.title}. Judged anew when it has ended.")
    elif holder is not None and holder.run_id:
        who, level, title, since, run_id = holder.who, holder.level, holder.title, holder.since, holder.run_id
    elif holder is not None:
        return Instead("a run is under way", "Somebody is changing the project. Judged anew when that has ended.")
    else:
        return None
    words = f"Run {run_id} by {who}: level {level}, {title}, since {time_text(since)}."
    return Instead("a run is under way", f"{words} Judged anew when it has ended.")


def plan_lines(plan: Plan, width: int) -> list[Line]:
    """The plan as a person reads it before saying yes; where it is refused, the reason before all else."""
    lines = [
        line(Span(f"Plan {plan.plan_id[:4]}", "strong"), f" · {len(plan.steps)} steps · touches {plan.blast.text}"),
        line(Span(f"{_cost(plan)} · budget {plan.budget}", "dim")),
    ]
    if plan.refused:
        lines += [line(Span(part, "bad")) for part in wrap(f"✖ refused: {plan.refused}", width)]
        if plan.help:
            lines += [line(Span(part)) for part in wrap(f"would help: {plan.help}", width)]
    for number, step in enumerate(plan.steps, 1):
        lines.append(line(f"{number:2} {step.title}"))
        if step.command:
            lines += [line(Span(f"     {part}", "dim")) for part in wrap(step.command, width - 5)]
    return [*lines, *_doubts(plan, width)]


def short_plan_lines(plan: Plan, width: int, height: int) -> list[Line]:
    """The plan in at most `height` lines, for a question that must be seen whole: the steps without their commands."""
    head = line(Span(f"Plan {plan.plan_id[:4]}", "strong"), f" · {_cost(plan)} · {plan.blast.text}")
    doubts = _doubts(plan, width)
    steps = [line(f"{number:2} {step.title}") for number, step in enumerate(plan.steps, 1)]
    room = max(1, height - 1 - len(doubts))
    if len(steps) > room:
        left = len(steps) - room + 1
        steps = [*steps[: room - 1], line(Span(f"   … {left} more steps: Esc, then Tab and ↓ show them", "warn"))]
    return [head, *steps, *doubts]


def _cost(plan: Plan) -> str:
    if plan.expected_downtime is None:
        return "outage not known yet"
    return f"~{plan.expected_downtime:.0f} s outage" if plan.expected_downtime >= 0.5 else "no outage"


def _doubts(plan: Plan, width: int) -> list[Line]:
    """Preconditions that do not hold or could not be told, and advice."""
    lines: list[Line] = []
    for check in plan.preconditions:
        if check.ok is not True:
            glyph = BAD if check.ok is False else UNKNOWN
            words = wrap(f"{check.name}: {check.detail}", width - 2)
            tone = "bad" if check.ok is False else "warn"
            lines.append(line(mark(glyph), Span(f" {words[0]}", tone)))
            lines += [line(Span(f"  {part}", tone)) for part in words[1:]]
    for text in plan.advice:
        lines += [line(Span(part, "warn")) for part in wrap(f"▲ {text}", width)]
    return lines


class Shown(NamedTuple):
    """A run in lines; `at` is the one that must be in sight: the step under way, else what the run came to."""

    lines: list[Line]
    at: int


def run_title(run: RunView, now: float) -> str:
    """What runs, how far it is or how it ended, since when, and who asked for it."""
    age = clock_text((run.ended_at or now) - run.started_at)
    done = sum(1 for view in run.steps if view.state not in ("pending", "running"))
    state = {"running": f"step {min(done + 1, len(run.steps))} of {len(run.steps)}", "compensating": "putting back"}
    how = run.outcome or state.get(run.state, run.state)
    return f"Run: level {run.plan.level}, {run.plan.title} · {how} · {age} · by {run.actor}"


def run_lines(run: RunView, now: float, width: int) -> Shown:
    """A run: what it came to first, then its steps, then those of the way back."""
    lines = [*_verdict(run, width), *_validated(run, width), *_observed(run, now)]
    lines += [line(Span(part, "dim")) for text in run.notes for part in wrap(text, width)]
    at = 0
    back = [view for view in run.compensation if view.state != "pending"]
    longest = max((len(view.step.title) for view in (*run.steps, *back)), default=0)
    for n, view in enumerate((*run.steps, *back)):
        if n == len(run.steps):
            lines.append(line(Span("putting back what was before:", "warn")))
        at = len(lines) if view.state == "running" else at
        lines.append(_step(view, min(longest, max(20, width - 30))))
    lines += [line(Span(part, "dim")) for part in wrap(f"run {run.run_id}", width)]
    if not run.outcome and run.state != "interrupted":
        text = "It runs apart from this terminal: leaving or losing the connection does not stop it. x asks it to stop."
        lines += [line(Span(part, "dim")) for part in wrap(text, width)]
    return Shown(lines, at)


def _verdict(run: RunView, width: int) -> list[Line]:
    if run.outcome:
        tone = {"ok": "ok", "failed": "bad"}.get(run.outcome, "warn")
        return [line(Span(text, tone)) for text in wrap(f"outcome: {run.outcome}. {run.reason}", width)]
    if run.state == "interrupted":
        words = wrap("The runner is gone before the end. Enter resumes it from what is recorded.", width)
        return [line(Span(part, "bad")) for part in words]
    return [line(Span(part, "warn")) for part in wrap(run.reason, width)] if run.state == "compensating" else []


def _validated(run: RunView, width: int) -> list[Line]:
    check = run.validation
    if check is None:
        return []
    glyph, tone = (UNKNOWN, "") if check.ok is None else (OK, "ok") if check.ok else (BAD, "bad")
    head = "validation" if check.ok is not None else "validating, not yet well"
    words = wrap(f"{head}: {check.detail}", width - 2)
    lines = [line(mark(glyph), Span(f" {words[0]}", tone)), *(line(Span(f"  {part}", tone)) for part in words[1:])]
    for finding in check.findings:
        if finding.get("status") != "ok":
            words = wrap(f"{finding.get('status')}: {finding.get('summary')}", width - 4)
            lines += [line(Span(f"    {part}", "warn")) for part in words]
    return lines


def _observed(run: RunView, now: float) -> list[Line]:
    watch = run.observation
    if watch is None:
        return []
    watching = "observing" if watch.ended_at is None else "observed"
    words = f" {watching} {max(0.0, watch.elapsed(now)):.0f}/{watch.seconds:.0f} s  {watch.samples} looks, "
    glyph = mark({"stable": OK, "unstable": BAD}.get(watch.state, WARN))
    return [line(glyph, f"{words}{watch.failures} failed: {watch.state}")]


def _step(view: StepView, titles: int) -> Line:
    glyph, tone = _STEP.get(view.state, ("·", "dim"))
    took = f"{view.took:.1f} s" if view.took is not None else ""
    return line(
        Span(f" {glyph} ", tone),
        fit(view.step.title, titles),
        Span(fit(took, 8, "right"), "dim"),
        f"  {view.detail}",
    )


def heading(title: str, width: int, focus: bool, beside: str = "") -> Line:
    """A titled rule over the whole width, as panes have one; `beside` at its other end."""
    tone = "focus" if focus else "title"
    left = line(Span("── ", tone), Span(f"{title} ", "focus" if focus else "strong"))
    room = max(1, width - width_of(left) - 6)
    right = line(Span(f" {fit(beside, min(len(beside), room))} ──", "warn")) if beside else line(Span("──", tone))
    return between(left, right, width, "─", tone)


def runs_elsewhere(incident: Incident | None, host: str) -> str:
    """Recoveries under way on other hosts, in words; "" for none."""
    under_way = [r for r in incident.recoveries if r.ended_at is None and r.host != host] if incident else []
    return "; ".join(f"on {r.host}: {r.title}, {r.state} by {r.by} {time_text(r.started_at)}" for r in under_way)
