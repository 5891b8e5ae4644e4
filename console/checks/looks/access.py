"""What the access log of the edge says of who asks: one address that is turned away again and again.

Common and combined format, and JSON with the usual names. Of the last 15 minutes; the address is the one that the edge
logged, which behind a proxy is the proxy's.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from console.checks.check import Finding, Suggestion, advice
from console.checks.diagnosis import Looked
from console.checks.looks.log_tails import Heard, heard
from console.checks.made import count
from console.checks.scene import Scene
from console.config import Limits
from console.redact import redact

_LINE = re.compile(
    r'^(?P<who>[0-9A-Fa-f.:]{3,45}) [^"]{0,200}"[A-Z]{3,10} (?P<path>\S{1,400})[^"]{0,40}" (?P<status>[1-5]\d\d)\b'
)
_WHO = ("remote_ip", "remote_addr", "client_ip", "ClientHost", "remoteAddress", "ip")
_PATH = ("uri", "request_uri", "RequestPath", "path", "url")
_STATUS = ("status", "DownstreamStatus", "status_code", "statusCode")
_TURNED_AWAY = {400, 401, 403, 404, 405, 414, 421}  # not 408, 429, 499: those are of load
_SHARE = 0.8  # of what one address asked
_PATHS = 3


class Asked(NamedTuple):
    who: str
    path: str
    status: int


async def look(scene: Scene) -> Looked:
    some = await heard(scene)
    stack = await scene.stack()
    edges = set(stack.with_role("edge"))
    lines = [one.message for h in _of(some, edges) for one in h.recent]
    bound = scene.config.thresholds.get("turned_away", Limits())
    return await asyncio.to_thread(verdict, lines, bound)


def _of(some: Sequence[Heard], edges: set[str]) -> Iterable[Heard]:
    """The logs of the edge; where no service is one, all."""
    return [one for one in some if one.label in edges] or some


def verdict(lines: Iterable[str], bound: Limits) -> Looked:
    requests = list(_requests(lines))
    if not requests:
        return Looked()
    asked, away = Counter(r.who for r in requests), Counter(r.who for r in requests if r.status in _TURNED_AWAY)
    limit = bound.warn
    loud = [w for w, times in away.most_common() if limit is not None and times > limit and times >= _SHARE * asked[w]]
    worse = sum(r.status >= 500 for r in requests)
    refused = sum(away.values())
    cleared = f"{count(len(requests), 'request')} in the edge's log: {refused} turned away, {worse} failed"
    return Looked((_finding(loud[0], requests, len(loud)),) if loud else (), cleared)


def _requests(lines: Iterable[str]) -> Iterator[Asked]:
    for text in lines:
        if text.startswith("{"):
            if (found := _structured(text)) is not None:
                yield found
        elif (match := _LINE.match(text)) is not None:
            yield Asked(match["who"], _plain(match["path"]), int(match["status"]))


def _structured(text: str) -> Asked | None:
    try:
        data: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    inner = data.get("request")
    known = {**(inner if isinstance(inner, dict) else {}), **data}
    who, path, status = (next((known[n] for n in names if n in known), None) for names in (_WHO, _PATH, _STATUS))
    if not isinstance(who, str) or not isinstance(path, str) or not str(status).isdecimal():
        return None
    return Asked(who, _plain(path), int(str(status)[:3]))


def _plain(path: str) -> str:
    """Without what was asked for: that holds tokens and names."""
    return redact(path.partition("?")[0][:120])


def _finding(who: str, requests: Sequence[Asked], loud: int) -> Finding:
    mine = [r for r in requests if r.who == who and r.status in _TURNED_AWAY]
    statuses = ", ".join(f"{times} x {status}" for status, times in Counter(r.status for r in mine).most_common())
    paths = [f"{times} x {path}" for path, times in Counter(r.path for r in mine).most_common(_PATHS)]
    others = f", so are {loud - 1} others" if loud > 1 else ""
    text = f"{who} was turned away {len(mine)} times in 15 min{others}: {statuses}"
    return advice("security.turned_away", text, [f"of {count(len(requests), 'request')} in all", *paths], _block(who))


def _block(who: str) -> Suggestion:
    """Blocking is for an address of the internet: one of a private network is mostly a proxy's, and many are behind it."""
    against = "it is a client of yours with an old password or an old address"
    try:
        outside = ipaddress.ip_address(who).is_global
    except ValueError:
        outside = False
    if not outside:
        why = "the edge sees the address of a proxy or of the engine's own network: many users may stand behind it"
        return Suggestion(f"find out who stands behind {who}", why, "none", 0.4, falsified_by=against)
    why = "it tries passwords or looks for holes; a block drops what it sends, and is taken back when its time is over"
    cost = "whoever shares this address is blocked, too"
    return Suggestion(f"block {who} for a while", why, f"contain:block:{who}", 0.5, cost=cost, falsified_by=against)
