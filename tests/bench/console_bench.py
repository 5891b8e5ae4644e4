"""The console on a real terminal with real containers: start, bytes on the wire, cpu, memory, latency.

Every figure is printed beside a yardstick of the same run, because machines are shared and noisy: a trivial
Textual app for the start, Textual's own table with as many rows for cpu and bytes, the engine's bare event stream
for the latency. Containers of others on the same engine are shown by the console too, so they are counted.
"""

from __future__ import annotations

import contextlib
import math
import statistics
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil

from tests.bench.table import Row
from tests.pty.terminal import Terminal

_LAB = [sys.executable, str(Path(__file__).parents[1] / "lab" / "lab.py")]
_MIB = 1024 * 1024
_TRIVIAL = textwrap.dedent("""
    from textual.app import App
    from textual.widgets import Static
    class Trivial(App):
        def compose(self):
            yield Static("hello from a trivial app", markup=False)
    Trivial().run()
""")
_TABLE = textwrap.dedent("""
    import random, sys
    from textual.app import App
    from textual.widgets import DataTable
    class Table(App):
        def compose(self):
            yield DataTable()
        def on_mount(self):
            self.table = self.query_one(DataTable)
            self.keys = self.table.add_columns(*"abcdef")
            self.rows = [self.table.add_row(*["hello"] * 6) for _ in range(int(sys.argv[1]))]
            self.set_interval(1.0, self.renew)
        def renew(self):
            for row in self.rows:
                self.table.update_cell(row, self.keys[3], f"{random.random():.3f}")
    Table().run()
""")
_NO_LOGS = '[[logs]]\nname = "none"\npath = "/nonexistent/*.log"\n'


# -- what is measured against


@contextlib.contextmanager
def many(count: int) -> Iterator[None]:
    """`count` idle containers for the time of the block."""
    subprocess.run([*_LAB, "many", str(count)], check=True, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        subprocess.run([*_LAB, "many", "0"], check=True, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def console(config: str = "", cols: int = 120, rows: int = 40) -> Iterator[Terminal]:
    """The console with its own home and data, on a pty."""
    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "sevdeck.toml"
        path.write_text(config)
        env = {"HOME": home, "XDG_DATA_HOME": f"{home}/data", "SEVDECK_CONFIG": str(path)}
        env["SEVDECK_DATA_DIR"] = f"{home}/data/sevdeck"
        with Terminal([sys.executable, "-m", "console"], cols=cols, rows=rows, env=env) as terminal:
            yield terminal


@contextlib.contextmanager
def writing(path: Path, per_second: float) -> Iterator[None]:
    """A log that gets `per_second` lines."""
    stop = threading.Event()

    def write() -> None:
        number = 0
        with path.open("a") as log:
            while not stop.wait(1 / per_second):
                number += 1
                stamp = time.strftime("%Y-%m-%dT%H:%M:%S")
                log.write(f"{stamp} INFO shop.api request {number} done in {number % 97} ms\n")
                log.flush()

    path.touch()
    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def ready(text: str) -> bool:
    """A full frame with figures: host memory, and a container with its memory."""
    return (
        "GiB" in text
        and "load" in text
        and any("healthy" in x or "running" in x for x in text.splitlines() if "iB" in x)
    )


def no_engine() -> str:
    """Why nothing can be measured with containers here; "" where it can."""
    try:
        import docker

        docker.from_env(timeout=5).ping()
    except Exception as error:  # whatever it is, the table says it
        return f"no Docker engine here ({type(error).__name__})"
    return ""


def others() -> str:
    """Containers on this engine that the bench did not start."""
    import docker

    found = docker.from_env().api.containers()
    count = sum((c["Labels"] or {}).get("com.docker.compose.project") != "many" for c in found)
    return f" and {count} others of this engine" if count else ""


def _unmeasured(*whats: str) -> list[Row]:
    return [Row(what, "not measured", why, "", "") for what in whats if (why := no_engine())]


# -- start


def startup_rows(quick: bool) -> list[Row]:
    """Seconds from starting the process to a full frame with figures, and of a trivial Textual app."""
    if missing := _unmeasured("start to full frame with figures"):
        return missing
    ours: list[float] = []
    trivial: list[float] = []
    with many(20):
        beside = others()
        for _ in range(3 if quick else 9):
            with Terminal([sys.executable, "-c", _TRIVIAL]) as terminal:
                trivial.append(terminal.wait_for("hello from a trivial"))
            with console() as terminal:
                ours.append(terminal.wait_until(ready, "a full frame with figures"))
    a, b = statistics.median(ours), statistics.median(trivial)
    return [
        Row(
            f"start to full frame with figures, 120x40, 20 containers{beside}",
            f"median {a:.2f} s, best {min(ours):.2f}",
            f"trivial Textual app {b:.2f} s, best {min(trivial):.2f}",
            f"{a / b:.2f} x, best {min(ours) / min(trivial):.2f} x",
            "0.40 s where the trivial app takes 0.16 (2.5 x)",
        )
    ]


# -- bytes


def wire_rows(quick: bool) -> list[Row]:
    """Bytes a second to the terminal on the dashboard at 1 Hz with 5 log lines a second; and while nothing changes."""
    if missing := _unmeasured("bytes to the terminal"):
        return missing
    seconds = 10.0 if quick else 30.0
    with many(20), tempfile.TemporaryDirectory() as folder:
        beside = others()
        log = Path(folder) / "app.log"
        with writing(log, 5), console(f'[[logs]]\nname = "app"\npath = "{log}"\n') as terminal:
            terminal.wait_until(ready, "a full frame")
            moving = _bytes_a_second(terminal, seconds)
        with console(_NO_LOGS) as terminal:
            terminal.wait_until(ready, "a full frame")
            time.sleep(2)
            terminal.send("space")
            terminal.wait_for("paused")
            still = _bytes_a_second(terminal, seconds / 2) * seconds / 2
    with Terminal([sys.executable, "-c", _TABLE, "20"]) as terminal:
        terminal.wait_for("hello")
        table = _bytes_a_second(terminal, seconds / 2)
    return [
        Row(
            f"bytes to the terminal, 1 Hz, 20 containers{beside}, 5 log lines/s",
            f"{moving / 1024:.2f} KiB/s",
            f"Textual's table, 20 rows {table / 1024:.2f} KiB/s",
            f"{moving / table:.2f} x",
            "4 KiB/s",
        ),
        Row(f"bytes in {seconds / 2:.0f} s while nothing changes (paused)", f"{still:.0f} B", "", "", "0 B"),
    ]


def _bytes_a_second(terminal: Terminal, seconds: float) -> float:
    time.sleep(5)  # the first frame, a notice that goes away
    before, began = len(terminal.raw), time.monotonic()
    time.sleep(seconds)
    return (len(terminal.raw) - before) / (time.monotonic() - began)


# -- cpu


def cpu_rows(quick: bool) -> list[Row]:
    """Percent of one core that the console takes and costs the engine, with 20 and 100 containers."""
    if missing := _unmeasured("cpu of sevdeck and the engine"):
        return missing
    out = []
    for count, must in ((20, "3 %"), (100, "5 %")):
        with many(count):
            out.append(_cpu(count, must, 20.0 if quick else 60.0))
    return out


def _cpu(count: int, must: str, seconds: float) -> Row:
    engine = _engine_processes()
    beside = others()
    before = _share(engine, seconds / 2)
    with console() as terminal:
        terminal.wait_until(ready, "a full frame")
        time.sleep(8)
        own = [psutil.Process(terminal.process.pid)]
        began = time.monotonic()
        used, engine_used = _seconds(own), _seconds(engine)
        time.sleep(seconds)
        passed = time.monotonic() - began
        ours = 100 * (_seconds(own) - used) / passed
        with_us = 100 * (_seconds(engine) - engine_used) / passed
    after = _share(engine, seconds / 2)
    added = with_us - (before + after) / 2
    with Terminal([sys.executable, "-c", _TABLE, str(count)]) as terminal:
        terminal.wait_for("hello")
        time.sleep(4)
        table = _share([psutil.Process(terminal.process.pid)], seconds / 2)
    noise = abs(before - after) / 2
    return Row(
        f"cpu at 1 Hz, {count} containers{beside}: sevdeck + what it adds to the engine",
        f"{ours + max(0.0, added):.1f} % ({ours:.1f} + {added:.1f}, engine alone {before:.1f}-{after:.1f})",
        f"Textual's table, {count} rows {table:.1f} %",
        f"{(ours + max(0.0, added)) / table:.2f} x" if table else "",
        must if noise < 1 else f"{must} (engine too restless to tell)",
    )


def _engine_processes() -> list[psutil.Process]:
    return [p for p in psutil.process_iter() if p.name() in ("dockerd", "containerd")]


def _seconds(processes: list[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def _share(processes: list[psutil.Process], seconds: float) -> float:
    before, began = _seconds(processes), time.monotonic()
    time.sleep(seconds)
    return 100 * (_seconds(processes) - before) / (time.monotonic() - began)


# -- latency


def latency_rows(quick: bool) -> list[Row]:
    """Milliseconds from `docker kill` to the container's row changed on the screen."""
    if missing := _unmeasured("docker kill to its row changed"):
        return missing
    import docker

    client = docker.from_env()
    taken: list[float] = []
    told: list[float] = []
    with many(20), console() as terminal:
        names = [str(c.name) for c in client.containers.list(filters={"label": "com.docker.compose.project=many"})]
        terminal.wait_until(ready, "a full frame")
        time.sleep(4)
        heard = _Deaths(client)
        for number, name in enumerate(names[: 6 if quick else 18]):
            time.sleep(0.37 * (1 + number % 3))  # at any moment of the second
            before = terminal.text().count("exited 137")
            began = time.monotonic()
            killer = threading.Thread(target=client.api.kill, args=(name,))
            killer.start()
            terminal.wait_until(partial(_more_dead, before), f"{name} exited")
            taken.append(1000 * (time.monotonic() - began))
            killer.join()
            told.append(1000 * (heard.when(name) - began))
    a, b = statistics.median(taken), statistics.median(told)
    return [
        Row(
            "docker kill to its row changed on the screen",
            f"median {a:.0f} ms, worst {max(taken):.0f}",
            f"the engine's own event stream {b:.0f} ms, worst {max(told):.0f}",
            f"{a - b:+.0f} ms",
            "median 80 ms",
        )
    ]


def _more_dead(before: int, text: str) -> bool:
    return text.count("exited 137") > before


class _Deaths:
    """When the engine's event stream told of each death."""

    def __init__(self, client: object) -> None:
        self._client = client
        self._at: dict[str, float] = {}
        self._news = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for event in self._client.events(decode=True, filters={"event": "die"}):  # type: ignore[attr-defined]
            with self._news:
                self._at[event["Actor"]["Attributes"]["name"]] = time.monotonic()
                self._news.notify_all()

    def when(self, name: str) -> float:
        with self._news:
            self._news.wait_for(lambda: name in self._at, 5)
            return self._at.get(name, math.nan)


# -- memory


def memory_rows(quick: bool) -> list[Row]:
    """Resident memory while one hour's lines, 100 a second, arrive in a minute; with 20 containers where it can."""
    seconds = 20.0 if quick else 60.0
    if missing := no_engine():
        return [Row("memory with 20 containers", "not measured", missing, "", ""), _memory("no container", seconds)]
    with many(20):
        return [_memory(f"20 containers{others()}", seconds)]


def _memory(what: str, seconds: float, lines: int = 360_000) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "app.log"
        log.touch()
        with console(f'[[logs]]\nname = "app"\npath = "{log}"\n') as terminal:
            terminal.wait_for("load")
            process = psutil.Process(terminal.process.pid)
            time.sleep(5)
            marks = [process.memory_info().rss]
            with log.open("a") as out:
                for part in range(100):
                    for number in range(lines // 100):
                        stamp = f"2026-11-22T03:12:00.{number % 1000:03d}Z"
                        out.write(f"{stamp} INFO api request {part}-{number} done in {number % 97} ms\n")
                    out.flush()
                    time.sleep(seconds / 100)
                    marks.append(process.memory_info().rss)
            time.sleep(1)
            marks.append(process.memory_info().rss)
    with Terminal([sys.executable, "-c", _TRIVIAL]) as terminal:
        terminal.wait_for("hello from a trivial")
        trivial = psutil.Process(terminal.process.pid).memory_info().rss
    quarters = [marks[0], marks[len(marks) // 4], marks[len(marks) // 2], marks[3 * len(marks) // 4], marks[-1]]
    return Row(
        f"memory, {what}, {lines:,} log lines (an hour at 100/s in {seconds:.0f} s)",
        f"{max(marks) / _MIB:.0f} MiB at most ({' → '.join(f'{mark / _MIB:.0f}' for mark in quarters)})",
        f"trivial Textual app {trivial / _MIB:.0f} MiB",
        f"{max(marks) / trivial:.2f} x",
        "100 MB, flat",
    )
