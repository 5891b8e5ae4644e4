"""Suspect number one: what was changed within the hour before a trouble began, of the service that is in trouble."""

from __future__ import annotations

from console.checks.cause import Case, is_business
from console.checks.change import RECENT, TOGETHER, Change
from console.checks.check import Finding, Suggestion
from console.checks.sentence import began
from console.checks.wording import clock, span
from console.watch.containers import Container

_EARLY = 5.0  # seconds a trouble may begin before a change that caused it: clocks, and what is seen first
_RANK = ("image", "settings", "migration", "file", "container")  # the first is the likeliest to break something
_BACK = {
    "image": "or roll back {0}",
    "settings": "or take back the settings of {0}",
    "migration": "or look at {1}",
    "file": "or take back the change of {0}",
    "container": "or roll back {0}",
}


def suspect(case: Case, cause: Finding) -> Change | None:
    """The change that the cause's service had lately; None when it had none, or with all others together."""
    if cause.lasting:
        return None
    start, label = began(case, cause), _service(case, cause)
    found = [c for c in (*case.changes, *_created(case, cause, label)) if _concerns(c, case.role(label), label)]
    late = [c for c in found if c.when is not None and (start is None or start >= c.when - _EARLY)]
    return min(late, key=lambda c: (_RANK.index(c.kind), -(c.when or 0.0)), default=None)


def told(change: Change, case: Case, cause: Finding) -> str:
    """The change with its time and its distance to the trouble."""
    start, when = began(case, cause), change.when or case.now
    lead = f", {span(max(0.0, start - when))} before the trouble" if start else ""
    return f"{change.what} at {clock(when, case.now)}{lead}"


def going_back(change: Change, case: Case, cause: Finding) -> Suggestion:
    """To be asked after the main suggestion."""
    title = _BACK[change.kind].format(change.subject, change.what)
    against = "it was the same before the trouble began"
    return Suggestion(title, told(change, case, cause), "none", 0.4, falsified_by=against)


def _concerns(change: Change, role: str, label: str) -> bool:
    """Whether it may have broken this service. A migration changes what the app and the database live on."""
    if change.kind == "migration":
        return role in ("app", "worker", "database")
    return change.services == (label,) or (change.kind == "file" and label in change.services)


def _created(case: Case, cause: Finding, label: str) -> list[Change]:
    """A container that was made anew, by the readings alone: for who looks without a diagnosis."""
    container = case.stack.container(label) if label else None
    if container is None or container.created_at is None or not 0 <= case.now - container.created_at <= RECENT:
        return []
    if any(change.services == (label,) for change in case.changes):
        return []
    if _whole(case, container, container.created_at) and "loop" not in cause.check:
        return []
    text = f"{label} was created from {container.image}"
    return [Change("container", label, text, container.created_at, services=(label,))]


def _whole(case: Case, container: Container, created: float) -> bool:
    """Whether the stack was made as a whole."""
    others = case.stack.siblings(container)
    return bool(others) and all(o.created_at and abs(o.created_at - created) <= TOGETHER for o in others)


def _service(case: Case, cause: Finding) -> str:
    """What users and the edge see fail is the app's."""
    label = case.service(cause)
    if is_business(case, cause) or case.role(label) == "edge":
        return next(iter(case.stack.with_role("app")), "") or label
    return label
