"""Of something long the end is kept, from a whole line on; what came before the engine fell silent, too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from console.config import DockerConfig
from console.watch.engine_api import Engine, EngineError, EngineSilentError
from console.watch.engine_tail import _kept, tail
from tests.unit.engine_twin import EngineTwin

LINES = [f"line {number:04}\n".encode() for number in range(1000)]


@pytest.fixture
def twin() -> Iterator[EngineTwin]:
    with EngineTwin() as twin:
        yield twin


def engine_of(twin: EngineTwin) -> Engine:
    return Engine(DockerConfig(host=twin.host))


@pytest.mark.parametrize("framed", [False, True])
def test_the_end_is_kept_from_a_whole_line_on(twin: EngineTwin, framed: bool) -> None:
    sent = [b"\x02\0\0\0" + len(line).to_bytes(4, "big") + line if framed else line for line in LINES]
    twin.answers["/containers/a/logs"] = (200, b"".join(sent))
    told = tail(engine_of(twin), "/containers/a/logs", 5.0, 105, framed=framed, tail=9)
    assert told.data == b"".join(LINES[-10:])
    assert (told.left_out, told.late) == (len(b"".join(LINES[:-10])), False)
    whole = tail(engine_of(twin), "/containers/a/logs", 5.0, 1 << 20, framed=framed)
    assert (whole.data, whole.left_out) == (b"".join(LINES), 0)


def test_a_refusal_is_said_in_the_words_of_the_engine(twin: EngineTwin) -> None:
    twin.answers["/containers/a/logs"] = (501, {"message": "configured logging driver does not support reading"})
    with pytest.raises(EngineError, match="logging driver does not support reading"):
        tail(engine_of(twin), "/containers/a/logs", 5.0, 100)


def test_silence_ends_with_the_deadline(twin: EngineTwin) -> None:
    twin.hanging.add("/events")
    with pytest.raises(EngineSilentError):
        tail(engine_of(twin), "/events", 0.5, 100)


def test_what_came_before_the_silence_or_the_deadline_is_kept() -> None:
    def breaks() -> Iterator[bytes]:
        yield b"one\n"
        raise TimeoutError

    assert _kept(breaks(), 100, end=float("inf")).data == b"one\n"
    assert _kept(breaks(), 100, end=float("inf")).late
    assert _kept(iter([b"one\n", b"two\n"]), 100, end=float("-inf")).data == b"one\n"
