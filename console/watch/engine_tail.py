"""The end of something long that the engine tells: a container's output, its events. Bounded in bytes and seconds.

What was read until the time was up is kept: in an incident half of a log is worth more than none.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from console.watch.engine_api import Engine
from console.watch.engine_errors import refused
from console.watch.logstream import frames

_CHUNK = 1 << 18


@dataclass(frozen=True, slots=True)
class Tail:
    """`left_out`: bytes before `data` that were not kept. `late`: there was more, and no time for it."""

    data: bytes
    left_out: int = 0
    late: bool = False


def tail(engine: Engine, path: str, deadline: float, limit: int, *, framed: bool = False, **query: str | int) -> Tail:
    """The last `limit` bytes of GET `path`. `framed`: the engine's stream of a container without a terminal.

    Blocks for at most about `deadline` seconds. Raises EngineError.
    """
    end = time.monotonic() + deadline
    with engine.plain_words(deadline):
        client = engine.client(deadline)
        try:
            url = f"{client.base_url}/v{engine.version.api}{quote(path)}?{urlencode(query)}"
            response: Any = client.get(url, stream=True, timeout=(deadline, deadline))
            with closing(response):
                if response.status_code >= 400:
                    raise refused(response.status_code, response.text[:500])
                raw = response.raw.stream(_CHUNK, decode_content=False)
                return _kept(frames(raw) if framed else raw, limit, end)
        finally:
            client.close()


def _kept(parts: Iterator[bytes], limit: int, end: float) -> Tail:
    kept: deque[bytes] = deque()
    size = left_out = 0
    late = False
    try:
        for part in parts:
            kept.append(part)
            size += len(part)
            while size - len(kept[0]) >= limit:
                left_out += len(kept[0])
                size -= len(kept.popleft())
            if time.monotonic() > end:
                late = True
                break
    except Exception:
        if not kept:
            raise
        late = True
    data = b"".join(kept)
    cut = max(0, len(data) - limit)
    if cut:  # from a whole line on
        newline = data.find(b"\n", cut)
        cut = newline + 1 if newline >= 0 else cut
    return Tail(data[cut:], left_out + cut, late)
