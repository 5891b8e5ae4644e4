"""The http probe: does a URL answer with the right status and text."""

from __future__ import annotations

import json
import re

from console.config import ProbeConfig
from console.watch.probes.result import Answer
from console.watch.web import Page, Web

_STATUS = re.compile(r"[1-5](?:\d\d|xx)$")
_DEFAULT = "2xx"


class Expectation:
    """`expect` of an http probe taken apart: "200", "2xx", "200,204", "body:TEXT", "2xx body:TEXT"."""

    def __init__(self, expect: str) -> None:
        statuses, marker, text = expect.strip().partition("body:")
        self.text = text if marker else ""
        self.statuses = [part for part in re.split(r"[,\s]+", statuses.strip().lower()) if part] or [_DEFAULT]
        wrong = [part for part in self.statuses if not _STATUS.match(part)]
        if wrong:
            raise ValueError(f'expect: "{wrong[0]}" is no status; write 200, 2xx, 200,204 or body:TEXT')

    def status_fits(self, status: int) -> bool:
        """
        >>> Expectation("204,3xx").status_fits(301), Expectation("").status_fits(301)
        (True, False)
        """
        return any(part in (str(status), f"{status // 100}xx") for part in self.statuses)

    def judge(self, page: Page) -> Answer:
        if not self.status_fits(page.status):
            to = f" to {page.location}" if page.location else ""
            return Answer(False, f"{page.status}{to}", f", expected {' or '.join(self.statuses)}")
        if self.text and self.text not in page.body.decode("utf-8", "replace"):
            return Answer(False, str(page.status), f', but the answer lacks "{self.text}"')
        return Answer(True, str(page.status))


async def probe_http(config: ProbeConfig, url: str, web: Web) -> Answer:
    expectation = Expectation(config.expect)
    page = await web.request(
        config.method.upper() or "GET",
        url,
        body=config.body.encode(),
        headers=_headers(config.body),
        deadline=config.timeout,
    )
    return expectation.judge(page)


def _headers(body: str) -> dict[str, str]:
    if not body:
        return {}
    try:
        json.loads(body)
    except ValueError:
        return {"Content-Type": "text/plain; charset=utf-8"}
    return {"Content-Type": "application/json"}
