"""Backups and level 4 on the real stack: bad dumps are named, kills lose nothing, yesterday comes back beside today."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine.test_recovery import Sevdeck, configured
from tests.lab.lab import Lab


@pytest.fixture
def sevdeck(healthy_lab: Lab, tmp_path: Path) -> Sevdeck:
    return Sevdeck(tmp_path, configured(healthy_lab))


def databases(lab: Lab) -> dict[str, str]:
    told = lab.stack.inside(
        "postgres", "psql", "-U", "postgres", "-Atc", "SELECT datname, datallowconn FROM pg_database"
    )
    return dict(line.split("|") for line in told.splitlines())


def inside(lab: Lab) -> str:
    """Commands that run in the database's container."""
    return lab.stack.docker("top", lab.stack.container("postgres"), "-eo", "pid,args").stdout


@pytest.fixture
def tidy(healthy_lab: Lab) -> None:
    """Without what other tests kept."""
    for name in databases(healthy_lab):
        if "_pre_" in name or "_restore_" in name:
            healthy_lab.stack.inside("postgres", "psql", "-U", "postgres", "-c", f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.mark.scenario("backup made, verified and rehearsed")
def test_a_backup_is_made_listed_verified_and_rehearsed(healthy_lab: Lab, sevdeck: Sevdeck, tidy: None) -> None:
    assert sevdeck("backup", "list", "--json").data["alarms"] == ["there is no backup"]
    made = sevdeck("backup", "create", "--json")
    assert made.code == 0, made.err
    assert Path(made.data["path"]).stat().st_mode & 0o077 == 0
    checked = sevdeck("backup", "verify", "--restore", "--json")
    assert (checked.code, checked.data["good"], checked.data["verified"]["how"]) == (0, True, "restored"), checked.out
    listed = sevdeck("backup", "list", "--json")
    assert (listed.code, listed.data["alarms"], len(listed.data["backups"])) == (0, [], 1)
    assert not any("rehearsal" in name for name in databases(healthy_lab))
    kept = sevdeck("backup", "prune", "--keep-days", "0", "--json")
    assert (kept.code, kept.data["removed"]) == (0, [])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        pytest.param(
            lambda raw: raw[:-200],
            "it was cut or changed",
            id="cut",
            marks=pytest.mark.scenario("backup truncated: named, never restored"),
        ),
        pytest.param(
            lambda raw: raw[:4000] + bytes([raw[4000] ^ 1]) + raw[4001:],
            "sha256 differs",
            id="one bit",
            marks=pytest.mark.scenario("backup with one bit flipped: named, never restored"),
        ),
    ],
)
def test_a_damaged_backup_is_named_and_never_restored(
    healthy_lab: Lab, sevdeck: Sevdeck, tidy: None, damage: Callable[[bytes], bytes], words: str
) -> None:
    dump = Path(sevdeck("backup", "create", "--json").data["path"])
    dump.write_bytes(damage(dump.read_bytes()))
    checked = sevdeck("backup", "verify", "--json")
    assert (checked.code, checked.data["good"]) == (1, False)
    assert words in checked.out
    words_to_type = sevdeck("recover", "plan", "4", "--json").data["confirm"]
    done = sevdeck("recover", "run", "4", "--confirm", words_to_type, "--json")
    assert done.code in (1, 3), done.out
    assert set(databases(healthy_lab)) == {"postgres", "template0", "template1", "shop"}


@pytest.mark.scenario("backup cut, or of a newer format, under a manifest that fits")
def test_one_that_was_written_bad_is_found_by_reading_it_all(healthy_lab: Lab, sevdeck: Sevdeck, tidy: None) -> None:
    """The manifest fits the bytes, as where the disk was already wrong when the dump was made."""
    made = sevdeck("backup", "create", "--json").data
    dump = Path(made["path"])
    for raw, words in (
        (dump.read_bytes()[:-200], "end of file"),
        (dump.read_bytes()[:6] + b"\x20" + dump.read_bytes()[7:], "unsupported version"),
    ):
        rewrite(dump, made["id"], raw)
        checked = sevdeck("backup", "verify", "--json")
        assert checked.code == 1
        assert words in checked.out


def rewrite(dump: Path, ident: str, raw: bytes, **more: object) -> None:
    import hashlib

    place = dump.with_name(f"{ident}.json")
    whole = dump.read_bytes()
    body = json.loads(place.read_text(encoding="utf-8"))
    body |= {"size": len(raw), "sha256": hashlib.sha256(raw).hexdigest(), **more}
    dump.write_bytes(raw)
    place.write_text(json.dumps(body), encoding="utf-8")
    assert whole


@pytest.mark.scenario("backup of a newer server, of another database: refused")
def test_one_of_another_server_or_another_database_is_refused(healthy_lab: Lab, sevdeck: Sevdeck, tidy: None) -> None:
    made = sevdeck("backup", "create", "--json").data
    dump = Path(made["path"])
    rewrite(dump, made["id"], dump.read_bytes(), server=99)
    assert "too new for it" in sevdeck("recover", "plan", "4", "--json").data["refused"]
    rewrite(dump, made["id"], dump.read_bytes(), server=15, database="other")
    assert "is of database other; here are: shop" in sevdeck("recover", "plan", "4", "--json").data["refused"]


@pytest.mark.scenario("data wrong: level 4a, beside the live database", loses="writes since the backup")
def test_yesterday_comes_back_beside_today(healthy_lab: Lab, sevdeck: Sevdeck, tidy: None) -> None:
    stack = healthy_lab.stack
    made = sevdeck("backup", "create", "--json").data
    before = int(stack.sql("select count(*) from messages"))
    stack.sql("delete from messages where id % 2 = 0")
    plan = sevdeck("recover", "plan", "4", "--json").data
    assert (plan["refused"], plan["consent"]) == (None, "")
    assert plan["confirm"] == f"{stack.project} {made['id'][-6:]}"
    done = sevdeck("recover", "run", "4", "--confirm", plan["confirm"], "--json")
    assert done.code == 0, done.out + done.err
    assert int(stack.sql("select count(*) from messages")) >= before
    kept = [n for n in databases(healthy_lab) if "_pre_" in n]
    assert len(kept) == 1  # what was there is still there
    assert len(sevdeck("backup", "list", "--json").data["backups"]) == 2  # and it was backed up
    stack.wait_well()


@pytest.mark.scenario("backup older than the RPO: a second consent")
def test_a_backup_older_than_the_limit_wants_a_second_word(healthy_lab: Lab, sevdeck: Sevdeck, tidy: None) -> None:
    made = sevdeck("backup", "create", "--json").data
    dump = Path(made["path"])
    rewrite(dump, made["id"], dump.read_bytes(), created_at=time.time() - 3 * 86_400)
    assert "the limit is 24.0 h" in sevdeck("backup", "list").out
    plan = sevdeck("recover", "plan", "4", "--json").data
    assert plan["consent"].startswith("lose since 20")
    assert "about" in plan["blast_radius"]
    once = sevdeck("recover", "run", "4", "--confirm", plan["confirm"])
    assert (once.code, "--consent" in once.err) == (3, True)
    assert [n for n in databases(healthy_lab) if "_restore_" in n] == []


@pytest.mark.scenario("pg_control corrupt: levels 1 to 3 refused, level 4b", loses="writes since the backup")
@pytest.mark.timeout(400)
def test_a_server_that_cannot_start_gets_a_new_cluster_and_the_broken_one_stays(
    healthy_lab: Lab, sevdeck: Sevdeck, tidy: None
) -> None:
    stack = healthy_lab.stack
    made = sevdeck("backup", "create", "--json").data
    rows = int(stack.sql("select count(*) from messages"))
    healthy_lab.break_("postgres-corrupt")
    for level in ("1", "2", "3"):
        words = ["--service", "postgres"] if level == "1" else []
        refused = sevdeck("recover", "plan", level, *words, "--json").data["refused"]
        assert "reports damage" in refused or "crash-looping" in refused
    done = sevdeck("recover", "run", "4", "--confirm", f"{stack.project} {made['id'][-6:]}", "--json", deadline=250)
    assert done.code == 0, done.out + done.err
    assert int(stack.sql("select count(*) from messages")) >= rows
    assert "data.broken." in stack.inside("postgres", "ls", "/var/lib/postgresql")
    stack.wait_well()
    stack.inside("postgres", "sh", "-c", "rm -rf /var/lib/postgresql/data.broken.*")
    healthy_lab.mend("postgres-corrupt")
