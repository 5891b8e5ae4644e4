"""Figures that no reading has: whoever fills the history asks for them now and then."""

from __future__ import annotations

import asyncio
from typing import Any

from console.config import Config
from console.watch.history import database, docker_room
from console.watch.history.keeper import Keeper


async def follow(keeper: Keeper[Any], config: Config) -> None:
    """For as long as it is not cancelled. Nothing is asked while another process writes."""
    async with asyncio.TaskGroup() as group:
        group.create_task(database.follow(keeper, config))
        group.create_task(docker_room.follow(keeper, config))
