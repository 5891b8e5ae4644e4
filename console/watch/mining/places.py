"""Which places of a signature may be variables, and how many words must have stood there. Pure rules."""

from __future__ import annotations

from collections.abc import Iterator

from console.watch.mining.masks import WILD

Signature = tuple[str, ...]

ENOUGH = 5  # words in one place that make it a variable
ENOUGH_ALONE = 8  # ... with one constant word beside it
ENOUGH_FIRST = 15  # ... in the first place, which names what happened more often than anything else
ENOUGH_WITH_VALUES = 2  # ... where numbers or other masked values were seen, too
ENOUGH_NAMES = 3  # ... behind a word that announces a name

_ANNOUNCE = frozenset(["user", "username", "account", "host", "hostname", "client"])
# Words that decide about good and bad: a place where one of them stands is never a variable.
DECISIVE = frozenset(
    {
        "error", "errors", "failed", "fail", "failure", "failing", "refused", "denied", "timeout", "killed",
        "success", "successful", "succeeded", "succeeds", "aborted", "rejected", "lost", "crashed", "panic",
        "fatal", "exception", "invalid", "unreachable", "reset", "closed", "opened", "open", "close", "started",
        "stopped", "up", "down", "start", "stop", "starting", "stopping", "connected", "disconnected", "enabled",
        "disabled", "accepted", "expired", "missing", "not", "no", "cannot", "unable", "warning", "critical",
        "corrupt", "corrupted", "healthy", "unhealthy", "true", "false", "ok", "allowed", "blocked", "online",
        "offline", "completed", "cancelled", "canceled", "granted", "revoked"
    }
)  # fmt: skip


def may_vary(words: Signature, place: int) -> bool:
    word = words[place]
    return word != WILD and not word.endswith("=") and word.lower() not in DECISIVE


def free_places(words: Signature) -> Iterator[int]:
    return (place for place in range(min(len(words), 40)) if may_vary(words, place))


def blanked(words: Signature, place: int) -> Signature:
    """`words` with a wildcard in this place, joined with those beside it."""
    before, after = words[:place], words[place + 1 :]
    if before and before[-1] == WILD:
        before = before[:-1]
    if after and after[0] == WILD:
        after = after[1:]
    return (*before, WILD, *after)


def enough_words(words: Signature, place: int, others: int) -> int | None:
    """How many words make this place a variable; None: no number does."""
    if place == 0:
        return ENOUGH_FIRST if others >= 3 else None
    if others <= 1:
        return ENOUGH_ALONE if others else None
    return ENOUGH_NAMES if words[place - 1].lower() in _ANNOUNCE else ENOUGH


def covers(merged: Signature, words: Signature) -> bool:
    if len(merged) != len(words):
        return False
    return all(
        a == b or (a == WILD and (b == WILD or may_vary(words, place)))
        for place, (a, b) in enumerate(zip(merged, words, strict=True))
    )
