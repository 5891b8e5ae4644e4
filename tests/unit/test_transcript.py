"""What the programs of a step said is heard whole, masked, and nowhere else."""

from __future__ import annotations

import asyncio
import sys

from console.programs import transcript
from console.programs.running import run_program, run_spooled
from console.programs.transcript import LIMIT, Transcript, listening


async def heard(*argv: str, spooled: bool = False, deadline: float = 10.0) -> Transcript:
    with listening() as said:
        if spooled:
            await run_spooled(argv, deadline=deadline)
        else:
            # From a task of its own, as the runner does it.
            await asyncio.ensure_future(run_program(argv, deadline=deadline))
    return said


async def test_output_errors_and_exit_code_are_kept_with_the_command_line() -> None:
    said = await heard("sh", "-c", "echo out; echo err >&2; exit 3")
    assert said.code == 3
    assert said.text == "$ sh -c 'echo out; echo err >&2; exit 3'\nout\nerr\n[exit 3]"


async def test_what_goes_to_its_end_by_itself_is_heard_once_and_in_order() -> None:
    said = await heard("sh", "-c", "echo one >&2; echo two; echo three >&2", spooled=True)
    assert [p.splitlines()[1:] for p in said.parts] == [["one", "two", "three", "[exit 0]"]]


async def test_secrets_and_control_characters_do_not_get_through() -> None:
    said = await heard("printf", "POSTGRES_PASSWORD=correct-horse-7\\n\\033[2Jgone")
    assert "correct-horse-7" not in said.text
    assert "\x1b" not in said.text


async def test_of_a_flood_the_end_is_kept() -> None:
    said = await heard(sys.executable, "-c", f"print('a line of words\\n' * {LIMIT // 8}, 'the reason')")
    assert len(said.text) < LIMIT + 500
    assert "bytes before this are not kept" in said.text
    assert said.text.endswith("the reason\n[exit 0]")


async def test_one_that_gives_no_answer_says_so() -> None:
    said = await heard("sleep", "30", deadline=0.1)
    assert (said.code, said.text) == (None, "$ sleep 30\n[no answer in time]")


async def test_nobody_listens_outside_and_two_steps_are_not_mixed() -> None:
    await run_program(["echo", "nobody"], deadline=10)
    one, two = await heard("echo", "one"), await heard("echo", "two")
    assert ("one" in one.text, "two" in one.text, "two" in two.text) == (True, False, True)
    transcript.stored("ab" * 32, 7)
    assert one.kept is None
