"""The shop's worker: takes messages off the queue, answers them, tidies the spool."""

from __future__ import annotations

import json
import logging
import signal
import sys
import time
from pathlib import Path
from typing import Any

from .common import (
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

HEARTBEAT = Path("/tmp/heartbeat")


def answer(job: dict[str, Any], log: logging.Logger) -> None:
    connection = connect_database("worker")
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "UPDATE messages SET status = 'replied', replied_at = now() WHERE id = %s",
                (job["id"],),
            )
    finally:
        connection.close()
    (SPOOL / f"{job['id']}.json").unlink(missing_ok=True)
    log.info("replied message=%s conversation=%s", job["id"], job["conversation"])


def work_once(queue: Any, log: logging.Logger) -> None:
    item = queue.brpop(QUEUE, timeout=1)
    if not item:
        return
    try:
        answer(json.loads(item[1]), log)
    except psycopg2.Error:
        # Back to the end it came from: nothing may be lost because of the database.
        queue.rpush(QUEUE, item[1])
        raise


def main() -> None:
    log = setup_logging("worker")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    serve_control(Faults(log))
    log.info("worker started, waiting for %s", QUEUE)
    queue = connect_redis()
    while True:
        HEARTBEAT.touch()
        try:
            work_once(queue, log)
        except (psycopg2.Error, redis.RedisError):
            log.exception("job failed, will retry")
            time.sleep(1)


if __name__ == "__main__":
    main()
