"""Many tiny containers of a Compose project `many`, for benches."""

from __future__ import annotations

import shutil
import time

from tests.lab.images import TINY, ensure_images
from tests.lab.shell import lab_root, run

# Started in portions: Compose asks for all at once, and two cores answer late.
PORTION = 25


def compose_file(every: float) -> str:
    """Each container sleeps, or writes one line every so many seconds."""
    if every > 0:
        script = f'while :; do echo "INFO tick of $$HOSTNAME"; sleep {every:.2f}; done'
        command = f'["sh", "-c", {script!r}]'
    else:
        command = '["sleep", "2147483647"]'
    return f"""\
name: many
services:
  tiny:
    image: {TINY}
    pull_policy: never
    command: {command}
    restart: unless-stopped
    stop_signal: SIGKILL
    mem_limit: 16m
"""


def start_many(count: int, lines_per_second: float = 0) -> float:
    """Exactly `count` containers, none for 0; seconds it took."""
    began = time.monotonic()
    directory = lab_root() / "many"
    compose = ["docker", "compose", "--progress", "quiet"]
    if count == 0:
        if directory.is_dir():
            # A hundred at once lock up an engine of version 20.10, and it never answers again.
            listed = ["docker", "ps", "--all", "--quiet", "--filter", "label=com.docker.compose.project=many"]
            ids = run(listed).stdout.split()
            for at in range(0, len(ids), PORTION):
                run(["docker", "rm", "--force", *ids[at : at + PORTION]])
            run([*compose, "down", "--timeout", "0"], cwd=directory)
            shutil.rmtree(directory)
        return time.monotonic() - began
    ensure_images()
    directory.mkdir(parents=True, exist_ok=True)
    every = count / lines_per_second if lines_per_second else 0
    (directory / "compose.yaml").write_text(compose_file(every))
    for part in [*range(PORTION, count, PORTION), count]:
        scale = ["up", "--detach", "--timeout", "0", "--no-recreate", "--scale", f"tiny={part}"]
        run([*compose, *scale], cwd=directory, timeout=300)
    return time.monotonic() - began
