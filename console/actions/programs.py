"""Programs run on behalf of a plan: with a deadline for the whole family of processes, and output cleaned.

It knows nothing of Docker. A program past its deadline is killed with everything it started.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from console.redact import redact
from console.text import clean_block

_OUTPUT_LIMIT = 8 * 1024 * 1024  # bytes of standard output kept; Compose files of big stacks are under 1 MiB


@dataclass(frozen=True, slots=True)
class Ran:
    """`code` None: it did not end in time, so what it did is unknown. `out` is raw, `error` is cleaned."""

    code: int | None
    out: bytes
    error: str
    missing: bool = False  # the program is not on this host

    @property
    def ok(self) -> bool:
        return self.code == 0

    @property
    def text(self) -> str:
        """Output and errors, cleaned and masked, for people and the record."""
        return redact(clean_block("\n".join(t for t in (self.out.decode(errors="replace"), self.error) if t).strip()))


async def run_program(
    argv: Sequence[str],
    *,
    deadline: float,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    keep_fds: Sequence[int] = (),
    stdin: int | None = None,
    stdout: int | None = None,
) -> Ran:
    """Run `argv` without a shell. `keep_fds` stay open in it: the lock outlives us with them.

    `stdin` and `stdout` are open files; without them there is no input, and the output is in the answer.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL if stdin is None else stdin,
            stdout=asyncio.subprocess.PIPE if stdout is None else stdout,
            stderr=asyncio.subprocess.PIPE,
            env=dict(env) if env is not None else None,
            cwd=cwd,
            pass_fds=tuple(keep_fds),
            start_new_session=True,
        )
    except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
        return Ran(127, b"", f"{argv[0]}: {error.strerror}", missing=True)
    try:
        out, err = await asyncio.wait_for(process.communicate(), deadline)
    except TimeoutError:
        await _end(process)
        return Ran(None, b"", f"{argv[0]} gave no answer in {deadline:g} s")
    except asyncio.CancelledError:
        await _end(process)
        raise
    return Ran(
        process.returncode,
        (out or b"")[:_OUTPUT_LIMIT],
        redact(clean_block(err[-4096:].decode(errors="replace")).strip()),
    )


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), 2)
