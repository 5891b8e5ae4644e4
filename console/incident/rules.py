"""What may happen next to an incident. The record takes whatever is written; commands and screens ask here first."""

from __future__ import annotations

from console.errors import RefusedError, UsageError
from console.incident.events import ROLES
from console.incident.records import ENDINGS, FINAL, LIFECYCLE, STATUSES, Incident


def check_status(incident: Incident, status: str, reason: str = "") -> None:
    """Raises UsageError for no status, RefusedError for one that does not follow from the present one.

    Forward is free (steps may be skipped), back needs a reason, and what is over is reopened, not set back.
    """
    if status not in STATUSES:
        raise UsageError(f"{status!r} is no status", remedy="Use one of " + ", ".join(STATUSES))
    if status == incident.status:
        raise RefusedError(f"{incident.id} is {status} already")
    if incident.status in FINAL:
        raise RefusedError(f"{incident.id} is {incident.status}", remedy="Reopen it first")
    if status in ("resolved", "review", "closed"):
        check_containment(incident, status)
    if status == "closed":
        check_close(incident)
    if status in ENDINGS:
        if not reason:
            raise RefusedError(f"{status} needs a reason", remedy="Say why, or of which incident (--reason)")
        check_containment(incident, status)
    elif LIFECYCLE.index(status) < LIFECYCLE.index(incident.status) and not reason:
        raise RefusedError(f"from {incident.status} back to {status} needs a reason", remedy="Say why (--reason)")


def check_severity(incident: Incident, severity: int, reason: str) -> None:
    """Raises RefusedError: raising is free, lowering needs a reason."""
    if severity == incident.severity:
        raise RefusedError(f"{incident.id} is SEV-{severity} already")
    if severity > incident.severity and not reason.strip():
        raise RefusedError(f"lowering SEV-{incident.severity} to SEV-{severity} needs a reason", remedy="Say why")


def check_role(role: str) -> None:
    if role not in ROLES:
        raise UsageError(f"{role!r} is no role", remedy="Use one of " + ", ".join(ROLES))


def check_containment(incident: Incident, status: str) -> None:
    """Raises RefusedError while a temporary measure is in force: it would be forgotten."""
    active = incident.active_containment
    if active:
        names = ", ".join(f"{measure.name} {measure.target}".strip() for measure in active)
        raise RefusedError(f"{incident.id} cannot be {status}: containment is active ({names})", remedy="Undo it first")


def check_close(incident: Incident) -> None:
    """Raises RefusedError unless the incident is resolved and nothing temporary is left."""
    check_containment(incident, "closed")
    if incident.status in FINAL:
        raise RefusedError(f"{incident.id} is {incident.status} already")
    if incident.status not in ("resolved", "review"):
        raise RefusedError(f"{incident.id} is {incident.status}, not resolved", remedy="Resolve it first")


def check_resolve(incident: Incident) -> None:
    """Raises RefusedError when it is over already or something temporary is left."""
    if incident.over:
        raise RefusedError(f"{incident.id} is {incident.status} already")
    check_containment(incident, "resolved")


def check_reopen(incident: Incident, reason: str) -> None:
    """Raises RefusedError for an incident that is not over, or without a reason."""
    if not incident.over:
        raise RefusedError(f"{incident.id} is open: {incident.status}")
    if not reason.strip():
        raise RefusedError("reopening needs a reason", remedy="Say why (--reason)")
