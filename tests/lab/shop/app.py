"""The shop's app: a WhatsApp webhook API with health, readiness and business metrics."""

from __future__ import annotations

import http.server
import json
import logging
import os
import select
import signal
import socket
import statistics
import sys
import threading
import time
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .common import (
    LOG_DIR,
    QUEUE,
    SPOOL,
    Faults,
    connect_database,
    connect_redis,
    psycopg2,
    redis,
    serve_control,
    setup_logging,
)
from .figures import BUSINESS_SQL, figures

RELEASE = os.environ.get("SHOP_RELEASE", "0")
SAFE_MODE = os.environ.get("SAFE_MODE", "0") == "1"
METRICS_EVERY = 10.0

SCHEMA = """
CREATE TABLE IF NOT EXISTS schema_version (version int PRIMARY KEY, applied_at timestamptz DEFAULT now());
INSERT INTO schema_version (version) VALUES (3) ON CONFLICT DO NOTHING;
CREATE TABLE IF NOT EXISTS tenant_config (tenant text PRIMARY KEY, body text NOT NULL);
INSERT INTO tenant_config VALUES ('default', '{"language": "pt-BR", "handoff": true}')
  ON CONFLICT DO NOTHING;
CREATE TABLE IF NOT EXISTS conversations (
  id bigserial PRIMARY KEY, phone text UNIQUE NOT NULL,
  started_at timestamptz NOT NULL DEFAULT now(), last_at timestamptz NOT NULL DEFAULT now(),
  satisfaction numeric);
CREATE TABLE IF NOT EXISTS messages (
  id bigserial PRIMARY KEY, conversation_id bigint NOT NULL REFERENCES conversations,
  body text NOT NULL, status text NOT NULL DEFAULT 'received',
  created_at timestamptz NOT NULL DEFAULT now(), replied_at timestamptz);
CREATE INDEX IF NOT EXISTS messages_created_at ON messages (created_at);
CREATE TABLE IF NOT EXISTS bookings (
  id bigserial PRIMARY KEY, conversation_id bigint NOT NULL REFERENCES conversations,
  amount numeric NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
"""


class Unavailable(Exception):
    """The request is sound, the service cannot serve it now."""


class Shop:
    """The app without its HTTP: stores messages, reads figures."""

    def __init__(self, log: logging.Logger, faults: Faults) -> None:
        self.log = log
        self.faults = faults
        self.started = time.monotonic()
        # (when, seconds taken, status) of recent requests, for the SLA figures.
        self.requests: deque[tuple[float, float, int]] = deque(maxlen=5000)

    def migrate(self) -> None:
        connection = connect_database("app")
        with connection, connection.cursor() as cursor:
            cursor.execute(SCHEMA)
        connection.close()

    def readiness(self) -> dict[str, str]:
        state = {"database": "ok", "cache": "ok"}
        try:
            connection = connect_database("app")
            connection.cursor().execute("SELECT 1")
            connection.close()
        except psycopg2.Error as error:
            state["database"] = str(error).strip()
            self.log.error("readiness: database: %s", state["database"])
        try:
            connect_redis().ping()
        except redis.RedisError as error:
            state["cache"] = str(error)
            self.log.error("readiness: cache: %s", error)
        return state

    def receive(self, message: dict[str, Any]) -> dict[str, Any]:
        """One incoming WhatsApp message: row, spool file, queue entry."""
        if SAFE_MODE:
            raise Unavailable("safe mode: webhooks are off")
        phone, text = str(message["from"]), str(message["text"])
        connection = connect_database("app")
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute("SELECT body FROM tenant_config WHERE tenant = 'default'")
                json.loads(cursor.fetchone()[0])
                stored = self._store(cursor, phone, text)
                SPOOL.mkdir(exist_ok=True)
                (SPOOL / f"{stored['id']}.json").write_text(json.dumps(message))
        finally:
            connection.close()
        cache = connect_redis()
        cache.lpush(QUEUE, json.dumps(stored))
        stored["count"] = cache.incr("webhook:count")
        self.log.info("stored message=%s conversation=%s from=%s", stored["id"], stored["conversation"], phone)
        return stored

    def _store(self, cursor: Any, phone: str, text: str) -> dict[str, Any]:
        cursor.execute(
            "INSERT INTO conversations (phone, satisfaction) VALUES (%s, 3.5 + random())"
            " ON CONFLICT (phone) DO UPDATE SET last_at = now() RETURNING id",
            (phone,),
        )
        conversation = cursor.fetchone()[0]
        cursor.execute(
            "INSERT INTO messages (conversation_id, body) VALUES (%s, %s) RETURNING id",
            (conversation, text),
        )
        number = cursor.fetchone()[0]
        if number % 8 == 0:
            cursor.execute(
                "INSERT INTO bookings (conversation_id, amount) VALUES (%s, %s)",
                (conversation, 80 + number % 170),
            )
        return {"id": number, "conversation": conversation}

    def last(self) -> dict[str, Any]:
        connection = connect_database("app")
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT id, created_at, status FROM messages ORDER BY id DESC LIMIT 1")
            row = cursor.fetchone()
        connection.close()
        if not row:
            return {"id": None}
        return {"id": row[0], "created_at": row[1].isoformat(), "status": row[2]}

    def business(self) -> list[tuple[str, str, float, str]]:
        """(kind, name, value, unit) of every business figure."""
        connection = connect_database("app")
        with connection, connection.cursor() as cursor:
            cursor.execute(BUSINESS_SQL)
            row = [float(value) for value in cursor.fetchone()]
        connection.close()
        return figures(*row)

    def performance(self) -> dict[str, Any]:
        recent = [r for r in list(self.requests) if r[0] > time.monotonic() - 60]
        took = sorted(seconds * 1000 for _, seconds, _ in recent) or [0.0]
        failed = sum(status >= 500 for _, _, status in recent)
        p95 = took[int(0.95 * (len(took) - 1))]
        measured = {
            "response_time": (statistics.fmean(took), 500, "ms"),
            "response_time_p95": (p95, 1000, "ms"),
            "error_rate": (100 * failed / max(len(recent), 1), 1, "%"),
            "throughput": (len(recent), 0, "requests/min"),
            "uptime": (time.monotonic() - self.started, 0, "s"),
        }
        return {
            name: {"current_value": round(value, 2), "target": target, "unit": unit}
            for name, (value, target, unit) in measured.items()
        }

    def write_metrics_forever(self) -> None:
        directory = LOG_DIR / "business_metrics"
        while True:
            try:
                directory.mkdir(exist_ok=True)
                self._write_metrics(directory / f"metrics_{datetime.now(UTC):%Y%m%d}.jsonl")
            except (psycopg2.Error, OSError) as error:
                self.log.warning("business metrics not written: %s", str(error).strip())
            time.sleep(METRICS_EVERY)

    def _write_metrics(self, path: Path) -> None:
        now = datetime.now(UTC).isoformat()
        lines = [
            json.dumps(
                {
                    "metric_type": kind,
                    "name": name,
                    "value": value,
                    "unit": unit,
                    "timestamp": now,
                    "metadata": {"release": RELEASE},
                    "tags": ["production"],
                    "period": "hourly",
                }
            )
            for kind, name, value, unit in self.business()
        ]
        with path.open("a", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")


class Handler(http.server.BaseHTTPRequestHandler):
    server_version = "shop"
    shop: Shop

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(15)

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def _serve(self, method: str) -> None:
        if self._hang():
            return
        began = time.monotonic()
        try:
            status, body = self._route(method)
        except Unavailable as error:
            status, body = 503, {"error": str(error)}
        except Exception:
            self.shop.log.exception("%s %s failed", method, self.path)
            status, body = 500, {"error": "internal error"}
        self._reply(status, body)
        took = time.monotonic() - began
        self.shop.requests.append((began, took, status))
        if took > 1:
            self.shop.log.warning("slow request %s %s took %.2f s", method, self.path, took)

    def _route(self, method: str) -> tuple[int, dict[str, Any]]:
        path = self.path.partition("?")[0]
        if path == "/healthz":
            return 200, {"status": "ok", "release": RELEASE}
        if path == "/readyz":
            state = self.shop.readiness()
            return (200 if set(state.values()) == {"ok"} else 503), state
        time.sleep(self.shop.faults.slow_seconds)
        if method == "POST" and path == "/webhook":
            return self._webhook()
        if method == "GET" and path == "/webhook/last":
            return 200, self.shop.last()
        if path == "/production/metrics/business":
            business = self.shop.business()
            return 200, {
                "business_metrics": {name: {"value": value, "unit": unit} for _, name, value, unit in business},
                "available_metrics": [name for _, name, _, _ in business],
                "period_days": 1,
            }
        if path == "/production/metrics/performance":
            return 200, {"sla_metrics": self.shop.performance()}
        if path == "/production/alerts/active":
            return 200, {"alerts": []}
        if path.startswith("/admin"):
            logging.getLogger("shop.security").warning(
                "unauthorized %s from %s", path, self.headers.get("X-Forwarded-For", "-")
            )
            return 401, {"error": "unauthorized"}
        return 404, {"error": "not found"}

    def _webhook(self) -> tuple[int, dict[str, Any]]:
        length = int(self.headers.get("Content-Length", "0"))
        try:
            message = json.loads(self.rfile.read(length))
            message["from"], message["text"]
        except (ValueError, KeyError, TypeError):
            return 400, {"error": "from and text are needed"}
        return 200, self.shop.receive(message)

    def _reply(self, status: int, body: dict[str, Any]) -> None:
        payload = json.dumps(body).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)
        except OSError:
            self.shop.log.info("client left before the answer to %s", self.path)

    def _hang(self) -> bool:
        """While the fault is on, keeps the request until its client gives up."""
        if not self.shop.faults.hung.is_set():
            return False
        while self.shop.faults.hung.is_set():
            readable, _, _ = select.select([self.connection], [], [], 0.5)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                break
        self.close_connection = True
        return True

    def log_message(self, format: str, *args: object) -> None:
        return


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


def require_settings() -> None:
    names = ["DATABASE_URL", "REDIS_URL", "WHATSAPP_TOKEN"]
    if RELEASE.startswith("1.1"):
        # The bad release: a new setting that no host has, read without a default.
        names.append("WHATSAPP_TEMPLATE_NAMESPACE")
    for name in names:
        os.environ[name]


def main() -> None:
    log = setup_logging("app")
    log.info("starting release %s", RELEASE)
    try:
        require_settings()
    except KeyError:
        log.exception("configuration incomplete")
        raise
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    faults = Faults(log)
    shop = Shop(log, faults)
    shop.migrate()
    serve_control(faults)
    Handler.shop = shop
    threading.Thread(target=shop.write_metrics_forever, daemon=True).start()
    log.info("listening on :8000 safe_mode=%s", SAFE_MODE)
    Server(("0.0.0.0", 8000), Handler).serve_forever()


if __name__ == "__main__":
    main()
