"""Help: every key of the screen it was asked on, from the command table."""

from __future__ import annotations

from console.commands import on_screen
from widgets.lines import Line, Span, fit, line


def help_lines(screen: str, keys: dict[str, str]) -> list[Line]:
    """All commands of a screen as lines; `keys` are the user's own."""
    lines = [line(Span(f"Keys of the {screen} screen", "strong")), line()]
    for command in on_screen(screen):
        shown = keys.get(command.id, "").split(",")[0] or command.display
        lines.append(
            line(Span(fit(shown, 8, "right"), "key"), Span(f"  {fit(command.label, 12)}", "strong"), command.help)
        )
    lines += [
        line(),
        line(Span("Marks   ", "dim"), "● well  ▲ warning  ✖ bad  ○ unknown or stopped  ⧗ stale"),
        line(Span("Keys can be changed in sevdeck.toml, table [keys]: id = key. Ids are in docs/keys.md.", "dim")),
    ]
    return lines
