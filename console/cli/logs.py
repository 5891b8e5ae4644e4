"""`sevdeck logs`: what sevdeck reads in log files."""

from __future__ import annotations

from typing import Any

from console.cli import logs_analyze, logs_parse


def register(commands: Any) -> None:
    parser = commands.add_parser("logs", help="what sevdeck reads in log files")
    words = parser.add_subparsers(metavar="WORD", required=True)
    logs_parse.register(words)
    logs_analyze.register(words)
