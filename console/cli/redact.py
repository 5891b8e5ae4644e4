"""`sevdeck redact`: copies its input with secrets masked, line by line."""

from __future__ import annotations

import sys
from typing import Any

from console.cli.call import Call
from console.cli.textfile import opened


def register(commands: Any) -> None:
    parser = commands.add_parser("redact", help="copy text with secrets masked")
    parser.add_argument("file", nargs="?", metavar="FILE", help="the text; standard input when left out or -")
    parser.add_argument("--people", action="store_true", help="telephone numbers, mail addresses, CPF and CNPJ too")
    parser.set_defaults(run=_redact)


def _redact(call: Call) -> int:
    from console.redact import PemState, Redactor
    from console.redact_people import People

    redactor, pem = Redactor(), PemState()
    people = People() if call.args.people else None
    out = sys.stdout.buffer
    with opened(call.args.file) as source:
        for raw in source:
            # surrogateescape: bytes that are no UTF-8 come out as they went in.
            text = raw.decode("utf-8", errors="surrogateescape")
            body = text.rstrip("\r\n")
            done = pem.line(redactor, body)
            if people is not None:
                done = people.text(done)
            out.write((done + text[len(body) :]).encode("utf-8", errors="surrogateescape"))
    out.flush()
    return 0
