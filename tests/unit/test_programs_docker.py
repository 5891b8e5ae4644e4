"""The one door for Docker's command lines: what destroys for good does not get through, however it is written."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from console.programs.docker import ForbiddenError, forbidden, run_docker

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "line",
    [
        "compose down -v",
        "compose down --volumes",
        "compose down --volumes=true",
        "compose -p shop --file a.yaml --env-file .env down --timeout 3 -v",
        "compose down --rmi all",
        "compose down --rmi=local",
        "compose down --remove-orphans",
        "compose rm -fsv app",
        "compose up -d --no-deps app",
        "compose up -dV",
        "compose up --renew-anon-volumes",
        "--host tcp://h:1 volume rm shop_pgdata",
        "-H unix:///x volume prune -f",
        "--context other system prune",
        "system prune -af --volumes",
        "image prune -a",
        "image prune --all --filter until=24h",
        "rmi shop/app:1",
        "image rm shop/app:1",
        "rm -fv shop-app-1",
        "container rm --volumes shop-app-1",
        "container prune -f",
        "network prune --filter until=1h",
    ],
)
async def test_what_destroys_for_good_is_never_run(line: str) -> None:
    assert forbidden(line.split())
    with pytest.raises(ForbiddenError):
        await run_docker(line.split(), deadline=1)


@pytest.mark.parametrize(
    "line",
    [
        "compose -p shop down",
        "compose down --timeout 5",
        "compose up --detach --pull never --no-build app",
        "compose up --detach --no-deps --no-recreate app",
        "compose config --format json",
        "exec shop-db-1 timeout 5 rm -rf /tmp/x",
        "exec shop-app-1 docker volume prune",  # in a container it is somebody else's engine
        "run --rm -v shop_pgdata:/data image mv a b",
        "container prune --filter label=com.docker.compose.project=shop",
        "image prune --filter until=24h",
        "",
    ],
)
def test_what_recovery_needs_gets_through(line: str) -> None:
    assert forbidden(line.split()) == ""


def test_nobody_runs_docker_past_the_door() -> None:
    """A list that begins with "docker" and goes to a process is made in one file alone."""
    found = []
    for file in sorted((ROOT / "console").rglob("*.py")):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call) or ast.unparse(call.func).rpartition(".")[2] != "run_program":
                continue
            words = call.args[0] if call.args else None
            first = words.elts[0] if isinstance(words, ast.List) and words.elts else None
            if isinstance(first, ast.Constant) and first.value == "docker":
                found.append(file.name)
    assert found == ["docker.py"]
