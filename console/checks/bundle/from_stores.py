"""What the database and the cache are busy with, asked over the network with the configured DSNs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from console.checks.bundle.items import Collector, Got
from console.checks.scene import Scene
from console.config import resolve_secret
from console.errors import SourceError, UsageError
from console.watch import pg_activity
from console.watch.address import Resolver
from console.watch.probes.wire import redis_info
from console.watch.reasons import reason

ANSWER = 5.0  # seconds


def of_stores(scene: Scene, *, queries: bool) -> list[Collector]:
    return [
        Collector("stores/postgres.json", lambda: _postgres(scene, queries)),
        Collector("stores/redis.json", lambda: _redis(scene)),
    ]


async def _postgres(scene: Scene, queries: bool) -> Got:
    dsn = scene.config.database.dsn
    if not dsn:
        raise SourceError("no [database] dsn is configured")
    try:
        told = asdict(await pg_activity.over_network(dsn, ANSWER))
    except UsageError as error:
        raise SourceError(error.message) from error
    told["blockers"] = {str(pid): one for pid, one in told["blockers"].items()}
    return Got(told if queries else _without_queries(told))


def _without_queries(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {key: _without_queries(value) for key, value in data.items() if key != "query"}
    return [_without_queries(item) for item in data] if isinstance(data, list | tuple) else data


async def _redis(scene: Scene) -> Got:
    dsn = scene.config.cache.dsn
    if not dsn:
        raise SourceError("no [cache] dsn is configured")
    resolver = Resolver("bundle")
    try:
        return Got(await redis_info(resolve_secret(dsn), ANSWER, resolver, None))
    except UsageError as error:
        raise SourceError(error.message) from error
    except (OSError, ValueError, EOFError) as error:
        raise SourceError(reason(error, ANSWER)) from error
    finally:
        resolver.close()
