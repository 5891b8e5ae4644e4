"""How templates say things, and the one gate of theirs: every value is escaped for the format it goes into."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

# Whatever Markdown would read as more than text. HTML is escaped first, so that no tag survives.
_SPECIAL = re.compile(r"([\\`*_\[\]|~#!])")
_LINE_START = re.compile(r"^(\s*)([-+=>]|\d+[.)])(?=\s|$)")


def environment(*, html: bool) -> Environment:
    """Templates of this room. With `html` autoescape; else every value passes `markdown`."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=None if html else _for_markdown,
    )
    made.filters.update(
        when=when, clock=clock, span=span, size=size, lines=lines, plain=plain, turned=turned, told=told
    )
    if not html:
        made.filters["block"] = block
        made.globals["blank"] = blank
    return made


class Raw(str):
    """Text that is Markdown already."""

    __slots__ = ()


def _for_markdown(value: Any) -> Any:
    from markupsafe import Markup

    if isinstance(value, Raw | Markup):
        return str(value)
    return markdown("–" if value is None else str(value))


def markdown(text: str) -> str:
    r"""Text that Markdown shows as it is, on one line, also inside a table.

    >>> markdown("a|b `c` <img src=x> *d*")
    'a\\|b \\`c\\` &lt;img src=x&gt; \\*d\\*'
    """
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = _SPECIAL.sub(r"\\\1", " ".join(text.splitlines()))
    return _LINE_START.sub(r"\1\\\2", text)


def block(text: str) -> Raw:
    r"""Text of several lines as an indented block, which no fence inside can end.

    >>> block("one\n```")
    '    one\n    ```'
    """
    return Raw("\n".join("    " + line for line in str(text).splitlines() or [""]))


def blank(what: str) -> Raw:
    """A place that only people can fill, marked so that nobody takes it for filled."""
    return Raw(f"> ✎ **To be written by the team:** {markdown(what)}")


def when(stamp: str | None) -> str:
    """Date, time and zone of an RFC 3339 time.

    >>> when("2026-11-22T03:12:20.500000Z"), when(None)
    ('2026-11-22 03:12:20 UTC', 'unknown')
    """
    return "unknown" if stamp is None else f"{stamp[:10]} {stamp[11:19]} UTC"


def clock(stamp: str | None) -> str:
    """
    >>> clock("2026-11-22T03:12:20.500000Z")
    '03:12:20'
    """
    return "unknown" if stamp is None else datetime.fromisoformat(stamp).strftime("%H:%M:%S")


def span(seconds: float | None) -> str:
    """
    >>> span(461), span(0.4), span(None), span(7300), span(720)
    ('7 min 41 s', '0.4 s', 'unknown', '2 h 1 min', '12 min')
    """
    if seconds is None:
        return "unknown"
    if seconds < 10:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    if minutes:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{rest} s"


def size(count: int | None) -> str:
    """
    >>> size(2048), size(10)
    ('2.0 KiB', '10 B')
    """
    if count is None:
        return "unknown"
    value = float(count)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


def lines(values: list[str]) -> str:
    return "; ".join(values)


def plain(value: Any) -> str:
    """Nested data as one line of text, keys in order."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def turned(step: Mapping[str, Any]) -> str:
    """What became of the step's container.

    >>> turned({"before": "unhealthy", "after": "healthy"}), turned({"before": "", "after": ""})
    ('unhealthy → healthy', '–')
    """
    found = [str(step[when]) for when in ("before", "after") if step[when]]
    return " → ".join(found) or "–"


def told(step: Mapping[str, Any]) -> str:
    """How its programs ended and where all that they said is, behind the step's own words.

    >>> told({"exit": 0, "output_sha256": "ab" * 32}), told({"exit": None, "output_sha256": ""})
    (' (exit 0, all of it: blobs/abababababab)', '')
    """
    code = "" if step["exit"] is None else f"exit {step['exit']}"
    whole = f"all of it: blobs/{step['output_sha256'][:12]}" if step["output_sha256"] else ""
    words = ", ".join(w for w in (code, whole) if w)
    return f" ({words})" if words else ""
