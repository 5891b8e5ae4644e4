"""Each event in one line for the timeline. Words only; the fold says what it means, the screen how it looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from console.incident.events import Event, short
from console.incident.levels import label
from console.text import clean

LIMIT = 300


def summary(event: Event) -> str:
    """One line without the actor and the time, which stand beside it. Never raises, whatever the data."""
    make = _WORDS.get(event.kind)
    text = make(event.data) if make else f"{event.kind}: {_any(event.data)}"
    return clean(text.replace("\n", " ⏎ "), LIMIT)


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    return "" if value is None else str(value)


def _because(data: Mapping[str, Any]) -> str:
    reason = _text(data, "reason")
    return f": {reason}" if reason else ""


def _any(data: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in data.items())


def _severity(data: Mapping[str, Any], key: str = "severity") -> str:
    value = data.get(key)
    return label(value) if isinstance(value, int) else "severity unknown"


def _declared(data: Mapping[str, Any]) -> str:
    drill = "DRILL, " if data.get("drill") else ""
    return f"declared {drill}{_severity(data)}: {_text(data, 'title')}"


def _note(data: Mapping[str, Any]) -> str:
    step = _text(data, "step")
    return f"[{step}] {_text(data, 'text')}" if step else _text(data, "text")


def _severity_change(data: Mapping[str, Any]) -> str:
    before = f"{_severity(data, 'previous')} → " if data.get("previous") is not None else ""
    return f"severity {before}{_severity(data)}{_because(data)}"


def _role(data: Mapping[str, Any]) -> str:
    who = _text(data, "who")
    return f"{_text(data, 'role')}: {who}" if who else f"{_text(data, 'role')} is vacant"


def _started(data: Mapping[str, Any]) -> str:
    steps = data.get("steps")
    count = len(steps) if isinstance(steps, list) else 0
    return f"started playbook {_text(data, 'title')} ({count} steps)"


_STEP_WORDS = {
    "done": "done",
    "failed": "failed",
    "skipped": "skipped",
    "running": "started",
    "confirming": "asking for confirmation",
    "verifying": "verifying",
    "expired": "out of time",
    "undone": "undone",
    "unknown": "outcome unknown",
    "ready": "open again",
}


def _step(data: Mapping[str, Any]) -> str:
    state = _text(data, "state")
    title = _text(data, "title") or _text(data, "step")
    extra = _text(data, "text")
    result = data.get("result")
    if isinstance(result, dict) and result.get("exit") is not None:
        extra = extra or f"exit {result['exit']}"
    return f"{title}: {_STEP_WORDS.get(state, state)}{_because(data)}{f' ({extra})' if extra else ''}"


def _claimed(data: Mapping[str, Any]) -> str:
    who = _text(data, "who")
    title = _text(data, "title") or _text(data, "step")
    return f"{title}: {who} is on it" if who else f"{title}: nobody is on it"


def _impact(data: Mapping[str, Any]) -> str:
    set_ = [key for key in ("start", "stop") if data.get(key) is not None]
    return f"impact {' and '.join(set_) or 'times'} corrected{_because(data)}"


def _recovery(data: Mapping[str, Any]) -> str:
    what = _text(data, "title")
    if not what:
        level = f"level {_text(data, 'level')}" if data.get("level") is not None else "recovery"
        what = f"{level} {_text(data, 'service')}".strip()
    extra = _text(data, "text")
    return f"{what}: {_text(data, 'state')}{_because(data)}{f' ({extra})' if extra else ''}"


def _recovery_step(data: Mapping[str, Any]) -> str:
    title = _text(data, "title") or _text(data, "step")
    state = _text(data, "state")
    extra = _text(data, "text")
    return f"{title} {'…' if state == 'intent' else state}{f': {extra}' if extra else ''}"


def _validation(data: Mapping[str, Any]) -> str:
    ok = data.get("ok")
    verdict = "validated" if ok is True else "not validated" if ok is False else "validation unknown"
    count = f"{_text(data, 'passed')}/{_text(data, 'total')}" if data.get("total") is not None else ""
    extra = _text(data, "text")
    passed = f" {count}" if count and not extra.startswith(count) else ""
    return f"{verdict}{passed}{f': {extra}' if extra else ''}"


def _observation(data: Mapping[str, Any]) -> str:
    good, total, extra = _text(data, "good"), _text(data, "total"), _text(data, "text")
    samples = f" {good}/{total} good" if total and not extra.startswith(f"{good} of {total}") else ""
    return f"observation {_text(data, 'state')}{samples}{f': {extra}' if extra else ''}"


def _containment(data: Mapping[str, Any]) -> str:
    target = _text(data, "target")
    state, told = _text(data, "state"), _text(data, "text")
    why = f": {told}" if told and state in ("undone", "unknown") else ""  # also how an application failed
    return f"containment {_text(data, 'name')}{f' on {target}' if target else ''}: {state}{why}"


def _comms(data: Mapping[str, Any]) -> str:
    channel = _text(data, "channel")
    return f"{_text(data, 'audience')} update{f' by {channel}' if channel else ''}: {_text(data, 'text')}"


def _plus_text(words: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda data: f"{words}: {_text(data, 'text')}" if _text(data, "text") else words


_WORDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "declared": _declared,
    "note": _note,
    "severity": _severity_change,
    "role": _role,
    "status": lambda data: f"status {_text(data, 'status')}{_because(data)}",
    "ack": _plus_text("acknowledged"),
    "joined": lambda data: "is on the incident now",
    "left": lambda data: "has left the incident",
    "handover.offered": lambda data: f"command offered to {_text(data, 'to')}",
    "handover.accepted": lambda data: "command accepted",
    "handover.declined": lambda data: f"command declined{_because(data)}",
    "playbook.started": _started,
    "step": _step,
    "step.claimed": _claimed,
    "fact": lambda data: _text(data, "text"),
    "impact": _impact,
    "pin": lambda data: f"{'pinned' if data.get('pinned') else 'unpinned'} an entry{_because(data)}",
    "annotate": lambda data: f"remark: {_text(data, 'text')}",
    "amend": lambda data: f"corrected an entry{_because(data)}",
    "redact": lambda data: f"redacted an entry{_because(data)}",
    "attach": lambda data: f"attached {_text(data, 'name')} ({short(_text(data, 'sha256'))})",
    "flight": lambda data: f"readings frozen as evidence ({short(_text(data, 'sha256'))})",
    "recovery.run": _recovery,
    "recovery.step": _recovery_step,
    "recovery.validation": _validation,
    "recovery.observation": _observation,
    "containment": _containment,
    "comms": _comms,
    "reveal": lambda data: f"unmasked a log line of {_text(data, 'source')}: {_text(data, 'line')}",
    "resolved": _plus_text("resolved"),
    "closed": _plus_text("closed"),
    "reopened": lambda data: f"reopened{_because(data)}",
}
