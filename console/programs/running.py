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
from typing import Any

from console.programs import transcript
from console.redact import redact
from console.text import clean_block

_ERROR_LIMIT = 4096  # bytes from the end: the last lines say why
_PIECE = 1 << 16
_PARTING = 2.0  # seconds
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
        process = await start(
            argv,
            stdin=asyncio.subprocess.DEVNULL if stdin is None else stdin,
            stdout=stdout,
            stderr=stderr,
            env=dict(env) if env is not None else None,
            cwd=cwd,
            pass_fds=tuple(keep_fds),
        )
    except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
        return Ran(127, b"", f"{argv[0]}: {error.strerror}", missing=True), b""
    try:
        async with asyncio.timeout(deadline):
            out, err = await _heard(process, input)
    except TimeoutError:
        await _end(process)
        return Ran(None, b"", f"{argv[0]} gave no answer in {deadline:g} s"), b""
    except asyncio.CancelledError:
        await _end(process)
        raise
    return Ran(process.returncode, out, _shown(err)), err


async def start(argv: Sequence[str], **how: Any) -> asyncio.subprocess.Process:
    """The program, begun as the first of a family of its own. `how`: as for `asyncio.create_subprocess_exec`.

    Who cancels gets it killed. asyncio must not hear of that while it begins: it may wait for ever (python/cpython#103847).
    """
    beginning = asyncio.ensure_future(asyncio.create_subprocess_exec(*argv, start_new_session=True, **how))
    try:
        return await asyncio.shield(beginning)
    except asyncio.CancelledError:
        with contextlib.suppress(OSError):
            await _end(await beginning)
        raise


async def _heard(process: asyncio.subprocess.Process, input: bytes | None) -> tuple[bytes, bytes]:
    """The beginning of its output and the end of its errors, when it has ended."""
    _, out, err = await asyncio.gather(
        _feed(process.stdin, input),
        _kept(process.stdout, _OUTPUT_LIMIT),
        _kept(process.stderr, transcript.LIMIT, tail=True),
    )
    await process.wait()
    return out, err


async def _feed(stdin: asyncio.StreamWriter | None, input: bytes | None) -> None:
    if stdin is not None and input is not None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it wants no more
            stdin.write(input)
            await stdin.drain()
        stdin.close()


async def _kept(stream: asyncio.StreamReader | None, limit: int, *, tail: bool = False) -> bytes:
    """The first `limit` bytes of all that is said, or the last (`tail`); the rest is read and forgotten."""
    kept = bytearray()
    while stream is not None and (piece := await stream.read(_PIECE)):
        if tail:
            kept += piece
            del kept[:-limit]
        else:
            kept += piece[: limit - len(kept)]
    return bytes(kept)


def _shown(raw: bytes) -> str:
    return redact(clean_block(raw[-_ERROR_LIMIT:].decode(errors="replace")).strip())


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill the family. What it still says is read: a pipe that nobody reads keeps asyncio from seeing the end."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    try:
        async with asyncio.timeout(_PARTING):
            await asyncio.gather(_kept(process.stdout, 0), _kept(process.stderr, 0))
            await process.wait()
    except TimeoutError:  # somebody it started left the family and holds its pipes
        process._transport.close()  # type: ignore[attr-defined]  # there is no other way to close them
