"""The house holds: the engine runs without a terminal, and rooms import only downwards."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("textual", "rich", "docker", "httpx", "psutil", "asyncpg", "jinja2", "tinydb", "yaml")


def engine_modules() -> list[str]:
    """Every module of console except the entry points and the application."""
    names = []
    for file in sorted((ROOT / "console").rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name not in {"console.app", "console.__main__"}:
            names.append(name)
    return names


def loaded_by(program: str) -> set[str]:
    """Top packages among HEAVY that are loaded after `program` ran in a fresh interpreter."""
    ask = f"import sys\n{program}\nprint(' '.join(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", ask], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def test_no_engine_module_loads_a_terminal_library() -> None:
    modules = engine_modules()
    assert len(modules) > 20
    assert not loaded_by("\n".join(f"import {name}" for name in modules)) & {"textual", "rich"}


def test_importing_the_engine_loads_no_library_that_only_some_calls_need() -> None:
    # Each costs 50 to 110 ms: the first frame and `--version` go without them.
    watch = [
        name for name in engine_modules() if name.startswith(("console.watch", "console.checks", "console.config"))
    ]
    assert not loaded_by("\n".join(f"import {name}" for name in watch))


def test_version_loads_next_to_nothing() -> None:
    program = "from console.cli import main\nassert main(['--version']) == 0\nassert 'argparse' not in sys.modules"
    assert not loaded_by(program)


def test_rooms_import_only_downwards() -> None:
    tool = Path(sys.executable).with_name("lint-imports")
    if not tool.exists():
        pytest.skip("import-linter is not installed")
    done = subprocess.run([tool, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
