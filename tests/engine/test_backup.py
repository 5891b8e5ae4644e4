"""Backups that are cut short on the real stack: however they end, no file looks like one and no dump runs on."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.test_recovery import Sevdeck, configured
from tests.lab.lab import Lab
from tests.lab.shell import wait_until

AT_ONCE = 8  # seconds; the dump itself would wait for ever


@pytest.fixture
def sevdeck(healthy_lab: Lab, tmp_path: Path) -> Sevdeck:
    return Sevdeck(tmp_path, configured(healthy_lab))


def at_work(lab: Lab) -> str:
    """What runs in the database's container."""
    return lab.stack.docker("top", lab.stack.container("postgres"), "-eo", "pid,args").stdout


def dumping(lab: Lab) -> bool:
    return "pg_dump -Fc" in at_work(lab)


def all_gone(lab: Lab) -> bool:
    """Neither the dump nor the session that holds its snapshot, nor anything else of ours."""
    running = at_work(lab)
    return "pg_dump" not in running and "PGAPPNAME=sevdeck" not in running


@contextlib.contextmanager
def endless(lab: Lab, sevdeck: Sevdeck) -> Iterator[None]:
    """The database to back up is one whose dump waits for ever: somebody holds a table, as a migration would.

    It is an unlogged one: rows of those are not counted, so that only the dump itself waits.
    """
    stack = lab.stack

    def psql(text: str, where: str = "postgres") -> str:
        return stack.inside("postgres", "psql", "-X", "-U", "postgres", "-d", where, "-Atc", text, timeout=60)

    psql("DROP DATABASE IF EXISTS endless WITH (FORCE)")
    psql("CREATE DATABASE endless")
    psql("CREATE UNLOGGED TABLE t AS SELECT i FROM generate_series(1, 1000) i", "endless")
    with sevdeck.config.open("a", encoding="utf-8") as file:
        file.write('[backup]\ndatabase = "endless"\n')
    lock = "BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(150)"
    argv = ["docker", "exec", stack.container("postgres"), "psql", "-X", "-U", "postgres", "-d", "endless", "-c", lock]
    holder = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        seen = (
            "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND relation = 't'::regclass"
        )
        wait_until(lambda: psql(seen, "endless") == "1", "the lock", deadline=30)
        yield
    finally:
        psql("DROP DATABASE endless WITH (FORCE)")
        holder.wait(timeout=30)


def left(place: Path) -> list[str]:
    return sorted(p.name for p in place.iterdir())


@pytest.mark.scenario("backup interrupted by a signal")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_that_is_told_to_stop_takes_everything_along(
    healthy_lab: Lab, sevdeck: Sevdeck, number: signal.Signals
) -> None:
    with endless(healthy_lab, sevdeck):
        making = sevdeck.background("backup", "create")
        wait_until(lambda: dumping(healthy_lab), "the dump", deadline=60, every=0.1)
        making.send_signal(number)
        out, _ = making.communicate(timeout=30)
        assert making.returncode == 130, out
        assert "Traceback" not in out
        wait_until(lambda: all_gone(healthy_lab), "its end in the container", deadline=AT_ONCE)
        assert left(sevdeck.data / "backups") == []
        assert sevdeck("backup", "list", "--json").data["alarms"] == ["there is no backup"]


@pytest.mark.scenario("backup killed")
def test_one_that_is_killed_takes_its_dump_along_and_the_next_tidies_up(healthy_lab: Lab, sevdeck: Sevdeck) -> None:
    with endless(healthy_lab, sevdeck):
        making = sevdeck.background("backup", "create")
        wait_until(lambda: dumping(healthy_lab), "the dump", deadline=60, every=0.1)
        refused = sevdeck("backup", "create")
        assert refused.code == 3  # one at a time, and no recovery meanwhile
        assert "backup" in refused.err
        making.kill()
        making.communicate(timeout=30)
        wait_until(lambda: all_gone(healthy_lab), "its end in the container", deadline=AT_ONCE)
        assert all(name.endswith(".part") for name in left(sevdeck.data / "backups"))
    made = sevdeck("backup", "create")
    assert made.code == 3, made.out  # the database is gone: but what was left is swept first
    assert left(sevdeck.data / "backups") == []


@pytest.mark.scenario("backup target full")
def test_a_disk_that_fills_up_in_the_middle_leaves_nothing(healthy_lab: Lab, sevdeck: Sevdeck, tmp_path: Path) -> None:
    """The one before was small, so there seems to be room."""
    if os.getuid() != 0:
        pytest.skip("mounting a small disk needs root")
    stack = healthy_lab.stack
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(small)], check=True)
    try:
        with sevdeck.config.open("a", encoding="utf-8") as file:
            file.write(f'[backup]\ndirectory = "{small}"\ndatabase = "large"\n')
        (small / "20200101-000000-000000.json").write_text(json.dumps(SMALL))
        stack.inside("postgres", "psql", "-U", "postgres", "-c", "CREATE DATABASE large")
        fill = "CREATE TABLE t AS SELECT md5(i::text) AS x FROM generate_series(1, 300000) i"
        stack.inside("postgres", "psql", "-U", "postgres", "-d", "large", "-c", fill, timeout=60)
        made = sevdeck("backup", "create")
        assert made.code == 1, made.out + made.err
        assert "no space left" in made.err.lower()
        assert left(small) == ["20200101-000000-000000.json"]
        wait_until(lambda: all_gone(healthy_lab), "its end in the container", deadline=AT_ONCE)
    finally:
        stack.inside("postgres", "psql", "-U", "postgres", "-c", "DROP DATABASE IF EXISTS large WITH (FORCE)")
        subprocess.run(["umount", str(small)], check=True)


SMALL = {
    "format": 1,
    "id": "20200101-000000-000000",
    "created_at": 1577836800.0,
    "project": "x",
    "database": "large",
    "server": 15,
    "size": 1000,
    "sha256": "0",
    "dump": "20200101-000000-000000.dump",
}


@pytest.mark.scenario("database killed during its backup")
def test_a_database_that_dies_in_the_middle_is_said_and_leaves_nothing(healthy_lab: Lab, sevdeck: Sevdeck) -> None:
    with endless(healthy_lab, sevdeck):
        making = sevdeck.background("backup", "create")
        wait_until(lambda: dumping(healthy_lab), "the dump", deadline=60, every=0.1)
        healthy_lab.stack.docker("kill", healthy_lab.stack.container("postgres"))
        out, _ = making.communicate(timeout=60)
        healthy_lab.stack.docker("start", healthy_lab.stack.container("postgres"))
        healthy_lab.stack.wait_well()
        assert making.returncode in (1, 4), out
        assert "Traceback" not in out
        assert left(sevdeck.data / "backups") == []


def test_what_a_damaged_one_was_is_forgotten(healthy_lab: Lab, sevdeck: Sevdeck) -> None:
    """Verified once, damaged since: no rule may go on keeping it as the good one."""
    made = sevdeck("backup", "create", "--json").data
    assert sevdeck("backup", "verify", "--json").data["verified"]["how"] == "decoded"
    dump = Path(made["path"])
    raw = bytearray(dump.read_bytes())
    raw[-40] ^= 4
    dump.write_bytes(raw)
    assert sevdeck("backup", "verify", "--json").data["verified"] is None
    assert "no backup was ever verified" in sevdeck("backup", "list", "--json").data["alarms"]


@pytest.mark.scenario("dump of another database under a manifest that fits")
def test_another_dump_in_its_place_is_named(healthy_lab: Lab, sevdeck: Sevdeck) -> None:
    """With a manifest that fits its bytes, as a person would mend a checksum that does not."""
    made = sevdeck("backup", "create", "--json").data
    dump = Path(made["path"])
    dumped = healthy_lab.stack.docker(
        "exec", healthy_lab.stack.container("postgres"), "sh", "-c", "pg_dump -Fc -U postgres -d template1 | base64"
    )
    raw = base64.b64decode(dumped.stdout)
    dump.write_bytes(raw)
    place = dump.with_suffix(".json")
    told = json.loads(place.read_text())
    told.update(size=len(raw), sha256=hashlib.sha256(raw).hexdigest())
    place.write_text(json.dumps(told))
    checked = sevdeck("backup", "verify", "--json")
    assert (checked.code, checked.data["good"]) == (1, False)
    assert checked.data["checks"][-1]["summary"] == "it is a dump of database template1, the manifest says shop"


def test_what_is_restored_is_exactly_what_was_counted_while_others_write(healthy_lab: Lab, sevdeck: Sevdeck) -> None:
    """The lab's traffic writes all the time: the counts are of the dump's own snapshot."""
    made = sevdeck("backup", "create", "--json").data
    manifest = json.loads(Path(made["path"]).with_suffix(".json").read_text())
    assert manifest["tables"] == manifest["after"]
    checked = sevdeck("backup", "verify", "--restore", "--json")
    assert (checked.code, checked.data["verified"]["how"]) == (0, "restored"), checked.out
    place = Path(made["path"]).with_suffix(".json")
    manifest["tables"]["public.messages"]["rows"] -= 1
    manifest["after"]["public.messages"]["rows"] -= 1
    place.write_text(json.dumps(manifest))
    checked = sevdeck("backup", "verify", "--restore", "--json")
    assert checked.code == 1
    assert "not what was backed up: public.messages" in checked.out
