"""All checks of a diagnosis: those that ask the host and its services, and those that ask what recovery keeps."""

from __future__ import annotations

from console.actions.backup.check import CHECK as BACKUP
from console.checks.diagnosis import Check
from console.checks.looks import every


def checks() -> tuple[Check, ...]:
    return (*every(), BACKUP)
