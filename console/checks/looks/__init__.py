"""Checks that ask when a diagnosis is wanted: one file for each group. The live readings are judged all the time."""

from __future__ import annotations

from console.checks.diagnosis import Check


def every() -> tuple[Check, ...]:
    """All checks. Imported here, so that the console does not pay for them at its start."""
    from console.checks.looks import (
        busy,
        cache,
        clock,
        configuration,
        connectivity,
        database,
        host_busy,
        kernel,
        ports,
        processes,
        recent_logs,
        security,
        trends,
    )

    quick = (*kernel.CHECKS, *clock.CHECKS, *processes.CHECKS)
    asked = (*connectivity.CHECKS, *ports.CHECKS, *database.CHECKS, *cache.CHECKS)
    return (
        *quick,
        *recent_logs.CHECKS,
        *busy.CHECKS,
        *host_busy.CHECKS,
        *trends.CHECKS,
        *asked,
        *configuration.CHECKS,
        *security.CHECKS,
    )
