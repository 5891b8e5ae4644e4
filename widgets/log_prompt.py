"""The line at the foot of the log view in which a person types: a word, a time, a source, a file."""

from __future__ import annotations

from console.text import clean
from widgets.lines import Line, Span, line

_LONGEST = 500
_KINDS = {
    "search": ("/", "word to find; lower case finds any case"),
    "text": ("only lines with ▸ ", "empty shows all"),
    "time": ("jump to ▸ ", "03:12, -5m, 2026-11-22 03:12"),
    "source": ("source ▸ ", "a name or its beginning; empty shows all"),
    "write": ("write to file ▸ ", "the lines on screen, or the selected ones"),
}


class LogPrompt:
    """What is asked for, "" for nothing, and what was typed so far."""

    def __init__(self) -> None:
        self.kind = ""
        self.typed = ""

    def open(self, kind: str, value: str = "") -> None:
        self.kind, self.typed = kind, value

    def key(self, key: str, character: str | None) -> tuple[str, str] | None:
        """Take a key. On Enter the answer: (kind, text)."""
        if key == "enter":
            answer = (self.kind, self.typed.strip())
            self.kind = ""
            return answer
        if key == "escape":
            self.kind = ""
        elif key in ("backspace", "ctrl+h"):
            self.typed = self.typed[:-1]
        elif key == "ctrl+u":
            self.typed = ""
        elif character is not None and character.isprintable():
            self.typed = (self.typed + character)[:_LONGEST]
        return None

    def paste(self, text: str) -> None:
        """Take the first line of what was pasted."""
        self.typed = (self.typed + clean(text.split("\n")[0].strip("\r")))[:_LONGEST]

    def line(self, width: int) -> Line:
        """The prompt as it is drawn."""
        label, hint = _KINDS[self.kind]
        typed = self.typed[-max(1, width - len(label) - 4) :] if self.typed else ""
        return line(Span(label, "key"), f"{typed}▏", Span(f"  {hint}" if not typed else "", "dim"))
