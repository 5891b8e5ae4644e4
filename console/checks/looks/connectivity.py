"""Does each service reach what it needs: names resolve to the present address, and connections are taken.

Asked from within the caller's own network namespace where that can be entered (root, on this host): a container that
was taken off its network, or lost its alias, looks well from everywhere else.
"""

from __future__ import annotations

from console.checks.diagnosis import Check

CHECKS: tuple[Check, ...] = ()
