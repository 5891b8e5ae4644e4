"""Programs that are run: whatever they say and whenever somebody loses patience, nothing of them is left."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from console.programs import running
from console.programs.running import run_program

CHATTY = ["sh", "-c", "echo $$; exec yes"]


def alive(pid: int) -> bool:
    """Whether it runs; the dead whom nobody has buried yet do not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def resident() -> int:
    """Bytes of our memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("argv", [CHATTY, ["sleep", "60"], ["true"], ["sh", "-c", "yes >&2 & yes"]])
def test_a_cancellation_at_any_moment_ends_it_at_once_and_leaves_nothing_open(argv: list[str]) -> None:
    """What is left open is an error of the test: pytest turns such warnings into errors."""

    async def impatient(turns: int) -> None:
        running_ = asyncio.ensure_future(run_program(argv, deadline=60))
        for _ in range(turns):
            await asyncio.sleep(0)
        running_.cancel()
        await asyncio.wait([running_], timeout=20)
        assert running_.done()

    began = time.monotonic()
    for turns in (0, 1, 2, 3, 4, 5, 6, 8, 12, 20, 50, 200):
        asyncio.run(impatient(turns))
        gc.collect()
    assert time.monotonic() - began < 12 * running._PARTING, "each end was waited for to the limit"


async def test_output_without_an_end_costs_its_deadline_and_not_the_memory() -> None:
    before = resident()
    ran = await run_program(CHATTY, deadline=0.5)
    assert (ran.code, ran.out) == (None, b"") and "no answer in 0.5 s" in ran.error
    assert resident() - before < 64 << 20


async def test_of_long_output_the_beginning_is_kept_and_of_long_errors_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_OUTPUT_LIMIT", 100_000)
    words = "import sys; sys.stdout.write('begin' + 'x' * 300_000); sys.stderr.write('y' * 300_000 + 'last words')"
    ran = await run_program([sys.executable, "-c", words], deadline=20)
    assert ran.code == 0 and len(ran.out) == 100_000 and ran.out.startswith(b"begin")
    assert ran.error.endswith("last words") and len(ran.error) < 5000


async def test_input_reaches_it_whole_and_a_program_that_wants_none_is_no_trouble() -> None:
    long = b"line\n" * 200_000
    assert (await run_program(["wc", "-c"], deadline=20, input=long)).out.strip() == str(len(long)).encode()
    assert (await run_program(["true"], deadline=20, input=long)).code == 0


async def test_who_left_the_family_and_holds_its_pipes_is_not_waited_for(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    leaves = f"setsid sh -c 'echo $$ > {note}; exec sleep 60' & exec sleep 60"
    ran = await run_program(["sh", "-c", leaves], deadline=0.5)
    assert ran.code is None
    os.kill(int(note.read_text()), signal.SIGKILL)


async def test_the_whole_family_ends_at_the_deadline(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    ran = await run_program(["sh", "-c", f"sleep 60 & echo $! > {note}; wait"], deadline=0.5)
    assert ran.code is None and not alive(int(note.read_text()))
