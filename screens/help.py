"""Help: every key of the screen it was asked on, from the command table."""

from __future__ import annotations

from console.commands import on_screen
from widgets.lines import Line, Span, fit, line
from widgets.pane import wrap


def help_lines(screen: str, keys: dict[str, str], width: int) -> list[Line]:
    """All commands of a screen as lines of at most `width` columns; `keys` are the user's own."""
    lines = [line(Span(f"Keys of the {screen} screen", "strong")), line()]
    rows = [(keys.get(c.id, "").split(",")[0] or c.display, c.label, c.help) for c in on_screen(screen)]
    key_width = max(len(key) for key, _, _ in rows)
    label_width = max(len(label) for _, label, _ in rows)
    for key, label, words in rows:
        first, *rest = wrap(words, max(20, width - key_width - label_width - 4))
        head = Span(fit(key, key_width, "right"), "key"), Span(f"  {fit(label, label_width)}  ", "strong")
        lines.append(line(*head, first))
        lines += [line(" " * (key_width + label_width + 4), text) for text in rest]
    lines += [
        line(),
        line(Span("Marks   ", "dim"), "● well  ▲ warning  ✖ bad  ○ unknown or stopped  ⧗ stale"),
    ]
    own = "Keys can be changed in sevdeck.toml, table [keys]: id = key. Ids are in docs/keys.md."
    return lines + [line(Span(text, "dim")) for text in wrap(own, width)]
