"""Security: each check with what is wrong, with what is right, and with what cannot be known."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from console.actions import standin
from console.checks import baseline, files
from console.checks.baseline import Baseline, ServiceSeen
from console.checks.check import Status
from console.checks.diagnosis import run_all
from console.checks.looks import logins, security, suid
from console.config import ChecksConfig, Limits
from console.errors import SourceError
from console.programs.blueprint import ComposeProject
from tests.unit.made_container import container, document, plan, scene, want
from tests.unit.test_configuration_checks import only

CHECKS = {check.name: check for check in security.CHECKS}
OPEN = {"5432/tcp": [{"HostIp": "0.0.0.0", "HostPort": "15432"}, {"HostIp": "::", "HostPort": "15432"}]}
CLOSED = {"5432/tcp": [{"HostIp": "127.0.0.1", "HostPort": "15432"}]}


def test_what_gives_a_container_the_host_is_told_kind_by_kind() -> None:
    socket = {"Type": "bind", "Source": "/var/run/docker.sock", "Destination": "/var/run/docker.sock", "RW": True}
    well = [container("app"), container("db")]
    bad = [
        container("a", Privileged=True),
        container("b", mounts=[socket]),
        container("c", CapAdd=["CAP_SYS_ADMIN", "CHOWN"]),
        container("d", NetworkMode="host", PidMode="host"),
    ]
    assert only(security.privileged([*well, *bad])).summary == "privileged: a"
    assert only(security.sockets([*well, *bad])).summary == "the engine's socket is mounted: b"
    assert only(security.capabilities([*well, *bad])).summary == "rights over the host: c SYS_ADMIN"
    assert only(security.namespaces([*well, *bad])).summary == "not apart from the host: d (network, pid)"
    for judge in (security.privileged, security.sockets, security.capabilities, security.namespaces):
        assert judge(well) is None


def test_root_is_told_only_where_the_image_wants_somebody_else() -> None:
    as_root = container("app", config={"User": "0:0"})
    assert security.root([as_root], {"sha256:app1": ""}) is None
    assert security.root([container("app")], {"sha256:app1": "node"}) is None
    assert security.root([as_root], {}) is None  # the image does not tell
    assert only(security.root([as_root], {"sha256:app1": "node"})).evidence == ("app: root instead of node",)


def test_a_store_that_the_network_reaches_is_told_once_with_the_line_that_closes_it() -> None:
    bad = container("db", ports=OPEN)
    assert bad.ports and len(bad.ports) == 1  # the IPv6 twin is the same port
    found = only(security.stores([bad], {}))
    assert found.summary == "data open to the network: db on port 15432"
    assert 'db: "127.0.0.1:15432:5432"' in found.suggestions[0].title
    web = container("web", ports={"80/tcp": [{"HostIp": "", "HostPort": "80"}]})
    assert security.stores([container("db", ports=CLOSED), web], {}) is None
    assert only(security.stores([web], {web.id: "cache"})).check == "security.ports"


def test_a_port_that_the_files_do_not_publish_to_all_is_told() -> None:
    web = container("web", ports={"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "80"}]})
    assert security.unnamed([web], plan(want("web", published=("0.0.0.0 80/tcp",)))) is None
    assert security.unnamed([web], plan(problem="not here")) is None
    assert security.unnamed([container("db", ports=CLOSED)], plan()) is None
    found = only(security.unnamed([web], plan(want("web", published=("127.0.0.1 80/tcp",)))))
    assert found.summary == "open to the network and not in the Compose files: web 80"


def settings_file(place: Path, mode: int) -> Path:
    path = place / ".env"
    path.write_text("MODE=live\nDB_PASSWORD=hunter2\n")
    path.chmod(mode)
    return path


def test_a_file_is_open_to_all_when_its_mode_and_the_way_to_it_say_so() -> None:
    with tempfile.TemporaryDirectory() as name:  # not below pytest's own, which is closed to others
        place = Path(name)
        path = settings_file(place, 0o644)
        assert not files.open_to_all(path)  # the directory is its maker's
        place.chmod(0o755)
        assert files.open_to_all(path)
        path.chmod(0o640)
        assert not files.open_to_all(path)


def test_settings_hold_secrets_when_a_name_promises_one_and_has_a_value(tmp_path: Path) -> None:
    path = settings_file(tmp_path, 0o600)
    assert files.holds_secrets(path)
    path.write_text("MODE=live\nDB_PASSWORD=\nAPI_TOKEN=''\n")
    assert not files.holds_secrets(path)


def test_only_what_anybody_may_read_and_holds_secrets_is_told() -> None:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        path, key, own = settings_file(place, 0o644), place / "key", place / "own.toml"
        key.write_text("k")
        key.chmod(0o600)
        own.write_text("dsn")
        own.chmod(0o644)
        project = ComposeProject("shop", (str(place / "compose.yaml"),), name)
        blueprint = plan(project=project, secrets=(str(key),))
        assert security.looked_at(blueprint, [own]) == (3, [path, own])
        path.write_text("MODE=live\n")
        assert security.looked_at(blueprint, []) == (2, [])


def test_files_that_anybody_may_read_are_one_finding_with_the_command() -> None:
    found = only(security.world_readable([Path("/srv/.env"), Path("/srv/key")]))
    assert found.suggestions[0].title == "chmod 600 /srv/.env /srv/key"
    odd = only(security.world_readable([Path("/srv/my shop\x1b[2J/.env")]))
    told = (odd.summary, odd.suggestions[0].title, *odd.evidence)
    assert all(text.isprintable() for text in told) and "'/srv/my shop" in told[1]


FAILED = "Nov 23 13:0{m}:01 web sshd[7]: Failed password for invalid user admin from 10.9.8.7 port 22 ssh2"
AWAY = "Nov 23 13:0{m}:01 web sshd[7]: Connection closed by authenticating user root 10.9.8.6 port 22 [preauth]"
WELL = "Nov 23 13:0{m}:01 web sshd[7]: Accepted publickey for ana from 10.0.0.1 port 22 ssh2"
NOW = datetime(2026, 11, 23, 13, 9, tzinfo=UTC).timestamp()


def test_failed_logins_are_counted_once_each_by_address() -> None:
    invalid = "sshd[7]: Invalid user admin from 10.9.8.7 port 22"
    lines = [invalid, FAILED.format(m=1), invalid, FAILED.format(m=2), AWAY.format(m=3), WELL.format(m=4)]
    assert logins.attempts(lines) == {"10.9.8.7": 2, "10.9.8.6": 1}


def test_failed_logins_are_told_above_the_threshold_with_the_worst_address() -> None:
    limit = Limits(20.0)
    assert logins.judge(Counter({"10.9.8.7": 20}), limit) is None
    assert logins.judge(Counter(), limit) is None
    assert logins.judge(Counter({"10.9.8.7": 99}), Limits()) is None
    found = only(logins.judge(Counter({"10.9.8.6": 1, "10.9.8.7": 20}), limit))
    assert found.summary == "21 failed log-ins over ssh in 10 min, most from 10.9.8.7"


def test_log_ins_are_unknown_only_where_a_server_runs_and_nothing_tells() -> None:
    assert logins.verdict(None, False, Limits(20.0)).cleared == "no ssh server runs here"
    with pytest.raises(SourceError) as unread:
        logins.verdict(None, True, Limits(20.0))
    assert "journal" in unread.value.message and "systemd-journal" in unread.value.remedy
    assert logins.verdict([], True, Limits(20.0)).cleared == "0 failed log-ins over ssh in 10 min"
    (found,) = logins.verdict([FAILED.format(m=1)] * 30, True, Limits(20.0)).findings
    assert found.check == "security.logins"


def test_only_the_last_ten_minutes_of_a_log_file_count(tmp_path: Path) -> None:
    log = tmp_path / "auth.log"
    iso = "2026-11-23T13:0{m}:01.5+00:00 web sshd[7]: Failed password for root from 10.9.8.5 port 22 ssh2"
    old = iso.replace("13:0{m}", "12:58")
    log.write_text("\n".join([old, iso.format(m=5), "no time sshd Failed password for x from y"]) + "\n")
    assert logins.tail([tmp_path / "none", log], NOW) == [iso.format(m=5)]
    assert logins.tail([tmp_path / "none"], NOW) is None


KNOWN = Baseline(1.0, "shop", {"app": ServiceSeen("shop/app:1", "sha256:app1", "h1")}, ("watchtower",))


def test_a_container_that_neither_the_files_nor_the_last_good_look_know_is_unexpected() -> None:
    app, old = container("app"), container("watchtower", project="")
    other = container("miner", project="elsewhere")
    assert security.strangers([app, old, other], KNOWN, {"app"}) is None
    ours = container("app-stand-in", project="", config={"Labels": {standin.LABEL: "app"}})
    assert security.strangers([app, ours], KNOWN, {"app"}) is None
    ended = container("once", project="", state={"Status": "exited"})
    assert security.strangers([app, ended], KNOWN, {"app"}) is None
    found = only(security.strangers([app, old, container("miner", project=""), container("x")], KNOWN, {"app"}))
    assert found.summary == "containers that were not here at the last good look: miner, shop-x-1"


async def test_a_base_that_was_kept_tells_of_a_stranger_until_somebody_accepts_it(tmp_path: Path) -> None:
    check = [CHECKS["security.unexpected"]]
    miner = document("miner", project="")
    async with scene(document("app"), blueprint=plan(want("app")), data_dir=tmp_path) as (here, _):
        (result,) = (await run_all(here, check)).results
        assert (result.status, result.cleared) == (Status.OK, "")  # no base yet: nothing is said
        await baseline.keep(here)
    for accept, found in ((False, True), (True, True), (False, False)):
        async with scene(document("app"), miner, blueprint=plan(want("app")), data_dir=tmp_path) as (here, _):
            (result,) = (await run_all(here, check)).results
            assert [f.check for f in result.findings] == ["security.unexpected"] * found
            await baseline.keep(here, accept=accept)


def test_files_with_anothers_rights_are_found_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    for name, mode in (("tmp/x", 0o4755), ("tmp/g", 0o2750), ("tmp/plain", 0o755), ("tmp/data", 0o4644)):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(mode)
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir").chmod(0o2755)  # a directory only hands its group on
    (tmp_path / "link").symlink_to("/usr/bin/passwd")
    changed = ["/tmp", "/tmp/x", "/tmp/g", "/tmp/plain", "/tmp/data", "/dir", "/link", "/gone", "/tmp/x/under"]
    assert suid.privileged(str(tmp_path), changed) == ["/tmp/g", "/tmp/x"]
    with pytest.raises(OSError):
        suid.privileged(str(tmp_path / "nobody"), changed)
    found = suid.judge({"shop-app-1": ["/tmp/x", "/tmp/\x1b[31my"]})
    assert found.summary == "2 set-user-ID files that the image does not have: shop-app-1"
    assert found.evidence[0] == "shop-app-1: /tmp/x" and "\x1b" not in "".join(found.evidence)


async def test_files_with_anothers_rights_are_looked_for_on_request() -> None:
    check = [CHECKS["security.suid"]]
    running = document("app", state={"Pid": os.getpid()})
    async with scene(running) as (here, engine):
        (result,) = (await run_all(here, check)).results
        assert (result.status, result.cleared) == (Status.OK, "")
        assert not any("changes" in path for path in engine.asked)
    async with scene(running, checks=ChecksConfig(suid_files=True)) as (here, engine):
        engine.answers[f"/containers/{running['Id']}/changes"] = (200, None)  # so it says that there are none
        (result,) = (await run_all(here, check)).results
        assert result.cleared == "no new set-user-ID file in 1 container"
    async with scene(running, checks=ChecksConfig(suid_files=True)) as (here, engine):
        engine.answers[f"/containers/{running['Id']}/changes"] = (500, {"message": "no such layer"})
        (result,) = (await run_all(here, check)).results
        assert result.status is Status.UNKNOWN


@pytest.mark.parametrize("name", ["security.containers", "security.ports", "security.files"])
async def test_every_check_clears_a_well_made_stack_and_says_so(name: str, tmp_path: Path) -> None:
    settings_file(tmp_path, 0o600)
    project = ComposeProject("shop", (str(tmp_path / "compose.yaml"),), str(tmp_path))
    blueprint = plan(want("app"), want("db"), project=project)
    async with scene(document("app"), document("db", ports=CLOSED), blueprint=blueprint) as (here, _):
        (result,) = (await run_all(here, [CHECKS[name]])).results
    assert (result.status, result.findings) == (Status.OK, ()) and result.cleared


@pytest.mark.parametrize("name", ["security.containers", "security.ports", "security.files"])
async def test_every_check_is_unknown_without_an_engine(name: str) -> None:
    async with scene() as (here, engine):
        engine.answers["/containers/json"] = (500, {"message": "no"})
        (result,) = (await run_all(here, [CHECKS[name]])).results
    assert result.status is Status.UNKNOWN and result.findings[0].check == "security.unknown"
