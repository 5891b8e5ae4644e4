"""The exception tree: everything sevdeck raises on purpose, and the exit code each means.

A message says what failed and why; `remedy` says what to do about it. Nothing here prints.
"""

from __future__ import annotations

from dataclasses import dataclass


class SevdeckError(Exception):
    """Base of all expected failures. `exit_code` is the process's exit code when it reaches the command line."""

    exit_code = 1

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}. {self.remedy}" if self.remedy else self.message


class UsageError(SevdeckError):
    """The command line or an argument is wrong."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault in a file that a person wrote: where it is, what is wrong, how to mend it."""

    file: str
    where: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line is not None else self.file
        return f"{place}: {self.where}: {self.message}" if self.where else f"{place}: {self.message}"


class InvalidFileError(UsageError):
    """A configuration or playbook file has faults; all of them are in `problems`."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(p) for p in problems))
        self.problems = problems


class RefusedError(SevdeckError):
    """Not done, on purpose: locked, over budget, not permitted, unconfirmed, or unsafe now."""

    exit_code = 3


class UnknownOutcomeError(SevdeckError):
    """A change was asked for and nobody knows whether it happened: look before repeating it."""

    exit_code = 4


class SourceError(SevdeckError):
    """A source of live data could not be read. `message` is the reason shown in its pane."""


class RecordError(SevdeckError):
    """The incident record could not be written or read."""
