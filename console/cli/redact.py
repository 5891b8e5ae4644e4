"""`sevdeck redact`: copies its input with secrets masked, line by line."""

from __future__ import annotations

import sys
from typing import Any

from console.cli.call import Call
from console.cli.textfile import opened


def register(commands: Any) -> None:
    parser = commands.add_parser("redact", help="copy text with secrets masked")
    parser.add_argument("file", nargs="?", metavar="FILE", help="the text; standard input when left out or -")
    parser.set_defaults(run=_redact)


def _redact(call: Call) -> int:
    from console.redact import PemState, Redactor

    redactor, pem = Redactor(), PemState()
    out = sys.stdout.buffer
    with opened(call.args.file) as source:
        for raw in source:
            # surrogateescape: bytes that are no UTF-8 come out as they went in.
            text = raw.decode("utf-8", errors="surrogateescape")
            body = text.rstrip("\r\n")
            out.write((pem.line(redactor, body) + text[len(body) :]).encode("utf-8", errors="surrogateescape"))
    out.flush()
    return 0
