"""What the history costs: a minute written, all of it read back, forecasts, anomalies, bytes."""

from __future__ import annotations

import random
import tempfile
import time
from array import array
from collections.abc import Callable
from functools import partial
from pathlib import Path

from console.checks import trends
from console.checks.anomaly import Detector
from console.config import DEFAULT_THRESHOLDS
from console.watch.history import Keeper, load, place
from console.watch.history.ring import SLOTS, Ring, Slot
from console.watch.history.series import Key, Sample
from console.watch.history.store import Writer
from tests.bench.table import Row
from tests.bench.timing import timed
from tests.unit.readings_made import GIB, NOW, readings

_MINUTE = int(NOW // 60)


def figures() -> dict[Key, float | None]:
    """A hundred series and their limits: disks, services, connections, metrics."""
    found: dict[Key, float | None] = {("disk", f"/srv/{n}", "free"): 100.0 * GIB for n in range(4)}
    found |= {("service", f"s{n}", "memory"): 512.0 * 2**20 for n in range(50)}
    found |= {("database", "db", "connections"): 97.0, ("host", "", "memory"): 8.0 * GIB}
    return found | {("metric", f"m{n}", "value"): None for n in range(44)}


def rows(quick: bool) -> list[Row]:
    with tempfile.TemporaryDirectory() as temporary:
        return _rows(Path(temporary), 300 if quick else 2880)


def _rows(data_dir: Path, minutes: int) -> list[Row]:
    r, given = random.Random(1), figures()
    writer = Writer.begin(place(data_dir))
    assert writer is not None
    writes = []
    for minute in range(_MINUTE - minutes + 1, _MINUTE + 1):
        some = [Sample(key, r.gauss(100, 5) * 2**20, "", limit) for key, limit in given.items()]
        writes.append(timed(partial(writer.write, minute, some)))
    writer.close()
    _fill_past(place(data_dir) / "ring", len(given), r)
    beside = sorted(timed(lambda: sum(range(100_000))) for _ in range(9))[4]
    known = load(place(data_dir), NOW)
    read = min(timed(lambda: load(place(data_dir), NOW)) for _ in range(3))
    told = min(timed(lambda: trends.forecasts(known, NOW, DEFAULT_THRESHOLDS)) for _ in range(3))
    recent = min(timed(lambda: load(place(data_dir), NOW, 1200.0)) for _ in range(5))
    size = sum(path.stat().st_size for path in place(data_dir).iterdir())
    yard = f"sum of 100,000 numbers {beside:.2f} ms"

    def row(what: str, value: float, must: str) -> Row:
        return Row(what, f"{value:.2f} ms", yard, f"{value / beside:.2f} x", must)

    writes.sort()
    each, word = _anomaly(), _rate(lambda: " ".join(f"word {n}" for n in range(40)))
    took = _taking(data_dir)
    return [
        row("history of 100 series: a minute written", writes[len(writes) // 2], "once a minute"),
        row("... all of it read, 48 h and 5 weeks", read, "50 ms"),
        row("... the last 20 minutes read", recent, "once a minute"),
        row("... forecasts of 4 disks, 50 services, 1 database", told, "every 10 minutes"),
        Row("... a sample taken in the console's loop", f"{took:.0f} us", f"40 words {word:.1f} us", f"{took / word:.1f} x", "every 5 seconds"),
        Row("... anomalies, a point", f"{each:.1f} us", f"40 words {word:.1f} us", f"{each / word:.1f} x", "50 us"),
        Row("... bytes on disk", f"{size / 1e6:.1f} MB", "from the first minute on", "", "8.3 MB"),
    ]  # fmt: skip


def _fill_past(path: Path, width: int, r: random.Random) -> None:
    """Five weeks of tens as well: what a ring has after five weeks."""
    ring, last = Ring.open(path, write=True), int(NOW // 600)
    for number in range(last - SLOTS[1] + 1, last + 1):
        ring.write(1, Slot(number, 0, array("f", [r.gauss(100, 5) * 2**20 for _ in range(width)])))
    ring.close()


def _anomaly() -> float:
    """Microseconds for a point, the windows being full."""
    r, detector = random.Random(2), Detector()
    points = [r.gauss(100, 5) for _ in range(12_000)]
    for at, value in enumerate(points[:4000]):
        detector.add(at * 60.0, value)
    began = time.perf_counter()
    for at, value in enumerate(points[4000:], 4000):
        detector.add(at * 60.0, value)
    return (time.perf_counter() - began) / 8000 * 1e6


def _taking(data_dir: Path) -> float:
    """Microseconds for one sample of a stack of six services, as it is taken every five seconds."""
    now = NOW
    keeper: Keeper[None] = Keeper(data_dir, "shop", clock=lambda: now)
    given, began = readings(), time.perf_counter()
    for at in range(2000):
        now = NOW + 5.0 * (at % 12)  # within one minute: what is older gives nothing
        keeper.take(given)
    return (time.perf_counter() - began) / 2000 * 1e6


def _rate(work: Callable[[], object]) -> float:
    """Microseconds of a call."""
    return 1000.0 * min(timed(lambda: [work() for _ in range(1000)]) for _ in range(5)) / 1000
