"""What a container does to itself, found on a real engine: a loop with its pid, limits reached, a kill by the kernel."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.checks.check import Finding, Status
from console.checks.diagnosis import Diagnosis, run_all
from console.checks.looks import busy, clock, host_busy, kernel, processes, recent_logs
from console.checks.scene import Scene
from console.config import load
from tests.engine.small import SmallStack
from tests.engine.test_configuration_checks import settings_of
from tests.lab.images import TINY
from tests.lab.shell import wait_until

CHECKS = (*kernel.CHECKS, *clock.CHECKS, *processes.CHECKS, *busy.CHECKS, *host_busy.CHECKS, *recent_logs.CHECKS)
STACK = """\
name: {name}
x-tiny: &tiny
  image: {image}
  pull_policy: never
  stop_signal: SIGKILL
services:
  well:
    <<: *tiny
    command: [sh, -c, "while :; do echo INFO served; sleep 0.2; done"]
    mem_limit: 32m
    pids_limit: 20
    cpus: 0.5
"""
SICK = """\
  turner:
    <<: *tiny
    command: [sh, -c, "(while :; do :; done) & wait"]
    cpus: 0.5
  crowd:
    <<: *tiny
    command: [sh, -c, "for i in $$(seq 18); do sleep 2147483647 & done; wait"]
    pids_limit: 20
  held:
    <<: *tiny
    command: [sh, -c, "while :; do head -c 500000 /dev/zero | sha256sum; done >/dev/null"]
    cpus: 0.1
  eater:
    <<: *tiny
    command: [sh, -c, "tail /dev/zero; echo survived; sleep 2147483647"]
    mem_limit: 16m
    memswap_limit: 16m
  teller:
    <<: *tiny
    command: [sh, -c, "echo 'PANIC: could not locate a valid checkpoint record'; sleep 2147483647"]
"""


class DeepStack(SmallStack):
    settings = '[docker]\nproject = "{name}"\ncompose_files = ["{file}"]\n'

    def __init__(self, name: str, directory: Path, text: str) -> None:
        self.text = text
        super().__init__(name, directory)

    def restore_file(self) -> None:
        self.file.write_text(self.text.format(name=self.name, image=TINY), encoding="utf-8")


def stack_of(text: str, name: str, place: Path) -> Iterator[DeepStack]:
    stack = DeepStack(name, place, text)
    stack.down()
    stack.up()
    yield stack
    stack.down()


@pytest.fixture
def sick(engine: str, lab_name: str, tmp_path: Path) -> Iterator[DeepStack]:
    yield from stack_of(STACK + SICK, f"qck-{lab_name}-sick", tmp_path / "stack")


@pytest.fixture
def well(engine: str, lab_name: str, tmp_path: Path) -> Iterator[DeepStack]:
    yield from stack_of(STACK, f"qck-{lab_name}-well", tmp_path / "stack")


def diagnosed(stack: DeepStack, place: Path) -> Diagnosis:
    async def ask() -> Diagnosis:
        scene = Scene(load(settings_of(stack.config, place)))
        try:
            return await run_all(scene, CHECKS)
        finally:
            await scene.close()

    return asyncio.run(ask())


def by_key(found: Diagnosis) -> dict[str, Finding]:
    return {finding.key: finding for finding in found.findings}


@pytest.mark.skipif(os.getuid() != 0, reason="processes of containers tell root only")
def test_what_a_container_does_to_itself_is_named(sick: DeepStack, tmp_path: Path) -> None:
    name = f"{sick.name}-eater-1"
    wait_until(lambda: "survived" in sick.docker("logs", name), "the kill of the eater's child", deadline=60)
    loop = sick.docker("top", f"{sick.name}-turner-1", "-o", "pid,time").split()
    found = diagnosed(sick, tmp_path)
    told = by_key(found)

    spin = told["performance.spin:turner"]
    assert "turner burns cpu: sh (pid " in spin.summary
    pid = spin.summary.partition("(pid ")[2].partition(")")[0]
    assert pid in loop, (spin.summary, loop)
    assert (spin.status, spin.suggestions[0].action) == (Status.WARN, "recover:1:turner")
    assert "containers.cpu:turner" not in told

    assert told["performance.pids:crowd"].summary == "crowd has 19 of the 20 processes and threads it may have"
    assert told["performance.pids:crowd"].suggestions[0].title == f"docker update --pids-limit 40 {sick.name}-crowd-1"
    assert "held is held back by its limit of 0.1 cpu" in told["containers.cpu:held"].summary
    assert told["logs.grave:teller"].summary.startswith("teller reports damaged data")
    assert not {key for key in told if key.endswith(":well")}

    try:
        with open("/dev/kmsg", "rb"):  # noqa: PTH123
            tells = True
    except OSError:
        tells = False
    if tells:
        oom = told["quick.oom:eater"]
        assert "the kernel killed tail (pid " in oom.summary and "of eater at " in oom.summary
        assert "at its limit of 16 MiB" in oom.summary


def test_a_stack_that_is_well_has_nothing_said_of_it(well: DeepStack, tmp_path: Path) -> None:
    found = diagnosed(well, tmp_path)
    # The host is shared with whatever runs beside this test: what is said of it is not of this stack.
    assert not [f for f in found.findings if f.subject == "well"], found.findings
    assert not [f for f in found.findings if f.status is Status.FAIL], found.findings
    assert "1 container: none turns in a loop or is at a limit" in found.cleared
