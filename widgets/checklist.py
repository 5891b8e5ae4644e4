"""The checklist of an incident: phases, steps, owners, timers; one step selected."""

from __future__ import annotations

from collections.abc import Sequence

from textual.reactive import var

from console.incident.records import Person, RunState, StepState
from widgets.choice import ChoiceList, Row
from widgets.format import age_text, countdown_text, time_text
from widgets.lines import Line, Span, between, crop, fit, line, width_of

_STATE = {
    "done": ("✔", "ok"), "skipped": ("–", "dim"), "failed": ("✖", "bad"), "running": ("▶", "strong"),
    "confirming": ("▶", "strong"), "verifying": ("▶", "strong"), "unknown": ("○", "warn"),
    "expired": ("–", "dim"), "undone": ("–", "dim"), "ready": ("·", ""), "pending": ("·", "dim"),
}  # fmt: skip


def step_key(run: RunState, step: StepState) -> str:
    """What names a step on the screen."""
    return f"{run.id}/{step.id}"


def step_line(step: StepState, now: float, width: int) -> Line:
    """A step: mark, title, and who did it when, or how long there is left."""
    glyph, tone = _STATE.get(step.state, ("·", ""))
    right: list[Span] = []
    if step.settled or step.state in {"failed", "unknown"}:
        if step.at is not None:
            right.append(Span(f" {step.by}  {time_text(step.at)}", "dim"))
    elif step.due_at is not None and now:
        left = step.due_at - now
        right.append(Span(f" ⏱ {countdown_text(left)}", "bad" if left < 0 else "dim"))
    if step.claimed_by and not step.settled:
        right.insert(0, Span(f" {step.claimed_by}", "key"))
    note = f"  “{step.notes[-1]}”" if step.notes else f"  {step.reason}" if step.reason else ""
    kind = {"command": "$ ", "check": "? ", "decision": "◇ ", "recovery": "↻ "}.get(step.type, "")
    left_part = line(
        Span(f" {glyph} ", tone), Span(f"{kind}{step.title}", "dim" if step.settled else ""), Span(note, "dim")
    )
    return between(crop(left_part, width) if not right else left_part, tuple(right), width)


def checklist_rows(runs: Sequence[RunState], now: float, width: int) -> list[Row]:
    """All checklists of the incident, newest last, each with its phases as headings."""
    rows: list[Row] = []
    for run in runs:
        over = sum(1 for s in run.steps if not s.settled and s.due_at is not None and now > s.due_at > 0)
        late = Span(f"  ▲ {over} over", "warn") if over and now else Span("")
        rows.append(Row("", line(Span(run.title, "strong"), Span(f"  {run.settled}/{len(run.steps)}", "dim"), late)))
        titles = dict(run.phases)
        phase = None
        for step in run.steps:
            if step.phase != phase:
                phase = step.phase
                if titles.get(phase, phase):
                    rows.append(Row("", line(Span(titles.get(phase, phase), "dim"))))
            rows.append(Row(step_key(run, step), step_line(step, now, width)))
    return rows


SILENT = 600.0  # seconds without an entry
NO_CHECKLIST = ("No checklist yet: ", "b", " starts one.")
LOADING = ("The record is being verified; its newest entries are there already.", "", "")
NO_INCIDENT = ("No incident is open: ", "D", " declares one.")


def people_text(people: Sequence[Person], now: float) -> str:
    """Who has the incident before them, where hosts differ also on which; silence is told, for it may be more."""
    hosts = {person.host for person in people}

    def one(person: Person) -> str:
        place = f" on {person.host}" if len(hosts) > 1 else ""
        silent = now - person.heard_at
        return f"{person.name}{place}{f' (silent {age_text(silent)})' if silent > SILENT else ''}"

    return "here: " + ", ".join(map(one, people))


class Checklist(ChoiceList):
    """Shows the runs of the incident."""

    runs: var[Sequence[RunState]] = var(())
    now: var[float] = var(0.0)
    people: var[Sequence[Person]] = var(())  # who is here
    empty: var[tuple[str, str, str]] = var(NO_INCIDENT)  # what stands there without a checklist: words, key, words

    def watch_people(self) -> None:
        self.redraw()

    def watch_empty(self) -> None:
        self.redraw()

    def watch_runs(self) -> None:
        self.refill()

    def watch_now(self) -> None:
        self.refill()

    def on_resize(self) -> None:
        self.refill()
        super().on_resize()

    def refill(self) -> None:
        if self.size.width:
            self.rows = tuple(checklist_rows(self.runs, self.now, self.size.width))

    def fallback(self, keys: Sequence[str]) -> str:
        """The first step that is still to do."""
        todo = [step_key(run, step) for run in self.runs for step in run.steps if not step.settled]
        return todo[0] if todo else keys[0]

    def heading(self, width: int) -> Sequence[Line]:
        tone = "focus" if self.has_focus else "title"
        left = line(Span("── ", tone), Span("Checklist ", "focus" if self.has_focus else "strong"))
        here = fit(people_text(self.people, self.now), max(1, width - width_of(left) - 8)).rstrip()
        right = line(Span(f" {here} ──", "dim")) if self.people else line(Span("──", tone))
        return [between(left, right, width, "─", tone)]

    def view(self, width: int, height: int) -> Sequence[Line]:
        if self.rows:
            return super().view(width, height)
        what, key, does = self.empty
        return [*self.heading(width), line(Span(what, "dim"), Span(key, "key"), Span(does, "dim"))]

    def current(self) -> tuple[RunState, StepState] | None:
        """The selected step and its run."""
        for run in self.runs:
            for step in run.steps:
                if step_key(run, step) == self.selected:
                    return run, step
        return None

    def advance(self) -> None:
        """Select the next step that is still to do, after the present one where there is any."""
        keys = [(step_key(run, step), step.settled) for run in self.runs for step in run.steps]
        at = next((n for n, (key, _) in enumerate(keys) if key == self.selected), -1)
        order = [*keys[at + 1 :], *keys[: max(0, at)]]
        nxt = next((key for key, settled in order if not settled), None)
        if nxt is not None:
            self.selected = nxt

    def advance_if_settled(self) -> None:
        """Go on when nothing is left to do on the selected step."""
        current = self.current()
        if current is not None and current[1].settled:
            self.advance()
