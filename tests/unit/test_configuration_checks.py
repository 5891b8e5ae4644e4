"""Configuration: each check with what is wrong, with what is right, and with what cannot be known."""

from __future__ import annotations

import doctest
import os
from pathlib import Path
from typing import Any

import pytest

from console.checks import change, files
from console.checks import made as made_
from console.checks.check import Finding, Status
from console.checks.diagnosis import run_all
from console.checks.judge import judge
from console.checks.looks import configuration, settings
from console.config import Limits, RolesConfig
from console.programs import compose, images
from console.programs.blueprint import ComposeProject, secret_files, wanted
from tests.unit.made_container import CREATED, container, document, plan, scene, want
from tests.unit.readings_made import CONFIG, NOW, failing, readings
from tests.unit.readings_made import container as container_now

GIB = 2**30
CHECKS = {check.name: check for check in configuration.CHECKS}


def only(finding: Finding | None, status: Status = Status.WARN) -> Finding:
    """The finding, with all that a suggestion owes."""
    assert finding is not None and finding.status is status
    (suggestion,) = finding.suggestions
    assert suggestion.title and suggestion.why and suggestion.falsified_by and 0 < suggestion.confidence < 1
    assert finding.group == finding.check.split(".")[0] and finding.evidence
    return finding


def test_compose_own_words_are_told_and_it_is_a_failure_only_where_something_is_down() -> None:
    broken = plan(problem="services.app Additional property imag is not allowed", refused=True)
    assert "imag is not allowed" in only(configuration.invalid(broken, [container()])).summary
    down = container("db", state={"Status": "exited", "ExitCode": 1})
    assert "db is exited" in only(configuration.invalid(broken, [container(), down]), Status.FAIL).evidence


def test_a_service_without_a_container_is_named_with_the_command_that_makes_it() -> None:
    assert configuration.missing(plan(), [container("app"), container("db")]) is None
    found = only(configuration.missing(plan(), [container("app")]), Status.FAIL)
    assert found.summary == "no container for db"
    assert found.suggestions[0].title.endswith("up --detach --no-recreate db")
    assert "no service" in only(configuration.missing(plan(), []), Status.FAIL).summary


def test_a_missing_task_is_a_warning_unless_others_need_it_and_one_scaled_to_none_is_right() -> None:
    task = want("migrate", restart="no")
    only(configuration.missing(plan(want("app"), task), [container()]))
    only(configuration.missing(plan(want("app", depends=("migrate",)), task), [container()]), Status.FAIL)
    assert configuration.missing(plan(want("app"), want("old", scale=0)), [container()]) is None


def test_drift_names_the_services_whose_hash_is_not_that_of_the_files() -> None:
    some = [container("app"), container("db")]
    assert configuration.drift(plan(), some) is None
    assert configuration.drift(plan(want("app", hash=""), want("db")), some) is None  # Compose told none
    found = only(configuration.drift(plan(want("app", hash="h2"), want("db")), some))
    assert found.summary == "1 service made of other settings than the files have now: app"
    assert found.suggestions[0].title.endswith("up --detach app")


def test_a_tag_that_moved_is_told_with_the_command_that_keeps_what_runs() -> None:
    some = [container("app"), container("db")]
    known = {"shop/app:1": "sha256:app1", "shop/db:1": "sha256:db1"}
    assert configuration.moved(some, known) is None
    assert configuration.moved(some, {}) is None  # absent, not moved
    found = only(configuration.moved(some, known | {"shop/app:1": "sha256:app2"}))
    assert found.evidence == ("app: runs app1, shop/app:1 is app2 now",)
    assert "docker tag app1 shop/app:1" in found.suggestions[0].why


def test_an_image_that_is_not_here_is_told() -> None:
    known = {"shop/app:1": "sha256:app1", "shop/db:1": "sha256:db1"}
    assert configuration.absent(plan(), known) is None
    assert (
        only(configuration.absent(plan(), {})).suggestions[0].title == "docker pull shop/app:1; docker pull shop/db:1"
    )


def test_services_that_nobody_starts_again_are_one_finding_and_tasks_are_none() -> None:
    policy = {"RestartPolicy": {"Name": "no"}}
    app, db = container("app", **policy), container("db", **policy)
    later = CREATED + 3600
    found = only(settings.restarts([app, db, container("edge")], {}, False, later))
    assert found.summary == "2 services would stay down after a crash or a reboot: app, db"
    assert "docker update --restart unless-stopped shop-app-1 shop-db-1" in found.suggestions[0].why
    assert any("live-restore is off" in line for line in found.evidence)
    assert not any("live-restore" in line for line in only(settings.restarts([app], {}, True, later)).evidence)
    done = container("migrate", state={"Status": "exited", "ExitCode": 0}, **policy)
    at_work = container("migrate", config={"Healthcheck": None}, **policy)
    assert settings.restarts([done, container("edge")], {}, False, later) is None
    assert settings.restarts([at_work], {}, False, CREATED + 60) is None
    only(settings.restarts([at_work], {}, False, later))  # a task does not take an hour


def test_roles_without_a_health_check_are_one_finding() -> None:
    app, db = (container(name, config={"Healthcheck": {"Test": ["NONE"]}}) for name in ("app", "db"))
    roles = {app.id: "app", db.id: "database"}
    assert only(settings.health([app, db], roles)).summary == "2 services have no health check: app, db"
    assert settings.health([app], {}) is None  # no role: nothing depends on its being well
    assert settings.health([container("app")], roles) is None


def test_volumes_without_a_name_are_told_and_named_ones_are_right() -> None:
    def volume(name: str) -> dict[str, Any]:
        return {"Type": "volume", "Name": name, "Destination": "/data", "RW": True}

    assert settings.nameless([container(mounts=[volume("shop_data")])]) is None
    found = only(settings.nameless([container(mounts=[volume("ab" * 32)])]))
    assert "app: NAME:/data" in found.suggestions[0].why


def test_a_log_without_a_cap_is_told_when_it_is_big_and_else_only_said() -> None:
    bare = container(LogConfig={"Type": "json-file", "Config": {}})
    limit = Limits(1.0)
    assert settings.logs([bare], {bare.id: GIB // 2}, limit) is None
    assert settings.logs([container()], {container().id: 9 * GIB}, limit) is None
    assert settings.logs([bare], {}, limit) is None  # not known how big
    assert settings.logs([bare], {bare.id: 9 * GIB}, Limits()) is None
    assert only(settings.logs([bare], {bare.id: 3 * GIB}, limit)).summary == "logs grow without a cap: app 3.0 GiB"
    assert "logs without a cap: app" in settings.cleared([bare], True)


def test_memory_without_a_limit_is_told_when_it_is_much_of_the_host() -> None:
    bare = container(Memory=0)
    assert settings.memory([bare], {bare.id: GIB}, 8 * GIB, Limits(50.0)) is None
    assert settings.memory([bare], {bare.id: 5 * GIB}, 0, Limits(50.0)) is None  # the host's is not known
    assert settings.memory([container()], {container().id: 5 * GIB}, 8 * GIB, Limits(50.0)) is None
    found = only(settings.memory([bare], {bare.id: 5 * GIB}, 8 * GIB, Limits(50.0)))
    assert "app 62 %" in found.summary and "mem_limit: 7680m" in found.suggestions[0].why


async def results(name: str, *documents: dict[str, Any], **made_of: Any) -> tuple[Status, list[Finding], str]:
    async with scene(*documents, **made_of) as (here, _):
        (result,) = (await run_all(here, [CHECKS[name]])).results
        return result.status, list(result.findings), result.cleared


@pytest.mark.parametrize("name", sorted(CHECKS))
async def test_every_check_clears_a_well_made_stack_and_says_so(name: str) -> None:
    status, findings, cleared = await results(name, document("app"), document("db"), blueprint=plan())
    assert (status, findings) == (Status.OK, []) and cleared


@pytest.mark.parametrize("name", sorted(CHECKS))
async def test_every_check_is_unknown_without_an_engine(name: str) -> None:
    async with scene() as (here, engine):
        engine.answers["/containers/json"] = (500, {"message": "no"})
        (result,) = (await run_all(here, [CHECKS[name]])).results
    assert result.status is Status.UNKNOWN and result.findings[0].check == "configuration.unknown"


async def test_containers_without_compose_files_have_nothing_to_be_compared_with() -> None:
    status, findings, _ = await results("configuration.files", blueprint=plan(project=ComposeProject("")))
    assert (status, findings) == (Status.OK, [])


async def test_compose_that_does_not_answer_is_unknown_and_not_invalid(tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text("services: {}\n")
    project = ComposeProject("shop", (str(file),), str(tmp_path))
    silent = plan(project=project, problem="docker gave no answer in 3 s")
    status, (found,), _ = await results("configuration.files", document(), blueprint=silent)
    assert status is Status.UNKNOWN and "no answer" in found.summary and "config --quiet" in found.evidence[0]


async def test_files_that_are_gone_are_named() -> None:
    gone = plan(problem="the Compose files of the project are not on this host")
    status, (found,), _ = await results("configuration.files", document(), blueprint=gone)
    assert status is Status.WARN and found.summary == "Compose files are not on this host: /srv/shop/compose.yaml"


async def test_variables_of_the_example_that_nobody_sets_are_named_and_no_value_is(tmp_path: Path) -> None:
    (tmp_path / ".env.example").write_text("# what it takes\nexport DB_PASSWORD=\nMODE=x\nSET=1\nNEW_KEY='topsecret'\n")
    (tmp_path / ".env").write_text("SET=hunter2\n")
    project = ComposeProject("shop", (str(tmp_path / "compose.yaml"),), str(tmp_path))
    status, (found,), _ = await results(
        "configuration.environment", document(), blueprint=plan(want("app"), project=project)
    )
    assert (status, found.check) == (Status.WARN, "configuration.environment")
    assert (
        found.summary == "1 variable of .env.example not in .env: NEW_KEY"
    )  # MODE and DB_PASSWORD are in the container
    assert found.suggestions[0].title == f"add to {tmp_path}/.env: NEW_KEY="
    assert "hunter2" not in repr(found) and "topsecret" not in repr(found)


async def test_variables_that_compose_misses_are_named() -> None:
    status, (found,), _ = await results("configuration.environment", document(), blueprint=plan(unset=("TOKEN",)))
    assert (status, found.check) == (Status.WARN, "configuration.unset") and "${TOKEN:-DEFAULT}" in repr(found)


async def test_the_settings_of_a_stack_are_looked_at_in_one_check() -> None:
    bad = document("app", RestartPolicy={"Name": "no"}, Memory=0, config={"Healthcheck": {}})
    async with scene(bad, roles=RolesConfig(app=("app",))) as (here, engine):
        engine.answers[f"/containers/{bad['Id']}/stats"] = (200, {"memory_stats": {"usage": 5 << 30}})
        (result,) = (await run_all(here, [CHECKS["configuration.settings"]])).results
    found = {finding.check for finding in result.findings}
    assert found == {"configuration.restart", "configuration.health", "configuration.memory"}


def test_what_the_files_publish_and_keep_secret_is_read_from_compose_form() -> None:
    rendered = {
        "name": "shop",
        "services": {
            "app": {
                "restart": "always",
                "ports": [
                    {"target": 80, "published": "8080"},
                    {"host_ip": "127.0.0.1", "target": 53, "protocol": "udp"},
                ],
            }
        },
        "secrets": {"a": {"file": "/srv/a.txt"}, "b": {"external": True}},
    }
    (app,) = wanted(rendered, {})
    assert (app.restart, app.published) == ("always", ("0.0.0.0 80/tcp", "127.0.0.1 53/udp"))
    assert secret_files(rendered) == ("/srv/a.txt",)


def test_examples_in_the_documentation_hold() -> None:
    for module in (settings, made_, change, files, images):
        assert doctest.testmod(module).failed == 0


def test_a_missing_service_explains_those_that_need_it_and_what_users_meet() -> None:
    unwell = container_now("app", health="unhealthy", failing_streak=3, health_detail="no route to postgres")
    ill = readings((unwell,), (failing("edge", "502 in 3 ms"),), drop=("postgres",))
    gone = only(configuration.missing(plan(want("postgres")), []), Status.FAIL)
    first, *symptoms = judge(ill, CONFIG, NOW, [gone])
    assert (first.check, first.subject) == ("configuration.missing", "postgres")
    assert "up --detach --no-recreate postgres" in first.suggestions[0].title and first.suggestions[0].symptoms
    assert symptoms and all(symptom.cause == first.key for symptom in symptoms)


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        ("validating compose.yaml: services.app Additional property imag is not allowed", True),
        ("open /srv/shop/.env: permission denied", False),
        ("docker: 'compose' is not a docker command.", False),
    ],
)
async def test_only_compose_own_no_makes_the_files_invalid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, refused: bool
) -> None:
    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/sh\necho "{said}" >&2\nexit 15\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    file = tmp_path / "compose.yaml"
    file.write_text("services: {}\n")
    read = await compose.read(ComposeProject("shop", (str(file),)))
    assert (read.problem, read.refused) == (said, refused)


async def test_variables_that_compose_warns_of_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker = tmp_path / "docker"
    warning = r'level=warning msg="The \"TOKEN\" variable is not set. Defaulting to a blank string."'
    docker.write_text(f"#!/bin/sh\ncat >&2 <<'E'\n{warning}\n{warning}\nE\necho '{{\"name\": \"shop\"}}'\n")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    file = tmp_path / "compose.yaml"
    file.write_text("services: {}\n")
    assert (await compose.read(ComposeProject("shop", (str(file),)))).unset == ("TOKEN",)
