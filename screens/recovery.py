"""Recovery: what each level would do now, why it is recommended or refused, and a run from plan to verdict."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.reactive import var

from console.errors import RefusedError, SevdeckError
from screens.base import ConsoleScreen, bindings
from screens.dialogs import Confirm
from screens.seat import Seat
from widgets.choice import ChoiceList, Row
from widgets.format import clock_text
from widgets.lines import Line, Span, fit, line
from widgets.marks import BAD, OK, UNKNOWN, WARN, mark
from widgets.note import Note
from widgets.pane import wrap

if TYPE_CHECKING:
    from console.actions.action import LevelView, Plan
    from console.actions.facts import Facts
    from console.actions.runs import RunView

_VERDICT = {"recommended": OK, "possible": UNKNOWN, "unneeded": UNKNOWN, "refused": BAD}
_STEP = {"ok": ("✔", "ok"), "failed": (BAD, "bad"), "unknown": (UNKNOWN, "warn"), "running": ("▶", "strong"),
         "skipped": ("–", "dim"), "pending": ("·", "dim")}  # fmt: skip


def level_rows(views: Sequence[LevelView], width: int) -> list[Row]:
    """Two lines a level: what it would do and the verdict; then the reason in full."""
    rows: list[Row] = []
    for view in views:
        glyph = _VERDICT[view.verdict]
        tone = {"recommended": "ok", "refused": "bad"}.get(view.verdict, "")
        rows.append(
            Row(
                f"{view.level}:{view.service}",
                line(
                    Span(f" {view.level} ", "key"),
                    Span(fit(view.name, 8), "strong"),
                    fit(view.title, 34),
                    Span(fit(view.outage, 14), "dim"),
                    mark(glyph),
                    Span(f" {view.verdict}", tone),
                ),
            )
        )
        why = view.why + (f" Would help: {view.help}." if view.help else "")
        rows += [Row("", line(Span(f"            {text}", "dim"))) for text in wrap(why, width - 13)]
    return rows


def plan_lines(plan: Plan, width: int) -> list[Line]:
    """The plan as a person reads it before saying yes."""
    lines = [
        line(
            Span(f"Plan {plan.plan_id[:4]}", "strong"),
            f" · {len(plan.steps)} steps · touches {plan.blast.text}",
            Span(f" · budget {plan.budget}", "dim"),
        )
    ]
    outage = (
        f"about {plan.expected_downtime:.0f} s of outage expected" if plan.expected_downtime else "outage not known yet"
    )
    lines.append(line(Span(outage, "dim")))
    for number, step in enumerate(plan.steps, 1):
        head = f" {number} {step.title}"
        lines.append(line(head))
        if step.command:
            lines.append(line(Span(f"   {step.command}", "dim")))
    for check in plan.preconditions:
        if check.ok is not True:
            glyph = BAD if check.ok is False else UNKNOWN
            lines.append(
                line(mark(glyph), Span(f" {check.name}: {check.detail}", "bad" if check.ok is False else "warn"))
            )
    for text in plan.advice:
        lines += [line(Span(part, "warn")) for part in wrap(f"▲ {text}", width)]
    if plan.refused:
        lines += [line(Span(part, "bad")) for part in wrap(f"✖ refused: {plan.refused}", width)]
        if plan.help:
            lines += [line(Span(part)) for part in wrap(f"would help: {plan.help}", width)]
    return lines


def run_lines(run: RunView, now: float, width: int) -> list[Line]:
    """A run: its steps, validation, observation, and the verdict in words."""
    age = clock_text((run.ended_at or now) - run.started_at)
    lines = [
        line(
            Span(f"Run {run.run_id}  level {run.plan.level}  {run.plan.title}", "strong"),
            Span(f"  {run.state}  {age}", "dim"),
        )
    ]
    for view in run.steps:
        glyph, tone = _STEP.get(view.state, ("·", "dim"))
        took = f"{view.took:.1f} s" if view.took is not None else ""
        lines.append(
            line(
                Span(f" {glyph} ", tone),
                fit(view.step.title, 40),
                Span(fit(took, 8, "right"), "dim"),
                f"  {view.detail}",
            )
        )
    if run.validation is not None:
        check = run.validation
        tone = "ok" if check.ok else "bad"
        lines.append(line(mark(OK if check.ok else BAD), Span(f" validation: {check.detail}", tone)))
        for finding in check.findings:
            if finding.get("status") != "ok":
                lines.append(line(Span(f"    {finding.get('status')}: {finding.get('summary')}", "warn")))
    if run.observation is not None:
        watch = run.observation
        lines.append(
            line(
                mark({"stable": OK, "unstable": BAD}.get(watch.state, WARN)),
                f" observing {(watch.ended_at or now) - watch.started_at:.0f}/{watch.seconds:.0f} s  {watch.samples} looks, {watch.failures} failed: {watch.state}",
            )
        )
    lines += [line(Span(text, "dim")) for text in run.notes]
    if run.outcome:
        tone = {"ok": "ok", "failed": "bad"}.get(run.outcome, "warn")
        lines += [line(Span(text, tone)) for text in wrap(f"outcome: {run.outcome}. {run.reason}", width)]
    elif run.state == "interrupted":
        lines.append(line(Span("The runner is gone before the end. Enter resumes it from what is recorded.", "bad")))
    else:
        lines.append(
            line(Span("It runs apart from this terminal: leaving or losing the connection does not stop it.", "dim"))
        )
    return lines


class Recovery(ConsoleScreen):
    """The recovery screen."""

    NAME = "recovery"
    BINDINGS: ClassVar[list[BindingType]] = bindings("recovery")
    CSS = """
    Recovery #levels { height: auto; min-height: 6; max-height: 45%; }
    Recovery #plan { height: 1fr; }
    Recovery .rule { height: 1; }
    """

    views: var[Sequence[LevelView]] = var(())
    run: var[RunView | None] = var(None)

    def __init__(self, seat: Seat, service: str = "") -> None:
        super().__init__()
        self.seat = seat
        self._service = service
        self._facts: Facts | None = None

    def content(self) -> ComposeResult:
        title = Note([line(Span("── ", "title"), Span("What each level would do now", "strong"))], classes="rule")
        title.can_focus = False
        yield title
        yield ChoiceList(id="levels")
        yield Note([line(Span("looking at the stack …", "dim"))], id="plan")

    def on_mount(self) -> None:
        self.query_one("#levels").focus()
        self.do_recovery_refresh()
        self.do_recovery_attach(newest_only=True)

    # -- looking

    @work(group="gather", exclusive=True)
    async def do_recovery_refresh(self) -> None:
        from console.actions import gather, recovery

        seen = gather.Seen(
            events=self.readings.containers.value.events if self.readings.containers.value else (),
            probes=self.readings.probes.value.probes
            if self.readings.probes.value and not self.readings.probes.fault
            else (),
        )
        try:
            self._facts = await gather.gather(self.seat.config, self.seat.data_dir, seen=seen)
            self.views = recovery.overview(self._facts, self.seat.config, self._service)
        except SevdeckError as error:
            self._say([line(Span(str(error), "bad"))])

    def watch_views(self) -> None:
        if not self.is_mounted:
            return
        choices = self.query_one("#levels", ChoiceList)
        rows = level_rows(self.views, self.size.width)
        choices.styles.height = min(len(rows), max(6, self.size.height // 2))
        choices.rows = rows
        self._show_plan()

    def on_resize(self) -> None:
        self.watch_views()

    def selected(self) -> LevelView | None:
        key = self.query_one("#levels", ChoiceList).selected
        return next((v for v in self.views if f"{v.level}:{v.service}" == key), None)

    def on_choice_list_selected(self) -> None:
        self.run = None
        self._show_plan()

    def _show_plan(self) -> None:
        view = self.selected()
        if view is not None and self.run is None:
            ask = line() if view.plan.refused else line(Span("Enter", "key"), " asks for confirmation and runs it")
            self._say([*plan_lines(view.plan, self.size.width - 2), line(), ask])

    def _say(self, lines: Sequence[Line]) -> None:
        note = self.query_one("#plan", Note)
        note.top = 0
        note.lines = tuple(lines)

    def do_recovery_service(self) -> None:
        from console.actions import recovery

        if self._facts is None:
            return
        names = list(recovery.services(self._facts))
        if names:
            at = names.index(self._service) if self._service in names else -1
            self._service = names[(at + 1) % len(names)]
            self.run = None
            self.do_recovery_refresh()

    # -- running

    @work(group="run")
    async def do_recovery_plan(self) -> None:
        if self.run is not None and self.run.state == "interrupted":
            await self._resume(self.run.run_id)
            return
        view = self.selected()
        if view is None:
            return
        plan = view.plan
        if plan.refused:
            self.notify(f"Refused: {plan.refused}", severity="error", markup=False)
            return
        word = plan.confirm if plan.level > 1 else ""
        typed = await self.app.push_screen_wait(
            Confirm(plan_lines(plan, min(94, self.size.width - 6)), word=word, key="" if word else "r")
        )
        if typed is None:
            return
        await self._launch(plan)

    async def _launch(self, plan: Plan) -> None:
        from console.actions import runner

        seat = self.seat
        incident = self.incident.id if self.incident is not None else ""
        try:
            run_id = await seat.engine.call(
                lambda: runner.start(plan, plan.confirm, seat.config, seat.data_dir, seat.actor, incident=incident)
            )
        except RefusedError as error:
            self.notify(str(error), severity="error", timeout=15, markup=False)
            self.do_recovery_refresh()
            return
        self._follow(run_id)

    async def _resume(self, run_id: str) -> None:
        from console.actions import runner

        seat = self.seat
        await seat.engine.call(lambda: runner.resume(seat.data_dir, run_id, seat.config, seat.actor))
        self._follow(run_id)

    @work(group="follow", exclusive=True)
    async def _follow(self, run_id: str) -> None:
        from console.actions import runs

        async for view in runs.follow(self.seat.data_dir, run_id):
            self.run = view
        self.do_recovery_refresh()

    @work(group="attach", exclusive=True)
    async def do_recovery_attach(self, newest_only: bool = False) -> None:
        """Show the newest run; when opening the screen only one that is still under way."""
        from console.actions import runs

        view = await self.seat.engine.call(lambda: runs.status(self.seat.data_dir))
        if view is None:
            if not newest_only:
                self.notify("No recovery has run on this host yet.", markup=False)
            return
        if view.outcome is None or not newest_only:
            self._follow(view.run_id)

    @work(group="cancel", exclusive=True)
    async def do_recovery_cancel(self) -> None:
        from console.actions import runs

        if self.run is None or self.run.outcome is not None:
            self.notify("Nothing is running here.", markup=False)
            return
        seat, run_id = self.seat, self.run.run_id
        await seat.engine.call(lambda: runs.cancel(seat.data_dir, run_id, seat.actor))
        self.notify("Asked to stop after the present step.", markup=False)

    def watch_run(self) -> None:
        if self.run is not None and self.is_mounted:
            note = self.query_one("#plan", Note)
            note.lines = tuple(run_lines(self.run, time.time(), self.size.width - 2))

    def watch_now(self) -> None:
        if self.run is not None and self.run.outcome is None:
            self.watch_run()
