"""The http metric: a number inside a JSON answer, found by a path like `sla.items[0].value`.

Metrics of one URL share one request: a sick application is not asked eight times for the same page.
"""

from __future__ import annotations

import asyncio
import json
import re

from console.config import MetricConfig, resolve_secret
from console.watch.metrics.point import Sample, number
from console.watch.web import Web

_DEADLINE = 5.0
_SHARED = 2.0  # seconds for which one answer serves all metrics of its URL
_STEP = re.compile(r'(?P<dot>\.)?(?:(?P<key>[^.\[\]"]+)|\[(?P<index>-?\d+)\]|\["(?P<quoted>[^"]*)"\])')


class Pages:
    """JSON documents by URL, fetched at most once in two seconds."""

    def __init__(self, web: Web) -> None:
        self._web = web
        self._pages: dict[str, tuple[float, asyncio.Task[object]]] = {}

    async def get(self, url: str) -> object:
        """The document behind a URL. Raises ValueError for one that is none, else what `Web.request` does."""
        await self._web.ready()
        now = asyncio.get_running_loop().time()
        began, task = self._pages.get(url, (0.0, None))
        if task is None or (task.done() and now - began >= _SHARED):
            task = asyncio.create_task(self._fetch(url))
            self._pages[url] = (now, task)
        return await asyncio.shield(task)

    async def _fetch(self, url: str) -> object:
        page = await self._web.request(
            "GET", resolve_secret(url), headers={"Accept": "application/json"}, deadline=_DEADLINE
        )
        if not 200 <= page.status < 300:
            raise ValueError(f"it answers {page.status}")
        try:
            document: object = json.loads(page.body)
        except ValueError:
            raise ValueError("the answer is no JSON") from None
        return document

    async def close(self) -> None:
        tasks = [task for _, task in self._pages.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._web.close()


class PageGauge:
    """One number of one page."""

    def __init__(self, config: MetricConfig, pages: Pages, every: float) -> None:
        self.every = every
        self.deadline = _DEADLINE
        self._url = config.source
        self._path = config.field
        self._pages = pages

    async def measure(self, now: float) -> Sample:
        found = find(await self._pages.get(self._url), self._path)
        if found is None:
            return Sample(None, fault=f"{self._path} is null")
        value = number(found)
        if value is None:
            raise ValueError(f"{self._path or 'the answer'} is no number")
        return Sample(value)

    async def close(self) -> None:
        """The pages are closed by their owner."""


def steps(path: str) -> list[str | int]:
    """A path taken apart. Raises ValueError for one that is none.

    >>> steps('a.b[0].c["x.y"]')
    ['a', 'b', 0, 'c', 'x.y']
    """
    found: list[str | int] = []
    at = 0
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None or (match["key"] and bool(found) != bool(match["dot"])):
            raise ValueError(f'field "{path}" is no path; write a.b[0].c')
        if match["index"] is not None:
            found.append(int(match["index"]))
        else:
            found.append(match["key"] or match["quoted"])
        at = match.end()
    return found


def find(document: object, path: str) -> object:
    """What stands at a path. Raises ValueError that names the first part that is missing.

    >>> find({"sla": [{"p95": 0.4}]}, "sla[0].p95")
    0.4
    """
    here = document
    walked = ""
    for step in steps(path):
        place = walked or "the answer"
        if isinstance(step, int):
            if not isinstance(here, list):
                raise ValueError(f"{place} is no list")
            if not -len(here) <= step < len(here):
                raise ValueError(f"{place} has {len(here)} items, no [{step}]")
            here, walked = here[step], f"{walked}[{step}]"
            continue
        if here is None:
            return None
        if not isinstance(here, dict) or step not in here:
            raise ValueError(f'no "{step}" in {place}')
        here, walked = here[step], f"{walked}.{step}" if walked else step
    return here
