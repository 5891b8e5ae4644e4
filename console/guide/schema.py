"""What a playbook is once it has been read: typed, frozen, and every text in each of its languages.

The file format (sevdeck.playbook/v1) is described in docs/playbooks.md; `loader` reads and judges files, `run`
leads through one. Spans are seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SCHEMA = "sevdeck.playbook/v1"
LANGUAGES = ("en", "pt")
STEP_TYPES = ("instruction", "command", "check", "decision", "wait", "notify", "recovery")
RISKS = ("read", "reversible", "disruptive", "destructive")  # from harmless to final
AUDIENCES = ("internal", "executive", "external")
COMPARISONS = ("<", "<=", "==", "!=", ">=", ">")
CONFIRMATIONS = ("key", "type")
NO_SUBJECT = "-"  # in suggest_from: no evidence speaks for this option
BUILT_IN_VARS = ("project", "service", "url")


@dataclass(frozen=True, slots=True)
class Text:
    """One text in one or more languages.

    >>> Text({"en": "Stop", "pt": "Pare"}).say("pt"), Text({"en": "Stop"}).say("pt")
    ('Pare', 'Stop')
    """

    by_language: Mapping[str, str]

    def say(self, language: str = "en") -> str:
        """The text in that language, or in English, or in whatever language there is."""
        found = self.by_language.get(language) or self.by_language.get("en")
        return found or next(iter(self.by_language.values()), "")

    def __bool__(self) -> bool:
        return any(self.by_language.values())


NO_TEXT = Text({})


@dataclass(frozen=True, slots=True)
class Phase:
    """Steps that belong together. `within`: when they should be done, counted from the start."""

    id: str
    title: Text
    within: float | None = None


@dataclass(frozen=True, slots=True)
class Var:
    """A name in `{{...}}`. From Compose (`role`), or given by a person and held against `pattern`."""

    name: str
    source: str  # "compose.service", "compose.container", "given"
    role: str = ""
    default: str = ""
    pattern: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """What a step executes. `exec_in`: inside that container; `shell`: one line for a shell, without vars."""

    argv: tuple[str, ...]
    exec_in: str = ""
    shell: bool = False


@dataclass(frozen=True, slots=True)
class Expected:
    """What a command must answer to count as successful."""

    exit: int = 0
    contains: str = ""


@dataclass(frozen=True, slots=True)
class Verify:
    """Evidence that a step worked: `subject` is a key of the evidence, "probe:edge" or "check:host.disk".

    Without `op` the evidence must be true (well). `stable_for`: it must have been so for that long.
    """

    subject: str
    op: str = ""
    value: float | None = None
    within: float | None = None
    stable_for: float = 0.0

    def __str__(self) -> str:
        comparison = f" {self.op} {self.value:g}" if self.op and self.value is not None else " is well"
        return f"{self.subject}{comparison}{f' for {self.stable_for:.0f} s' if self.stable_for else ''}"


@dataclass(frozen=True, slots=True)
class Branch:
    """Where to go: `goto` a step, or on with another playbook. Neither: the next step of the file."""

    goto: str = ""
    playbook: str = ""


@dataclass(frozen=True, slots=True)
class Option:
    label: Text
    branch: Branch = Branch()


@dataclass(frozen=True, slots=True)
class Deadline:
    after: float
    then: Branch


@dataclass(frozen=True, slots=True)
class Confirm:
    """How a person confirms: one key (armed after `arm` seconds), or by typing `text`."""

    kind: str = "key"
    text: str = ""
    arm: float = 0.0


@dataclass(frozen=True, slots=True)
class Budget:
    most: int
    per: float


@dataclass(frozen=True, slots=True)
class Step:
    """One step. Fields that its type does not use have their defaults."""

    id: str
    type: str
    title: Text
    phase: str = ""
    text: Text = NO_TEXT
    roles: tuple[str, ...] = ()
    risk: str = "read"
    due: float | None = None  # from the start of the playbook
    expect: float | None = None  # one go
    timeout: float | None = None
    run: Command | None = None
    expected: Expected = Expected()
    confirm: Confirm | None = None
    verify: Verify | None = None
    options: tuple[Option, ...] = ()
    suggest_from: tuple[str, ...] = ()
    deadline: Deadline | None = None
    wait: float | None = None
    until: Verify | None = None
    audience: str = ""
    level: int | None = None
    target: str = ""  # service of a level 1 recovery, may be "{{app}}"
    requires: tuple[str, ...] = ()
    budget: Budget | None = None
    skip: str = "reason"  # reason, never
    on_success: Branch | None = None
    on_failure: Branch | None = None
    terminal: bool = False
    line: int = 0

    @property
    def executes(self) -> bool:
        return self.run is not None

    @property
    def confirmation(self) -> Confirm | None:
        """What must be confirmed before it executes: a command is never run without a key pressed.

        Also one of risk `read`: that is what its author says, and it runs with the rights of who presses the key.
        """
        if self.confirm is not None or not self.executes:
            return self.confirm
        return Confirm()


@dataclass(frozen=True, slots=True)
class Review:
    """When people last read and last rehearsed it (ISO dates, "" never)."""

    last: str = ""
    every: float | None = None
    last_drill: str = ""


@dataclass(frozen=True, slots=True)
class Playbook:
    """A whole playbook. `sha256` is of the file's bytes, `source` those bytes: what was followed can be proved."""

    id: str
    version: int
    title: Text
    steps: tuple[Step, ...]
    phases: tuple[Phase, ...] = ()
    summary: Text = NO_TEXT
    symptoms: tuple[str, ...] = ()
    severity: int | None = None
    owner: str = ""
    review: Review = Review()
    vars: Mapping[str, Var] = field(default_factory=dict)
    file: str = ""
    sha256: str = ""
    source: bytes = b""

    def step(self, id: str) -> Step | None:
        return next((step for step in self.steps if step.id == id), None)

    def due(self, step: Step) -> float | None:
        """Seconds after the start by which the step should be done: its own, else its phase's."""
        if step.due is not None:
            return step.due
        return next((phase.within for phase in self.phases if phase.id == step.phase), None)
