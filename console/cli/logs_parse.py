"""`sevdeck logs parse`: what sevdeck reads in each line of a log, from any file or from standard input."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from datetime import datetime, tzinfo
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from console.cli.as_json import as_json
from console.cli.call import Call
from console.errors import UsageError


def register(commands: Any) -> None:
    parser = commands.add_parser("parse", help="what is read in each line, as JSON lines")
    parser.add_argument("file", metavar="FILE", help="the log; - is standard input")
    parser.add_argument("--now", metavar="TIME", help="resolves dates without a year: RFC 3339 or unix seconds")
    parser.set_defaults(run=_parse)


def _parse(call: Call) -> int:
    from console.cli.textfile import lines, opened
    from console.config import inline_secrets
    from console.redact import PemState, Redactor
    from console.watch.logjoin import OrderedReader
    from console.watch.logstamp import zone_named

    name, now = call.args.file, _moment(call.args.now)
    configured = _configured_zone(call, name)
    zone = zone_named(configured)
    reader = OrderedReader(zone, None if now is None else lambda: now)
    redactor, pem = Redactor(inline_secrets(call.config)), PemState()
    if name == "-":  # somebody may be waiting for each line
        with suppress(AttributeError, ValueError):
            sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    with opened(name) as source:
        for raw in lines(source, name):
            line = reader.read(raw.decode("utf-8", errors="replace"))
            told = {
                "time": told_time(line.time, zone, bool(configured)),
                "level": line.level,
                "source": redactor.text(line.source) or None,
                "message": pem.line(redactor, line.message),
                "continuation": line.continuation,
            }
            # ASCII only: no control sequence gets through, and colours are gone already.
            sys.stdout.write(json.dumps(told) + "\n")
    return 0


def told_time(when: datetime | None, zone: tzinfo | None, configured: bool) -> str | None:
    """RFC 3339 in UTC with microseconds. A time without a zone has no offset, unless one is configured (None: ours).

    >>> told_time(datetime(2026, 11, 22, 3, 12, 1), None, False)
    '2026-11-22T03:12:01.000000'
    """
    if when is None:
        return None
    if when.tzinfo is None:
        if not configured:
            return when.isoformat(timespec="microseconds")
        when = when.replace(tzinfo=zone) if zone is not None else when.astimezone()
    return str(as_json(when))


def _moment(text: str | None) -> float | None:
    """Unix seconds of RFC 3339 or of a number; a time without offset is this host's."""
    if text is None:
        return None
    try:
        at = float(text)
    except ValueError:
        try:
            at = datetime.fromisoformat(text).timestamp()
        except (ValueError, OverflowError):
            at = -1.0  # refused below
    if not 0.0 <= at < 253402214400.0:  # the year 9999
        raise UsageError(f"--now {text} is no time", remedy="Write 2026-11-22T03:12:00Z, or unix seconds")
    return at


def _configured_zone(call: Call, name: str) -> str:
    """`timezone` of the [[logs]] that this file is of; "" when there is none."""
    if name == "-":
        return ""
    path = str(Path(name).absolute())
    for log in call.config.logs:
        if log.path and fnmatchcase(path, str(Path(log.path).expanduser().absolute())):
            return log.timezone
    return ""
