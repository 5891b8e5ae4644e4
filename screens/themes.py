"""Themes, and which one a terminal can show. State is a glyph and a word as well, so colour only helps."""

from __future__ import annotations

from collections.abc import Mapping

from textual.theme import Theme

THEMES = ("sevdeck-dark", "sevdeck-light", "sevdeck-contrast", "ansi-dark")

OWN_THEMES = (
    Theme(
        name="sevdeck-dark", dark=True, primary="#3b6ea5", secondary="#5a8f8f", accent="#6fb3ff",
        foreground="#d8dee9", background="#101418", surface="#151a20", panel="#1c232b",
        success="#7fbf7f", warning="#e5b567", error="#ff6b6b",
    ),
    Theme(
        name="sevdeck-light", dark=False, primary="#1d5fa8", secondary="#2f6f6f", accent="#0b4fa0",
        foreground="#1b1f24", background="#fbfbf8", surface="#f2f2ee", panel="#e7e7e2",
        success="#1f6b2d", warning="#8a5200", error="#b00020",
    ),
    # Blue, yellow and orange instead of green and red: told apart by the common kinds of colour blindness.
    Theme(
        name="sevdeck-contrast", dark=True, primary="#0050d0", secondary="#00a0ff", accent="#ffff00",
        foreground="#ffffff", background="#000000", surface="#000000", panel="#101010",
        success="#56b4e9", warning="#f0e442", error="#ff9e3d",
    ),
)  # fmt: skip


def terminal_theme(env: Mapping[str, str]) -> str:
    """Our colours from 256 up, the terminal's own sixteen below, and without colour.

    >>> terminal_theme({"TERM": "xterm-256color"}), terminal_theme({"TERM": "linux"})
    ('sevdeck-dark', 'ansi-dark')
    """
    term = env.get("TERM", "")
    many = env.get("COLORTERM", "") in {"truecolor", "24bit"} or "256color" in term or term in {"xterm-kitty", "foot"}
    return THEMES[0] if many and not env.get("NO_COLOR") else THEMES[3]


def theme_name(word: str) -> str:
    """The theme that a person calls dark, light, high-contrast or ansi."""
    return {"dark": THEMES[0], "light": THEMES[1], "high-contrast": THEMES[2], "ansi": THEMES[3]}[word]
