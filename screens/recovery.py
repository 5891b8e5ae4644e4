"""Recovery: what each level would do now, why it is recommended or refused, and a run from plan to verdict."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.reactive import var

from console.errors import RefusedError, SevdeckError
from screens.base import ConsoleScreen, bindings
from screens.dialogs import Ask, Confirm
from screens.recovery_lines import (
    Instead,
    heading,
    level_rows,
    plan_lines,
    run_lines,
    run_title,
    runs_elsewhere,
    sentence,
    short_plan_lines,
    under_way,
)
from screens.seat import Seat
from widgets.choice import ChoiceList
from widgets.lines import Line, Span, line
from widgets.note import Note
from widgets.pane import wrap

if TYPE_CHECKING:
    from console.actions.action import LevelView, Plan
    from console.actions.facts import Facts, Holder
    from console.actions.gather import Seen
    from console.actions.runs import RunView
    from console.incident.records import Incident

    Look = Callable[[Seen], Awaitable[Facts]]


_LOOK_OUT = 1.0  # seconds between two looks at who holds the project
_CONFIRM_LINES = 16  # what a confirmation shows without scrolling
_MONITOR_EVERY = 5.0  # seconds between two looks at the monitor's heartbeat
_AGAIN = 0.3  # seconds until the next look while a run that is over still lets go of the project


class Lower(Note):
    """The lower half: the plan of the selected level, or a run, under a heading that says which."""

    heading: var[str] = var("Plan")

    def watch_heading(self) -> None:
        self.redraw()

    def view(self, width: int, height: int) -> Sequence[Line]:
        shown = list(super().view(width, height - 1))
        below = len(self.lines) - self.top - len(shown)
        if below > 0:  # nobody may take the part of a plan that fits for the whole of it
            keys = "↓" if self.has_focus else "Tab, then ↓"
            shown[-1] = line(Span(f"… {below + 1} more lines: {keys}", "warn"))
        return [heading(self.heading, width, self.has_focus), *shown]

    def scroll_lines(self, rows: int) -> None:
        self.top = max(0, min(self.top + rows, len(self.lines) - self.size.height + 1))


class Levels(ChoiceList):
    """The upper half: the levels. Their numbers choose them."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding(key, f"level('{key}')", show=False) for key in "1234"]

    idle: var[bool] = var(False)  # none of them can be chosen now: no line stands out
    elsewhere: var[str] = var("")  # what is being done on other hosts, whose projects and locks are their own
    monitor: var[str] = var("")  # what the monitor of this host is at; "" where none ever ran

    def watch_elsewhere(self) -> None:
        self.redraw()

    def watch_monitor(self) -> None:
        self.redraw()

    def watch_idle(self) -> None:
        self.redraw()

    def action_level(self, number: str) -> None:
        key = next((key for key in self.keys() if key.startswith(f"{number}:")), "")
        if key and not self.idle:
            self.selected = key
            self.post_message(self.Selected(key))

    def view(self, width: int, height: int) -> Sequence[Line]:
        if not self.idle:
            return super().view(width, height)
        head = list(self.heading(width))
        return head + [row.spans for row in self.rows[self.top : self.top + height - len(head)]]

    def heading(self, width: int) -> Sequence[Line]:
        return [heading("What each level would do now", width, self.has_focus, self.elsewhere or self.monitor)]


class Recovery(ConsoleScreen):
    """The recovery screen. It shows any run of the project that is under way, also one that others start meanwhile.

    `look` gives the facts that the levels are judged by; left out, engine, probes and disks are asked.
    """

    NAME = "recovery"
    BINDINGS: ClassVar[list[BindingType]] = bindings("recovery")
    CSS = """
    Recovery #levels { height: 1; margin-bottom: 1; }
    Recovery #plan { height: 1fr; }
    Recovery.-short #levels { margin-bottom: 0; }
    """

    views: var[Sequence[LevelView]] = var(())
    run: var[RunView | None] = var(None)
    holder: var[Holder | None] = var(None)  # who holds the project, as last looked
    instead: var[Instead | None] = var(None)  # why the verdicts do not hold now

    def __init__(self, seat: Seat, service: str = "", look: Look | None = None, level: str = "") -> None:
        super().__init__()
        self.seat = seat
        self._service = service
        self._level = level  # the one to select as soon as the levels are known; "" for the first
        self._look = look or self._gather
        self._facts: Facts | None = None
        self._followed = ""  # the run whose end was or will be noticed here
        self._judged_after = 0.0  # unix seconds; what was seen before says nothing of the stack as it is now

    def content(self) -> ComposeResult:
        yield Levels(id="levels")
        yield Lower([line(Span("looking at the stack …", "dim"))], id="plan")

    def on_mount(self) -> None:
        self.query_one("#levels").focus()
        self._fill(self.incident)
        self.do_recovery_refresh()
        self.do_recovery_attach(newest_only=True)
        self.set_interval(_LOOK_OUT, self._look_out)
        self._look_for_monitor()
        self.set_interval(_MONITOR_EVERY, self._look_for_monitor)

    def watch_incident(self, incident: Incident | None) -> None:
        if self.is_mounted:
            self._fill(incident)

    def _fill(self, incident: Incident | None) -> None:
        self.query_one(Levels).elsewhere = runs_elsewhere(incident, self.seat.actor.host)

    # -- looking

    async def _gather(self, seen: Seen) -> Facts:
        from console.actions import gather

        return await gather.gather(self.seat.config, self.seat.data_dir, seen=seen, restoring="")

    def _seen(self) -> Seen:
        """What the console knows already. Probe answers of before the end of a run are of another stack."""
        from console.actions.gather import Seen

        events = self.readings.containers.value.events if self.readings.containers.value else ()
        probes = self.readings.probes.value.probes if self.readings.probes.value else ()
        fresh = self.readings.probes.fault is None and all(p.at >= self._judged_after for p in probes)
        return Seen(events, probes if fresh else ())

    @work(group="gather", exclusive=True)
    async def do_recovery_refresh(self) -> None:
        from console.actions import recovery

        try:
            await self._let_go()
            facts = self._facts = await self._look(self._seen())
            views = recovery.overview(facts, self.seat.config, self._service)
        except SevdeckError as error:
            if self.instead is not None:
                self.instead = Instead("not known", f"{sentence(str(error))} r looks again.")
            if self.run is None:
                self._say([line(Span(str(error), "bad"))])
            return
        self.holder = facts.holder
        # What was found while somebody changes things is no verdict, but the only list of levels there is.
        self.instead = under_way(self.run, facts.holder)
        self.views = views
        self._attend()

    async def _let_go(self) -> None:
        """Wait until the run that is over holds the project no more: it closes its record a moment before."""
        while self.run is not None and self.run.over:
            held = await self._holder(self.run.plan.project)
            if held is None or not self._over(held.run_id):
                return
            await asyncio.sleep(_AGAIN)

    def _over(self, run_id: str) -> bool:
        return bool(run_id) and self.run is not None and self.run.run_id == run_id and self.run.over

    async def _holder(self, project: str) -> Holder | None:
        from console.actions import lock

        return await self.seat.engine.call(lambda: lock.holder(self.seat.data_dir, project))

    @work(group="look out", exclusive=True)
    async def _look_out(self) -> None:
        """Notice a run that somebody starts on another console, and the end of one that cannot be followed."""
        project = self._facts.project if self._facts is not None else self.seat.config.docker.project
        if not project or self._under_way:
            return
        held = await self._holder(project)
        if held is not None and self._over(held.run_id):
            return
        if held is None and self.holder is not None:
            self._judge_anew("It has ended; the stack is being looked at.")
        self.holder = held
        self._attend()

    @work(group="monitor", exclusive=True)
    async def _look_for_monitor(self) -> None:
        """Whoever relies on a monitor must see here that it is frozen, or that it is silent."""
        from console.actions.monitor import heartbeat

        where = self.seat.data_dir
        said = await self.seat.engine.call(lambda: heartbeat.standing(where, time.time()))
        self.query_one(Levels).monitor = "" if said.startswith("monitor: stopped") else said

    def _attend(self) -> None:
        """Follow the run of whoever holds the project; nothing to do where nobody does."""
        held = self.holder
        if held is not None:
            self.instead = under_way(self.run, held)
            if held.run_id and held.level and held.run_id != self._followed:
                self._follow(held.run_id)

    def _judge_anew(self, why: str) -> None:
        self.holder = None
        self.instead = Instead("looking anew", why)
        self._judged_after = time.time()
        self.do_recovery_refresh()

    @property
    def _under_way(self) -> bool:
        return self.run is not None and under_way(self.run, None) is not None

    def watch_views(self) -> None:
        if not self.is_mounted:
            return
        choices = self.query_one(Levels)
        rows = level_rows(self.views, self.size.width, self.instead)
        choices.styles.height = 1 + min(len(rows), max(6, self.size.height // 2))
        choices.rows = rows
        choices.idle = self.instead is not None
        if self.views and not choices.idle:
            choices.action_level(self._level)
            self._level = ""
        self._show_plan()

    def watch_instead(self) -> None:
        self.watch_views()

    def on_resize(self) -> None:
        self.watch_views()
        self.watch_run()

    def selected(self) -> LevelView | None:
        key = self.query_one(Levels).selected
        return next((v for v in self.views if f"{v.level}:{v.service}" == key), None)

    def on_choice_list_selected(self) -> None:
        if not self._under_way:
            self.run = None
            self._show_plan()

    def _show_plan(self) -> None:
        view = self.selected()
        if view is None or self.run is not None:
            return
        if self.instead is not None:
            self._say([line(Span(text, "dim")) for text in wrap(self.instead.why, self.size.width - 2)])
            return
        words = (
            " asks for a reason to go over the budget, once"
            if view.plan.refused
            else " asks for confirmation and runs it"
        )
        ask = line(Span("Enter", "key"), words) if not view.plan.refused or view.plan.over_budget else line()
        self._say([*plan_lines(view.plan, self.size.width - 2), line(), ask])

    def _say(self, lines: Sequence[Line]) -> None:
        note = self.query_one(Lower)
        note.top = 0
        note.heading = "Plan"
        note.lines = tuple(lines)

    def do_recovery_service(self) -> None:
        from console.actions import recovery

        if self._facts is None or self._told_to_wait():
            return
        names = list(recovery.services(self._facts))
        if names:
            at = names.index(self._service) if self._service in names else -1
            self._service = names[(at + 1) % len(names)]
            self.run = None
            self.do_recovery_refresh()

    def _told_to_wait(self) -> bool:
        """Whether no level can be had now; the person then hears why."""
        if self.instead is not None:
            self.notify(f"{self.instead.words}: {self.instead.why}", markup=False)
        return self.instead is not None

    # -- running

    @work(group="run")
    async def do_recovery_plan(self) -> None:
        if self.run is not None and self.run.state == "interrupted":
            await self._resume(self.run.run_id)
            return
        if self._told_to_wait():
            return
        view = self.selected()
        if view is None:
            return
        plan = view.plan
        if plan.refused and not plan.over_budget:
            self.notify(f"Refused: {plan.refused}", severity="error", markup=False)
            return
        override = ""
        if plan.refused:
            question = Ask(f"Over budget: {plan.refused}", "Why once more? The reason is recorded. Esc leaves.")
            reason = await self.app.push_screen_wait(question)
            if not reason:
                return
            override = reason
        word = plan.confirm if plan.level > 1 else ""
        width = min(94, self.size.width - 6)
        lines = plan_lines(plan, width)
        if len(lines) > _CONFIRM_LINES:
            lines = short_plan_lines(plan, width, _CONFIRM_LINES)
        typed = await self.app.push_screen_wait(Confirm(lines, word=word, key="" if word else "r"))
        if typed is None:
            return
        if plan.consent:
            lost = [line(Span(text, "bad")) for text in wrap(f"Lost for certain: {plan.blast.writes_lost}.", width)]
            if await self.app.push_screen_wait(Confirm(lost, word=plan.consent)) is None:
                return
        await self._launch(plan, override)

    async def _launch(self, plan: Plan, override: str) -> None:
        from console.actions import runner

        seat = self.seat
        incident = self.incident.id if self.incident is not None else ""
        try:
            run_id = await seat.engine.call(
                lambda: runner.start(
                    plan,
                    plan.confirm,
                    seat.config,
                    seat.data_dir,
                    seat.actor,
                    incident=incident,
                    override=override,
                    consent=plan.consent,
                )
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

        self._followed = run_id
        was_under_way = False
        try:
            async for view in runs.follow(self.seat.data_dir, run_id):
                self.run = view
                was_under_way = was_under_way or self._under_way
        except SevdeckError as error:  # the record may belong to another account; the lock still says who runs it
            self.notify(str(error), severity="warning", markup=False)
            return
        self._followed = ""
        if was_under_way:
            self._judge_anew(f"Run {run_id} is no longer under way; the stack is being looked at.")

    @work(group="attach", exclusive=True)
    async def do_recovery_attach(self, newest_only: bool = False) -> None:
        """Show the newest run; when opening the screen only one that is still under way."""
        from console.actions import runs

        view = await self.seat.engine.call(lambda: runs.status(self.seat.data_dir))
        if view is None:
            if not newest_only:
                self.notify("No recovery has run on this host yet.", markup=False)
            return
        if (view.outcome is None or not newest_only) and view.run_id != self._followed:
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
        if self.run is None or not self.is_mounted:
            return
        note = self.query_one(Lower)
        now = self.now or time.time()
        shown = run_lines(self.run, now, self.size.width - 2)
        note.heading = run_title(self.run, now)
        note.lines = tuple(shown.lines)
        if not note.has_focus:  # who reads is not moved
            note.top = max(0, min(shown.at - note.size.height // 2, len(shown.lines) - note.size.height + 1))
        if self._under_way:
            self.instead = under_way(self.run, None)

    def watch_now(self) -> None:
        if self.run is not None and self.run.outcome is None:
            self.watch_run()
