"""The sample of this moment, taken once for all checks that need it, and who its processes are."""

from __future__ import annotations

from console.checks.scene import Scene
from console.errors import SourceError
from console.watch.inspected import container_from_inspect
from console.watch.sampling import Sample, take


async def sample(scene: Scene) -> Sample:
    """Of this host; its containers are in it where the engine is on it and answers."""

    async def ask() -> Sample:
        pids: dict[str, int] = {}
        if scene.engine.local:
            try:
                told = [container_from_inspect(one) for one in await scene.watched()]
            except SourceError:  # the engine is out of reach: the host can be looked at all the same
                told = []
            pids = {one.id: one.pid for one in told if one.pid and one.running}
        return await take(pids)

    return await scene.once("sample", ask)


async def labels(scene: Scene) -> dict[str, str]:
    """Container id -> service, of all containers of this engine; empty where it does not answer."""
    try:
        stack = await scene.stack()
    except SourceError:
        return {}
    return {one.id: label for label, its in stack.services.items() for one in its}


def called(seen: Sample, pid: int, names: dict[str, str]) -> str:
    """A process by its name, number and place: "python3 (pid 41) of app"."""
    process = seen.looks[2].processes.get(pid) or seen.looks[0].processes.get(pid)
    container = seen.where.get(pid, "")
    place = names.get(container, f"container {container[:12]}") if container else "the host"
    return f"{process.name if process else '?'} (pid {pid}) of {place}"
