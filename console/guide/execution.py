"""What a command step gave, and how much of it the record keeps. Running it is somebody else's: see `Execute`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from console.incident.journal import Journal
from console.redact import redact
from console.text import clean_block

KEPT = 8 * 1024  # bytes of output in the event itself; the whole goes into a blob
_WHOLE = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Output:
    """`exit` None: no answer in time, so nobody knows. `text` is standard output and error together."""

    exit: int | None
    text: str
    took: float  # seconds


Execute = Callable[[tuple[str, ...], float], Output]
"""Runs an argv with a deadline in seconds, without a shell and without input; never raises."""


def run_blocking(argv: tuple[str, ...], timeout: float) -> Output:
    """The real thing, for a thread: the program and all it started are ended at the deadline."""
    import asyncio
    import time

    from console.actions.programs import run_program

    began = time.monotonic()
    ran = asyncio.run(run_program(argv, deadline=timeout))
    return Output(ran.code, ran.text, time.monotonic() - began)


def kept_output(journal: Journal, argv: tuple[str, ...], output: Output) -> dict[str, Any]:
    """The result for the record: masked, its beginning and end in the event, the whole beside it if longer."""
    text = redact(clean_block(output.text, _WHOLE))
    result: dict[str, Any] = {"argv": list(argv), "exit": output.exit, "took": round(output.took, 3)}
    raw = text.encode("utf-8")
    if len(raw) > KEPT:
        result["sha256"] = journal.put_blob(raw)
        result["size"] = len(raw)
        half = KEPT // 2
        head, tail = raw[:half].decode("utf-8", "ignore"), raw[-half:].decode("utf-8", "ignore")
        text = f"{head}\n… {len(raw) - 2 * half} bytes left out …\n{tail}"
    result["output"] = text
    return result
