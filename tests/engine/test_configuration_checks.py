"""Configuration and security against a real engine: a stack made badly on purpose, and the lab, which is well."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from console.checks import baseline, migrations
from console.checks.check import Finding, Status
from console.checks.diagnosis import Diagnosis, run_all
from console.checks.looks import configuration, security
from console.checks.recent import recent_changes
from console.checks.scene import Scene
from console.config import load
from tests.engine.small import SmallStack
from tests.lab.images import TINY
from tests.lab.lab import Lab

CHECKS = (*configuration.CHECKS, *security.CHECKS)
BAD = """\
name: {name}
x-tiny: &tiny
  image: {image}
  pull_policy: never
  stop_signal: SIGKILL
  command: [sleep, "2147483647"]
services:
  store:
    <<: *tiny
    restart: "no"
    ports: ["{port}:6379"]
    volumes: [/data]
  app:
    <<: *tiny
    restart: unless-stopped
    volumes: ["/var/run/docker.sock:/var/run/docker.sock"]
    depends_on: [store]
  edge:
    <<: *tiny
    restart: unless-stopped
    cap_add: [NET_ADMIN]
    depends_on: [app]
"""


class BadStack(SmallStack):
    text = BAD

    def restore_file(self) -> None:
        port = 21000 + os.getpid() % 9000
        self.file.write_text(self.text.format(name=self.name, image=TINY, port=port), encoding="utf-8")


@pytest.fixture
def bad(request: pytest.FixtureRequest, engine: str, lab_name: str, tmp_path: Path) -> Iterator[BadStack]:
    stack = BadStack(f"{lab_name}-badly-made", tmp_path / "stack")
    stack.down()
    stack.up()
    yield stack
    stack.restore_file()
    stack.down()


def settings_of(text: str, place: Path) -> Path:
    file = place / "sevdeck.toml"
    file.write_text(text, encoding="utf-8")
    return file


def diagnosed(file: Path, data_dir: Path | None = None) -> Diagnosis:
    async def ask() -> Diagnosis:
        scene = Scene(load(file), data_dir=data_dir)
        try:
            return await run_all(scene, CHECKS)
        finally:
            await scene.close()

    return asyncio.run(ask())


def named(findings: Sequence[Finding]) -> dict[str, str]:
    return {finding.check: finding.summary for finding in findings}


def test_what_was_made_badly_is_told_each_kind_once(bad: BadStack, tmp_path: Path) -> None:
    # Created only: an engine within a container may not start it.
    labels = [f"--label=com.docker.compose.{key}" for key in (f"project={bad.name}", "service=helper")]
    helper = bad.docker("create", "--privileged", *labels, TINY, "sleep", "1").strip()
    try:
        found = named(diagnosed(settings_of(bad.config, tmp_path)).findings)
    finally:
        bad.docker("rm", helper)
    assert found.pop("configuration.restart").endswith(": store")
    assert found.pop("configuration.health") == "3 services have no health check: app, edge, store"
    assert found.pop("configuration.volumes").endswith(": store")
    assert found.pop("security.privileged") == "privileged: helper"
    assert found.pop("security.socket").endswith(": app")
    assert found.pop("security.capabilities").endswith(": edge NET_ADMIN")
    assert found.pop("security.ports").startswith("data open to the network: store on port")
    # Others' containers may come and go beside this test.
    assert set(found) <= {"security.published", "security.unexpected"}


def test_a_program_with_roots_rights_that_was_left_in_a_container_is_told_where_it_is_asked_for(
    bad: BadStack, tmp_path: Path
) -> None:
    copy = "cp /bin/busybox /var/x && chmod 4755 /var/x && cp /bin/busybox /var/plain"
    bad.docker("exec", f"{bad.name}-app-1", "sh", "-c", copy)
    assert "security.suid" not in named(diagnosed(settings_of(bad.config, tmp_path)).findings)
    asked = settings_of(f"{bad.config}\n[checks]\nsuid_files = true\n", tmp_path)
    found = next(f for f in diagnosed(asked).findings if f.check == "security.suid")
    assert found.summary == f"1 set-user-ID file that the image does not have: {bad.name}-app-1"
    assert found.evidence == (f"{bad.name}-app-1: /var/x",)


def test_an_edited_file_is_drift_and_a_broken_one_is_told_in_composes_words(bad: BadStack, tmp_path: Path) -> None:
    file = settings_of(bad.config, tmp_path)
    assert "configuration.drift" not in named(diagnosed(file).findings)
    text = bad.file.read_text()
    bad.file.write_text(text.replace("[NET_ADMIN]", "[NET_RAW]").replace('"no"', "${NOBODY_SETS}unless-stopped"))
    found = named(diagnosed(file).findings)
    assert found["configuration.drift"] == "2 services made of other settings than the files have now: edge, store"
    assert found["configuration.unset"].endswith(": NOBODY_SETS")
    bad.file.write_text(text.replace("restart: unless", "restrat: unless"))
    broken = next(f for f in diagnosed(file).findings if f.check == "configuration.compose")
    assert (broken.status, "restrat" in broken.summary) == (Status.WARN, True), broken
    bad.docker("kill", f"{bad.name}-edge-1")
    assert next(f for f in diagnosed(file).findings if f.check == "configuration.compose").status is Status.FAIL


def test_a_removed_container_is_missed_and_a_moved_tag_is_noticed(bad: BadStack, tmp_path: Path) -> None:
    file = settings_of(bad.config, tmp_path)
    bad.docker("rm", "--force", f"{bad.name}-edge-1")
    gone = next(f for f in diagnosed(file).findings if f.check == "configuration.missing")
    assert (gone.status, gone.summary) == (Status.FAIL, "no container for edge")
    tag, other = f"sevdeck-moved/{bad.name}:1", "sevdeck-lab/app:1.0"
    bad.docker("tag", TINY, tag)
    try:
        bad.file.write_text(bad.file.read_text().replace(TINY, tag))
        bad.up()
        assert "configuration.image" not in named(diagnosed(file).findings)
        bad.docker("tag", other, tag)
        assert (
            named(diagnosed(file).findings)["configuration.image"]
            == "an older image than its name says: app, edge, store"
        )
    finally:
        bad.docker("rmi", tag)


def test_the_line_that_a_finding_gives_makes_what_is_missing(bad: BadStack, tmp_path: Path) -> None:
    file = settings_of(bad.config, tmp_path)
    bad.docker("rm", "--force", f"{bad.name}-edge-1")
    gone = next(f for f in diagnosed(file).findings if f.check == "configuration.missing")
    bad.docker(*gone.suggestions[0].title.partition("docker ")[2].split())
    assert bad.running, bad.containers()
    assert "configuration.missing" not in named(diagnosed(file).findings)


def test_a_healthy_stack_has_no_finding_above_a_warning_and_everything_is_cleared(
    healthy_lab: Lab, tmp_path: Path
) -> None:
    diagnosis = diagnosed(settings_of(healthy_lab.config(), tmp_path))
    assert [f for f in diagnosis.findings if f.status.rank > Status.WARN.rank or f.status is Status.UNKNOWN] == []
    mine = [f for f in diagnosis.findings if f.check not in ("security.published", "security.logins")]
    assert mine == [] and len(diagnosis.cleared) >= 8


def test_what_changed_since_the_last_good_look_is_named_with_its_time(bad: BadStack, tmp_path: Path) -> None:
    file, data = settings_of(bad.config, tmp_path), tmp_path / "data"
    data.mkdir()

    async def look(accept: bool = False) -> tuple[list[str], list[str]]:
        scene = Scene(load(file), data_dir=data)
        try:
            before = await baseline.known(scene)
            now = await baseline.take(scene)
            changes = baseline.changed(before, now) if before else ()
            recent = await recent_changes(scene)
            if accept:
                await baseline.keep(scene)
            return [c.what for c in changes], [f"{c.kind} {c.subject}" for c in recent]
        finally:
            await scene.close()

    assert asyncio.run(look(accept=True))[0] == []
    bad.file.write_text(bad.file.read_text().replace("[NET_ADMIN]", "[NET_RAW]"))
    bad.up()
    told, recent = asyncio.run(look())
    assert sorted(told) == sorted([f"{bad.file}: changed", "edge: made of other settings"])
    assert recent[0] == "settings edge" and f"file {bad.file}" in recent


def test_migrations_of_the_usual_tools_are_read_with_their_time_and_namesakes_are_left_alone(
    healthy_lab: Lab, tmp_path: Path
) -> None:
    made = {
        "django_migrations": "(id serial, app text, name text, applied timestamptz default now())",
        "alembic_version": "(version_num text)",
        "flyway_schema_history": "(installed_rank int, version text, installed_on timestamp default now())",
        "knex_migrations": "(name_of_something_else text)",
    }
    sql = healthy_lab.stack.sql
    sql("; ".join(f"create table {table} {columns}" for table, columns in made.items()))
    try:
        sql("insert into django_migrations (app, name) values ('shop', '0001_first'), ('shop', '0002_second')")
        sql(
            "insert into alembic_version values ('ab12'); insert into flyway_schema_history values (1, '1.0'), (2, '1.1')"
        )
        file = settings_of(healthy_lab.config(), tmp_path)

        async def ask() -> tuple[dict[str, str], list[str]]:
            scene = Scene(load(file))
            try:
                told = await migrations.newest(scene)
                recent = [c.what for c in await recent_changes(scene) if c.kind == "migration"]
                return {table: one.entry for table, one in told.items()}, recent
            finally:
                await scene.close()

        told, recent = asyncio.run(ask())
    finally:
        sql("drop table " + ", ".join(made))
    assert told == {"django_migrations": "shop.0002_second", "alembic_version": "ab12", "flyway_schema_history": "1.1"}
    assert sorted(recent) == ["migration 1.1 (flyway_schema_history)", "migration shop.0002_second (django_migrations)"]
