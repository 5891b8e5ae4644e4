"""Does the first finding name what was broken? `python -m tests.lab.judged [FAULT ...]` prints a table of all faults.

The sources of a console watch the lab all the time; each fault is injected and mended, and the first finding is
right when it names the injected cause, not a symptom. Once right, it must stay right until the fault is mended.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from console.checks.check import Finding
from console.checks.judge import judge
from console.config import load
from console.watch.live import LiveSources
from console.watch.readings import Readings
from console.watch.source import Reading, Supervisor
from tests.lab.control import Lab

PATIENCE = 45.0  # seconds until a fault must be named
STAYS = 6.0  # seconds for which it must then stay named
CAUSES = {
    "app-hung": r"app (hangs|does not answer|is hung)",
    "app-webhook-500": r"app (answers|fails|errors).*(500|5xx)|webhook.*500",
    "app-slow": r"slow.*app|app.*slow",
    "app-leak": r"app.*(memory|OOM)",
    "app-oom-loop": r"app.*(OOM|memory).*|crash.*app",
    "app-spin": r"app.*(cpu|CPU)",
    "app-crash": r"app.*(exited|crashed|down|stopped)",
    "app-paused": r"app.*paused",
    "bad-release": r"app.*(crash|restart).*|release",
    "half-created": r"(app|edge).*(created|never started|missing|absent|not there)|bring the stack up again",
    "postgres-stopped": r"postgres.*(stopped|exited|down)",
    "postgres-connections-exhausted": r"connections of postgres|postgres.*connection",
    "postgres-blocked": r"of postgres waits? for a lock|blocked sessions in postgres|postgres.*block",
    "postgres-corrupt": r"postgres.*(damaged|restore its data)",
    "redis-frozen": r"redis answers on and off|redis.*(hang|is hung|does not answer)",
    "redis-full": r"redis.*(full|maxmemory|memory)",
    "worker-stopped": r"worker.*(stopped|exited|down)",
    "edge-stale-upstream": r"only the edge fails.*reload edge",
    "edge-5xx": r"edge.*(503|5xx|maintenance|itself).*-> .*edge",
    "network-disconnected": r"app.*(network|back)",
    "network-no-alias": r"app.*(alias|name|network)",
    "log-flood": r"app.*(lines|log|flood|writes)",
    "cert-expired": r"(certificate|TLS).*(expired|ended|ran out|ago)",
    "disk-full": r"(disk|space|volume|/data).*full|full.*(disk|/data|volume)|no space",
}


def _told(finding: Finding) -> str:
    """What a person reads first: the finding and what is suggested."""
    return f"{finding.summary} -> {finding.suggestions[0].title if finding.suggestions else ''}"


class Watch:
    """What a console knows, kept up to date."""

    def __init__(self, lab: Lab) -> None:
        self._place = tempfile.TemporaryDirectory()
        path = Path(self._place.name) / "sevdeck.toml"
        path.write_text(lab.config())
        self.config = load(path)
        self.live = LiveSources(self.config)
        self.readings = Readings()
        self.supervisor = Supervisor(self.live.sources, self._published)

    def _published(self, name: str, reading: Reading[object]) -> None:
        self.readings = self.readings.with_(name, reading)
        self.live.heard(name, reading)

    def findings(self) -> Sequence[Finding]:
        return judge(self.readings, self.config, time.time())


async def named(watch: Watch, cause: str, began: float) -> tuple[float | None, Finding | None, bool]:
    """Seconds until the first finding was right, the finding at the end, whether it stayed right."""
    after: float | None = None
    top: Finding | None = None
    stayed = True
    while time.monotonic() - began < PATIENCE if after is None else time.monotonic() - began < after + STAYS:
        await asyncio.sleep(0.5)
        found = watch.findings()
        top = found[0] if found else None
        right = top is not None and re.search(cause, _told(top), re.IGNORECASE) is not None
        if after is None:
            after = time.monotonic() - began if right else None
        else:
            stayed = stayed and right
    return after, top, stayed


async def main(names: Sequence[str]) -> int:
    logging.disable(logging.CRITICAL)  # what fails is in the findings
    lab = Lab()
    wrong = 0
    watch = Watch(lab)
    watch.live.hub.start()
    watching = asyncio.create_task(watch.supervisor.run())
    print("| fault | first finding | suggestion | right | seconds |\n|---|---|---|---|---|", flush=True)
    try:
        for name in names or list(lab.faults):
            if not lab.is_well():
                await asyncio.to_thread(lab.reset)
            for _ in range(150):  # what the last fault left behind has to be gone from the findings
                if not any(re.search(CAUSES[name], _told(f), re.IGNORECASE) for f in watch.findings()):
                    break
                await asyncio.sleep(1)
            began = time.monotonic()
            injection = asyncio.create_task(asyncio.to_thread(lab.break_, name))
            after, top, stayed = await named(watch, CAUSES[name], began)
            await injection
            said = top.summary if top else "nothing"
            advice = top.suggestions[0].title if top and top.suggestions else "-"
            verdict = "no" if after is None else "yes" if stayed else "not for long"
            wrong += verdict != "yes"
            seconds = "" if after is None else f"{after:.1f}"
            print(f"| {name} | {said} | {advice} | {verdict} | {seconds} |", flush=True)
            await asyncio.to_thread(lab.mend, name)
    finally:
        watching.cancel()
        await watch.supervisor.close()
        watch.live.hub.close()
    print(f"\n{wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
