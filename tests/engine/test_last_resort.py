"""A rebuild that fails and cannot be put back: the data tier is up, users see a page, and the next run takes over."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.engine.test_recovery import Sevdeck, configured
from tests.lab.lab import Lab
from tests.lab.shell import run

_THIEF = """\
import socket, sys, time
while True:
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            thief.bind(("127.0.0.1", int(sys.argv[1])))
            thief.listen()
        except OSError:
            time.sleep(0.02)
            continue
        time.sleep(3600)
"""


@contextmanager
def port_thief(port: int) -> Iterator[None]:
    """A program of the host that takes the port in the moment in which it is free, so that no container gets it."""
    thief = subprocess.Popen([sys.executable, "-c", _THIEF, str(port)])
    try:
        yield
    finally:
        thief.kill()
        thief.wait(10)


@pytest.fixture
def sevdeck(healthy_lab: Lab, tmp_path: Path) -> Sevdeck:
    return Sevdeck(tmp_path, configured(healthy_lab))


@pytest.mark.scenario("nothing can be brought up again: data up, users see the maintenance page")
@pytest.mark.timeout(400)
def test_what_cannot_be_brought_up_again_leaves_the_data_up_and_users_with_a_page(
    healthy_lab: Lab, sevdeck: Sevdeck
) -> None:
    stack = healthy_lab.stack
    page = f"{stack.project}-sevdeck-page"
    rows = int(stack.sql("select count(*) from messages"))
    try:
        with port_thief(stack.ports.app):
            done = sevdeck("recover", "run", "3", "--confirm", stack.project, "--json", deadline=300)
            assert (done.code, done.data["outcome"]) == (1, "failed"), done.out
            assert "call a person; users see the maintenance page" in done.data["reason"]
            for url in (f"http://127.0.0.1:{stack.ports.edge}/webhook", f"https://127.0.0.1:{stack.ports.tls}/x"):
                said = run(["curl", "-sk", "-i", "-m", "5", url], timeout=10, check=False).stdout
                assert " 503" in said.splitlines()[0], said
                assert "We will be right back" in said
            assert int(stack.sql("select count(*) from messages")) >= rows
        # Somebody freed the port: a rebuild takes over, and the page goes by itself.
        plan = sevdeck("recover", "plan", "3", "--json").data
        assert "more of the same does not mend it" in plan["refused"]  # not: the port is taken by the page
        again = sevdeck("recover", "run", "3", "--confirm", plan["confirm"], "--override", "the port is free", "--json")
        assert again.code == 0, again.out + again.err
        assert stack.http("/readyz") == "200"
        assert page not in stack.docker("ps", "--all", "--format", "{{.Names}}").stdout
        assert int(stack.sql("select count(*) from messages")) >= rows
    finally:
        stack.docker("rm", "--force", page, check=False)
        if not healthy_lab.is_well():
            healthy_lab.reset()
