"""Diagnosis: what is broken, why we think so and what to do, while all checks run; one group again at a key.

What the live readings say is shown at once, joined with what the checks find as each of them ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container as Box
from textual.reactive import var

from console.checks.check import Finding, Status, Suggestion
from console.errors import SevdeckError
from screens.base import bindings
from screens.bundling import BundleActs
from screens.diagnosis_checks import checks_title, cleared, cleared_rows, group_lines, group_rows
from screens.diagnosis_lines import (
    CHANGES,
    CLEARED,
    Tree,
    bullets,
    cause_rows,
    cleared_row,
    finding_lines,
    led_to,
    sentence_lines,
    suggestion_lines,
    trees,
)
from screens.recovery import Lower
from screens.recovery_lines import heading
from widgets.bars import Bar
from widgets.choice import ChoiceList
from widgets.lines import Line, Span, line
from widgets.pane import wrap

if TYPE_CHECKING:
    from console.checks.diagnose import Diagnosing
    from console.checks.diagnosis import CheckResult
    from screens.seat import Seat

    Judge = Callable[[Sequence[Finding]], Sequence[Finding]]

_CHECKS = {True: 36, False: 34}  # columns of the checks on a wide terminal, on a narrow one
_SENTENCE = {True: 7, False: 6}  # rows of the sentence at most, on a tall terminal and on a short one


class Sentence(Bar):
    """The sentence on top, whole."""

    lines: var[Sequence[Line]] = var(())

    def watch_lines(self) -> None:
        self.styles.height = max(1, len(self.lines))
        self.redraw()

    def view(self, width: int, height: int) -> Sequence[Line]:
        return self.lines


class Listed(ChoiceList):
    """A list under a titled rule that says how much is out of sight."""

    title: var[str] = var("")

    def watch_title(self) -> None:
        self.redraw()

    def heading(self, width: int) -> Sequence[Line]:
        below = len(self.rows) - self.top - self.size.height + 1
        return [heading(self.title, width, self.has_focus, f"{below} ↓" if below > 0 else "")]

    def fallback(self, keys: Sequence[str]) -> str:
        """The first cause, also where what has changed stands above it."""
        return next((key for key in keys if key != CHANGES), keys[0])


class DiagnosisScreen(BundleActs):
    """Causes on the left, checks on the right, what is selected below.

    `judge` gives the findings of the live readings and of the checks together, as the whole console judges.
    """

    NAME = "diagnosis"
    BINDINGS: ClassVar[list[BindingType]] = bindings("diagnosis")
    CSS = """
    DiagnosisScreen FindingBar { display: none; }
    DiagnosisScreen #both { layout: horizontal; }
    DiagnosisScreen #causes { width: 1fr; margin-right: 1; }
    DiagnosisScreen #detail { height: 1fr; }
    """

    joined: var[Sequence[Finding] | None] = var(None)  # the findings of readings and checks, judged

    def __init__(self, seat: Seat, diagnosing: Diagnosing, judge: Judge) -> None:
        super().__init__()
        self.seat = seat
        self._diagnosing = diagnosing
        self._judge = judge
        self._filling = False
        self._side = "causes"
        self._shown = ""  # what the detail is about

    def content(self) -> ComposeResult:
        yield Sentence()
        with Box(id="both"):
            yield Listed(id="causes")
            yield Listed(id="checks")
        yield Lower([], id="detail")

    def on_mount(self) -> None:
        self._causes.focus()
        self._diagnosing.heard = self._heard
        self._fill()
        self._run()

    def on_unmount(self) -> None:
        if self._diagnosing.heard == self._heard:  # a screen that was opened since listens itself
            self._diagnosing.heard = lambda: None

    @property
    def _causes(self) -> Listed:
        return self.query_one("#causes", Listed)

    @property
    def _checks(self) -> Listed:
        return self.query_one("#checks", Listed)

    def found(self) -> tuple[Sequence[Finding], Sequence[CheckResult]]:
        return self.joined or (), self._diagnosing.diagnosis.results

    # -- looking

    @work(group="diagnosis", exclusive=True)
    async def _run(self, groups: tuple[str, ...] = ()) -> None:
        """Leaving the screen cancels this, and with it the run."""
        try:
            await self._diagnosing.run(groups)
        except SevdeckError as error:
            self.notify(str(error), severity="error", markup=False)

    def do_diagnosis_again(self) -> None:
        tree, symptom = self._selection()
        name = self._selected.partition(":")[2]  # a group itself, or what it found to be well
        if tree is not None and self._side == "causes" and self._selected != CLEARED:
            name = (symptom or tree.cause).group
        self._run_unless_running((name,) if name else ())

    def do_diagnosis_all(self) -> None:
        self._run_unless_running(())

    def _run_unless_running(self, groups: tuple[str, ...]) -> None:
        if self._diagnosing.running:
            waiting = sum(group.running for group in self._diagnosing.groups)
            self.notify(f"One run at a time: {waiting} checks have not ended yet.", markup=False)
            return
        self._run(groups)

    def _heard(self) -> None:
        """Results that come together are judged and shown together."""
        if not self._filling:
            self._filling = True
            self.call_later(self._fill)

    def watch_findings(self) -> None:
        if self.is_mounted:
            self._fill()

    def watch_now(self) -> None:
        if self.is_mounted:
            self._show()

    def on_resize(self) -> None:
        self._shown = ""
        self._show()

    # -- showing

    def _fill(self) -> None:
        self._filling = False
        found = self._diagnosing.diagnosis.findings
        self.joined = self._judge(found) if found else self.findings
        self._show()

    def _show(self) -> None:
        width, height, now = self.size.width, self.size.height, self.now or time.time()
        if not width or not self.is_mounted:
            return
        wide, tall = width >= 100, height >= 30
        groups, running = self._diagnosing.groups, self._diagnosing.running
        told = sentence_lines(self.joined, groups, running, width, _SENTENCE[tall])
        self.query_one(Sentence).lines = told
        upper = max(len(groups) + 1, (height - len(told) - 2) // 2)
        self.query_one("#both").styles.height = upper
        self._checks.styles.width = _CHECKS[wide]
        self._checks.title = checks_title(groups, running)
        self._checks.rows = group_rows(groups, now)
        self._fill_causes(width - _CHECKS[wide] - 1, upper - 1, now)
        self._show_detail()

    def _fill_causes(self, width: int, room: int, now: float) -> None:
        found = self.joined or ()
        rows = cause_rows(found, width, room, now, self._diagnosing.seen, *self._changed)
        count = len(trees(found))
        if found:
            failing = sum(tree.cause.status is Status.FAIL for tree in trees(found))
            words = f"{count} cause{'s' * (count > 1)}" + (f", {failing} failing" if failing else "")
            self._causes.title = f"{words} · {len(found) - count} follow"
            if well := cleared(self._diagnosing.groups):
                rows.append(cleared_row([words for _, words in well]))
        else:
            rows += cleared_rows(self._diagnosing.groups)
            self._causes.title = "What is well" if rows else "Nothing is known yet"
        self._causes.rows = rows

    @property
    def _changed(self) -> tuple[str, Sequence[str]]:
        """Since when, and what, a line each."""
        return self._diagnosing.history.told(self.now or time.time())

    @property
    def _selected(self) -> str:
        return (self._checks if self._side == "checks" else self._causes).selected

    def _selection(self) -> tuple[Tree | None, Finding | None]:
        """The selected cause and, where it is one of those, what follows from it. The first cause by default."""
        key = self._selected.partition(":")[2]
        found = trees(self.joined or ())
        for tree in found:
            for finding in (tree.cause, *tree.symptoms):
                if finding.key == key:
                    return tree, finding if finding is not tree.cause else None
        return (found[0] if found else None), None

    def on_choice_list_selected(self) -> None:
        self._show_detail()

    def on_descendant_focus(self) -> None:
        if self.focused is not None and self.focused.id in ("causes", "checks"):
            self._side = self.focused.id
            self._show_detail()

    def _show_detail(self) -> None:
        note = self.query_one(Lower)
        selected = f"{self._side} {self._selected}"
        if selected != self._shown:
            self._shown, note.top = selected, 0
        note.heading, lines = self._detail(self.size.width - 2)
        note.lines = tuple(lines)

    def _detail(self, width: int) -> tuple[str, list[Line]]:
        """What is selected, in full: a heading and lines."""
        key, now = self._selected, self.now or time.time()
        kind, _, name = key.partition(":")
        group = next((g for g in self._diagnosing.groups if name == g.name), None)
        if group is not None and kind[:1] in "gc":
            return f"Checks of {group.name}", group_lines(group, now, width)
        if key == CHANGES:
            return f"Changed {self._changed[0]}", bullets(self._changed[1], width)
        if key == CLEARED:
            return "What is well", bullets([words for _, words in cleared(self._diagnosing.groups)], width)
        tree, symptom = self._selection()
        if tree is None:
            words = "Watched all the time: host, containers, probes, metrics, logs. The checks beside this look deeper."
            return "Evidence", [line(Span(text, "dim")) for text in wrap(words, width)]
        if (suggestion := self._suggestion(tree)) is not None:
            return "What to do", suggestion_lines(suggestion, width)
        if symptom is not None:
            follows = [line(Span(f"  {t}", "dim")) for t in wrap(f"follows from: {tree.cause.summary}", width - 2)]
            return "Evidence", [*finding_lines(symptom, (), now, width, self._diagnosing.seen), *follows]
        return "Evidence", finding_lines(tree.cause, tree.symptoms, now, width, self._diagnosing.seen)

    def _suggestion(self, tree: Tree) -> Suggestion | None:
        """The selected one, where the selection is one."""
        kind = self._selected.partition(":")[0]
        at = int(kind[1:]) if kind[:1] == "s" and kind[1:].isdigit() else None
        return tree.cause.suggestions[at] if at is not None and at < len(tree.cause.suggestions) else None

    # -- going on

    def do_diagnosis_enter(self) -> None:
        tree, _ = self._selection()
        suggestion = self._suggestion(tree) if tree and self._side == "causes" else None
        if suggestion is not None:
            self._go(suggestion)
            return
        from screens.dialogs import Read

        self.app.push_screen(Read(self._detail(min(106, self.size.width - 4))[1]))

    def do_diagnosis_act(self) -> None:
        """What the sentence on top proposes, whatever is selected."""
        first = next((tree.cause for tree in trees(self.joined or ())), None)
        if first is None or not first.suggestions:
            self.notify("There is nothing to do about what is known.", markup=False)
        else:
            self._go(first.suggestions[0])

    def _go(self, suggestion: Suggestion) -> None:
        """Open the screen that does it: there it is planned, shown and confirmed."""
        led = led_to(suggestion.action)
        if led is None:
            words = f"No level or measure of sevdeck does this: {suggestion.title}. {suggestion.why}"
            self.notify(words, timeout=15, markup=False)
        else:
            self.post_message(self.Asked(*led))
