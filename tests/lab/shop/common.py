"""What the app and the worker share: settings, logging, connections, lab control."""

from __future__ import annotations

import http.server
import importlib
import logging
import logging.handlers
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

# Loaded by name: the checkers of a developer's machine need neither library.
psycopg2: Any = importlib.import_module("psycopg2")
redis: Any = importlib.import_module("redis")

QUEUE = "queue:messages"
SPOOL = Path("/data/spool")
LOG_DIR = Path(os.environ.get("LOG_DIR", "/var/log/shop"))
CONTROL_PORT = 9900
# In the container's own layer: survives a restart, gone with the container.
LEAK_MARK = Path("/tmp/cache-without-limit")


def setup_logging(name: str) -> logging.Logger:
    """Standard output for the engine, and files as a host would keep them."""
    logging.Formatter.converter = time.gmtime
    form = logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s")
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    outputs: list[logging.Handler] = [logging.StreamHandler(sys.stdout)]
    for file, level in ((f"{name}.log", logging.INFO), ("errors.log", logging.ERROR)):
        output = logging.handlers.RotatingFileHandler(LOG_DIR / file, maxBytes=20_000_000, backupCount=2)
        output.setLevel(level)
        outputs.append(output)
    for each in outputs:
        each.setFormatter(form)
        root.addHandler(each)
    return logging.getLogger(f"shop.{name}")


def connect_database(application: str) -> Any:
    """One connection per piece of work, as a small app without a pool does it."""
    return psycopg2.connect(
        os.environ["DATABASE_URL"],
        connect_timeout=2,
        application_name=application,
        options="-c statement_timeout=5000",
    )


def connect_redis() -> Any:
    return redis.Redis.from_url(os.environ["REDIS_URL"], socket_connect_timeout=2, socket_timeout=2)


class Faults:
    """What the lab can do to a running process. All of it ends with the process."""

    def __init__(self, log: logging.Logger) -> None:
        self.log = log
        self.hung = threading.Event()
        self._holding = threading.Event()
        self.slow_seconds = 0.0
        self.flood_per_second = 0
        self._ballast: list[bytearray] = []
        self._children: list[subprocess.Popen[bytes]] = []
        self._held: list[Any] = []

    def hang(self, _value: float) -> None:
        self.hung.set()

    def slow(self, value: float) -> None:
        self.slow_seconds = value

    def crash(self, _value: float) -> None:
        self.log.critical("unrecoverable state in the dispatcher, giving up")
        # os._exit: the process must be gone whatever its threads are doing.
        threading.Timer(0.2, os._exit, (1,)).start()

    def leak(self, mib_per_second: float) -> None:
        threading.Thread(target=self._leak, args=(mib_per_second,), daemon=True).start()

    def leak_always(self, mib_per_second: float) -> None:
        LEAK_MARK.write_text(str(mib_per_second))
        self.leak(mib_per_second)

    def spin(self, count: float) -> None:
        for _ in range(int(count)):
            self._children.append(subprocess.Popen([sys.executable, "-c", "while True: pass"]))

    def flood(self, per_second: float) -> None:
        starting = not self.flood_per_second
        self.flood_per_second = int(per_second)
        if starting and self.flood_per_second:
            threading.Thread(target=self._flood, daemon=True).start()

    def hold_connections(self, seconds: float) -> None:
        """Takes all connections that come free within `seconds`, and leaves a transaction open on each."""
        self._holding.set()
        threading.Thread(target=self._hold_connections, args=(seconds,), daemon=True).start()

    def hold_lock(self, _value: float) -> None:
        """A maintenance job that locked the table and never came back."""
        connection = connect_database("worker-migration")
        connection.cursor().execute("LOCK TABLE messages IN ACCESS EXCLUSIVE MODE")
        self._held.append(connection)

    def clear(self, _value: float) -> None:
        self.hung.clear()
        self.slow_seconds = 0.0
        self.flood_per_second = 0
        self._ballast.clear()
        LEAK_MARK.unlink(missing_ok=True)
        while self._children:
            child = self._children.pop()
            child.kill()
            child.wait()
        self._holding.clear()
        self._let_go()

    def _hold_connections(self, seconds: float) -> None:
        # Past the first refusal: others held some at that moment and let them go, some of them late.
        until = time.monotonic() + seconds
        while self._holding.is_set() and time.monotonic() < until:
            try:
                connection = connect_database("worker-report")
                connection.cursor().execute("SELECT count(*) FROM messages")
                self._held.append(connection)
            except psycopg2.OperationalError as error:
                self.log.error("report: %s", str(error).strip())
                time.sleep(0.1)
        if not self._holding.is_set():
            self._let_go()

    def _let_go(self) -> None:
        with suppress(IndexError):  # both threads may be at it
            while True:
                self._held.pop().close()

    def _leak(self, mib_per_second: float) -> None:
        self.log.warning("conversation cache has no upper bound")
        while True:
            block = bytearray(1 << 20)
            block[::4096] = b"x" * len(block[::4096])
            self._ballast.append(block)
            time.sleep(1 / mib_per_second)

    def _flood(self) -> None:
        number = 0
        while rate := self.flood_per_second:
            began = time.monotonic()
            for _ in range(max(1, rate // 20)):
                number += 1
                self.log.warning("retry %d of delivery wamid.%08x: peer closed", number, number)
            time.sleep(max(0.0, 1 / min(rate, 20) - (time.monotonic() - began)))


def serve_control(faults: Faults) -> None:
    """A door for the lab on the container's loopback, apart from the service itself."""
    switches: dict[str, Callable[[float], None]] = {
        "hang": faults.hang,
        "slow": faults.slow,
        "crash": faults.crash,
        "leak": faults.leak,
        "leak-always": faults.leak_always,
        "spin": faults.spin,
        "flood": faults.flood,
        "hold-connections": faults.hold_connections,
        "hold-lock": faults.hold_lock,
        "clear": faults.clear,
    }

    class Control(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            url = urlsplit(self.path)
            switch = switches.get(url.path.strip("/"))
            value = float(parse_qs(url.query).get("value", ["0"])[0])
            if switch:
                switch(value)
            self.send_response(204 if switch else 404)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", CONTROL_PORT), Control)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    if LEAK_MARK.exists():
        faults.leak(float(LEAK_MARK.read_text()))
