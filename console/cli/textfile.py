"""Text that a command reads from a file or from standard input, line by line, within bounded memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from console.errors import UsageError

LINE_LIMIT = 256 << 10  # bytes of a line that are kept


@contextmanager
def opened(name: str | None) -> Iterator[IO[bytes]]:
    """The file, or standard input for None and "-". Raises UsageError when it cannot be opened."""
    if name is None or name == "-":
        yield sys.stdin.buffer
        return
    with ExitStack() as stack:
        try:
            file = stack.enter_context(Path(name).open("rb"))
        except (OSError, ValueError) as error:
            raise _unreadable(name, error) from None
        yield file  # what fails out there is not the reading: a closed pipe must stay one


def lines(file: IO[bytes], name: str, limit: int = LINE_LIMIT) -> Iterator[bytes]:
    """Each line without its newline, at most `limit` bytes of it. Raises UsageError when reading fails."""
    try:
        while raw := file.readline(limit):
            rest = raw
            while len(rest) == limit and not rest.endswith(b"\n"):
                rest = file.readline(limit)
            yield raw.removesuffix(b"\n")
    except OSError as error:
        raise _unreadable(name, error) from None


def _unreadable(name: str, error: Exception) -> UsageError:
    why = error.strerror if isinstance(error, OSError) else None
    return UsageError(f"{name} cannot be read: {why or error}")
