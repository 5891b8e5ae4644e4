"""Values that are known to be secret, taken from where secrets live, before anything of a bundle is kept.

Environments of containers, `.env` files, what Compose makes of its files, options of commands, our own settings.
Pure but for `env_pairs` of a file's text; who asks for these documents is `console.checks.bundle.known`.
A value without a telling name counts when it looks made by a machine; what stands everywhere (names of services,
paths, plain words) is not taken: replaced everywhere, it would take the sense from the evidence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from console.redact_names import is_no_value, looks_random, names_secret

LEAST, LEAST_UNNAMED = 4, 8  # characters
_COMMON = frozenset(
    re.findall(
        r"\w+",
        """postgres postgresql redis mysql mariadb mongo rabbitmq nginx admin root user guest password passwd secret token
    test tests testing default example sample localhost production staging development debug info warning error
    public private internal service server client database cache worker edge proxy string none null true false
    enabled disabled auto always never strict require prefer verify docker compose""",
    )
)
_USERINFO = re.compile(r"://([^:@/\s]*)(?::(\S*))?@")
_WORDS = re.compile(r"(?i)(?:password|passwd|pwd)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|([^\s;&'\"]+))")
# Shapes of values that say nothing secret: paths, addresses, figures, versions, places, and words joined by - _ .
_BENIGN = re.compile(
    r"(?:[/~.][^\s:]*(?::[/~.][^\s:]*)*|[\w.-]+:\d{1,5}|[-+]?[\d.,:_-]+(?:[a-zA-Z%]{1,3})?|v?\d+(?:\.[\w-]+)+"
    r"|[a-z]{2}_[A-Z]{2}(?:\.\S+)?|[A-Z][A-Za-z]+/[A-Za-z_]+|[0-9a-fA-F:]+:[0-9a-fA-F:]*"
    r"|(?:[A-Z]?[a-z]+|[A-Z]+|v?\d{1,4}|[a-z]+\d{1,2})(?:[-_.,:/ ]+(?:[A-Z]?[a-z]+|[A-Z]+|v?\d{1,4}|[a-z]+\d{1,2}))*)"
)


def values_of(name: str, value: str) -> Iterator[str]:
    """What is secret in one setting: the value, or parts of it (a URL's password, the lines of a key)."""
    value = value.strip()
    parts = list(_inside(value))
    yield from parts
    if names_secret(name):
        yield value
        yield from (line for line in re.split(r"\n|\\n", value) if len(line) >= 16 and "-----" not in line)
    elif not parts and len(value) >= LEAST_UNNAMED and looks_random(value) and not _benign(value):
        yield value


def _benign(value: str) -> bool:
    return "://" in value or value[:1] in ("{", "[") or len(value) > 300 or _BENIGN.fullmatch(value) is not None


def _inside(value: str) -> Iterator[str]:
    for found in _USERINFO.finditer(value):
        told = found[2] if found[2] is not None else (found[1] if len(found[1]) >= 16 else "")
        yield from (told, unquote(told))
    for found in _WORDS.finditer(value):
        yield found[1] or found[2] or ""
    if "-----BEGIN" in value and "PRIVATE KEY" in value:
        yield from (line for line in re.split(r"\n|\\n", value) if len(line) >= 16 and "-----" not in line)
    if "://" in value and "?" in value:
        try:
            pairs = parse_qsl(urlsplit(value).query)
        except ValueError:
            pairs = []
        yield from (told for key, told in pairs if names_secret(key))
    if value[:1] in ("{", "["):
        try:
            yield from values_in(json.loads(value))
        except (ValueError, RecursionError):
            return


def values_in(data: Any) -> Iterator[str]:
    """The secrets in an inspect document or a rendered Compose file: environments, labels, arguments, any setting."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            if isinstance(value, str | int) and not isinstance(value, bool):
                yield from values_of(str(key), str(value)) if _setting(str(key), str(value)) else ()
            elif str(key) in {"Env", "environment", "env"} and isinstance(value, Mapping | list):
                for name, told in pairs(value):
                    yield from values_of(name, told)
            else:
                yield from values_in(value)
    elif isinstance(data, list | tuple):
        words = [word for word in data if isinstance(word, str)]
        yield from arguments(words)
        for item in data:
            if not isinstance(item, str):
                yield from values_in(item)


def _setting(key: str, value: str) -> bool:
    """Not every value of a document is one: its ids, digests and times look random, too."""
    return names_secret(key) or _USERINFO.search(value) is not None or "PRIVATE KEY" in value


def pairs(environment: Mapping[str, Any] | list[Any]) -> Iterator[tuple[str, str]]:
    """(name, value) of an environment in either of its forms."""
    if isinstance(environment, Mapping):
        yield from ((str(key), str(value)) for key, value in environment.items() if value is not None)
    else:
        yield from ((name, value) for name, _, value in (str(one).partition("=") for one in environment))


def arguments(words: Iterable[str]) -> Iterator[str]:
    """Values of options whose names announce a secret: `--requirepass X`, `--token=X`, also in a `sh -c` script."""
    flat = [part for word in words for part in (_split(word) if " " in word else [word])]
    for word, following in zip(flat, [*flat[1:], ""], strict=False):
        name, equals, value = word.lstrip("-").partition("=")
        if equals and (names_secret(name) or _USERINFO.search(value)):
            yield from values_of(name, value.strip("'\""))
        elif (word[:1] == "-" and names_secret(name)) or name in {"requirepass", "masterauth"}:
            yield following.strip("'\"") if following[:1] != "-" else ""
        elif _USERINFO.search(word):
            yield from _inside(word)


def _split(script: str) -> list[str]:
    import shlex

    try:
        return shlex.split(script)
    except ValueError:
        return script.split()


def env_pairs(text: str) -> Iterator[tuple[str, str]]:
    """(name, value) of a `.env` file, quotes taken away; a quoted value may go over several lines."""
    for found in re.finditer(
        r"""^[ \t]*(?:export[ \t]+)?([A-Za-z_][\w.]*)[ \t]*[=:][ \t]*
            (?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([^\n]*))""",
        text,
        re.MULTILINE | re.VERBOSE | re.DOTALL,
    ):
        bare = re.sub(r"\s+#.*", "", found[4] or "").strip()
        double = found[2]
        yield found[1], (double if double is not None else found[3] if found[3] is not None else bare)
        if double is not None and "\\" in double:
            yield found[1], double.replace("\\n", "\n").replace('\\"', '"').replace("\\$", "$").replace("\\\\", "\\")


def usable(values: Iterable[str], everywhere: Iterable[str]) -> frozenset[str]:
    """Those that may be replaced wherever they stand. `everywhere`: names of services, images, ids and the like."""
    stop = {word.lower() for word in everywhere} | _COMMON
    return frozenset(
        value
        for value in map(str.strip, values)
        if len(value) >= LEAST
        and value.lower() not in stop
        and not is_no_value(value)
        and not (value.isdigit() and len(value) < 6)
    )
