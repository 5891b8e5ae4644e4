"""One try of one probe, of whatever kind: deadline, latency, plain words, secrets masked."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable

from console.config import ProbeConfig, mask_dsn, resolve_secret
from console.errors import SevdeckError
from console.redact import redact
from console.text import clean
from console.watch import postgres
from console.watch.address import Resolver
from console.watch.postgres import Postgres
from console.watch.probes.command import probe_command
from console.watch.probes.result import Answer, ProbeResult
from console.watch.probes.tls import probe_tls
from console.watch.probes.web import probe_http
from console.watch.probes.wire import probe_redis, probe_tcp
from console.watch.reasons import no_answer
from console.watch.source import Lane
from console.watch.web import Web, trusted_authorities

KINDS = ("http", "tcp", "tls", "postgres", "redis", "command")
_DETAIL = 200  # characters
_PREPARE = 20.0  # seconds; key stores on a slow disk
_SPARE = 0.25  # seconds a library has to end by itself before we cut it off


class Prober:
    """A probe and what it keeps between tries. `web` may be shared by many; `trust` replaces this host's CAs."""

    def __init__(
        self,
        config: ProbeConfig,
        *,
        web: Web | None = None,
        trust: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.config = config
        self._own_web = None if web else Web(config.name, trust)
        self._web = web or self._own_web
        self._trust = trust
        self._lane = Lane(f"{config.name} trust")
        self._clock = clock
        self._resolver = Resolver(config.name)
        self._postgres = Postgres(config.target, config.name) if config.kind == "postgres" else None

    def untried(self) -> ProbeResult:
        """What is known before the first try."""
        return self._result(Answer(None, "not tried yet"), None)

    async def run(self) -> ProbeResult:
        """One try, which never raises and never takes much longer than the probe's timeout."""
        latency: float | None = None
        try:
            await self._ready()
            began = time.perf_counter()
            async with asyncio.timeout(self.config.timeout + _SPARE):
                answer = await self._try()
            latency = time.perf_counter() - began
        except TimeoutError:
            answer = Answer(False, no_answer(self.config.timeout))
        except SevdeckError as error:  # a reference that leads nowhere: nobody was asked
            answer = Answer(None, str(error))
        except (ValueError, NotImplementedError) as error:
            answer = Answer(None, str(error))
        except Exception as error:  # each library has its own tree; every failure to answer is an answer
            answer = Answer(False, postgres.plain(error, self.config.timeout))
        return self._result(answer, latency)

    async def close(self) -> None:
        if self._own_web is not None:
            await self._own_web.close()
        if self._postgres is not None:
            self._postgres.close()
        self._resolver.close()
        self._lane.close()

    async def _ready(self) -> None:
        """Imports and key stores, which are ours and not part of what is measured."""
        if self.config.kind == "http" and self._web is not None:
            await self._web.ready()
        if self._postgres is not None:
            await self._postgres.ready()
        if self.config.kind in ("tls", "redis") and self._trust is None:
            self._trust = await self._lane.call(trusted_authorities, deadline=_PREPARE)

    async def _try(self) -> Answer:
        config = self.config
        if self._postgres is not None:
            return await self._ask_postgres(self._postgres)
        target = resolve_secret(config.target)
        match config.kind:
            case "http" if self._web is not None:
                return await probe_http(config, target, self._web)
            case "tcp":
                return await probe_tcp(config, target, self._resolver)
            case "tls" if self._trust is not None:
                return await probe_tls(config, target, self._resolver, self._trust)
            case "redis" if self._trust is not None:
                return await probe_redis(config, target, self._resolver, self._trust)
            case "command":
                async with asyncio.timeout(config.timeout):
                    return await probe_command(config, target)
        raise ValueError(f'there is no kind of probe called "{config.kind}"; there are {", ".join(KINDS)}')

    async def _ask_postgres(self, database: Postgres) -> Answer:
        connection = await database.connect(self.config.timeout)
        try:
            await connection.fetchval("select 1", timeout=self.config.timeout)
        finally:
            connection.terminate()
        return Answer(True, "select 1")

    def _result(self, answer: Answer, latency: float | None) -> ProbeResult:
        took = f" in {milliseconds(latency)}" if latency is not None and answer.ok is not None and answer.timed else ""
        detail = answer.detail + took + answer.more
        now = self._clock()
        return ProbeResult(
            name=clean(self.config.name, 64),
            kind=self.config.kind,
            target=clean(redact(mask_dsn(self.config.target)), _DETAIL),
            ok=answer.ok,
            detail=clean(redact(detail), _DETAIL),
            latency=latency,
            at=now,
            since=now,
            business=self.config.business,
        )


def milliseconds(seconds: float) -> str:
    """
    >>> milliseconds(0.0123), milliseconds(0.00042), milliseconds(2.34)
    ('12 ms', '0.4 ms', '2.3 s')
    """
    if seconds >= 1:
        return f"{seconds:.1f} s"
    thousandths = seconds * 1000
    return f"{thousandths:.0f} ms" if thousandths >= 1 else f"{thousandths:.1f} ms"


async def run_probe(config: ProbeConfig, *, trust: ssl.SSLContext | None = None) -> ProbeResult:
    """One try of a probe by itself, as validation after a recovery makes it. Never raises."""
    prober = Prober(config, trust=trust)
    try:
        return await prober.run()
    finally:
        await prober.close()
