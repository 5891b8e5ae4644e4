"""What the edge's log says of who asks: several formats, who is loud, and when a block is proposed."""

from __future__ import annotations

import json

import pytest

from console.checks.looks.access import verdict
from console.config import Limits
from console.watch.logline import LineReader

BOUND = Limits(20.0, None)


def common(who: str, path: str, status: int) -> str:
    """As nginx and Apache write it, and as sevdeck reads it."""
    text = f'{who} - - [22/Nov/2026:03:12:01 +0000] "GET {path} HTTP/1.1" {status} 153 "-" "curl/8"'
    return LineReader().read(text).message


def caddy(who: str, path: str, status: int) -> str:
    return json.dumps({"request": {"remote_ip": who, "uri": path}, "status": status})


def traefik(who: str, path: str, status: int) -> str:
    return json.dumps({"ClientHost": who, "RequestPath": path, "DownstreamStatus": status})


@pytest.mark.parametrize("write", [common, caddy, traefik])
def test_an_address_that_is_turned_away_again_and_again_is_told_with_a_block(write) -> None:  # type: ignore[no-untyped-def]
    well = [write("198.51.100.7", "/", 200)] * 500
    bad = [write("1.2.3.4", "/wp-login.php?user=ana&token=abc", 404)] * 30 + [write("1.2.3.4", "/login", 401)] * 5
    (found,) = verdict([*well, *bad], BOUND).findings
    assert found.summary == "1.2.3.4 was turned away 35 times in 15 min: 30 x 404, 5 x 401"
    assert found.evidence == ("of 535 requests in all", "30 x /wp-login.php", "5 x /login")
    assert found.suggestions[0].action == "contain:block:1.2.3.4"


def test_a_proxy_a_client_with_some_mistakes_and_silence_are_no_reason_to_block() -> None:
    proxy = verdict([common("172.19.0.1", "/x", 403)] * 30, BOUND).findings
    assert proxy[0].suggestions[0].action == "none"
    clumsy = [common("1.2.3.4", "/", 200)] * 20 + [common("1.2.3.4", "/x", 404)] * 30
    told = verdict(clumsy, BOUND)
    assert told.findings == () and told.cleared == "50 requests in the edge's log: 30 turned away, 0 failed"
    assert verdict([common("1.2.3.4", "/x", 404)] * 30, Limits(None, None)).findings == ()
    assert verdict(["GET /x took 404 ms", '{"status": "x"}', "{", '{"a":' * 5000], BOUND).cleared == ""


def test_hostile_addresses_and_paths_are_only_text() -> None:
    told = verdict([caddy("$(reboot)\x1b[2J", "/\x1b]0;x\x07", 404)] * 30, BOUND)
    (found,) = told.findings
    assert found.suggestions[0].action == "none"
    assert "\x1b" not in found.summary + "".join(found.evidence) + found.suggestions[0].title
