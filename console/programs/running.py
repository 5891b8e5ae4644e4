"""Programs run on behalf of a plan: with a deadline for the whole family of processes, and output cleaned.

It knows nothing of Docker. A program past its deadline is killed with everything it started.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from console.programs import transcript
from console.redact import redact
from console.text import clean_block

_ERROR_LIMIT = 4096  # bytes from the end: the last lines say why
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
    input: bytes | None = None,
) -> Ran:
    """Run `argv` without a shell. `keep_fds` stay open in it: the lock outlives us with them.

    `stdin` and `stdout` are open files; without them `input` (or nothing) is read, and the output is in the answer.
    """
    pipe = asyncio.subprocess.PIPE
    if input is not None:
        stdin = pipe
    out = pipe if stdout is None else stdout
    ran, errors = await _run(argv, deadline, env, cwd, keep_fds, stdin, out, pipe, input)
    transcript.ran(argv, ran.code, ran.out + errors)
    return ran


async def run_spooled(
    argv: Sequence[str], *, deadline: float, cwd: str | None = None, keep_fds: Sequence[int] = ()
) -> Ran:
    """As `run_program`, for what must go on to its end should we be killed: it writes to a file that nobody sees.

    Into a pipe whose reader is gone it would write once more and die half-way. Everything it says is in `error`.
    """
    with tempfile.TemporaryFile() as spool:
        joined = asyncio.subprocess.STDOUT
        ran, _ = await _run(argv, deadline, None, cwd, keep_fds, None, spool.fileno(), joined)
        spool.seek(max(0, spool.seek(0, os.SEEK_END) - transcript.LIMIT))
        said = spool.read()
    transcript.ran(argv, ran.code, said)
    return replace(ran, error=_shown(said) or ran.error)


async def _run(
    argv: Sequence[str],
    deadline: float,
    env: Mapping[str, str] | None,
    cwd: str | None,
    keep_fds: Sequence[int],
    stdin: int | None,
    stdout: int,
    stderr: int,
    input: bytes | None = None,
) -> tuple[Ran, bytes]:
    """How it ended, and all of its errors as they were written."""
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL if stdin is None else stdin,
            stdout=stdout,
            stderr=stderr,
            env=dict(env) if env is not None else None,
            cwd=cwd,
            pass_fds=tuple(keep_fds),
            start_new_session=True,
        )
    except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
        return Ran(127, b"", f"{argv[0]}: {error.strerror}", missing=True), b""
    try:
        out, err = await asyncio.wait_for(process.communicate(input), deadline)
    except TimeoutError:
        await _end(process)
        return Ran(None, b"", f"{argv[0]} gave no answer in {deadline:g} s"), b""
    except asyncio.CancelledError:
        await _end(process)
        raise
    return Ran(process.returncode, (out or b"")[:_OUTPUT_LIMIT], _shown(err or b"")), err or b""


def _shown(raw: bytes) -> str:
    return redact(clean_block(raw[-_ERROR_LIMIT:].decode(errors="replace")).strip())


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), 2)
