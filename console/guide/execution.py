"""What a command step gave, and how much of it the record keeps. It decides nothing: see `run`."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
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
    """The real thing, for a thread: the program and all it started are asked to end at the deadline, then killed.

    What stands on standard output and error comes in the order in which it was written, up to 4 MiB of it.
    """
    began = time.monotonic()
    try:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
    except OSError as error:
        return Output(127, f"{argv[0]}: {error.strerror}", time.monotonic() - began)
    try:
        raw = _read(process, began + timeout)
        code: int | None = process.wait(max(0.0, began + timeout - time.monotonic()))
    except subprocess.TimeoutExpired:
        code = None
        _end(process)
    finally:  # not `with process`, which would wait for ever for one that cannot be killed
        assert process.stdout is not None
        process.stdout.close()
    return Output(code, raw.decode("utf-8", "replace").strip(), time.monotonic() - began)


def _read(process: subprocess.Popen[bytes], until: float) -> bytes:
    """Output until the program closes it or time is over; what is beyond the limit is read and dropped."""
    assert process.stdout is not None
    kept = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while (left := until - time.monotonic()) > 0:
            if not selector.select(left):
                break
            chunk = os.read(process.stdout.fileno(), 65536)
            if not chunk:
                break
            kept += chunk[: _WHOLE - len(kept)]
    return bytes(kept)


def _end(process: subprocess.Popen[bytes]) -> None:
    for sign, patience in ((signal.SIGTERM, 1.0), (signal.SIGKILL, 2.0)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            return


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
