"""Messages of invented programs with the statement that wrote each: what the miner must find again by itself.

A statement is written with `{kind}` where a value goes. Lines are made with a fixed seed, so they are always the same.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

_FIRST = (
    "alice",
    "bob",
    "carla",
    "dmitri",
    "erin",
    "farid",
    "greta",
    "hiro",
    "ines",
    "jonas",
    "kirsten",
    "liu",
    "marta",
)
_THING = (
    "lamp",
    "chair",
    "table",
    "carpet",
    "mirror",
    "drawer",
    "shelf",
    "basket",
    "curtain",
    "pillow",
    "kettle",
    "broom",
)
_HOST = ("db.internal", "cache.internal", "mail.example.org", "api.example.com", "edge-a.lan", "edge-b.lan")


def _hex(r: random.Random, size: int) -> str:
    return "".join(r.choice("0123456789abcdef") for _ in range(size))


_KINDS: dict[str, Callable[[random.Random], str]] = {
    "n": lambda r: str(r.randrange(1, 100_000)),
    "ms": lambda r: f"{r.uniform(0, 900):.2f}ms",
    "size": lambda r: f"{r.uniform(1, 900):.1f} {r.choice(['KB', 'MB', 'B'])}",
    "ip": lambda r: ".".join(str(r.randrange(1, 255)) for _ in range(4)),
    "addr": lambda r: f"10.0.{r.randrange(9)}.{r.randrange(250)}:{r.randrange(1024, 65000)}",
    "host": lambda r: r.choice(_HOST),
    "user": lambda r: r.choice(_FIRST),
    "thing": lambda r: r.choice(_THING),
    "uuid": lambda r: "-".join(_hex(r, size) for size in (8, 4, 4, 4, 12)),
    "hex": lambda r: _hex(r, 12),
    "mac": lambda r: ":".join(_hex(r, 2) for _ in range(6)),
    "path": lambda r: (
        f"/{r.choice(['srv', 'var', 'home'])}/{r.choice(_FIRST)}/{r.choice(_THING)}.{r.choice(['txt', 'db'])}"
    ),
    "url": lambda r: f"https://{r.choice(_HOST)}/{r.choice(_THING)}?page={r.randrange(9)}",
    "mail": lambda r: f"{r.choice(_FIRST)}@example.org",
    "date": lambda r: (
        f"{r.choice(['Mon', 'Tue', 'Fri'])} {r.choice(['Jan', 'Jul', 'Nov'])} {r.randrange(1, 28)} 07:57:30 2026"
    ),
    "quoted": lambda r: f'"{r.choice(_FIRST)} and {r.choice(_THING)}"',
    "maybe": lambda r: r.choice(["null", "true", "false", str(r.randrange(90))]),
}
STATEMENTS: dict[str, tuple[str, ...]] = {
    "shop": (
        "order {n} placed by user {user} for {n} items",
        "order {n} cancelled by user {user}",
        "payment of {n} EUR accepted in {ms}",
        "payment of {n} EUR refused in {ms}",
        "stock of {thing} is low: {n} left",
        "cart expired",
        "cart merged",
    ),
    "gateway": (
        '{ip} "GET /items/{n} HTTP/1.1" 200 {n} {ms}',
        '{ip} "POST /items HTTP/1.1" 201 {n} {ms}',
        "upstream {addr} timed out after {ms} while reading response header",
        "upstream {addr} refused the connection",
        "client {ip} closed the connection after {size}",
        "reloading configuration from {path}",
    ),
    "database": (
        "checkpoint complete: wrote {n} buffers ({n} kB); write={n} s, sync={n} s",
        "relation {quoted} does not exist at character {n}",
        "connection received: host={ip} port={n}",
        "connection authorized: user={user} database=shop",
        "duration: {ms} statement: select pg_sleep",
        "deadlock detected by process {n}",
        "could not open file {path}: No such file or directory",
    ),
    "login": (
        "Accepted publickey for {user} from {ip} port {n}",
        "Failed password for {user} from {ip} port {n}",
        "session opened for user {user} by uid={n}",
        "session closed for user {user}",
        "reverse lookup of {host} [{ip}] failed",
        "Connection reset by {ip} port {n} [preauth]",
    ),
    "storage": (
        "block {hex} replicated to {addr} in {ms}",
        "block {hex} is corrupt, asking {addr} for another copy",
        "volume {uuid} attached to {host}",
        "volume {uuid} detached from {host}",
        "scrub of {path} finished: {n} ok",
        "scrub of {path} finished: {n} failed",
        "heartbeat of {mac} lost for {n} seconds",
    ),
    "jobs": (
        "job {uuid} started on worker-{n}",
        "job {uuid} finished on worker-{n} after {n} seconds",
        "job {uuid} killed on worker-{n} after {n} seconds",
        "next run of report is {date}",
        "sent report to {mail} ({size})",
        "fetching {url}",
        "lease held by {user} moved into room {thing}",
    ),
    "runtime": (
        "gc pause={ms} heap={size} forced={maybe}",
        "thread pool grew: active={n} queued={n} limit={maybe}",
        "plugin loaded",
        "plugin failed",
        "retrying call#{n} to {host}:{n} (attempt {n})",
        "config key {quoted} overridden by environment",
        "onResume:{n} {n}",
        "onPause:{n} {n}",
    ),
    "home": (
        "{thing} moved to the kitchen by {user}",
        "sensor {mac} reports {n} lux",
        "door opened",
        "door closed",
        "update from {url} verified, {size}",
        "update from {url} rejected, {size}",
        "battery of remote at {n} %",
        "rule bedtime ran for room {thing} and lit {n} lights",
    ),
}


def lines(source: str, number: int = 120, seed: str = "") -> list[tuple[str, str]]:
    """(message, statement) of one program; every statement is there. Another `seed`, other values."""
    r = random.Random(seed or source)
    statements = STATEMENTS[source]
    chosen = [statements[n % len(statements)] for n in range(number)]
    r.shuffle(chosen)
    return [(re.sub(r"\{(\w+)\}", lambda m: _KINDS[m[1]](r), one), one) for one in chosen]
