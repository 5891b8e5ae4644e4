"""An nginx configuration for maintenance, made from the one that runs: same addresses and certificates, answer 503.

Pure: it reads what `nginx -T` prints and writes text. Health checks of the container go on being answered, so that
nobody restarts an edge that does what it was told.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

MARKER = "sevdeck-maintenance"
CONF, PAGE, SAVED = "sevdeck-maintenance.conf", "sevdeck-maintenance.html", ".sevdeck-saved"
_FILE = re.compile(r"^# configuration file (\S+):$", re.MULTILINE)
_TOKEN = re.compile(r"""\s+|#[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[;{}]|(?:\\.|\$\{[^}]*\}|[^\s;{}"'\\])+""")
_MAIN = ("user", "pid", "error_log", "worker_processes", "load_module", "daemon", "master_process", "lock_file")
_HTTP = ("log_format", "access_log", "server_names_hash_bucket_size", "server_names_hash_max_size")
_SERVER = ("listen", "server_name", "http2")
_DEPTH = 20  # of includes within includes


@dataclass(frozen=True, slots=True)
class Directive:
    """`block` None: it ends with a semicolon. Words are as they were written, quotes included."""

    words: tuple[str, ...]
    block: tuple[Directive, ...] | None = None

    @property
    def name(self) -> str:
        return self.words[0]


def files(dump: str) -> dict[str, str]:
    """Path -> text of every file in the output of `nginx -T`; the first is the one nginx was started with."""
    parts = _FILE.split(dump)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def parse(text: str) -> tuple[Directive, ...]:
    """The directives of one file. Raises ValueError for what is no nginx configuration."""
    tokens = (m[0] for m in _TOKEN.finditer(text) if not m[0][0].isspace() and m[0][0] != "#")
    found = tuple(_directives(tokens, top=True))
    return found


def _directives(tokens: Iterator[str], *, top: bool = False) -> Iterator[Directive]:
    words: list[str] = []
    for token in tokens:
        if token == "}":
            if top or words:
                raise ValueError("an unexpected }")
            return
        if token in (";", "{"):
            if not words:
                raise ValueError(f"an unexpected {token}")
            yield Directive(tuple(words), tuple(_directives(tokens)) if token == "{" else None)
            words = []
        else:
            words.append(token)
    if words or not top:
        raise ValueError("it ends in the middle of a directive")


def whole(dump: str) -> tuple[Directive, ...]:
    """The configuration with every include in its place. Raises ValueError."""
    known = files(dump)
    if not known:
        raise ValueError("nginx -T named no file")
    first = next(iter(known))
    return tuple(_with_includes(parse(known[first]), known, posixpath.dirname(first), _DEPTH))


def _with_includes(
    directives: Iterable[Directive], known: dict[str, str], base: str, depth: int
) -> Iterator[Directive]:
    for one in directives:
        if one.name == "include" and len(one.words) == 2:
            pattern = posixpath.normpath(posixpath.join(base, one.words[1].strip("\"'")))
            for path in sorted(known):
                if depth and (path == pattern or fnmatch.fnmatchcase(path, pattern)):
                    yield from _with_includes(parse(known[path]), known, base, depth - 1)
        elif one.block is not None:
            yield Directive(one.words, tuple(_with_includes(one.block, known, base, depth)))
        else:
            yield one


def maintenance(dump: str, health: Sequence[str], *, plain: bool = False) -> str:
    """The configuration that answers 503. `health`: paths that are answered 200; `plain`: without what may rest on
    variables that are no longer defined. Raises ValueError when the dump is no web server's configuration."""
    tree = whole(dump)
    http = next((d.block for d in tree if d.name == "http" and d.block is not None), None)
    if http is None:
        raise ValueError("it has no http block")
    servers = [d.block for d in http if d.name == "server" and d.block is not None]
    if not servers:
        raise ValueError("it has no server")
    directory = posixpath.dirname(next(iter(files(dump))))
    lines = [f"# {MARKER}", *_text(d for d in tree if d.name in _MAIN and d.block is None)]
    lines += ["events { worker_connections 512; }", *_text(d for d in tree if d.name == "stream"), "http {"]
    lines += _text(d for d in http if _kept(d, () if plain else _HTTP))
    if plain:
        lines.append("access_log off;")
    for block in servers:
        lines += ["server {", *_text(d for d in block if _kept(d, _SERVER)), *_answers(directory, health), "}"]
    return "\n".join([*lines, "}", ""])


def _kept(directive: Directive, names: Sequence[str]) -> bool:
    return directive.block is None and (directive.name in names or directive.name.startswith("ssl_"))


def _answers(directory: str, health: Sequence[str]) -> list[str]:
    return [
        f"error_page 503 /{PAGE};",
        *(f'location = {path} {{ access_log off; default_type text/plain; return 200 "ok\\n"; }}' for path in health),
        f"location = /{PAGE} {{ internal; root {directory}; default_type text/html; charset utf-8;"
        " add_header Retry-After 300 always; add_header Cache-Control no-store always; }",
        "location / { return 503; }",
    ]


def _text(directives: Iterable[Directive]) -> list[str]:
    lines = []
    for one in directives:
        if one.block is None:
            lines.append(" ".join(one.words) + ";")
        else:
            lines += [" ".join(one.words) + " {", *_text(one.block), "}"]
    return lines


_URL_PATH = re.compile(r"https?://[^\s/'\"]+(/[\w./~-]*)")


def health_paths(check: Sequence[str]) -> tuple[str, ...]:
    """Paths that a container's own health check asks for; / is none, because users ask for it too.

    >>> health_paths(["curl", "-fsS", "http://127.0.0.1/edge-health"])
    ('/edge-health',)
    """
    found = _URL_PATH.findall(" ".join(check))
    return tuple(dict.fromkeys(path for path in found if path != "/"))


def page(text: str = "") -> str:
    """What users see, with the mark by which we know our own page; `text` is a page of your own."""
    body = text or (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        "<title>Maintenance</title><body style='font:18px sans-serif;max-width:32em;margin:15vh auto;padding:0 1em'>"
        "<h1>We will be right back</h1><p>The service is being worked on. Please try again in a few minutes.</p>"
    )
    return f"{body}\n<!-- {MARKER} -->\n"
