"""The lab for engine tests: one stack and one private engine per run, healthy before each test that asks."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests import scenarios
from tests.engine import scene as scenes
from tests.engine.small import SmallDatabase, SmallStack, WholeDatabase, small_database, small_stack
from tests.lab.lab import Lab, LabError, PrivateEngine
from tests.lab.shell import lab_root, run, wait_until

LOCK_DEADLINE = 900
ENGINE_FIXTURES = {"engine", "lab", "healthy_lab", "private_engine", "small", "database"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The time limit is for the test: building images and waiting for another run are not counted."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if fixtures & ENGINE_FIXTURES and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(180, func_only=True))


def without(reason: str) -> NoReturn:
    """Skip, or fail where the engine tests are required."""
    if os.environ.get("SEVDECK_REQUIRE_ENGINE") == "1":
        pytest.fail(f"engine tests are required here, but {reason}", pytrace=False)
    pytest.skip(f"{reason} (tests/lab/install-engine sets it up on Debian as root)")


def asked(command: list[str], reason: str) -> str:
    """What the command says; the tests are off when it fails or does not answer."""
    try:
        done = run(command, timeout=10, check=False)
    except LabError as error:
        without(f"{reason}: {error}")
    if done.returncode:
        without(reason)
    return done.stdout.strip()


@pytest.fixture(scope="session")
def engine() -> str:
    """The version of the Docker engine that answers here."""
    version = asked(["docker", "version", "--format", "{{.Server.Version}}"], "no Docker engine answers")
    compose = asked(["docker", "compose", "version", "--short"], "docker compose is missing")
    if int(compose.lstrip("v").partition(".")[0]) < 2:
        without(f"Docker Compose is {compose}, version 2 is needed")
    return version


@pytest.fixture(scope="session")
def lab_name() -> str:
    """The Compose project of this run."""
    return os.environ.get("SEVDECK_LAB_PROJECT", "shop")


@pytest.fixture(scope="session")
def lab(engine: str, lab_name: str) -> Iterator[Lab]:
    """The stack; another run's or a person's is used as it is and left running."""
    lab = Lab(lab_name, int(os.environ.get("SEVDECK_LAB_PORT_OFFSET", "0")))
    with alone(lab.stack.project):
        found = lab.stack.existing()
        lab.reset()
        yield lab
        if found:
            lab.reset()
        else:
            lab.down()


@pytest.fixture
def healthy_lab(lab: Lab) -> Lab:
    """The stack, well at this moment."""
    if not lab.is_well():
        lab.reset()
    return lab


def _file(request: pytest.FixtureRequest) -> str:
    return request.path.stem.removeprefix("test_").replace("_", "-")


@pytest.fixture
def small(request: pytest.FixtureRequest, engine: str, lab_name: str, tmp_path: Path) -> Iterator[SmallStack]:
    """Three tiny containers of this test alone; files of tests may run side by side."""
    with small_stack(f"{lab_name}-{_file(request)}-small", tmp_path / "stack") as stack:
        yield stack


@pytest.fixture
def database(request: pytest.FixtureRequest, engine: str, lab_name: str, tmp_path: Path) -> Iterator[SmallDatabase]:
    """A small PostgreSQL of this test alone; its data "within its volume", or "a volume by itself"."""
    kind = WholeDatabase if getattr(request, "param", "") == "a volume by itself" else SmallDatabase
    with small_database(kind(f"{lab_name}-{_file(request)}-db", tmp_path / "stack")) as stack:
        yield stack


@pytest.fixture(scope="session")
def private_engine_of_run(engine: str, lab_name: str) -> Iterator[PrivateEngine]:
    if os.getuid() != 0:
        without("a private engine needs root")
    private = PrivateEngine(f"{lab_name}-engine")
    with alone(f"{lab_name}-engine"):
        try:
            yield private
        finally:
            private.stop()


@pytest.fixture
def private_engine(private_engine_of_run: PrivateEngine) -> Iterator[PrivateEngine]:
    """A second engine, running, thawed and empty at this moment; to be frozen and killed."""
    private = private_engine_of_run
    private.thaw_if_running()
    private.start()
    yield private
    private.thaw_if_running()
    private.start()
    containers = private.docker("ps", "--all", "--quiet").stdout.split()
    if containers:
        private.docker("rm", "--force", "--volumes", *containers)


# What a scenario may be played on -> how it is looked at.
GROUNDS: dict[str, Callable[[Any], scenes.Ground]] = {
    "healthy_lab": scenes.LabGround,
    "small": scenes.SmallGround,
    "database": scenes.SmallGround,
    "private_engine": scenes.EngineGround,
}


@pytest.fixture(autouse=True)
def scene(request: pytest.FixtureRequest, own_world: Path, tmp_path: Path) -> Iterator[scenes.Scene | None]:
    """Looks at the stack of a test with a `scenario` mark before and after it; fails when something does not hold.

    It is set up before the test's other fixtures and taken down after them: what they put back counts.
    """
    marker = request.node.get_closest_marker("scenario")
    if marker is None:
        yield None
        return
    name = next((name for name in GROUNDS if name in request.fixturenames), "")
    ground = GROUNDS[name](request.getfixturevalue(name)) if name else scenes.Nothing()
    made = scenes.Scene(ground, own_world, tmp_path)
    yield made
    after = made.after()
    request.node.user_properties.append((scenarios.SEEN, str(after)))
    found = scenes.wrong(made.before, after, str(marker.kwargs.get("loses", "")))
    if found:
        pytest.fail("afterwards:\n" + "\n".join(found), pytrace=False)


@contextlib.contextmanager
def alone(name: str) -> Iterator[None]:
    """One run at a time per stack: two would mend each other's faults."""
    lab_root().mkdir(parents=True, exist_ok=True)
    with (lab_root() / f"{name}.lock").open("w") as file:

        def taken() -> bool:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        wait_until(taken, f"end of another test run on {name}", deadline=LOCK_DEADLINE, every=0.5)
        yield
