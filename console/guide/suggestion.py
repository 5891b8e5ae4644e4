"""Which option of a decision the evidence speaks for. It is shown to the person who decides, and never decides itself.

Pure. The n-th subject of `suggest_from` stands for the n-th option, "-" for an option that no evidence speaks for.
"""

from __future__ import annotations

from dataclasses import dataclass

from console.guide.evidence import Evidence, holds, words
from console.guide.schema import NO_SUBJECT, Step, Verify


@dataclass(frozen=True, slots=True)
class Suggestion:
    """`option` by its place, from 0; `why` is the evidence in words: "role:app not well"."""

    option: int
    why: str


def suggested(step: Step, known: Evidence) -> Suggestion | None:
    """The one option whose evidence is not well while that of all others is; None as soon as it is not that clear.

    Two that are not well may be cause and effect, and what is unknown may be the cause: both are for a person.
    """
    subjects = [(n, Verify(subject)) for n, subject in enumerate(step.suggest_from) if subject != NO_SUBJECT]
    answers = {n: holds(subject, known) for n, subject in subjects if n < len(step.options)}
    wrong = [n for n, well in answers.items() if well is False]
    if len(wrong) != 1 or None in answers.values():
        return None
    return Suggestion(wrong[0], words(Verify(step.suggest_from[wrong[0]]), known))
