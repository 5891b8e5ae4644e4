"""Many small jobs, each on its own schedule in its own task: one that hangs delays none of the others.

It knows nothing of what the jobs do; they keep their own deadlines and do not raise.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

# Does the job once and tells how many seconds after its start it is due again.
Round = Callable[[], Awaitable[float]]

_SHORTEST = 0.1  # seconds between two rounds of one job, whatever it asks for


class Rounds:
    """Runs jobs again and again from `start` to `close`."""

    def __init__(self, jobs: Iterable[Round]) -> None:
        self._jobs = list(jobs)
        self._tasks: list[asyncio.Task[None]] = []
        self._news = asyncio.Event()

    def start(self) -> None:
        """Begin all first rounds at once. Starting twice changes nothing."""
        if not self._tasks:
            shares = [(place + 1) / len(self._jobs) for place in range(len(self._jobs))]
            self._tasks = [
                asyncio.create_task(self._repeat(job, share)) for job, share in zip(self._jobs, shares, strict=True)
            ]

    async def changed(self) -> None:
        """Return when a job has ended a round since this was last asked."""
        await self._news.wait()
        self._news.clear()

    async def close(self) -> None:
        """Stop everything; waits a second at most for jobs that tidy up."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=1.0)

    async def _repeat(self, job: Round, share: float) -> None:
        clock = asyncio.get_running_loop().time
        # All begin together. A first interval between half and whole keeps them apart from then on: jobs that
        # always ran in the same moment would measure each other.
        shorter = 0.5 + share / 2
        while True:
            began = clock()
            every = await job() * shorter
            shorter = 1.0
            self._news.set()
            await asyncio.sleep(max(_SHORTEST, began + every - clock()))
