"""The pane every live view is drawn with: lines of toned text, repainted only where cells changed.

A refresh in Textual sends the whole region again, so the pane compares what it shows with what it should
show and refreshes the smallest region of each changed row: no change costs no bytes. What is written comes
from pure functions of the subclasses; nothing here is parsed as markup.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import ClassVar, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.dom import DOMNode
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

# One column for one column, for terminals that cannot draw our marks, so that a line keeps its width.
ASCII_MARKS = str.maketrans(
    "●▲✖○⧗▁▂▃▄▅▆▇█─│↓↑↻…·→▶✔⚙☻×−–▸◆◇⛨’≥⏱“”◀•▏✎⏎★",
    '*!X?~__..--##-|v^r.->>+@o*--+#+C\'>t""<*|w/!',
)


def plain_terminal(env: Mapping[str, str] = os.environ) -> bool:
    """Whether this terminal draws ASCII only: the Linux console, a VT100, a locale that is not UTF-8."""
    locale = env.get("LC_ALL") or env.get("LC_CTYPE") or env.get("LANG") or ""
    utf8 = "utf-8" in locale.lower() or "utf8" in locale.lower()
    return env.get("TERM", "") in {"linux", "vt100", "vt220", "ansi"} or (bool(locale) and not utf8)


TONES = ("dim", "ok", "warn", "bad", "unknown", "title", "focus", "cursor", "key", "strong")


class Span(NamedTuple):
    """Cleaned text in one tone ("" is plain)."""

    text: str
    tone: str = ""


Line = tuple[Span, ...]


def line(*parts: str | Span) -> Line:
    """A line from texts and spans."""
    return tuple(p if isinstance(p, Span) else Span(p) for p in parts)


def width_of(spans: Line) -> int:
    """Terminal columns a line takes."""
    return sum(cell_len(s.text) for s in spans)


@lru_cache(maxsize=4096)
def fit(text: str, width: int, align: str = "left") -> str:
    """Text in exactly `width` columns: padded, or cut with an ellipsis.

    >>> fit("nginx", 7), fit("nginx", 7, "right"), fit("postgresql", 6)
    ('nginx  ', '  nginx', 'postg…')
    """
    if width <= 0:
        return ""
    size = len(text) if text.isascii() else cell_len(text)
    if size > width:
        return set_cell_size(text, width - 1) + "…"
    return " " * (width - size) + text if align == "right" else text + " " * (width - size)


def crop(spans: Line, width: int) -> Line:
    """The line in exactly `width` columns, the last visible span cut with an ellipsis when it is longer."""
    out: list[Span] = []
    left = width
    for position, span in enumerate(spans):
        size = cell_len(span.text)
        more = any(s.text for s in spans[position + 1 :])
        if size > left or (size == left and more):
            if left > 0:
                out.append(Span(fit(span.text + " " * (size == left) + "…" * more, left), span.tone))
            return tuple(out)
        out.append(span)
        left -= size
    if left:
        out.append(Span(" " * left))
    return tuple(out)


def between(left: Line, right: Line, width: int, fill: str = " ", tone: str = "") -> Line:
    """`left` at the start, `right` at the end; the left gives way when both do not fit."""
    room = width - width_of(right)
    if room < 8:
        return crop(left, width)
    size = width_of(left)
    if size > room - 1:
        return (*crop(left, room - 1), Span(" "), *right)
    return (*left, Span(fill * (room - size), tone), *right)


def changed_columns(old: Line, new: Line) -> tuple[int, int] | None:
    """Columns [first, end) in which two lines of equal width differ; None when they are the same.

    >>> changed_columns((Span("cpu 12 %"),), (Span("cpu 15 %"),))
    (5, 6)
    """
    if old == new:
        return None
    before, after = _cells(old), _cells(new)
    if len(before) != len(after):
        return 0, max(len(before), len(after))
    first = next((i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b), None)
    if first is None:
        return None
    last = next(i for i in range(len(after) - 1, -1, -1) if before[i] != after[i])
    return first, last + 1


def _cells(spans: Line) -> list[tuple[str, str]]:
    """One entry a column; the second column of a wide character is empty, so a change never splits it."""
    cells: list[tuple[str, str]] = []
    for text, tone in spans:
        if text.isascii():
            cells += [(char, tone) for char in text]
            continue
        for char in text:
            size = cell_len(char)
            if size == 0 and cells:
                cells[-1] = (cells[-1][0] + char, cells[-1][1])
            else:
                cells += [(char, tone)] + [(char + "+", tone)] * (size - 1)
    return cells


class LinePane(Widget):
    """A widget that shows the lines its subclass makes in `view`, and repaints only what differs."""

    DEFAULT_CSS = """
    LinePane { height: 1fr; width: 1fr; }
    LinePane > .line--dim { color: $text-muted; }
    LinePane > .line--ok { color: $text-success; }
    LinePane > .line--warn { color: $text-warning; }
    LinePane > .line--bad { color: $text-error; text-style: bold; }
    LinePane > .line--unknown { color: $text-muted; text-style: italic; }
    LinePane > .line--title { color: $text-muted; }
    LinePane > .line--focus { color: $text-accent; text-style: bold; }
    LinePane > .line--cursor { background: $primary; color: $text; text-style: bold; }
    LinePane > .line--key { color: $text-accent; text-style: bold; }
    LinePane > .line--strong { text-style: bold; }
    """

    plain: ClassVar[bool] = plain_terminal()

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes, markup=False)
        self._shown: list[Line] = []
        self._styles: dict[str, Style] = {}

    def view(self, width: int, height: int) -> Sequence[Line]:
        """What to show in `height` rows of `width` columns. Shorter answers are padded, longer ones cut."""
        raise NotImplementedError

    def redraw(self) -> None:
        """Compute the view and repaint the cells that changed."""
        width, height = self.size
        if not self.is_mounted or not width or not height:
            return
        shown = [crop(spans, width) for spans in list(self.view(width, height))[:height]]
        shown += [(Span(" " * width),)] * (height - len(shown))
        if len(shown) != len(self._shown):
            self._shown = shown
            self.refresh()
            return
        regions = []
        for y, (old, new) in enumerate(zip(self._shown, shown, strict=True)):
            if (columns := changed_columns(old, new)) is not None:
                regions.append(Region(columns[0], y, columns[1] - columns[0], 1))
        self._shown = shown
        if regions:
            self.refresh(*regions)

    def on_resize(self) -> None:
        self._shown = []
        self.redraw()

    def watch_has_focus(self, has_focus: bool) -> None:
        # Not on_focus: that is called before the widget knows that it has the focus.
        super().watch_has_focus(has_focus)
        self.redraw()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles.clear()

    def _style(self, tone: str) -> Style:
        if tone not in self._styles:
            base = self.rich_style
            self._styles[tone] = base + self._tone_style(tone) if tone else base
        return self._styles[tone]

    def _tone_style(self, tone: str) -> Style:
        """What the stylesheet gives a tone, found when it is first drawn.

        As COMPONENT_CLASSES all ten would be found for each pane at each update of styles: a fifth of the time
        from the imports to the first frame.
        """
        node = DOMNode(classes=f"line--{tone}")
        node._attach(self)
        self.app.stylesheet.apply(node, animate=False)
        return node.rich_style  # not the partial one: muted colours are blends with what is beneath

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y >= len(self._shown):
            return Strip.blank(width, self._style(""))
        table = ASCII_MARKS if self.plain else None
        spans = self._shown[y]
        return Strip(
            [Segment(text.translate(table) if table else text, self._style(tone)) for text, tone in spans],
            width,
        )
