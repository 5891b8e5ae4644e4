"""Declare an incident: a title, the severity wizard answered beforehand by evidence, a commander."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from console.incident.levels import LEVELS
from console.incident.severity import Decision, Evidence, Question, decide, questions, wizard_record
from screens.dialogs import Ask
from widgets.choice import ChoiceList, Row
from widgets.lines import Line, Span, fit, line
from widgets.note import Note
from widgets.pane import wrap
from widgets.prompt import Prompt

_TONE = {1: "bad", 2: "bad", 3: "warn", 4: "dim"}


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
        width: 100%; max-width: 104; height: auto; max-height: 100%; padding: 0 1;
        border: round $error; background: $surface;
    }
    Declare ChoiceList { height: 10; margin-top: 1; }
    Declare Note { height: 1; }
    Declare #decision { height: 2; }
    Declare #whole { height: 2; }
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
            yield Note(id="whole")
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
        rows = [Row(q.id, self._question_line(q, width)) for q in self._questions]
        rows.append(
            Row(
                "commander",
                line(fit("Commander", self._ask_width(width)), Span(f" {self._commander or 'nobody yet'}", "strong")),
            )
        )
        level = LEVELS[self.severity]
        rows.append(
            Row(
                "declare",
                line(
                    Span(f" Declare {level.label} ", _TONE[self.severity]),
                    Span(f" {level.name}: {level.meaning}", "dim"),
                ),
            )
        )
        self.query_one(WizardList).rows = rows
        self._show_whole()
        decision = self.decision
        words = f"{decision.label} proposed: {decision.clause}"
        override = f"you chose SEV-{self._chosen}: {self._reason}" if self._chosen else ""
        self.query_one("#decision", Note).lines = (
            line(Span(words, _TONE[decision.severity])),
            line(Span(override, "warn")),
        )

    def _question_line(self, question: Question, width: int) -> Line:
        answer = self._answers.get(question.id, "unsure")
        words = dict(question.options).get(answer, answer)
        ask = self._ask_width(width)
        by = f"  {question.why}" if question.suggested and answer == question.suggested else ""
        unsure = answer == "unsure"
        return line(fit(question.text, ask), Span(f" {words}", "unknown" if unsure else "strong"), Span(by, "dim"))

    @staticmethod
    def _ask_width(width: int) -> int:
        return max(24, min(64, width - 34))

    def on_choice_list_selected(self) -> None:
        self._show_whole()

    def _show_whole(self) -> None:
        """The selected row in full words: beside its answer a question or its evidence may be cut."""
        wizard = self.query_one(WizardList)
        question = next((q for q in self._questions if q.id == wizard.selected), None)
        words = ""
        if wizard.has_focus and question is not None:
            words = f"{question.text}{f' ({question.why})' if question.why else ''}"
        elif wizard.has_focus and wizard.selected == "declare":
            words = f"{LEVELS[self.severity].name}: {LEVELS[self.severity].meaning}"
        whole = [line(Span(text, "dim")) for text in wrap(words, wizard.size.width or 76)[:2]] if words else []
        self.query_one("#whole", Note).lines = whole

    def _titled(self, title: str) -> bool:
        """From the title to the first question that evidence did not answer, or to the declaration."""
        wizard = self.query_one(WizardList)
        self.set_focus(wizard)
        unanswered = [q.id for q in self._questions if q.id not in self._answers]
        wizard.selected = unanswered[0] if unanswered else "declare"
        self.call_after_refresh(self._show_whole)
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
    """The questions; Enter and the arrows change an answer, digits choose a severity."""

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

    def action_enter(self, step: int) -> None:
        if step > 0 or self.selected != "declare":
            self.post_message(self.Entered(self.selected, step))

    def action_declare(self) -> None:
        self.post_message(self.Declared(self.selected))

    def action_severity(self, severity: int) -> None:
        self.post_message(self.Severity(severity))
