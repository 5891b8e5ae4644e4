"""New lines of the console's own logs, for counting: what the log hub has read is not read a second time."""

from __future__ import annotations

from typing import Protocol

from console.watch.logs import LogHub


class LogLines(Protocol):
    """Where `log_count` finds lines of a log that is configured by name."""

    def knows(self, source: str) -> bool: ...

    def after(self, source: str, place: int | None, since: float) -> tuple[int, list[bytes]]:
        """The next place to ask from, and the lines of `source` since `place` that arrived after `since`.

        `place` None means "from now on". Called in a thread.
        """
        ...


class HubLines:
    """The lines of a `LogHub`. What its ring dropped before it was asked for is not counted."""

    def __init__(self, hub: LogHub) -> None:
        self._hub = hub

    def knows(self, source: str) -> bool:
        return source in self._hub.sources or source in self._hub.configured

    def after(self, source: str, place: int | None, since: float) -> tuple[int, list[bytes]]:
        buffer = self._hub.buffer
        if place is None:
            return buffer.next, []
        lines: list[bytes] = []
        place = max(place, buffer.first)
        while (chunk := buffer.chunk_at(place)) is not None:
            found = chunk.data.split(b"\n")  # it may grow meanwhile: what is here now is counted now
            if chunk.source == source and chunk.arrived >= since:  # older ones are a backlog
                lines += found[place - chunk.seq :]
            place = chunk.seq + len(found)
        return place, lines
