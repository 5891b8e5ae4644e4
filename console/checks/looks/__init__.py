"""Checks that ask when a diagnosis is wanted: one file for each group. The live readings are judged all the time."""

from __future__ import annotations

from console.checks.diagnosis import Check


def every() -> tuple[Check, ...]:
    """All checks. Imported here, so that the console does not pay for them at its start."""
    from console.checks.looks import cache, configuration, connectivity, database, ports, security, trends

    asked = (*connectivity.CHECKS, *ports.CHECKS, *database.CHECKS, *cache.CHECKS, *trends.CHECKS)
    return (*asked, *configuration.CHECKS, *security.CHECKS)
