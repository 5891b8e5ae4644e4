"""The command probe: run a program, without a shell, and look at its exit code and the last line it printed."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from console.config import ProbeConfig
from console.programs.running import start
from console.watch.probes.result import Answer

_KEPT = 8192  # bytes of what it prints last
_BURIAL = 1.0  # seconds to wait for a killed program


async def probe_command(config: ProbeConfig, target: str) -> Answer:
    """The program runs in a process group of its own, all of which is killed when it does not end in time."""
    argv = shlex.split(target)
    if not argv:
        raise ValueError("no command")
    wanted = _codes(config.expect)
    with _printed() as (sink, output):
        try:
            process = await start(argv, stdin=asyncio.subprocess.DEVNULL, stdout=sink, stderr=sink)
        except FileNotFoundError:
            return Answer(None, f"there is no program {argv[0]}")
        except PermissionError:
            if shutil.which(argv[0], mode=os.F_OK) is None:  # a directory of PATH that may not be entered, no program
                return Answer(None, f"there is no program {argv[0]}")
            return Answer(None, f"{argv[0]} may not be run")
        try:
            code = await process.wait()
        finally:
            if process.returncode is None:
                _kill_group(process.pid)
                with suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), _BURIAL)
    return _judge(code, wanted, output)


def _codes(expect: str) -> set[int]:
    try:
        return {int(code) for code in expect.replace(",", " ").split()} or {0}
    except ValueError:
        raise ValueError("expect: a command probe expects an exit code") from None


def _judge(code: int, wanted: set[int], output: bytearray) -> Answer:
    lines = output.decode("utf-8", "replace").strip().splitlines()
    said = f": {lines[-1].strip()}" if lines else ""
    how = f"killed by signal {-code}" if code < 0 else f"exit {code}"
    if code in wanted:
        return Answer(True, how, said)
    return Answer(False, how, f", expected {' or '.join(map(str, sorted(wanted)))}{said}")


@contextmanager
def _printed() -> Iterator[tuple[int, bytearray]]:
    """A pipe to print into and the end of what was printed.

    Children that the program leaves behind may hold the pipe open for ever, so nothing waits for its end.
    """
    loop = asyncio.get_running_loop()
    kept = bytearray()
    source, sink = os.pipe()
    os.set_blocking(source, False)

    def take() -> None:
        with suppress(BlockingIOError):
            chunk = os.read(source, 1 << 16)
            if not chunk:
                loop.remove_reader(source)
            kept.extend(chunk)
            del kept[:-_KEPT]

    loop.add_reader(source, take)
    try:
        yield sink, kept
        take()  # what came in the same moment as the end
    finally:
        loop.remove_reader(source)
        os.close(source)
        os.close(sink)


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
