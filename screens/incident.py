"""The incident: checklist on the left, live timeline on the right; two tabs on a small terminal."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container as Box

from console.errors import SevdeckError
from console.incident.durability import MARKS
from console.incident.records import Incident
from screens.base import ConsoleScreen, bindings
from screens.bundling import BundleActs
from screens.dialogs import Ask, Choose, Read
from screens.seat import Seat
from screens.steps import StepActs
from widgets.checklist import LOADING, NO_CHECKLIST, NO_INCIDENT, Checklist
from widgets.format import bytes_text
from widgets.lines import Line, Span, line
from widgets.pane import wrap
from widgets.timeline import FILTERS, Timeline


def edit(path: Path) -> None:
    """Open a file in the person's editor and wait for its end. Raises OSError when it cannot be started."""
    editor = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    subprocess.run([*editor, str(path)], check=False)


class IncidentScreen(BundleActs, StepActs, ConsoleScreen):
    """The incident that the desk follows."""

    NAME = "incident"
    BINDINGS: ClassVar[list[BindingType]] = bindings("incident")
    CSS = """
    IncidentScreen #both { layout: horizontal; height: 1fr; }
    IncidentScreen #checklist { width: 5fr; margin-right: 2; }
    IncidentScreen #timeline { width: 6fr; }
    IncidentScreen.-narrow .side { display: none; }
    IncidentScreen.-narrow #checklist { margin: 0; }
    IncidentScreen.-narrow .side.-front { display: block; width: 1fr; }
    """

    def __init__(self, seat: Seat, playbook: str = "") -> None:
        super().__init__()
        self.seat = seat
        self.proposed = playbook

    def content(self) -> ComposeResult:
        with Box(id="both"):
            yield Checklist(id="checklist", classes="side -front").data_bind(ConsoleScreen.now)
            yield Timeline(id="timeline", classes="side").data_bind(ConsoleScreen.standing)

    def on_mount(self) -> None:
        self.query_one(Checklist).focus()
        self._fill(self.incident)
        self._recall_filter()
        if self.proposed:
            self.do_incident_playbook()

    @work(group="join", exclusive=True)
    async def _join(self) -> None:
        try:
            await self.seat.desk.join()
        except SevdeckError as error:
            self.notify(str(error), severity="error", markup=False)

    def watch_incident(self, incident: Incident | None) -> None:
        if self.is_mounted:
            self._fill(incident)

    def _fill(self, incident: Incident | None) -> None:
        if incident is not None and not incident.loading and not self.seat.desk.joined:
            self._join()
        checklist = self.query_one(Checklist)
        checklist.runs = incident.runs if incident else ()
        checklist.empty = (LOADING if incident.loading else NO_CHECKLIST) if incident else NO_INCIDENT
        checklist.people = [person for person in incident.people if person.here] if incident else ()
        self.query_one(Timeline).entries = incident.timeline if incident else ()

    # -- moving

    def do_incident_pane(self) -> None:
        to = Timeline if isinstance(self.focused, Checklist) else Checklist
        for side in (Checklist, Timeline):
            self.query_one(side).set_class(side is to, "-front")
        self.query_one(to).focus()

    def do_timeline_filter(self) -> None:
        self.query_one(Timeline).next_filter()
        self._keep_filter()

    @property
    def _filter_name(self) -> str:
        return f"timeline filter of {self.seat.actor.name}"

    @work(group="filter")
    async def _recall_filter(self) -> None:
        """The filter that this person left with."""
        kept = await self.seat.engine.call(self.seat.desk.store.setting, self._filter_name)
        if kept in FILTERS:
            self.query_one(Timeline).filter = kept

    @work(group="filter")
    async def _keep_filter(self) -> None:
        """Not what was searched for: words of this incident would hide the next one."""
        kept = self.query_one(Timeline).filter
        with suppress(SevdeckError):  # a comfort
            await self.seat.engine.call(self.seat.desk.store.save_setting, self._filter_name, kept)

    @work(group="ask", exclusive=True)
    async def do_timeline_search(self) -> None:
        timeline = self.query_one(Timeline)
        words = await self.app.push_screen_wait(
            Ask(
                "Show only events that contain",
                "all words must occur; empty shows all",
                timeline.needle,
                required=False,
            )
        )
        if words is not None:
            timeline.needle = words

    def do_step_run(self) -> None:
        """Enter: on the timeline the event in full, on the checklist the step."""
        if isinstance(self.focused, Timeline):
            self._read_entry()
        else:
            self.open_step()

    def _read_entry(self) -> None:
        entry = self.query_one(Timeline).current()
        if entry is None:
            return
        zone = time.localtime(entry.at)
        who = f"{entry.actor} on {entry.host}" + ("  (automatic)" if entry.automatic else "")
        width = min(100, self.size.width - 8)
        lines: list[Line] = [
            line(Span(time.strftime("%Y-%m-%d %H:%M:%S %Z", zone), "strong"), f"  #{entry.seq}  {entry.kind}"),
            line(Span(who, "dim")),
            line(),
            *[line(text) for text in wrap(entry.summary, width)],
        ]
        if entry.amended:
            lines += [
                line(),
                line(Span(f"corrected {entry.amended}", "warn")),
                *[line(Span(text, "dim")) for text in wrap(f"before: {entry.original}", width)],
            ]
        lines += [line(text) for remark in entry.remarks for text in wrap(f"“{remark}”", width)]
        lines.append(line())
        for key, value in entry.data.items():
            lines += [line(Span(text, "dim")) for text in wrap(f"{key}: {value}", width)[:12]]
        mark, words = MARKS[self.standing.place(entry)]
        lines.append(line(Span(f"{mark} {words}, hash {entry.hash[:16]}", "dim")))
        self.app.push_screen(Read(lines))

    @work(group="ask", exclusive=True)
    async def do_incident_switch(self) -> None:
        listed = await self.seat.engine.call(self.seat.desk.store.list)
        if not listed:
            self.notify("No incident has been declared here yet: D declares one.", markup=False)
            return
        options = [
            (i.id, line(f"{i.id}  SEV-{i.severity}  ", Span(f"{i.status:<11}", "warn" if i.open else "dim"), i.title))
            for i in listed[:200]
        ]
        chosen = await self.app.push_screen_wait(Choose("Which incident?", options))
        if chosen:
            await self.seat.desk.follow(chosen)

    # -- after

    @work(group="ask", exclusive=True)
    async def do_incident_export(self) -> None:
        formats = [("html", line("HTML, one file with charts")), ("md", line("Markdown")), ("json", line("JSON"))]
        chosen = await self.app.push_screen_wait(Choose("Write the post-mortem as", formats))
        if chosen is None or self.incident is None:
            return
        path = await self._export(chosen)
        if path:
            size, head = bytes_text(path.stat().st_size), await self.seat.desk.head()
            self.notify(f"Written: {path} ({size}). Head of the record: {head}", timeout=10, markup=False)

    async def _export(self, format: str) -> Path | None:
        from console.tell.postmortem import export

        if self.incident is None:
            return None
        try:
            await self.seat.desk.freeze("export")
            directory = self.seat.desk.store.directory(self.incident.id)
            return await self.seat.engine.call(lambda: export(directory, format))
        except SevdeckError as error:
            self.notify(str(error), severity="error", markup=False)
            return None

    @work(group="ask", exclusive=True)
    async def do_incident_edit(self) -> None:
        """The Markdown export in the person's editor; the console waits beneath it."""
        path = await self._export("md")
        if path is None:
            return
        try:
            with self.app.suspend():
                edit(path)
        except OSError as error:
            self.notify(f"The editor could not be started: {error.strerror}. Set $EDITOR", markup=False)
