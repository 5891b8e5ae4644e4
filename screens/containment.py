"""Containment: what is in force and for how long, the measures there are, the plan of one, and the way back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.reactive import var

from console.errors import SevdeckError
from console.watch.lane import QueueLane
from screens.base import ConsoleScreen, bindings
from screens.dialogs import Ask, Choose, Confirm
from screens.recovery import Lower
from screens.recovery_lines import heading
from screens.seat import Seat
from widgets.choice import ChoiceList, Row
from widgets.containment_lines import proposal_lines, standing_lines, standing_rows
from widgets.lines import Line, Span, fit, line
from widgets.marks import BAD
from widgets.pane import wrap

if TYPE_CHECKING:
    from console.actions.containment.control import Result, Room, Standing
    from console.actions.containment.ground import Ground
    from console.actions.containment.measures import Measure

T = TypeVar("T")

_LASTS = (15, 30, 60, 120)  # minutes
_ASKS = {
    "address": ("Block which address?", "An IP address, or a network of at most a /16. For example 203.0.113.7"),
    "limit": ("At most how many connections to which database?", "DATABASE:N, for example shop:20"),
}


class Rows(ChoiceList):
    """What is in force, then the measures."""

    words: var[str] = var("looking at what is contained …")

    def watch_words(self) -> None:
        self.redraw()

    def heading(self, width: int) -> Sequence[Line]:
        return [heading(self.words, width, self.has_focus)]


class ContainmentScreen(ConsoleScreen):
    """The ledger above, what is selected below. `make` gives the room; tests give one with an engine of their own."""

    NAME = "containment"
    BINDINGS: ClassVar[list[BindingType]] = bindings("containment")
    CSS = """
    ContainmentScreen #rows { height: 1; }
    ContainmentScreen #detail { height: 1fr; }
    """

    standings: var[Sequence[Standing]] = var(())
    lasts: var[int] = var(30)  # minutes of the next measure
    looked: var[bool] = var(False)

    def __init__(
        self, seat: Seat, service: str = "", measure: str = "", make: Callable[[Seat], Room] | None = None
    ) -> None:
        super().__init__()
        self.seat = seat
        self._service = service
        self._measure = measure  # the one that somebody was led to
        self._room = (make or _room)(seat)
        self._damaged: tuple[str, ...] = ()
        self._lane = QueueLane("containment")
        self._select = ""  # the row that what was just done stands in

    async def _aside(self, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Ask in a thread with a loop of its own: the ledger's disk and the engine may hang, the screen may not.

        Who leaves the screen meanwhile does not stop it.
        """
        answer: T = await self._lane.call(lambda: asyncio.run(ask()))
        return answer

    def on_unmount(self) -> None:
        self._lane.close()

    def content(self) -> ComposeResult:
        yield Rows(id="rows")
        yield Lower(id="detail")

    def on_mount(self) -> None:
        self.lasts = max(1, round(self.seat.config.containment.duration / 60))
        self.query_one(Rows).focus()
        self._fill()
        self.do_containment_refresh()

    # -- looking

    @work(group="look", exclusive=True)
    async def do_containment_refresh(self) -> None:
        from console.actions.containment import control

        try:
            self.standings, self._damaged = await self._aside(lambda: control.status(self._room))
        except SevdeckError as error:
            self.notify(str(error), severity="error", markup=False)
        if not self.looked and self._measure:
            self._select = f"measure:{self._measure}"
        elif not self.looked and self.standings:  # who opens this wants to see what is in force, the most urgent first
            self._select = f"entry:{self.standings[0].entry.id}"
        self.looked = True
        self._fill()

    def watch_contained(self) -> None:
        """The ledger changed, here or in another terminal."""
        if self.is_mounted:
            self.do_containment_refresh()

    def watch_now(self) -> None:
        if self.is_mounted and self.standings:
            self._fill(rows_only=True)

    def watch_lasts(self) -> None:
        if self.is_mounted:
            self._fill()

    def _fill(self, *, rows_only: bool = False) -> None:
        from console.actions.containment.measures import MEASURES

        choices = self.query_one(Rows)
        if self.looked:
            choices.words = "In force" if self.standings else "Nothing is contained"
        rows = standing_rows(self.standings, self.now or time.time())
        rows += [Row("", line(Span(f" {BAD} {text}", "bad"))) for text in self._damaged]
        rows.append(Row("", heading(f"Measures, for {self.lasts} min", self.size.width, False)))
        rows += [
            Row(f"measure:{m.name}", line(Span(f"   {fit(m.name, 18)}", "strong"), m.about)) for m in MEASURES.values()
        ]
        choices.styles.height = min(len(rows) + 1, max(6, (self.size.height - 4) * 2 // 3))
        choices.rows = rows
        known = [row.key for row in rows if row.key]
        if self._select in known:
            choices.selected, self._select = self._select, ""
        elif choices.selected not in known:
            choices.selected = known[0]
        if not rows_only:
            self._show_detail()

    def on_resize(self) -> None:
        self._fill()

    def on_choice_list_selected(self) -> None:
        self._show_detail()

    def _show_detail(self) -> None:
        from console.actions.containment.measures import MEASURES

        kind, _, name = self.query_one(Rows).selected.partition(":")
        width = max(20, self.size.width - 2)
        note = self.query_one(Lower)
        one = self._standing()
        if one is not None:
            note.heading = one.entry.title
            lines = standing_lines(one, width)
        elif kind == "measure":
            about = f"{MEASURES[name].about[:1].upper()}{MEASURES[name].about[1:]}."
            note.heading = name
            lines = [*(line(text) for text in wrap(about, width)), line()]
            lines.append(
                line(Span("Enter", "key"), " shows what it would do now; it is done only when you type its words")
            )
        else:
            lines = []
        note.lines, note.top = tuple(lines), 0

    def _standing(self) -> Standing | None:
        key = self.query_one(Rows).selected
        return next((s for s in self.standings if f"entry:{s.entry.id}" == key), None)

    # -- doing

    def do_containment_lasts(self) -> None:
        self.lasts = next((n for n in _LASTS if n > self.lasts), _LASTS[0])

    def do_containment_choose(self) -> None:
        kind, _, name = self.query_one(Rows).selected.partition(":")
        if kind == "measure":
            self._apply(name)
        elif kind == "entry":
            self.do_containment_undo()

    @work(group="contain", exclusive=True)
    async def _apply(self, name: str) -> None:
        from console.actions.containment import control
        from console.actions.containment.ground import look
        from console.actions.containment.measures import MEASURES

        measure = MEASURES[name]
        room = self._room
        ground = await self._aside(lambda: look("", "", room.config, room.data_dir, driver=room.driver))
        target = await self._target(measure, ground)
        if target is None:
            return
        proposal = await self._aside(lambda: control.propose(room, name, target, 60.0 * self.lasts))
        if proposal.refused is not None:
            words = f"Refused: {proposal.refused}" + (f". {proposal.help}" if proposal.help else "")
            self.notify(words, severity="error", timeout=15, markup=False)
            return
        lines = proposal_lines(proposal, min(94, self.size.width - 6))
        typed = await self.app.push_screen_wait(Confirm(lines, word=proposal.confirm))
        if typed is None:
            return
        incident = self.incident.id if self.incident is not None and self.incident.open else ""
        self.notify(f"{proposal.confirm} …", timeout=3, markup=False)
        await self._told(lambda: control.apply(room, proposal, typed, incident))

    async def _target(self, measure: Measure, ground: Ground) -> str | None:
        """What it is done to, as the person says; None when they leave."""
        if measure.asks in _ASKS:
            return await self.app.push_screen_wait(Ask(*_ASKS[measure.asks]))
        if not measure.asks:
            return ""
        services = list(dict.fromkeys(c.service for c in ground.containers if c.service))
        if ground.trouble or not services:
            self.notify(ground.trouble or "there is no service here", severity="error", timeout=15, markup=False)
            return None
        options = [(s, line(f"{fit(s, 24)} ", Span(ground.of(s)[0].state, "dim"))) for s in services]
        if measure.asks == "network":
            for service in services:
                networks = ground.of(service)[0].networks
                options += [
                    (f"{service}:{n}", line(f"{service}, only from {n}")) for n in networks if len(networks) > 1
                ]
        chosen = self._service if self._service in services else services[0]
        return await self.app.push_screen_wait(Choose(f"{measure.name}: which service?", options, chosen))

    @work(group="contain", exclusive=True)
    async def do_containment_undo(self) -> None:
        from console.actions.containment import control

        one = self._standing()
        if one is None:
            self.notify("Select what is in force, above, to undo it.", markup=False)
            return
        lines = [line(Span(f"Undo {one.entry.title}", "strong"), f" ({one.entry.id})"), line()]
        width = min(94, self.size.width - 6)
        for part in reversed(one.entry.parts):
            if part.touched and part.step.undo != "none needed":
                lines += [line(text) for text in wrap(part.step.undo, width)]
        if await self.app.push_screen_wait(Confirm(lines, key="u")) is None:
            return
        await self._told(lambda: control.undo(self._room, one.entry.id))

    async def _told(self, change: Callable[[], Coroutine[Any, Any, Result]]) -> None:
        """Carry it out and say how it ended; what is not well stays in sight longer."""
        try:
            result = await self._aside(change)
        except SevdeckError as error:
            self.notify(str(error), severity="error", timeout=15, markup=False)
        else:
            entry = result.entry
            self._select = f"entry:{entry.id}"
            good = entry.state == ("undone" if any(h["state"] == "undoing" for h in entry.history) else "active")
            words = {"active": "in force", "undone": "undone", "unknown": "OUTCOME UNKNOWN: look before you repeat it"}
            text = f"{entry.title}: {words.get(entry.state, entry.state)}"
            text = text if good else f"{entry.title}: {entry.history[-1]['text']}"
            notes = "\n".join(("", *result.notes))
            self.notify(
                text + notes, severity="information" if good else "error", timeout=6 if good else 20, markup=False
            )
        self.do_containment_refresh()


def _room(seat: Seat) -> Room:
    from console.actions.containment.control import Room

    return Room(seat.config, seat.data_dir, replace(seat.actor, via="console"))
