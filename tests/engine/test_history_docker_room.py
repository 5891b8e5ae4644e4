"""What a real engine tells of its room for the history, and how it gets there."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from console.config import Config, DockerConfig
from console.watch.engine_api import Engine
from console.watch.history import Keeper, asked, docker_room, load, place
from console.watch.history.series import Sample
from console.watch.readings import Readings
from tests.lab.lab import Lab

KINDS = {"images", "volumes", "containers", "build cache", "logs"}


def test_every_kind_is_told_with_the_mount_it_is_on(healthy_lab: Lab) -> None:
    here = Engine(DockerConfig())
    try:
        found = {sample.key[2]: sample for sample in docker_room.ask(here)}
    finally:
        here.close()
    assert set(found) == KINDS
    assert {Path(sample.key[1]).is_mount() for sample in found.values()} == {True}
    assert found["images"].value > 10_000_000 and found["volumes"].value > 1_000_000 and found["logs"].value > 0


class Heard(Keeper[None]):
    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir, clock=lambda: self.now)
        self.now = 1_790_000_000.0
        self.given = asyncio.Event()

    def also(self, sample: Sample) -> None:
        super().also(sample)
        self.given.set()


async def test_they_are_among_the_figures_of_the_minute(
    healthy_lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_room, "FIRST", 0.0)
    keeper = Heard(tmp_path)
    keeper.turn()
    following = asyncio.ensure_future(asked.follow(keeper, replace(Config(), docker=DockerConfig())))
    await asyncio.wait_for(keeper.given.wait(), 60)
    following.cancel()
    keeper.take(Readings())
    keeper.now += 60
    keeper.take(Readings())
    keeper.turn()
    assert {key[2] for key in load(place(tmp_path), keeper.now).series if key[0] == "docker"} == KINDS
    keeper.close()
