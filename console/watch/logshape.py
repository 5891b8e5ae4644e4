"""Shapes of lines that belong to the line before them: frames of tracebacks, details, what is indented.

Each is told by the line alone. What only the order of lines can tell is in `console.watch.logjoin`.
"""

from __future__ import annotations

from console.watch.latepattern import LatePattern

_CONTINUED = LatePattern(
    r"^(?:\s+\S|\s*$|Caused by: |Suppressed: |\.\.\. \d+ (?:more|common)|During handling of |The above exception |"
    r"[})\]]+[,;]?\s*$|#\d+ |--- End of |goroutine \d+ \[|created by \S+|\[signal SIG|stack backtrace:$|"
    r"note: (?:run with|Some details are)|Stack trace:$|PHP +\d+\. |PHP Stack trace:$|Node\.js v\d|"
    r"\S+\.rb:\d+:in [`'][^`']{1,200}'$)"
)
# PostgreSQL and PHP stamp these lines, too.
_STAMPED = LatePattern(
    r"^.{0,120}?\b(?:DETAIL|HINT|QUERY|CONTEXT|LOCATION|STATEMENT|BACKTRACE):  |^[\]: ]{0,3}PHP (?:Stack trace:$| +\d+\. )"
)


def continues(text: str) -> bool:
    """Whether an unstamped line belongs to the one before it whatever that is.

    >>> continues("\\tat com.shop.Cart.total(Cart.java:41)"), continues("ready")
    (True, False)
    """
    return _CONTINUED.match(text) is not None


def continues_stamped(after: str) -> bool:
    """Whether a line belongs to the one before it although it is stamped; `after` is what follows the stamp."""
    return (":  " in after[:160] or "PHP " in after[:8]) and _STAMPED.match(after) is not None
