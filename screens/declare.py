"""Declare an incident: a title, the severity wizard answered beforehand by evidence, a commander."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from console.incident.levels import LEVELS
from console.incident.severity import Decision, Evidence, Question, decide, questions, wizard_record
from screens.dialogs import Ask
from widgets.choice import ChoiceList, Row, highlighted
from widgets.lines import Line, Span, fit, line
from widgets.note import Note, more_line
from widgets.pane import wrap
from widgets.prompt import Prompt

_TONE = {1: "bad", 2: "bad", 3: "warn", 4: "dim"}
_AROUND = 6  # rows around the list: border, heading, title, a blank one, keys; what is proposed comes on top


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a person declared. `wizard` keeps answers, what was proposed, and why it was overridden."""

    title: str
    severity: int
    commander: str
    playbook: str
    wizard: dict[str, Any]


class Declare(ModalScreen[Declaration | None]):
    """Answers a `Declaration`, or None."""

    CSS = """
    Declare { align: center middle; }
    Declare #box {
        width: 100%; max-width: 110; height: auto; max-height: 100%; padding: 0 1;
        border: round $error; background: $surface;
    }
    Declare ChoiceList { margin-top: 1; }
    Declare Note { height: 1; }
    Declare #decision { height: 2; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "no", "cancel", show=False)]

    def __init__(self, evidence: Evidence, title: str, me: str) -> None:
        super().__init__()
        self._evidence = evidence
        self._suggested_title = title
        self._commander = me
        self._questions = questions(evidence)
        self._answers = {q.id: q.suggested for q in self._questions if q.suggested}
        self._chosen: int | None = None  # a severity other than the proposed one
        self._reason = ""

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Note([line(Span("Declare an incident", "strong"), Span("  what do users see?", "dim"))])
            yield Prompt(self._titled, self._suggested_title, "in a few words, as users see it")
            yield WizardList(id="wizard")
            yield Note(id="decision")
            yield Note(
                [
                    line(
                        Span("Enter", "key"), Span(" next answer  ", "dim"), Span("1-4", "key"), Span(" severity  ", "dim"),
                        Span("D", "key"), Span(" declares  ", "dim"), Span("Tab", "key"), Span(" title  ", "dim"),
                        Span("Esc", "key"), Span(" leaves", "dim"),
                    )
                ]
            )  # fmt: skip

    def on_mount(self) -> None:
        for note in self.query(Note):
            note.can_focus = False
        self.query_one(Prompt).focus()
        self._show()

    def on_resize(self) -> None:
        self._show()

    @property
    def decision(self) -> Decision:
        return decide(self._answers, self._evidence)

    @property
    def severity(self) -> int:
        return self._chosen or self.decision.severity

    def _show(self) -> None:
        width = self.query_one(WizardList).size.width or 76
        rows = [row for q in self._questions for row in self._question_rows(q, width)]
        who = Span(f" {self._commander or 'nobody yet'}", "strong")
        rows.append(Row("commander", line(fit("Commander", self._ask_width(width)), who)))
        level = LEVELS[self.severity]
        act = f" Declare {level.label}  "
        for n, text in enumerate(wrap(f"{level.name}: {level.meaning}", width - len(act))):
            head = Span(act, _TONE[self.severity]) if n == 0 else Span(" " * len(act))
            rows.append(Row("" if n else "declare", line(head, Span(text, "dim"))))
        decision = self.decision
        words = wrap(f"{decision.label} proposed: {decision.clause}", width)
        override = wrap(f"you chose SEV-{self._chosen}: {self._reason}" if self._chosen else "", width)
        proposed = self.query_one("#decision", Note)
        proposed.lines = [
            *(line(Span(text, _TONE[decision.severity])) for text in words),
            *(line(Span(text, "warn")) for text in override),
        ]
        proposed.styles.height = len(proposed.lines)
        wizard = self.query_one(WizardList)
        wizard.styles.height = max(3, min(len(rows), self.size.height - _AROUND - len(proposed.lines)))
        wizard.rows = rows

    def _question_rows(self, question: Question, width: int) -> list[Row]:
        """A question beside its answer and, where the answer is the evidence's, why; nothing of them is cut."""
        answer = self._answers.get(question.id, "unsure")
        words = dict(question.options).get(answer, answer)
        ask = self._ask_width(width)
        by = f"  {question.why}" if question.suggested and answer == question.suggested else ""
        asked = wrap(question.text, ask - 2)
        first, *more = wrap(words + by, width - ask - 1)
        tone = "unknown" if answer == "unsure" else "strong"
        told = [(Span(f" {first[: len(words)]}", tone), Span(first[len(words) :], "dim"))]
        told += [(Span(f" {text}", "dim"), Span("")) for text in more]
        rows = []
        for n in range(max(len(asked), len(told))):
            left = asked[n] if n < len(asked) else ""
            right = told[n] if n < len(told) else ()
            rows.append(Row("" if n else question.id, line(fit(f"{'  ' if n else ''}{left}", ask), *right)))
        return rows

    @staticmethod
    def _ask_width(width: int) -> int:
        return max(24, min(56, width - 34))

    def _titled(self, title: str) -> bool:
        """From the title to the first question that evidence did not answer, or to the declaration."""
        wizard = self.query_one(WizardList)
        self.set_focus(wizard)
        unanswered = [q.id for q in self._questions if q.id not in self._answers]
        wizard.selected = unanswered[0] if unanswered else "declare"
        return True

    async def on_wizard_list_entered(self, message: WizardList.Entered) -> None:
        match message.key:
            case "declare":
                self._declare()
            case "commander":
                self.run_worker(self._ask_commander(), group="ask", exclusive=True)
            case key:
                self._next_answer(key, message.step)

    def _next_answer(self, key: str, step: int) -> None:
        question = next(q for q in self._questions if q.id == key)
        values = [value for value, _ in question.options]
        at = values.index(self._answers.get(key, "unsure"))
        self._answers[key] = values[(at + step) % len(values)]
        self._show()

    async def _ask_commander(self) -> None:
        who = await self.app.push_screen_wait(
            Ask("Who commands?", "empty: nobody yet", self._commander, required=False)
        )
        if who is not None:
            self._commander = who
            self._show()

    def on_wizard_list_severity(self, message: WizardList.Severity) -> None:
        self.run_worker(self._choose(message.severity), group="ask", exclusive=True)

    async def _choose(self, severity: int) -> None:
        if severity == self.decision.severity:
            self._chosen, self._reason = None, ""
        else:
            ask = Ask(f"Why SEV-{severity} and not {self.decision.label}?", "It is kept with the declaration.")
            reason = await self.app.push_screen_wait(ask)
            if reason is None:
                return
            self._chosen, self._reason = severity, reason
        self._show()

    def on_wizard_list_declared(self) -> None:
        self._declare()

    def _declare(self) -> None:
        title = self.query_one(Prompt).value.strip()
        if not title:
            self.query_one(Prompt).focus()
            return
        decision = self.decision
        record = wizard_record(decision, self._answers, self._evidence, self.severity, self._reason)
        self.dismiss(Declaration(title, self.severity, self._commander, decision.playbook, record))

    def action_no(self) -> None:
        self.dismiss(None)


class WizardList(ChoiceList):
    """The questions; Enter and the arrows change an answer, digits choose a severity.

    A row without a key goes on with the one above it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,right", "enter(1)", show=False),
        Binding("left", "enter(-1)", show=False),
        Binding("D", "declare", show=False),
        *[Binding(str(n), f"severity({n})", show=False) for n in (1, 2, 3, 4)],
    ]

    class Entered(ChoiceList.Selected):
        """A row was entered; `step` is the direction of the change."""

        def __init__(self, key: str, step: int = 1) -> None:
            super().__init__(key)
            self.step = step

    class Severity(ChoiceList.Selected):
        """A severity was typed."""

        def __init__(self, severity: int) -> None:
            super().__init__(str(severity))
            self.severity = severity

    class Declared(ChoiceList.Selected):
        """`D` was typed."""

    def room(self) -> int:
        height = max(1, self.size.height)
        return height - 1 if 1 < height < len(self.rows) else height

    def show_selected(self) -> None:
        """The selected row with all its lines, where they fit."""
        super().show_selected()
        at = next((n for n, row in enumerate(self.rows) if row.key == self.selected), 0)
        end = next((n for n in range(at + 1, len(self.rows)) if self.rows[n].key), len(self.rows))
        self.top = max(self.top, min(at, end - self.room()))

    def view(self, width: int, height: int) -> Sequence[Line]:
        """The rows that fit, all lines of the selected one highlighted; the last row says when there are more."""
        key, drawn = "", []
        for row in self.rows:
            key = row.key or key
            drawn.append(highlighted(row.spans) if self.has_focus and key == self.selected else row.spans)
        room = self.room()
        shown = drawn[self.top : self.top + room]
        return [*shown, more_line(self.top, len(drawn) - self.top - len(shown))] if room < len(drawn) else shown

    def action_enter(self, step: int) -> None:
        if step > 0 or self.selected != "declare":
            self.post_message(self.Entered(self.selected, step))

    def action_declare(self) -> None:
        self.post_message(self.Declared(self.selected))

    def action_severity(self, severity: int) -> None:
        self.post_message(self.Severity(severity))
