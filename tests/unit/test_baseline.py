"""The last good snapshot: written whole, read or none, compared in words; and the changes of the last hour."""

from __future__ import annotations

import doctest
import json
from dataclasses import replace
from pathlib import Path

import pytest

from console.checks import baseline, recent
from console.checks.baseline import Baseline, ServiceSeen
from console.checks.change import Change
from console.checks.check import Finding, Status
from console.checks.judge import judge
from console.checks.migrations import Migration
from console.config import Config
from console.programs.blueprint import ComposeProject
from console.watch.readings import Readings
from tests.unit.made_container import CREATED, container, document, plan, scene, want
from tests.unit.test_configuration_checks import only

APP = ServiceSeen("shop/app:1", "sha256:ab12", "h1", ("127.0.0.1:80->80/tcp",), 1000.0)
BEFORE = Baseline(1000.0, "shop", {"app": APP}, ("proxy",), {"/srv/.env": ("f1", 900.0)}, {"alembic_version": "a1"})


def words(now: Baseline) -> list[str]:
    return [change.said(2000.0) for change in baseline.changed(BEFORE, now)]


def test_what_is_saved_is_read_again_for_its_owner_alone(tmp_path: Path) -> None:
    assert baseline.load(tmp_path, "shop") is None
    baseline.save(tmp_path, BEFORE)
    assert baseline.load(tmp_path, "shop") == BEFORE
    assert baseline.place(tmp_path, "shop").stat().st_mode & 0o777 == 0o600
    assert baseline.load(tmp_path, "other") is None


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", '{"version": 1}', '{"version": 1, "at": "x"}'])
def test_a_damaged_snapshot_counts_as_none(tmp_path: Path, damage: str) -> None:
    baseline.save(tmp_path, BEFORE)
    baseline.place(tmp_path, "shop").write_text(damage)
    assert baseline.load(tmp_path, "shop") is None


def test_a_snapshot_of_another_version_counts_as_none(tmp_path: Path) -> None:
    baseline.save(tmp_path, BEFORE)
    place = baseline.place(tmp_path, "shop")
    place.write_text(json.dumps(json.loads(place.read_text()) | {"version": 2}))
    assert baseline.load(tmp_path, "shop") is None


def test_a_moment_is_a_base_when_nothing_fails_and_what_happens_now_is_known() -> None:
    def one(group: str, status: Status) -> Finding:
        return Finding(f"{group}.x", group, status, "x")

    assert baseline.good([])
    assert baseline.good([one("quick", Status.WARN), one("security", Status.UNKNOWN)])
    assert not baseline.good([one("quick", Status.UNKNOWN)])
    assert not baseline.good([one("quick", Status.WARN), one("configuration", Status.FAIL)])


def test_nothing_changed_is_nothing() -> None:
    assert words(replace(BEFORE, at=5000.0)) == []


def test_each_change_is_said_in_words_newest_first() -> None:
    now = replace(
        BEFORE,
        services={"app": replace(APP, image="shop/app:2", image_id="sha256:cd34", created=1280.0)},
        files={"/srv/.env": ("f2", 1880.0), "/srv/new": ("n", 1760.0)},
        loose=("miner", "proxy"),
        migrations={"alembic_version": "a2"},
    )
    assert words(now) == [
        "/srv/.env: changed, 2 min ago",
        "/srv/new: new, 4 min ago",
        "app: image sha256:ab12 -> sha256:cd34 (shop/app:1 -> shop/app:2), 12 min ago",
        "alembic_version: a1 -> a2",
        "miner: a container of no project",
    ]


def test_settings_and_what_is_gone_are_said() -> None:
    other = replace(APP, hash="h2", ports=("0.0.0.0:80->80/tcp",))
    assert words(replace(BEFORE, services={"app": other})) == [
        "app: made of other settings, ports 127.0.0.1:80->80/tcp -> 0.0.0.0:80->80/tcp, 17 min ago"
    ]
    gone = replace(BEFORE, services={}, files={})
    assert words(gone) == ["app: its container is gone", "/srv/.env: gone"]


async def test_a_snapshot_is_taken_of_what_runs_and_holds_no_value_of_a_setting(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DB_PASSWORD=hunter2\n")
    (tmp_path / "compose.yaml").write_text("services: {}\n")
    project = ComposeProject("shop", (str(tmp_path / "compose.yaml"),), str(tmp_path))
    data = tmp_path / "data"
    data.mkdir()
    async with scene(document("app"), document("proxy", project=""), data_dir=data) as (here, _):

        async def told() -> ComposeProject:
            return project

        here.project = told  # type: ignore[method-assign]  # where its files are
        taken = await baseline.keep(here)
    assert set(taken.services) == {"app"} and taken.loose == ("proxy",)
    assert {Path(path).name for path in taken.files} == {".env", "compose.yaml"}
    assert baseline.load(data, "shop") == taken
    assert "hunter2" not in baseline.place(data, "shop").read_text()


def test_a_stack_made_as_a_whole_is_one_change_and_a_single_container_is_its_own() -> None:
    app, db = container("app"), container("db")
    (whole,) = recent.containers([app, db], None, {})
    assert (whole.subject, whole.services, whole.when) == ("", ("app", "db"), CREATED)
    late = container("app", created="2026-01-01T12:00:00Z")
    found = recent.containers([late, db], None, {})
    assert [c.subject for c in found] == ["app", "db"] and found[0].when == CREATED + 3 * 3600


def test_another_image_or_other_settings_than_at_the_last_good_look_are_named() -> None:
    seen = {"app": ServiceSeen("shop/app:0", "sha256:app0", "h1"), "db": ServiceSeen("shop/db:1", "sha256:db1", "h0")}
    found = recent.containers([container("app"), container("db")], replace(BEFORE, services=seen), {})
    assert [(c.kind, c.what) for c in found] == [
        ("image", "app: image sha256:app0 -> sha256:app1"),
        ("settings", "db: made of other settings"),
    ]


def test_without_a_last_good_look_an_image_that_was_built_just_before_is_a_new_one() -> None:
    (fresh,) = recent.containers([container("app")], None, {"sha256:app1": CREATED - 60})
    (old,) = recent.containers([container("app")], None, {"sha256:app1": CREATED - 86400})
    assert (fresh.kind, old.kind) == ("image", "container")


def test_a_changed_file_names_who_reads_it_and_who_has_not_read_it_yet() -> None:
    mount = {"Type": "bind", "Source": "/srv/conf", "Destination": "/etc/app", "RW": False}
    some = [container("app", mounts=[mount]), container("db")]
    at = CREATED + 600
    now = replace(BEFORE, files={"/srv/conf/a.ini": ("x", at), "/srv/config": ("y", at), "/srv/.env": ("f1", at)})
    first, second = recent.settings(now, BEFORE, some)
    assert (first.subject, first.when, first.services) == ("/srv/conf/a.ini", at, ("app",))
    assert first.evidence == ("app started before that and may not have read it",)
    assert second.services == ()  # nobody mounts it, and .env is what it was


def test_migrations_are_changes_when_their_time_is_known_or_the_last_good_look_knew_another() -> None:
    timed, bare = Migration("shop.0002", 1900.0), Migration("a2", None)
    assert list(recent.applied({"alembic_version": Migration("a1", None)}, BEFORE)) == []
    assert list(recent.applied({"alembic_version": bare}, None)) == [
        Change("migration", "alembic_version", "migration a2 (alembic_version)", None, LATER)
    ]
    (since,) = recent.applied({"alembic_version": bare}, BEFORE)
    (known,) = recent.applied({"django_migrations": timed}, None)
    assert (since.when, known.when) == (BEFORE.at, 1900.0)


LATER = ("applied at some time after the last good look",)


async def test_only_the_last_hour_counts_newest_first() -> None:
    async with scene(document("app"), blueprint=plan(want("app"))) as (here, _):
        here.now = CREATED + 600
        assert [c.kind for c in await recent.recent_changes(here)] == ["container"]
        here.now = CREATED + 7200
        assert await recent.recent_changes(here) == ()


def test_advice_keeps_its_own_suggestion_and_stands_beneath_what_happens_now() -> None:
    from console.checks.looks import security

    advice = only(security.privileged([container("app", Privileged=True)]))
    slow = Finding("metrics.limit", "performance", Status.WARN, "queue is 12", subject="queue")
    first, second = judge(Readings(), Config(), 2000.0, [advice, slow])
    assert (first.check, second.check) == ("metrics.limit", "security.privileged")
    assert second.suggestions == advice.suggestions and first.suggestions


def test_examples_in_the_documentation_hold() -> None:
    assert doctest.testmod(baseline).failed == 0
