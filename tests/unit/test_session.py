"""What logging out would do to a run: read from the files of a systemd host in a directory."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from console.actions import gather, recovery
from console.actions.session import Session
from tests.unit.project_twin import ProjectTwin, config

ANA = 54321  # a user that passwd does not know is called by the number
IN_SESSION = "/user.slice/user-54321.slice/session-3.scope"
IN_MANAGER = "/user.slice/user-54321.slice/user@54321.service/app.slice/tmux.scope"
IN_SERVICE = "/system.slice/sevdeck-watch.service"


class Host:
    """Files of a host that systemd runs, on which everything that is left behind is killed at log-out."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "run/systemd/system").mkdir(parents=True)
        self.write("etc/systemd/logind.conf", "[Login]\n#KillUserProcesses=no\nKillUserProcesses=yes\n")
        self.write("proc/self/cgroup", f"9:name=systemd:{IN_SESSION}\n")
        self.write("bin/systemd-run", "#!/bin/sh\n")
        (root / "bin/systemd-run").chmod(0o755)

    def write(self, name: str, text: str) -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text)

    def linger(self) -> None:
        self.write(f"var/lib/systemd/linger/{ANA}", "")

    def leaver(self, uid: int = ANA) -> str:
        return Session(self.root, uid).ended_by_logout()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return Host(tmp_path)


def test_a_run_that_would_not_outlive_the_log_out_is_foretold(host: Host) -> None:
    assert host.leaver() == str(ANA)


def test_a_user_who_lingers_has_a_way_out_and_root_always_has(host: Host) -> None:
    assert host.leaver(0) == ""
    host.linger()
    assert host.leaver() == ""


def test_without_systemd_run_lingering_is_no_way_out(host: Host) -> None:
    host.linger()
    (host.root / "bin/systemd-run").unlink()
    assert host.leaver() == str(ANA)


def test_where_systemd_does_not_run_the_host_nobody_is_warned(host: Host) -> None:
    (host.root / "run/systemd/system").rmdir()
    assert host.leaver() == ""


def test_a_service_is_in_no_session(host: Host) -> None:
    host.write("proc/self/cgroup", f"0::{IN_SERVICE}\n")
    assert host.leaver() == ""


def test_the_own_systemd_of_a_user_ends_at_the_last_log_out_whatever_logind_does(host: Host) -> None:
    host.write("etc/systemd/logind.conf", "[Login]\nKillUserProcesses=no\n")
    host.write("proc/self/cgroup", f"0::{IN_MANAGER}\n")
    assert host.leaver() == str(ANA)
    host.linger()
    assert host.leaver() == ""


@pytest.mark.parametrize(
    ("main", "killed"),
    [
        ("[Login]\n#KillUserProcesses=no\n", False),
        ("[Login]\n#KillUserProcesses=yes\n", True),  # the comment shows what was compiled in
        ("[Login]\n#KillUserProcesses=yes\nKillUserProcesses=off\n", False),
        ("KillUserProcesses = TRUE\n", True),
        (f"KillUserProcesses=yes\nKillExcludeUsers=root {ANA}\n", False),
        (f"KillUserProcesses=yes\nKillExcludeUsers={ANA}\nKillExcludeUsers=\n", True),
        ("KillUserProcesses=yes\nKillOnlyUsers=bob\n", False),
        (f"KillUserProcesses=yes\nKillOnlyUsers=bob\nKillOnlyUsers={ANA}\n", True),
        ("\0KillUserProcesses\n===\n", False),
    ],
)
def test_the_settings_of_logind_are_read_as_logind_reads_them(host: Host, main: str, killed: bool) -> None:
    host.write("etc/systemd/logind.conf", main)
    assert bool(host.leaver()) is killed


def test_drop_ins_count_after_the_file_by_name_and_the_administrators_hide_the_vendors(host: Host) -> None:
    host.write("usr/lib/systemd/logind.conf.d/50.conf", "KillUserProcesses=no\n")
    assert host.leaver() == ""
    host.write("run/systemd/logind.conf.d/60.conf", "KillUserProcesses=yes\n")
    assert host.leaver() == str(ANA)
    host.write("etc/systemd/logind.conf.d/60.conf", "KillUserProcesses=no\n")
    assert host.leaver() == ""


def test_without_any_file_nothing_is_known_and_nothing_said(host: Host) -> None:
    (host.root / "etc/systemd/logind.conf").unlink()
    assert host.leaver() == ""


def test_roots_scope_is_the_systems_and_a_users_is_his_own(host: Host) -> None:
    program = str(host.root / "bin/systemd-run")
    better, plain = Session(host.root, 0).scopes("sevdeck-run-1", "a run")
    assert better.unit == plain.unit == "sevdeck-run-1.scope"
    assert plain.command[0] == program and "--user" not in plain.command
    assert set(better.command) - set(plain.command) == {"--property=OOMPolicy=continue"}
    host.linger()
    (host.root / f"run/user/{ANA}").mkdir(parents=True)
    first, _ = Session(host.root, ANA).scopes("sevdeck-run-1", "a run")
    assert first.command[:3] == (program, "--user", "--scope")
    assert dict(first.environment) == {"XDG_RUNTIME_DIR": str(host.root / f"run/user/{ANA}")}


def test_the_plan_says_it_with_the_remedy() -> None:
    facts = replace(ProjectTwin().facts(), ended_by_logout="ana")
    (text,) = recovery.plan(1, "", facts, config()).advice
    assert text.endswith("before you start it: loginctl enable-linger ana")
    assert recovery.plan(1, "", ProjectTwin().facts(), config()).advice == ()


async def test_a_look_that_hangs_does_not_hold_a_plan_up(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gather, "Session", lambda: Session(host.root, ANA))
    seen = await gather.gather(config(), tmp_path, driver=ProjectTwin())
    assert seen.ended_by_logout == str(ANA)
    (host.root / "proc/self/cgroup").unlink()
    os.mkfifo(host.root / "proc/self/cgroup")  # nobody ever writes to it
    began = time.monotonic()
    seen = await gather.gather(config(), tmp_path, driver=ProjectTwin())
    assert seen.ended_by_logout == "" and time.monotonic() - began < 5
    os.close(os.open(host.root / "proc/self/cgroup", os.O_WRONLY | os.O_NONBLOCK))  # lets the thread go
