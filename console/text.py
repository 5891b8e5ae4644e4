"""The one gate for text from outside: what a terminal would obey becomes visible, and nothing is endless.

Textual and Rich send control sequences found in data straight to the terminal, so every string that did not
come from our own source passes here before a widget or a file sees it.
"""

from __future__ import annotations

import re

DISPLAY_LIMIT = 4096  # characters; the rest is counted, not shown
_MAX_COMBINING = 4  # per base character; terminals have crashed on long runs

# Colours carry no meaning we keep, so SGR goes silently; any other sequence stays visible.
_SGR = re.compile(r"\x1b\[[0-9;:]*m")
