"""Backups as files: what is alarming, what may go, which one is meant, and what a rehearsal must find."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from console.actions.backup import making, manifest, pruning
from console.actions.backup.checking import compared
from console.actions.backup.manifest import Backup, TableCount, Verified
from console.checks.check import Status
from console.cli import main
from console.errors import RefusedError, UsageError

DAY = 86_400.0
NOW = 1_000 * DAY


def made(place: Path, days: float, *, size: int = 1000, good: bool = False, database: str = "shop") -> Backup:
    """A backup so many days old, on disk."""
    created = NOW - days * DAY
    ident = manifest.new_id(created)
    verified = Verified(NOW, "decoded", "ana") if good else None
    dump = place / f"{ident}.dump"
    dump.write_bytes(b"x")
    (place / f"{ident}.roles.sql").write_text("-- roles")
    found = Backup(ident, created, "shop", database, 15, size, "0", dump, verified=verified)
    manifest.write(found)
    return found


def test_alarms_say_none_too_old_suddenly_small_and_never_verified(tmp_path: Path) -> None:
    def said() -> list[str]:
        return manifest.alarms(manifest.catalog(tmp_path), DAY, NOW)

    assert said() == ["there is no backup"]
    made(tmp_path, 3)
    assert said() == ["the newest backup is 3.0 days old, the limit is 24.0 h", "no backup was ever verified"]
    made(tmp_path, 0.5, size=500, good=True)
    assert said() == []  # half as big is not less than half
    made(tmp_path, 0.2, size=249)
    assert said() == ["the newest backup has 249 bytes, the one before 500"]


def test_databases_are_compared_with_themselves(tmp_path: Path) -> None:
    made(tmp_path, 0.4, size=9000, good=True)
    made(tmp_path, 3, size=100, database="crm")
    made(tmp_path, 0.1, size=9000)
    assert manifest.alarms(manifest.catalog(tmp_path), DAY, NOW) == [
        "the newest backup of crm is 3.0 days old, the limit is 24.0 h"
    ]


def test_the_newest_and_the_last_good_one_of_each_database_stay(tmp_path: Path) -> None:
    old_good = made(tmp_path, 90, good=True)
    older_good = made(tmp_path, 95, good=True)
    newest = made(tmp_path, 60)
    middle = made(tmp_path, 80)
    other = made(tmp_path, 200, database="crm")
    gone = pruning.removable(manifest.catalog(tmp_path), 30, NOW)
    assert [b.id for b in gone] == [older_good.id, middle.id]
    for backup in gone:
        pruning.remove(backup)
    assert {b.id for b in manifest.catalog(tmp_path)} == {old_good.id, newest.id, other.id}
    assert not list(tmp_path.glob(f"{middle.id}*"))
    assert pruning.removable(manifest.catalog(tmp_path), 0.001, NOW) == []


def test_prune_shows_asks_and_removes_only_what_it_showed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "backups"
    place.mkdir()
    kept, old = made(place, 10), made(place, 20)
    (tmp_path / "c.toml").write_text("")
    words = ["--config", str(tmp_path / "c.toml"), "--data-dir", str(tmp_path), "backup", "prune", "--keep-days", "5"]
    assert main(words) == 3
    assert "remove 1 backup" in capsys.readouterr().err
    assert main([*words, "--confirm", "yes"]) == 3
    assert len(manifest.catalog(place)) == 2
    capsys.readouterr()
    assert main([*words, "--json", "--confirm", "remove 1 backup"]) == 0
    assert json.loads(capsys.readouterr().out) == {"removed": [old.id], "kept": [kept.id]}
    assert manifest.catalog(place) == [kept]


def test_one_is_found_by_the_end_of_its_id_and_never_by_guessing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no backup"):
        manifest.find(tmp_path, "")
    old, new = made(tmp_path, 2), made(tmp_path, 1)
    assert manifest.find(tmp_path, "") == new
    assert manifest.find(tmp_path, old.short) == old
    with pytest.raises(UsageError):
        manifest.find(tmp_path, "nosuch")
    both = replace(old, id=f"x-{new.short}", path=tmp_path / f"x-{new.short}.dump")
    manifest.write(both)
    with pytest.raises(UsageError, match="several"):
        manifest.find(tmp_path, new.short)


def test_a_manifest_that_says_nothing_is_named_and_is_no_backup(tmp_path: Path) -> None:
    good = made(tmp_path, 1)
    (tmp_path / "half.json").write_text('{"id": "half"')
    (tmp_path / "list.json").write_text("[]")
    assert manifest.catalog(tmp_path) == [good]
    assert manifest.unreadable(tmp_path) == ["half.json", "list.json"]


def test_a_manifest_cannot_point_at_another_directory(tmp_path: Path) -> None:
    good = made(tmp_path, 1)
    place = tmp_path / f"{good.id}.json"
    place.write_text(place.read_text().replace(good.path.name, "../../etc/passwd"))
    assert manifest.catalog(tmp_path)[0].path == tmp_path / "passwd"


@pytest.mark.parametrize(
    ("restored", "words"),
    [
        ({"public.t": TableCount(5, 9)}, "as many as were backed up"),
        ({"public.t": TableCount(5, 12)}, "as many as were backed up"),  # numbers go on outside a snapshot
        ({"public.t": TableCount(4, 9)}, "public.t: 4 rows, were 5"),
        ({"public.t": TableCount(5, 8)}, "its numbers went back from 9 to 8"),
        ({"public.t": TableCount(6, 9)}, "not what was backed up: public.t"),
        ({"public.t": TableCount(5, 9), "public.u": TableCount(0)}, "not what was backed up: public.u"),
        ({}, "table public.t is gone"),
    ],
)
def test_a_rehearsal_must_find_what_was_counted(tmp_path: Path, restored: dict[str, TableCount], words: str) -> None:
    counted = {"public.t": TableCount(5, 9)}
    found = compared(replace(made(tmp_path, 1), tables=counted, after=counted), restored)[0]
    assert words in found.summary
    assert (found.status is Status.OK) is ("as many" in words)


def test_without_a_snapshot_the_truth_lies_between_two_counts(tmp_path: Path) -> None:
    backup = replace(made(tmp_path, 1), tables={"t": TableCount(5)}, after={"t": TableCount(8)})
    assert compared(backup, {"t": TableCount(7)})[0].status is Status.OK
    assert compared(backup, {"t": TableCount(4)})[0].status is Status.FAIL


def test_where_there_is_no_room_nothing_is_begun(tmp_path: Path) -> None:
    making.room(tmp_path, 1000, "shop")
    with pytest.raises(RefusedError, match="KiB free"):
        making.room(tmp_path, 1 << 60, "shop")
    made(tmp_path, 1, size=10)
    with pytest.raises(RefusedError):
        making.room(tmp_path, 1 << 60, "crm")
    making.room(tmp_path, 1 << 60, "shop")  # the last dump says more than the size of the database


def test_which_database_is_never_guessed() -> None:
    assert making.chosen("", {"shop": 1}) == "shop"
    assert making.chosen("crm", {"shop": 1, "crm": 1}) == "crm"
    with pytest.raises(RefusedError, match="which database"):
        making.chosen("", {"shop": 1, "crm": 1})
    with pytest.raises(RefusedError, match="no database crm"):
        making.chosen("crm", {"shop": 1})
