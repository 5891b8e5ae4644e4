"""The command line: options that hold everywhere, the map from words to modules, and what every failure looks like.

A module of commands has `register(commands)`, which adds its parsers to `commands` (an argparse sub-parsers
action) and gives each `set_defaults(run=...)`: a function from `Call` to exit code. Only the module whose word
was typed is imported. Without a command the console opens, and argparse is not even loaded.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from console import __version__
from console.cli.call import Call
from console.errors import InvalidFileError, SevdeckError, UsageError
from console.text import printed

if TYPE_CHECKING:
    from argparse import ArgumentParser

# Word -> module in this package. A module that is not there yet has no commands.
COMMANDS = {
    **dict.fromkeys(("init", "config", "snapshot"), "host"),
    **dict.fromkeys(("check", "diagnose"), "check"),
    "incident": "incident",
    "logs": "logs",
    "redact": "redact",
    **dict.fromkeys(("recover", "validate"), "recover"),
    "backup": "backup",
    "contain": "contain",
    "watch": "watch",
    "playbook": "playbook",
    "replica": "replica",
    "notify": "notify",
    **dict.fromkeys(("report", "routine", "drill", "serve"), "report"),
}

_ABOUT = """\
With no command sevdeck opens the console. Every capability of a screen is also a command.

everywhere:
  --config FILE    settings; else $SEVDECK_CONFIG, ./sevdeck.toml, your config directory, /etc/sevdeck
  --data-dir DIR   records; else $SEVDECK_DATA_DIR, /var/lib/sevdeck where it exists, your data directory
  --json           the answer as JSON on standard output
  --version        name and version

exit codes: 0 well, 1 unwell or failed, 2 bad usage or settings, 3 refused, 4 outcome unknown, 130 interrupted"""


def main(argv: list[str] | None = None) -> int:
    """Run sevdeck with these arguments; returns the exit code and raises nothing that a person would see."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):  # replaced by something that is no text file
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    call = Call()
    try:
        code = _run(call, sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
        return code
    except SevdeckError as error:
        _complain(error)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read us has seen enough. Python would complain at exit when it flushes again.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        place = call.write_traceback(error)
        sys.stderr.write(f"sevdeck failed unexpectedly ({type(error).__name__}); the details are in {place}\n")
        return 1


def _run(call: Call, argv: list[str]) -> int:
    words = call.take_options(argv)
    if not words:
        return _open_console(call)
    if words[0] in {"--version", "-V"}:
        call.say(f"sevdeck {__version__}")
        return 0
    parser = _parser(words)
    try:
        call.args = parser.parse_args(words)
    except SystemExit as stop:  # argparse has said what there is to say
        return stop.code if isinstance(stop.code, int) else 2
    return int(call.args.run(call))


def _open_console(call: Call) -> int:
    """The console on this terminal; a sentence where there is none."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM", "dumb") in {"dumb", "unknown", ""}:
        missing = "this terminal cannot draw" if sys.stdin.isatty() and sys.stdout.isatty() else "there is no terminal"
        raise UsageError(
            f"The console needs a terminal that can draw, and {missing}",
            remedy="`sevdeck snapshot` prints one reading of everything",
        )
    config, records = call.config, call.records
    call.open_log()
    import gc

    from console.watch.live import LiveSources

    # Collections while modules load find nothing; the console turns them on again after its first frame.
    gc.disable()
    live = LiveSources(config, begin=True, records=records.path)
    from console.app import run

    return run(config, records.path, live, records.note)


def _parser(words: list[str]) -> ArgumentParser:
    """A parser that knows the module of the first word, or all modules when help or an error is due."""
    import argparse
    import difflib
    from importlib import import_module
    from importlib.util import find_spec

    class Parser(argparse.ArgumentParser):
        """Suggests the nearest word where argparse only lists all."""

        def error(self, message: str) -> Any:
            near = difflib.get_close_matches(words[0], COMMANDS, n=1) if words[0] not in COMMANDS else []
            hint = f" Did you mean `sevdeck {near[0]}`?" if near else f" See `{self.prog} --help`."
            first = f"unknown command {words[0]!r}" if "argument COMMAND" in message else message
            self.exit(2, f"sevdeck: {first}.{hint}\n")

    parser = Parser(
        prog="sevdeck",
        description="An incident console for Docker Compose hosts.",
        epilog=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    wanted = [COMMANDS[words[0]]] if words[0] in COMMANDS else dict.fromkeys(COMMANDS.values())
    for module in wanted:
        if find_spec(f"console.cli.{module}") is not None:
            import_module(f"console.cli.{module}").register(commands)
    return parser


def _complain(error: SevdeckError) -> None:
    text = "\n".join(str(p) for p in error.problems) if isinstance(error, InvalidFileError) else f"sevdeck: {error}"
    with suppress(OSError):
        sys.stderr.write(printed(text) + "\n")
