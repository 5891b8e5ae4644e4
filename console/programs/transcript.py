"""What the programs of one step said, whole: kept beside the few words of its outcome, so that nobody has to guess.

Whoever carries a step out listens; whoever runs a program tells. In between nobody has to hand anything on, so no
operation can forget it.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from console.redact import redact
from console.text import clean_block

LIMIT = 1024 * 1024  # bytes of one program's output; of more than that the end is kept: it says why


@dataclass(slots=True)
class Transcript:
    """`code` is the exit code of the last program, None while there was none or it gave no answer."""

    parts: list[str] = field(default_factory=list)
    code: int | None = None
    kept: tuple[str, int] | None = None  # sha256 and bytes of what the step has stored already

    @property
    def text(self) -> str:
        return "\n\n".join(self.parts)


_listening: ContextVar[Transcript | None] = ContextVar("transcript", default=None)


@contextmanager
def listening() -> Iterator[Transcript]:
    """Everything that programs say within is in the transcript, also from tasks that are begun within."""
    made = Transcript()
    token = _listening.set(made)
    try:
        yield made
    finally:
        _listening.reset(token)


def ran(argv: Sequence[str], code: int | None, said: bytes) -> None:
    """A program ended, or was ended (`code` None). Cleaned and masked before it is kept anywhere."""
    heard = _listening.get()
    if heard is None:
        return
    heard.code = code
    cut = f"... ({len(said) - LIMIT} bytes before this are not kept)\n" if len(said) > LIMIT else ""
    text = clean_block(said[-LIMIT:].decode(errors="replace"), LIMIT).strip()
    ending = "no answer in time" if code is None else f"exit {code}"
    lines = (f"$ {shlex.join(argv)}", f"{cut}{text}", f"[{ending}]")
    heard.parts.append(redact("\n".join(line for line in lines if line)))


def stored(sha256: str, size: int) -> None:
    """The step kept something by itself; that is what its outcome names."""
    heard = _listening.get()
    if heard is not None:
        heard.kept = (sha256, size)
