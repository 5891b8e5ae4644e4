"""Regular expressions that are compiled when they are first needed.

The tables of log formats hold about fifty of them, 30 ms to compile; an ordinary host needs five.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

Matcher = Callable[[str], "re.Match[str] | None"]


class LatePattern:
    """As `re.compile(source, flags)`, later. After the first use there is no difference in cost.

    >>> LatePattern("b+").search("abbc")[0]
    'bb'
    """

    search: Matcher
    match: Matcher
    sub: Callable[..., str]
    finditer: Callable[[str], Iterator[re.Match[str]]]

    def __init__(self, source: str, flags: int = 0) -> None:
        self.source = source
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        # Only asked for what is not there yet: from now on the compiled pattern's own methods are.
        if name not in ("search", "match", "sub", "finditer"):
            raise AttributeError(name)
        compiled = re.compile(self.source, self._flags)
        self.search, self.match, self.sub = compiled.search, compiled.match, compiled.sub
        self.finditer = compiled.finditer
        return getattr(compiled, name)
