"""One change of the stack: what, of whom, when. Suspect number one of whatever began after it."""

from __future__ import annotations

from dataclasses import dataclass

from console.checks.wording import span

RECENT = 3600.0  # seconds: any change in the last hour is suspect number one
TOGETHER = 120.0  # seconds: containers created within this are one `up`, not a change of one of them


@dataclass(frozen=True, slots=True)
class Change:
    """`kind`: image, settings, container, file, migration. `subject`: a service, a path, a table.

    `when` in unix seconds; None where only two looks differ. `services`: who is affected, where that is known.
    """

    kind: str
    subject: str
    what: str  # "app: image sha256:ab12 -> sha256:cd34"
    when: float | None
    evidence: tuple[str, ...] = ()
    services: tuple[str, ...] = ()

    def said(self, now: float) -> str:
        """
        >>> Change("image", "app", "app: image a -> b", 1000.0).said(1720.0)
        'app: image a -> b, 12 min ago'
        """
        return self.what if self.when is None else f"{self.what}, {span(now - self.when)} ago"
