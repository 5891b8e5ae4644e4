"""What is suggested: computed arguments, and no restart where a restart does not help."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from console.checks.check import Suggestion
from console.checks.judge import judge, main_suggestion
from console.checks.topology import Topology, topology
from console.config import Config, DockerConfig, RolesConfig
from console.watch.containers import Container
from console.watch.readings import Readings
from tests.unit.readings_made import CONFIG, NOW, container, errors, event, failing, probe, readings, stopped

LOOPING: dict[str, Any] = {"deaths": 4, "status": "restarting", "health": "", "exit_code": 1, "restarts": 4}
EDGE_502 = failing("edge", "502 in 3 ms, expected 200")


def said(given: Readings, config: Config = CONFIG) -> Suggestion:
    found = main_suggestion(judge(given, config, NOW))
    assert found is not None
    return found


def stack(*containers: Container, config: Config = CONFIG) -> Topology:
    return topology(readings(containers).containers.value, config)


@pytest.mark.parametrize("service", ["app", "postgres", "redis", "edge", "worker"])
def test_a_crash_loop_is_never_restarted(service: str) -> None:
    found = judge(readings((container(service, **LOOPING),)), CONFIG, NOW)
    assert [f.check for f in found if not f.cause] == ["containers.loop"]
    assert all(s.action == "none" for s in found[0].suggestions)


def test_the_network_to_reconnect_is_named_with_the_alias() -> None:
    cut = container("app", networks=("shop_front",), health="unhealthy", health_detail="503")
    why = said(readings((cut,), (EDGE_502,), (event("app", "network disconnect", 50, "shop_back"),))).why
    assert "docker network connect --alias app shop_back shop-app-1" in why


def test_the_memory_limit_and_the_disk_are_named() -> None:
    assert "256 MiB" in said(readings((stopped("app", 137, oom_killed=True),), (EDGE_502,))).why


def test_a_looping_database_is_read_before_anything_is_rolled_back() -> None:
    found = said(readings((container("postgres", **LOOPING),), (EDGE_502,)))
    assert found.title == "read the last log lines of postgres"


def test_a_stopped_container_asks_who_stopped_it() -> None:
    assert "on purpose" in said(readings((stopped("postgres", 0),), (EDGE_502,))).why
    asked = stopped("postgres", 137)
    stop = event("postgres", "stop", 60)
    assert "on purpose" in said(readings((asked,), (EDGE_502,), (stop,))).why  # killed after its grace
    assert "on purpose" not in said(readings((asked,), (EDGE_502,))).why


def test_level_1_names_the_service_and_not_the_label() -> None:
    config = replace(CONFIG, docker=DockerConfig(project="shop"))
    twin = container("app", project="staging", id="f" * 64, name="staging-app-1")
    given = readings((stopped("app", 1),), (EDGE_502,))
    assert given.containers.value is not None
    both = (*given.containers.value.containers, twin)
    reading = replace(given.containers, value=replace(given.containers.value, containers=both))
    assert said(replace(given, containers=reading), config).action == "recover:1:app"


def test_confidence_is_a_share_and_symptoms_are_on_the_main_suggestion() -> None:
    given = readings((stopped("postgres", 137), container("app", health="unhealthy")), (EDGE_502,))
    top = judge(given, CONFIG, NOW)[0]
    assert all(0 < s.confidence <= 1 for s in top.suggestions)
    assert len(top.suggestions[0].symptoms) == 2


def test_dependencies_come_from_compose_and_where_it_says_nothing_from_roles() -> None:
    silent = tuple(container(s, depends_on=()) for s in ("edge", "app", "worker"))
    assert stack(*silent).needs["edge"] == {"app"}
    assert stack(*silent).needs["app"] == {"postgres", "redis"}
    assert stack().reach["edge"] == {"app", "postgres", "redis"}
    assert stack(container("app", depends_on=("postgres",))).needs["app"] == {"postgres", "redis"}


def test_probes_find_their_service_by_port_kind_and_name() -> None:
    made = stack()
    assert made.owner(probe("x", "http://127.0.0.1:18000/readyz")) == "app"
    assert made.owner(probe("x", "postgres://db.internal/shop")) == "postgres"
    assert made.owner(probe("redis ping", "redis-cli ping", kind="command")) == "redis"
    assert made.owner(probe("edge health", "http://shop.example/readyz")) == "edge"
    assert made.owner(probe("meta", "https://graph.facebook.com/")) == ""


def test_the_first_configured_service_of_a_role_is_the_one_that_is_meant() -> None:
    config = replace(CONFIG, roles=RolesConfig(app=("app", "worker")))
    assert stack(config=config).with_role("app") == ("app", "worker")


def test_without_configuration_roles_are_guessed_as_init_guesses_them() -> None:
    db = container("db", image="postgres:15", ports=())
    web = container("web", image="nginx:1.27", ports=("0.0.0.0:80->80/tcp",), depends_on=("api",))
    made = stack(db, web, container("api", image="acme/api", ports=()), config=Config())
    assert {made.roles[s] for s in ("db", "postgres")} == {"database"}
    assert (made.roles["web"], made.roles["api"], made.roles["redis"]) == ("edge", "app", "cache")
    assert "worker" not in made.roles


def test_a_failing_business_probe_quotes_the_log_of_the_app() -> None:
    given = readings((), (failing("webhook", "500 in 9 ms"),), logs=errors("app", "JSONDecodeError: line 1"))
    assert said(given).why.endswith("its log says: JSONDecodeError: line 1")
    assert "log says" not in said(readings((), (failing("webhook", "500 in 9 ms", 1),))).why


def test_a_burst_alone_is_a_finding_with_its_line() -> None:
    top = judge(readings(logs=errors("app", "cannot parse order", per_minute=150.0)), CONFIG, NOW)[0]
    assert top.check == "logs.burst"
    assert "cannot parse order" in top.summary
    assert top.suggestions[0].action == "none"
