"""Under a real systemd: what outlives a log-out that kills everything, and the monitor as the service of the documents."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.engine.conftest import without
from tests.engine.small import SmallStack, small_stack
from tests.lab.booted import ROOT, BootedHost, booted_host, engine_socket
from tests.lab.shell import LabError, wait_until

# Business is whether a file is there. The observation lasts until somebody cuts it short.
CONFIG = """\
[docker]
project = "{name}"
[roles]
edge = ["edge"]
app = ["app"]
database = ["store"]
[recovery]
observation = "30m"
[[probes]]
name = "served"
kind = "command"
target = "/usr/bin/test ! -e /srv/unserved"
every = "1s"
business = true
"""
# Without the time for making the image where it is not there yet.
pytestmark = pytest.mark.timeout(180, func_only=True)
BEGIN = 'recover run 1 --confirm "restart app"'


class Place:
    """The host, and a user's data directory on it, which nobody else writes to."""

    def __init__(self, host: BootedHost, user: str, data: str) -> None:
        self.host, self.user, self.data = host, user, data

    def command(self, *words: str) -> str:
        return f"sevdeck {' '.join(words)} --config /etc/sevdeck/sevdeck.toml --data-dir {self.data}"

    def status(self, run_id: str = "") -> dict[str, Any]:
        """Of the newest run; {} before there is one."""
        said = self.host.exec(self.command("recover status", run_id, "--json"), user=self.user, check=False)
        found: dict[str, Any] = json.loads(said) if said else {}
        return found if "run_id" in found else {}

    def until(self, state: str) -> dict[str, Any]:
        found: dict[str, Any] = {}

        def reached() -> bool:
            found.update(self.status())
            return found.get("state") == state

        try:
            wait_until(reached, state, deadline=60, every=0.3)
        except LabError as error:
            raise AssertionError(f"{error}: {found}") from error
        return found

    def log(self, run_id: str) -> str:
        return self.host.exec(f"cat {self.data}/runs/{run_id}/runner.log")

    def finish(self) -> dict[str, Any]:
        """Cut the observation short; how the run, which must be alive for that, ended."""
        self.until("observing")
        self.host.exec(self.command("recover cancel"), user=self.user)
        return self.until("closed")


@pytest.fixture(scope="module")
def stack(engine: str, lab_name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallStack]:
    with small_stack(f"{lab_name}-systemd", tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture(scope="module")
def host(stack: SmallStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BootedHost]:
    if engine_socket() is None:
        without("the engine is reached by no socket file")
    place = tmp_path_factory.mktemp("host")
    (place / "etc").mkdir()
    (place / "etc/sevdeck.toml").write_text(CONFIG.format(name=stack.name))
    with booted_host(f"{stack.name}-host", place) as host:
        yield host


def left_behind(place: Place) -> subprocess.Popen[str]:
    """A session of the user that left a process of its own session behind, began a run and follows it."""
    control = "setsid sleep 2147483647 </dev/null >/dev/null 2>&1 &"
    session = place.host.log_in(place.user, f"{control} {place.command(BEGIN)}")
    place.until("observing")
    assert sleeps(place) == 1
    return session


def sleeps(place: Place) -> int:
    return int(place.host.exec(f"pgrep -c -u {place.user} -x sleep", check=False))


def drop(session: subprocess.Popen[str], place: Place) -> None:
    """The connection is gone, and logind has killed what the user left behind."""
    session.kill()
    session.communicate()
    wait_until(lambda: sleeps(place) == 0, "the end of what was left behind", deadline=60)


@pytest.mark.parametrize(("user", "home"), [("root", "/root"), ("ana", "/home/ana")])
def test_a_run_goes_on_when_log_out_kills_everything_else(host: BootedHost, user: str, home: str) -> None:
    if user == "ana":
        host.exec("loginctl enable-linger ana")
    place = Place(host, user, f"{home}/data")
    drop(left_behind(place), place)
    ended = place.finish()
    assert ended["outcome"] == "ok", ended
    assert re.fullmatch(rf"started in sevdeck-run-{ended['run_id']}-\d+\.scope\n", place.log(ended["run_id"]))


def test_who_does_not_linger_is_told_before_and_the_run_is_ended_indeed(host: BootedHost) -> None:
    host.exec("loginctl disable-linger ana")
    place = Place(host, "ana", "/home/ana/fleeting")
    with host.log_in("ana", place.command("recover plan 1")) as session:
        said, _ = session.communicate(timeout=60)
    assert "would be ended when ana logs out or ssh drops; before you start it: loginctl enable-linger ana" in said
    drop(left_behind(place), place)
    ended = place.until("closed")
    assert ended["reason"] == "validated; the observation was cut short: asked to end by a signal", ended
    assert place.log(ended["run_id"]) == "started by double fork: lingering is off for ana\n"


def service(host: BootedHost, unit: str) -> None:
    """As docs/operations.md says."""
    host.exec(
        "useradd --system --no-create-home --home-dir /nonexistent --groups docker sevdeck && sevdeck init --shared"
        f" && cat > /etc/systemd/system/sevdeck-watch.service <<'END'\n{unit}END\n"
    )
    assert host.exec("systemd-analyze verify /etc/systemd/system/sevdeck-watch.service 2>&1") == ""
    host.exec("systemctl daemon-reload && systemctl start sevdeck-watch")


def shown(host: BootedHost, name: str) -> str:
    return host.exec(f"systemctl show --property {name} --value sevdeck-watch").strip()


def test_the_unit_of_the_documents_keeps_the_monitor_alive_and_its_runs_too(host: BootedHost) -> None:
    found = re.search(r"```ini\n(\[Unit\]\n.*?)```", (ROOT / "docs/operations.md").read_text(encoding="utf-8"), re.S)
    assert found
    service(host, found[1])
    place = Place(host, "root", "/var/lib/sevdeck")

    def beat() -> dict[str, Any]:
        """The heartbeat; {} before the first."""
        said = host.exec("cat /var/lib/sevdeck/monitor/heartbeat.json", check=False)
        found: dict[str, Any] = json.loads(said) if said else {}
        return found

    def watching() -> bool:
        alive = (beat().get("state"), str(beat().get("pid"))) == ("watching", shown(host, "MainPID"))
        return alive and shown(host, "ActiveState") == "active"

    wait_until(watching, "a heartbeat of the service", deadline=30)
    host.exec("systemctl kill --signal KILL sevdeck-watch")
    wait_until(lambda: shown(host, "NRestarts") == "1" and watching(), "another monitor", deadline=60)

    host.exec("touch /srv/unserved")
    wait_until(lambda: bool(place.status()), "a run by itself", deadline=90, every=0.3)
    host.exec("rm /srv/unserved")
    place.until("observing")
    before = shown(host, "MainPID")
    host.exec("systemctl restart sevdeck-watch")
    assert shown(host, "MainPID") != before and shown(host, "ActiveState") == "active"
    assert place.finish()["outcome"] == "ok"

    host.exec("systemctl stop sevdeck-watch")
    assert (shown(host, "ActiveState"), shown(host, "Result")) == ("inactive", "success")
    assert beat()["state"] == "stopped"
