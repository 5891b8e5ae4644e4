"""Has the cache room, can it save, are connections left. Asked by one INFO; judged here, from its fields."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from console.checks.check import Finding, Status, Suggestion
from console.checks.diagnosis import Check, Looked
from console.checks.looks.database import ASK, FULL_FAIL, FULL_WARN, GROUP, services, serving
from console.checks.scene import Scene
from console.config import resolve_secret
from console.errors import SourceError
from console.watch.address import Resolver
from console.watch.probes.wire import redis_info
from console.watch.reasons import reason

MEMORY_WARN = 0.90  # of maxmemory


async def look_cache(scene: Scene) -> Looked:
    label, _ = serving(await services(scene), "cache")
    target = await _cache_target(scene, label)
    if not target:
        return Looked()
    resolver = Resolver("diagnosis")
    try:
        told = await redis_info(resolve_secret(target), ASK, resolver, None)
    except ValueError as error:
        raise SourceError(f"{label or 'the cache'} {error}", remedy="Set [cache] dsn with its password") from error
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        raise SourceError(f"{label or 'the cache'}: {reason(error, ASK)}") from error
    finally:
        resolver.close()
    name = label or "the cache"
    return Looked(tuple(cache(name, told)), f"{name} {told.get('redis_version', '')} takes writes".replace("  ", " "))


async def _cache_target(scene: Scene, label: str) -> str:
    """The configured DSN, a probe's target, or the address of the container."""
    if scene.config.cache.dsn:
        return scene.config.cache.dsn
    probe = next((p.target for p in scene.config.probes if p.kind == "redis"), "")
    if probe or not label:
        return probe
    stack, told = await scene.stack(), await scene.inspects()
    if not scene.engine.local:
        return ""
    networks = (told[stack.services[label][0].id].get("NetworkSettings") or {}).get("Networks") or {}
    address = next((n["IPAddress"] for n in networks.values() if n and n.get("IPAddress")), "")
    return f"redis://{address}:6379" if address else ""


def cache(label: str, told: Mapping[str, str]) -> Iterable[Finding]:
    """Whether it has room, can save, and has connections left. `told`: the fields of INFO."""
    used, limit = _number(told, "used_memory"), _number(told, "maxmemory")
    policy = told.get("maxmemory_policy", "")
    if limit and used >= MEMORY_WARN * limit:
        keeps = policy == "noeviction"
        full = used >= limit and keeps
        text = f"{label} uses {used / limit:.0%} of its memory limit of {limit / 1024**2:.0f} MiB"
        fix = Suggestion(
            f"make room in {label}: remove keys without expiry, or raise maxmemory",
            "no restart helps, the data stays; never FLUSHALL"
            if keeps
            else f"its policy {policy} throws keys away: is that what the programs expect?",
            "none",
            0.8 if keeps else 0.4,
            cost=f"CONFIG SET maxmemory {int(limit * 1.5)} costs memory of the host",
            falsified_by="memory falls again by itself: keys expire",
        )
        check = f"{GROUP}.cache_full" if full else f"{GROUP}.cache_memory"
        evidence = (f"maxmemory-policy {policy}", f"{told.get('evicted_keys', '0')} keys evicted since its start")
        if keeps or full:
            yield Finding(check, GROUP, Status.FAIL if full else Status.WARN, text, evidence, (fix,), subject=label)
    bad = [
        f"{name} {told[name]}"
        for name in ("rdb_last_bgsave_status", "aof_last_write_status", "aof_last_bgrewrite_status")
        if told.get(name, "ok") != "ok"
    ]
    if bad:
        fix = Suggestion(
            f"see why {label} cannot save: disk space and rights of its data directory",
            "it refuses writes while saving fails; a restart would lose what is not saved",
            "none",
            0.8,
            cost="nothing",
            falsified_by="its log names another reason",
        )
        yield Finding(
            f"{GROUP}.cache_save",
            GROUP,
            Status.FAIL,
            f"{label} cannot save its data",
            tuple(bad),
            (fix,),
            subject=label,
        )
    if told.get("loading") == "1":
        yield Finding(f"{GROUP}.cache_loading", GROUP, Status.WARN, f"{label} is loading its data", subject=label)
    clients, most = _number(told, "connected_clients"), _number(told, "maxclients")
    if most and clients >= FULL_WARN * most:
        status = Status.FAIL if clients >= FULL_FAIL * most else Status.WARN
        text = f"{clients} of {most} connections of {label} are used"
        yield Finding(f"{GROUP}.cache_clients", GROUP, status, text, subject=label)
    if told.get("master_link_status", "up") != "up":
        yield Finding(f"{GROUP}.cache_master", GROUP, Status.WARN, f"{label} has lost its master", subject=label)


def _number(told: Mapping[str, str], name: str) -> int:
    text = told.get(name, "0").strip()
    return int(text) if text.isdigit() else 0


CHECKS = (Check(f"{GROUP}.cache", "the cache has room and can save", look_cache, 4.0),)
