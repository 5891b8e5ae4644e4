"""What people do with the steps of a checklist: tick, skip, claim, note, decide, run their commands."""

from __future__ import annotations

from collections.abc import Callable

from textual import work

from console.errors import RefusedError, SevdeckError
from console.guide.bindings import Bindings, bind, preview
from console.guide.declaration import checklists
from console.guide.execution import run_blocking
from console.guide.loader import PLACEHOLDER
from console.guide.run import PlaybookRun
from console.guide.schema import Step
from console.guide.suggestion import suggested
from console.incident.levels import LEVELS
from console.incident.records import RunState, StepState
from console.watch.source import Lane
from screens.base import ConsoleScreen
from screens.dialogs import Ask, Choose, Confirm, Read
from screens.seat import Seat
from widgets.checklist import Checklist
from widgets.lines import Line, Span, line
from widgets.log_lines import split_columns
from widgets.pane import wrap


def step_lines(step: Step, state: StepState, command: str, width: int) -> list[Line]:
    """A step in full: what to do, the command it would run here, what was written about it."""
    lines = [line(Span(step.title.say(), "strong"), Span(f"   {step.type}, {state.state}", "dim")), line()]
    lines += [line(text) for part in step.text.say().splitlines() for text in wrap(part, width)]
    if command:
        shown = split_columns(command, width - 2)  # every character: who reads it confirms it
        lines += [line(), *(line(Span("$ " if n == 0 else "  ", "key"), text) for n, text in enumerate(shown))]
    if step.verify is not None:
        lines += [line(), *(line(Span(text, "dim")) for text in wrap(f"done when {step.verify}", width))]
    if state.reason:
        lines += [line(Span(text, "warn")) for text in wrap(state.reason, width)]
    lines += [line(text) for note in state.notes for text in wrap(f"“{note}”", width)]
    output = str((state.result or {}).get("output", ""))
    if output:
        lines += [line(), line(Span(f"exit {(state.result or {}).get('exit')}", "dim"))]
        lines += [line(text) for row in output.splitlines()[-200:] for text in split_columns(row, width)]
    return lines


class StepActs(ConsoleScreen):
    """The acts on steps; a screen mixes them in and gives `seat`."""

    seat: Seat
    proposed: str = ""  # the playbook that somebody was led to

    def selected_step(self) -> tuple[RunState, StepState] | None:
        found = self.query_one(Checklist).current()
        if found is None:
            self.notify("No step is selected: b starts a checklist.", markup=False)
        return found

    async def run_of(self, state: RunState) -> PlaybookRun | None:
        try:
            return await self.seat.desk.playbook_run(state)
        except SevdeckError as error:
            self.notify(str(error), severity="error", markup=False)
            return None

    async def try_step(self, act: Callable[[], object], advance: bool = False) -> str:
        """Do it; answers the refusal in words, "" when done."""
        try:
            await self.seat.desk.act(lambda _: act())
        except RefusedError as error:
            return str(error)
        except SevdeckError as error:
            self.notify(str(error), severity="error", timeout=10, markup=False)
            return str(error)
        if advance:
            self.query_one(Checklist).advance()
        return ""

    # -- starting

    @work(group="ask", exclusive=True)
    async def do_incident_playbook(self) -> None:
        from console.guide.loader import load_catalog

        if self.incident is None:
            self.notify("A checklist belongs to an incident: D declares one.", markup=False)
            return
        if self.incident.loading:
            self.notify("The record is still being verified: in a moment.", markup=False)
            return
        catalog = await self.seat.engine.call(load_catalog, self.seat.data_dir)
        running = {run.playbook for run in self.incident.runs}
        options = [
            (id, line(f"{id:<24}", Span(book.title.say(), "dim"), Span("  started" if id in running else "", "ok")))
            for id, book in sorted(catalog.playbooks.items())
        ]
        chosen = await self.app.push_screen_wait(
            Choose("Which checklist?", options, self.proposed or LEVELS[self.incident.severity].playbook)
        )
        if chosen:
            await self._begin(chosen)

    @work(group="begin", exclusive=True)
    async def do_playbook_begin(self) -> None:
        """After the declaration: the response checklist of the severity, and the one its clause names."""
        incident = self.incident or self.seat.desk.incident
        if incident is None or incident.runs:
            return
        for id in checklists(incident):
            await self._begin(id)

    async def _begin(self, id: str) -> None:
        from console.guide.loader import load_catalog

        try:
            catalog = await self.seat.engine.call(load_catalog, self.seat.data_dir)
            await self.seat.desk.begin(catalog.get(id))
        except SevdeckError as error:
            self.notify(str(error), severity="error", markup=False)

    # -- one step

    @work(group="ask", exclusive=True)
    async def do_step_tick(self) -> None:
        found = self.selected_step()
        run = await self.run_of(found[0]) if found else None
        if found is None or run is None:
            return
        id = found[1].id
        if found[1].type == "decision":
            await self._decide(run, id)
            return
        known = self.seat.desk.evidence(self.findings)
        refusal = await self.try_step(lambda: run.tick(id, evidence=known), advance=True)
        if refusal and "evidence" in refusal:
            reason = await self.app.push_screen_wait(Ask("Why is it done all the same?", refusal))
            if reason is None:
                return
            refusal = await self.try_step(lambda: run.tick(id, reason=reason, evidence=known), advance=True)
        if refusal:
            self.notify(refusal, severity="warning", markup=False)

    async def _decide(self, run: PlaybookRun, id: str) -> None:
        step = run.playbook.step(id)
        if step is None:
            return
        advice = suggested(step, self.seat.desk.evidence(self.findings))
        options = [
            (str(n), line(option.label.say(), Span(f"  ◀ {advice.why}", "ok") if advice and advice.option == n else ""))
            for n, option in enumerate(step.options)
        ]
        chosen = await self.app.push_screen_wait(Choose(step.title.say(), options))
        if chosen is None:
            return
        refusal = await self.try_step(lambda: run.decide(id, int(chosen)), advance=True)
        if refusal:
            self.notify(refusal, severity="warning", markup=False)
            return
        onward = step.options[int(chosen)].branch.playbook
        if onward:
            await self._begin(onward)

    @work(group="ask", exclusive=True)
    async def do_step_skip(self) -> None:
        found = self.selected_step()
        run = await self.run_of(found[0]) if found else None
        if found is None or run is None:
            return
        reason = await self.app.push_screen_wait(
            Ask(f"Skip “{found[1].title}”: why?", "It is kept for the post-mortem.")
        )
        if reason is None:
            return
        refusal = await self.try_step(lambda: run.skip(found[1].id, reason), advance=True)
        if refusal:
            self.notify(refusal, severity="warning", markup=False)

    @work(group="ask", exclusive=True)
    async def do_step_claim(self) -> None:
        found = self.selected_step()
        run = await self.run_of(found[0]) if found else None
        if found is None or run is None:
            return
        me = self.seat.actor.name
        who = "" if found[1].claimed_by == me else me
        refusal = await self.try_step(lambda: run.claim(found[1].id, who))
        if refusal:
            self.notify(refusal, severity="warning", markup=False)

    @work(group="ask", exclusive=True)
    async def do_incident_note(self) -> None:
        if self.incident is None:
            self.notify("No incident is open: D declares one.", markup=False)
            return
        found = self.query_one(Checklist).current() if isinstance(self.focused, Checklist) else None
        title = f"Note on “{found[1].title}”" if found else "Note"
        text = await self.app.push_screen_wait(Ask(title, "what you saw, did, or think"))
        if text is None:
            return
        data = {"text": text}
        if found is not None:
            data |= {"run": found[0].id, "step": found[1].id}
        await self.seat.desk.append("note", data)

    def open_step(self) -> None:
        """Enter: run the step's command after confirmation, decide, or read it in full."""
        self._open_step()

    @work(group="ask", exclusive=True)
    async def _open_step(self) -> None:
        found = self.selected_step()
        run = await self.run_of(found[0]) if found else None
        step = run.playbook.step(found[1].id) if found and run else None
        if found is None or run is None or step is None:
            return
        state = found[1]
        width = min(94, self.size.width - 8)
        if step.type == "decision" and not state.settled:
            await self._decide(run, step.id)
            return
        if step.type == "recovery" and not state.settled:
            refusal = await self.try_step(lambda: run.allow(step.id))
            if refusal:
                self.notify(refusal, severity="warning", markup=False)
                return
            await self.app.push_screen_wait(Read(step_lines(step, state, "Esc opens the recovery screen", width)))
            self.post_message(self.Asked("recovery.open"))
            return
        given = await self._ask_given(run, step)
        if given is None:
            return
        bindings = bind(run.playbook, self.seat.desk.host(), given)
        command = preview(step, bindings)
        lines = step_lines(step, state, command, width)
        if not step.executes or state.settled or state.state in {"running", "unknown"}:
            self.app.push_screen(Read(lines))
            return
        try:
            word = run.confirmation(step.id, bindings) or ""
        except SevdeckError as error:
            self.notify(str(error), severity="warning", markup=False)
            self.app.push_screen(Read(lines))
            return
        if await self.app.push_screen_wait(Confirm(lines, word=word, key="" if word else "r")) is None:
            return
        await self._execute(run, step, bindings, word)

    async def _ask_given(self, run: PlaybookRun, step: Step) -> dict[str, str] | None:
        """Values that only a person knows, for the step's placeholders; None when they are not given."""
        given: dict[str, str] = {}
        wanted = set(PLACEHOLDER.findall(" ".join(step.run.argv))) if step.run is not None else set()
        for name in sorted(wanted):
            var = run.playbook.vars.get(name)
            if var is None or var.source != "given":
                continue
            value = await self.app.push_screen_wait(Ask(f"{name}?", f"must match {var.pattern}", var.default))
            if value is None:
                return None
            given[name] = value
        return given

    async def _execute(self, run: PlaybookRun, step: Step, bindings: Bindings, word: str) -> None:
        # A lane of its own: a command may take its whole timeout, and the record must not wait for it.
        lane = Lane(f"step {step.id}")
        try:
            await lane.call(lambda: run.execute(step.id, bindings, run_blocking, confirmed=word))
        except SevdeckError as error:
            self.notify(str(error), severity="error", timeout=10, markup=False)
        finally:
            lane.close()
        self.query_one(Checklist).advance_if_settled()
