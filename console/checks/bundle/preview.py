"""What is in a bundle, counted, for the person who decides whether it may leave this host."""

from __future__ import annotations

from collections.abc import Iterator

from console.checks.bundle.items import KNOWN, NAMED, PERSONAL, RULE, Bundle

_MOST = 12  # reasons for what is missing
_WORDS = {
    NAMED: "values masked by their name",
    KNOWN: "known values masked wherever they stood",
    RULE: "secrets masked by rule",
    PERSONAL: "phone numbers, mail addresses and messages made tokens",
}


def preview(bundle: Bundle) -> tuple[str, ...]:
    """Lines for a screen or a terminal: how much, what was masked, what is missing."""
    return tuple(_lines(bundle))


def _lines(bundle: Bundle) -> Iterator[str]:
    there = [item for item in bundle.items if item.ok]
    yield f"{len(there)} {'file' if len(there) == 1 else 'files'}, {_size(bundle.size)}, collected in {bundle.took:.1f} s"
    masked = bundle.masked
    for kind, words in _WORDS.items():
        yield f"{masked[kind]:>6} {words}"
    known = bundle.facts.get("known_values", {})
    for reason in known.get("not_looked_for_in", ()):
        yield f"  known values could not be looked for: {reason}"
    missing: dict[str, list[str]] = {}
    for item in bundle.items:
        if not item.ok:
            missing.setdefault(f"{item.status}: {item.reason}", []).append(item.name)
    if missing:
        count = sum(map(len, missing.values()))
        yield f"{count} {'item is' if count == 1 else 'items are'} missing; manifest.json names them all:"
        yield from (f"  {_names(names)} {why}" for why, names in sorted(missing.items())[:_MOST])
    cut = [item for item in there if item.note]
    yield from (f"  {item.name}: {item.note}" for item in cut[:_MOST])
    yield "Names of people in free text are not recognised: read it before you send it."


def _names(names: list[str]) -> str:
    """
    >>> _names(["a", "b", "c"]), _names(list("abcdef"))
    ('a, b, c', 'a, b and 4 more')
    """
    return ", ".join(names) if len(names) <= 3 else f"{names[0]}, {names[1]} and {len(names) - 2} more"


def _size(count: int) -> str:
    """
    >>> _size(900), _size(61_440), _size(12_582_912)
    ('900 B', '60.0 KiB', '12.0 MiB')
    """
    if count < 1024:
        return f"{count} B"
    return f"{count / 1024:.1f} KiB" if count < 1024 * 1024 else f"{count / 1024 / 1024:.1f} MiB"
