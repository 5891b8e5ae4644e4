"""One call of `sevdeck`: its settings, its directory for records, and the only way its commands print."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.errors import RefusedError, SevdeckError, UsageError
from console.text import printed

if TYPE_CHECKING:
    from argparse import Namespace

    from console.config import Config
    from console.places import DataDir

_LOG_NAME = "sevdeck.log"
_LOG_LIMIT = 2_000_000  # bytes; then one older file is kept


class Call:
    """What a command needs: `args` (its own options), `config`, `data_dir`, `json`, and `say`, `answer`, `note`."""

    args: Namespace

    def __init__(self) -> None:
        self.config_path: Path | None = None
        self.data_path: Path | None = None
        self.json = False

    def take_options(self, argv: list[str]) -> list[str]:
        """Keep the options that hold everywhere; return the other words. They may stand before or after a command."""
        rest: list[str] = []
        words = iter(argv)
        for word in words:
            name, equals, value = word.partition("=")
            if word == "--":
                return [*rest, word, *words]
            if word == "--json":
                self.json = True
            elif name in {"--config", "--data-dir"}:
                value = value if equals else next(words, "")
                if not value:
                    raise UsageError(f"{name} needs a path", remedy=f"Write {name} PATH")
                if name == "--config":
                    self.config_path = Path(value)
                else:
                    self.data_path = Path(value)
            else:
                rest.append(word)
        return rest

    @cached_property
    def config(self) -> Config:
        """The settings; raises UsageError or InvalidFileError."""
        from console.config import inline_secrets, load
        from console.redact import add_literals

        config = load(self.config_path)
        add_literals(inline_secrets(config))
        return config

    @cached_property
    def records(self) -> DataDir:
        """The directory for records, created, and a note where it is not the usual one."""
        from console.places import data_dir

        return data_dir(self.data_path)

    @cached_property
    def data_dir(self) -> Path:
        """The directory for records. Says on standard error when it is not the usual one."""
        if self.records.note:
            self.note(self.records.note)
        return self.records.path

    def say(self, text: str) -> None:
        """A line or more for people, on standard output."""
        sys.stdout.write(printed(text.rstrip("\n")) + "\n")

    def note(self, text: str) -> None:
        """A message beside the answer, on standard error."""
        sys.stderr.write(f"sevdeck: {printed(text)}\n")

    def answer(self, data: Any, text: str | Callable[[], str]) -> None:
        """The answer: `data` as JSON with --json, else `text`. Secrets are masked in both."""
        from console.redact import redact, redact_data

        if self.json:
            import json

            from console.cli.as_json import as_json

            # ASCII only: whatever the terminal's encoding is, and no C1 control sequence gets through.
            self.say(json.dumps(redact_data(as_json(data)), indent=2))
        else:
            self.say(redact(text() if callable(text) else text))

    def confirm(self, expected: str, question: str, given: str | None, option: str = "--confirm") -> None:
        """Go on only when a person typed `expected`: with `option` (`given`), or now on a terminal.

        Raises RefusedError when it is missing or wrong. Enter means no.
        """
        if given is None:
            if not (sys.stdin.isatty() and sys.stderr.isatty()) or self.json:
                raise RefusedError("not confirmed", remedy=f"Repeat with {option} {_quoted(expected)}")
            sys.stderr.write(printed(f"{question}\nType {expected} to go on: "))
            sys.stderr.flush()
            given = sys.stdin.readline().strip()
        if given != expected:
            raise RefusedError(
                f"not confirmed: expected {expected}, got {given or 'nothing'}", remedy="Nothing was changed"
            )

    def open_log(self) -> Path | None:
        """Send Python's logging to the log file, secrets masked; None when it cannot be written."""
        import logging

        from console.incident.disk import open_log
        from console.redact import redact

        class Masked(logging.Formatter):
            def format(self, record: logging.LogRecord) -> str:
                return redact(super().format(record))

        try:
            path = self.records.path / _LOG_NAME
            if path.exists() and path.stat().st_size > _LOG_LIMIT:
                path.replace(path.with_suffix(".log.1"))
            open_log(path).close()
            handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
        except (OSError, SevdeckError):
            return None
        handler.setFormatter(Masked("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logging.raiseExceptions = False  # a full disk must not print tracebacks over the console
        logging.getLogger().addHandler(handler)
        return path

    def write_traceback(self, error: BaseException) -> str:
        """Put the traceback into the log file; returns where it is, in words."""
        import logging

        path = self.open_log()
        if path is None:
            return "no file: none could be written"
        logging.getLogger("sevdeck").error("unexpected failure", exc_info=error)
        return str(path)


def _quoted(text: str) -> str:
    import shlex

    return shlex.quote(text)
