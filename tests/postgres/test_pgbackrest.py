"""The hook for pgBackRest on a real cluster with a real repository: made, listed, verified, found damaged, restored."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from console.actions.backup.hooks import pgbackrest
from tests.postgres.cluster import AbsentError, Server, home, identity, spare_port
from tests.postgres.conftest import absent

STANZA = "shop"
ROWS = 2000


@dataclass(frozen=True)
class Archive:
    """A cluster that archives into a repository, and sevdeck with the hook."""

    server: Server
    place: Path
    hook: str

    def sql(self, text: str, data: Path | None = None) -> str:
        """By the socket in `place`; `data` names another cluster's directory, whose port is the next one."""
        port = self.server.port + (1 if data else 0)
        argv = [str(self.server.bin / "psql"), "-X", "-A", "-t", "-h", str(self.place), "-p", str(port)]
        done = subprocess.run(
            [*argv, "-U", "postgres", "-c", text], check=True, capture_output=True, text=True, timeout=30, cwd="/"
        )
        return done.stdout.strip()

    def sevdeck(self, *words: str) -> tuple[int, dict[str, Any], str]:
        argv = [sys.executable, "-m", "console", "--config", str(self.place / "sevdeck.toml")]
        argv += ["--data-dir", str(self.place / "data"), "--json", "backup", *words]
        done = subprocess.run(
            argv, check=False, capture_output=True, text=True, timeout=100, cwd=Path(__file__).parents[2]
        )
        return done.returncode, json.loads(done.stdout or "{}"), done.stderr

    def control(self, data: Path, *words: str) -> None:
        log = str(self.place / f"{data.name}.log")
        argv = [str(self.server.bin / "pg_ctl"), "-D", str(data), "-w", "-l", log, *words]
        subprocess.run(
            argv, check=True, timeout=60, cwd="/", **identity(self.server.user), stdout=subprocess.DEVNULL
        )  # fmt: skip


@pytest.fixture(scope="module")
def archive() -> Iterator[Archive]:
    if shutil.which("pgbackrest") is None:
        absent("pgbackrest is not installed (Debian: apt-get install pgbackrest)")
    try:
        with home() as (programs, place, user):
            found = _archive(programs, place, user)
            try:
                yield found
            finally:
                found.control(found.server.data, "-m", "immediate", "stop")
    except AbsentError as error:
        absent(str(error))


def _archive(programs: Path, place: Path, user: str) -> Archive:
    server = Server(programs, place / "cluster", spare_port(), user)
    for name in ("repository", "log", "lock", "spool"):
        (place / name).mkdir()
        if os.geteuid() == 0:
            shutil.chown(place / name, user)
    settings = place / "pgbackrest.conf"
    settings.write_text(
        f"[global]\nrepo1-path={place}/repository\nlog-path={place}/log\nlock-path={place}/lock\n"
        f"spool-path={place}/spool\nlog-level-file=off\nstart-fast=y\nrepo1-retention-full=9\n"
        f"[{STANZA}]\npg1-path={server.data}\npg1-socket-path={place}\npg1-port={server.port}\npg1-user=postgres\n"
    )
    asked = [str(programs / "initdb"), "-D", str(server.data), "-U", "postgres", "-A", "trust", "--no-sync"]
    subprocess.run(asked, check=True, timeout=60, cwd="/", stdout=subprocess.DEVNULL, **identity(user))
    with (server.data / "postgresql.conf").open("a") as file:
        file.write(
            f"port={server.port}\nlisten_addresses=''\nunix_socket_directories='{place}'\nfsync=off\narchive_mode=on\n"
            f"archive_command='pgbackrest --config={settings} --stanza={STANZA} archive-push %p'\n"
        )
    words = f"{sys.executable} {pgbackrest.__file__} --stanza {STANZA} --config {settings}"
    if os.geteuid() == 0:  # what root writes into a repository the server's user cannot go on with
        words += f" --command 'runuser -u {user} -- pgbackrest' --restore-command pgbackrest"
    (place / "sevdeck.toml").write_text(f'[docker]\nproject = "shop"\n[backup]\nhook = "{words}"\n')
    found = Archive(server, place, words)
    found.control(server.data, "start")
    subprocess.run(
        ["pgbackrest", f"--config={settings}", f"--stanza={STANZA}", "stanza-create"],
        check=True,
        timeout=60,
        cwd="/",
        **identity(user),
    )
    found.sql(f"create table messages as select i as id, md5(i::text) as body from generate_series(1, {ROWS}) i")
    return found


@pytest.mark.scenario("pgBackRest by the hook: repository damaged, then brought back")
def test_made_listed_verified_rehearsed_damaged_and_brought_back(archive: Archive, tmp_path: Path) -> None:
    code, listed, _ = archive.sevdeck("list")
    assert (code, listed["backups"], listed["alarms"]) == (1, [], ["there is no backup"])

    code, made, said = archive.sevdeck("create")
    assert code == 0, said
    assert (made["source"], made["size"] > 1_000_000) == ("hook", True)
    code, checked, said = archive.sevdeck("verify", "--restore")
    assert (code, checked["good"]) == (0, True), said
    assert checked["checks"][1]["summary"].startswith("restored: ")
    assert list((archive.place / "data" / "backups" / "hook").glob("rehearsal-*")) == []
    code, listed, _ = archive.sevdeck("list")
    assert (code, listed["alarms"]) == (0, [])
    assert [(b["id"], b["verified"]["how"]) for b in listed["backups"]] == [(made["id"], "restored")]

    # An incremental one stands on the first.
    archive.sql("insert into messages select i, 'more' from generate_series(1, 10) i")
    code, second, said = archive.sevdeck("create")
    assert code == 0, said
    assert second["id"].startswith(made["id"] + "_")
    assert archive.sevdeck("verify", second["id"])[:1] == (0,)

    _brought_back(archive, second["id"])
    _damaged(archive, made["id"], second["id"])


def _brought_back(archive: Archive, ident: str) -> None:
    """A server starts from what the hook restored, and the rows are there; the live one was never touched."""
    target = archive.place / "restored"
    target.mkdir()
    argv = [*shlex.split(archive.hook), "restore", ident, str(target)]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=100)
    assert json.loads(done.stdout) == {"id": ident, "directory": str(target)}
    again = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=100)
    assert (again.returncode, "is not empty" in again.stderr) == (3, True)
    if os.geteuid() == 0:
        for path in (target, *target.rglob("*")):
            shutil.chown(path, archive.server.user)
    target.chmod(0o700)
    archive.control(target, "-o", f"-c port={archive.server.port + 1}", "start")
    try:
        assert archive.sql("select count(*) from messages", target) == str(ROWS + 10)
        assert archive.sql("show archive_mode", target) == "off"
    finally:
        archive.control(target, "-m", "immediate", "stop")
    assert archive.sql("select count(*) from messages") == str(ROWS + 10)


def _damaged(archive: Archive, first: str, second: str) -> None:
    """One byte in the first backup makes both bad: pgBackRest's own exit code would not tell."""
    files = sorted((archive.place / "repository" / "backup" / STANZA / first / "pg_data").rglob("*.gz"))
    largest = max(files, key=lambda file: file.stat().st_size)
    raw = bytearray(largest.read_bytes())
    raw[len(raw) // 2] ^= 1
    largest.write_bytes(raw)
    for ident in (first, second):
        code, checked, _ = archive.sevdeck("verify", ident)
        assert (code, checked["good"], checked["verified"]) == (1, False, None)
        assert f"backup {ident} is invalid" in checked["checks"][0]["summary"]


def test_what_does_not_exist_is_named(archive: Archive) -> None:
    words = [
        *shlex.split(archive.hook)[:-2],
        "--config",
        str(archive.place / "pgbackrest.conf"),
        "verify",
        "20200101-000000F",
    ]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.strip()) == (1, "there is no backup 20200101-000000F")
    words = [*shlex.split(archive.hook), "--stanza", "nosuch", "list"]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.strip()) == (1, "stanza nosuch: missing stanza path")
    words = [*shlex.split(archive.hook), "--command", "/nowhere/pgbackrest", "list"]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.strip()) == (1, "/nowhere/pgbackrest: No such file or directory")
