"""One step of a playbook file: its keys by type, and what its risk obliges it to say.

The rules come from what runbooks elsewhere lack: a step that disturbs must say how it is confirmed, verified and
stopped; nothing has yes as its default.
"""

from __future__ import annotations

from console.guide.nodes import Fields
from console.guide.schema import (
    AUDIENCES,
    COMPARISONS,
    CONFIRMATIONS,
    LANGUAGES,
    NO_TEXT,
    RISKS,
    STEP_TYPES,
    Branch,
    Budget,
    Command,
    Confirm,
    Deadline,
    Expected,
    Option,
    Step,
    Text,
    Verify,
)
from console.incident.events import ROLES

_COMMON = ("id", "type", "title", "phase", "text", "roles", "due", "expect", "skip", "terminal", "verify")
_BRANCHES = ("on_success", "on_failure")
_OWN: dict[str, tuple[str, ...]] = {
    "instruction": _BRANCHES,
    "command": ("run", "risk", "timeout", "expect_result", "confirm", *_BRANCHES),
    "check": ("run", "timeout", "expect_result", *_BRANCHES),
    "decision": ("ask", "options", "suggest_from", "deadline"),
    "wait": ("for", "until"),
    "notify": ("audience",),
    "recovery": ("level", "service", "requires", "confirm", "budget", "timeout", *_BRANCHES),
}


def read_step(fields: Fields) -> Step:
    """The step in `fields`. Faults are noted there; a wrong value counts as left out."""
    type = fields.choice("type", STEP_TYPES, required=True) or "instruction"
    for key in fields:
        if key not in (*_COMMON, *_OWN[type]) and any(key in keys for keys in _OWN.values()):
            fields.raw(key)
            fields.fault(f"a step of type {type} has no {key!r}", key)
    has = _OWN[type]
    ask = localized(fields, "ask", required=True) if "ask" in has else NO_TEXT
    text = localized(fields, "text")
    step = Step(
        id=fields.text("id", required=True),
        type=type,
        title=localized(fields, "title") or ask or _first_line(text),
        phase=fields.text("phase"),
        text=text,
        roles=_roles(fields),
        risk=fields.choice("risk", RISKS, default="read", required=True) if "risk" in has else _risk(type),
        due=fields.span("due"),
        expect=fields.span("expect"),
        timeout=fields.span("timeout") if "timeout" in has else None,
        run=_run(fields, type) if "run" in has else None,
        expected=_expected(fields) if "expect_result" in has else Expected(),
        confirm=_confirm(fields) if "confirm" in has else None,
        verify=_verify(fields, "verify"),
        options=_options(fields) if "options" in has else (),
        suggest_from=fields.texts("suggest_from") if "suggest_from" in has else (),
        deadline=_deadline(fields) if "deadline" in has else None,
        wait=fields.span("for", required=True) if "for" in has else None,
        until=_verify(fields, "until") if "until" in has else None,
        audience=fields.choice("audience", AUDIENCES, default="internal") if "audience" in has else "",
        level=fields.whole("level", required=True, least=1, most=4) if "level" in has else None,
        target=fields.text("service") if "service" in has else "",
        requires=fields.texts("requires") if "requires" in has else (),
        budget=_budget(fields) if "budget" in has else None,
        skip=fields.choice("skip", ("reason", "never"), default="reason"),
        on_success=_branch(fields, "on_success") if "on_success" in has else None,
        on_failure=_branch(fields, "on_failure") if "on_failure" in has else None,
        terminal=fields.flag("terminal"),
        line=fields.line(),
    )
    fields.done()
    _demand(fields, step)
    return step


def _demand(fields: Fields, step: Step) -> None:
    """What the type and the risk oblige a step to say."""
    if not step.title:
        fields.fault("'title' is missing")
    if step.type == "check" and step.run is None and step.verify is None:
        fields.fault("a check needs 'run' or 'verify'")
    if step.executes and step.timeout is None:
        fields.fault("a step that runs a command needs 'timeout'")
    if RISKS.index(step.risk) >= RISKS.index("disruptive"):
        missing = [key for key in ("confirm", "verify", "expect", "timeout") if getattr(step, key) is None]
        if missing:
            fields.fault(f"risk {step.risk} needs {', '.join(missing)}")
    if step.type == "recovery":
        missing = [key for key, value in (("requires", step.requires), ("budget", step.budget)) if not value]
        if missing:
            fields.fault(f"a recovery needs {', '.join(missing)}")
    if step.terminal and (step.on_success or step.on_failure or step.type == "decision"):
        fields.fault("a terminal step leads nowhere: leave out its branches", "terminal")
    if step.expect is not None and step.timeout is not None and step.expect > step.timeout:
        fields.fault("longer than 'timeout'", "expect")


def _risk(type: str) -> str:
    return "disruptive" if type == "recovery" else "read"


def localized(fields: Fields, key: str, *, required: bool = False) -> Text:
    """A text: one string, or a mapping from language to string."""
    value = fields.raw(key)
    if value is None:
        if required:
            fields.fault(f"{key!r} is missing")
        return NO_TEXT
    if not isinstance(value, dict):
        return Text({"en": fields.prose(key)})
    texts = fields.mapping(key)
    assert texts is not None
    for language in texts:
        if language not in LANGUAGES:
            texts.fault(f"{language!r} is not a language of the console ({', '.join(LANGUAGES)})", language)
    found = {language: texts.prose(language) for language in texts if language in LANGUAGES}
    if "en" not in found:
        texts.fault("the English text is missing")
    return Text({language: text for language, text in found.items() if text})


def _first_line(text: Text) -> Text:
    return Text({language: words.split("\n")[0][:80] for language, words in text.by_language.items()})


def _roles(fields: Fields) -> tuple[str, ...]:
    roles = fields.texts("roles")
    for role in roles:
        if role not in ROLES:
            fields.fault(f"{role!r} is no role ({', '.join(ROLES)})", "roles")
    return roles


def _run(fields: Fields, type: str) -> Command | None:
    run = fields.mapping("run", required=type == "command")
    if run is None:
        return None
    exec_in = run.text("exec_in")
    shell = run.flag("shell")
    if shell:
        line = run.text("script", required=True)
        argv: tuple[str, ...] = (line,) if line else ()
    else:
        argv = run.texts("argv")
        if "argv" not in run:
            run.fault("'argv' is missing: a list of words, not one line")
        elif not argv:
            run.fault("must not be empty", "argv")
    run.done()
    return Command(argv, exec_in, shell) if argv else None


def _expected(fields: Fields) -> Expected:
    found = fields.mapping("expect_result")
    if found is None:
        return Expected()
    exit = found.whole("exit", most=255)
    expected = Expected(exit or 0, found.text("contains"))
    found.done()
    return expected


def _confirm(fields: Fields) -> Confirm | None:
    found = fields.mapping("confirm")
    if found is None:
        return None
    confirm = Confirm(
        found.choice("kind", CONFIRMATIONS, default="key", required=True), found.text("text"), found.span("arm") or 0.0
    )
    if confirm.kind == "type" and not confirm.text:
        found.fault("'text' is missing: what must be typed")
    found.done()
    return confirm


def _verify(fields: Fields, key: str) -> Verify | None:
    found = fields.mapping(key)
    if found is None:
        return None
    kinds = [kind for kind in ("probe", "check", "role", "metric") if kind in found]
    if len(kinds) != 1:
        found.fault("needs exactly one of probe, check, role, metric")
    names = {kind: found.text(kind) for kind in kinds}
    kind = kinds[0] if kinds else "probe"
    op = found.choice("op", COMPARISONS)
    value = found.number("value", required=bool(op))
    if value is not None and not op:
        found.fault("'op' is missing")
    verify = Verify(f"{kind}:{names.get(kind, '')}", op, value, found.span("within"), found.span("stable_for") or 0.0)
    found.done()
    return verify


def _options(fields: Fields) -> tuple[Option, ...]:
    options = []
    for found in fields.mappings("options", required=True):
        branch = Branch(found.text("goto"), found.text("playbook"))
        if branch.goto and branch.playbook:
            found.fault("either goto or playbook, not both")
        options.append(Option(localized(found, "label", required=True), branch))
        found.done()
    if len(options) < 2:
        fields.fault("a decision needs at least two options", "options")
    return tuple(options)


def _branch(fields: Fields, key: str) -> Branch | None:
    found = fields.mapping(key)
    if found is None:
        return None
    branch = Branch(found.text("goto"), found.text("playbook"))
    if bool(branch.goto) == bool(branch.playbook):
        found.fault("needs goto or playbook")
    found.done()
    return branch


def _deadline(fields: Fields) -> Deadline | None:
    found = fields.mapping("deadline")
    if found is None:
        return None
    after = found.span("after", required=True)
    then = _branch(found, "then")
    if then is None:
        found.fault("'then' is missing: what happens when nobody decides")
    found.done()
    return Deadline(after, then) if after is not None and then is not None else None


def _budget(fields: Fields) -> Budget | None:
    found = fields.mapping("budget")
    if found is None:
        return None
    most, per = found.whole("max", required=True, least=1, most=100), found.span("per", required=True)
    found.done()
    return Budget(most, per) if most is not None and per is not None else None
