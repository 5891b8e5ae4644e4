"""`sevdeck watch`: the monitor in this process, or with --once one look and what the monitor of this host is at."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

from console.cli.call import Call
from console.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from console.actions.facts import Facts
    from console.actions.monitor.episode import Sample

_MARKS = {"opened": "✖", "bad": "✖", "frozen": "✖", "flapping": "✖", "trouble": "▲", "suspended": "▲", "waiting": "▲",
          "closed": "●", "good": "●", "recovered": "✔", "climb": "▶", "stopped": "–"}  # fmt: skip


def register(commands: Any) -> None:
    watch = commands.add_parser("watch", help="watch what users see, and recover by itself up to the ceiling")
    watch.add_argument("--max-level", type=int, metavar="N", default=None, help="never above N; 0 only watches")
    watch.add_argument("--once", action="store_true", help="one look, nothing is done, and how the monitor is")
    watch.set_defaults(run=_watch)


def _watch(call: Call) -> int:
    if call.args.max_level is not None and call.args.max_level < 0:
        raise UsageError("--max-level is 0 or more")
    return _once(call) if call.args.once else _for_ever(call)


def _for_ever(call: Call) -> int:
    import signal

    from console.actions.attempts import directory
    from console.actions.monitor.filling import Filling
    from console.actions.monitor.messages import keep_small
    from console.actions.monitor.record import line
    from console.actions.monitor.watch import Monitor
    from console.tell.notify import Sender

    call.open_log()
    keep_small()
    monitor = Monitor(call.config, call.data_dir, lambda line: _emit(call, line), max_level=call.args.max_level)

    def trouble(text: str) -> None:
        _emit(call, line("trouble", text, time.time(), ""))

    sender = Sender(call.config, call.data_dir, trouble)
    filling = Filling(call.config, call.data_dir, monitor.probed, trouble)
    interrupted = False

    async def live() -> None:
        loop = asyncio.get_running_loop()

        def ctrl_c() -> None:
            nonlocal interrupted
            interrupted = True
            monitor.stop("Ctrl-C")

        loop.add_signal_handler(signal.SIGTERM, monitor.stop, "a signal")
        loop.add_signal_handler(signal.SIGINT, ctrl_c)
        beside = [asyncio.ensure_future(sender.live()), asyncio.ensure_future(filling.live())]
        try:
            await monitor.run()
        finally:
            for task in beside:
                task.cancel()
            await asyncio.wait(beside, timeout=1.0)
            sender.close()

    try:
        asyncio.run(live())
    except OSError as error:
        raise RefusedError(
            f"{directory(call.data_dir)} cannot be written: {error.strerror}",
            remedy="A monitor must be able to record what it does: free some space, or use --data-dir",
        ) from error
    return 130 if interrupted else 0


def _emit(call: Call, line: dict[str, Any]) -> None:
    """One line, at once: whoever reads a pipe is not to wait for a full buffer. A reader that left ends nothing."""
    import sys

    from console.redact import redact

    if call.json:
        text = json.dumps(line)
    else:
        clock = time.strftime("%H:%M:%S", time.localtime())
        page = "  CALL A PERSON" if line.get("page") else ""
        text = redact(f"{clock} {_MARKS.get(line['kind'], '·')} {line['kind']}: {line['text']}{page}")
    try:
        call.say(text)
        sys.stdout.flush()
    except (BrokenPipeError, OSError):
        return


def _once(call: Call) -> int:
    from console.actions import gather
    from console.actions.monitor import heartbeat
    from console.actions.monitor.sampler import Sampler, starting
    from console.cli.recover_auto import automation
    from console.cli.recover_auto import automation_lines as lines

    async def look() -> tuple[Facts, Sample, bool]:
        facts = await gather.gather(call.config, call.data_dir, probing=False)
        sampler = Sampler(call.config)
        try:
            sample = await sampler.sample(facts.containers, facts.engine.up)
        finally:
            await sampler.close()
        return facts, sample, sampler.blind(facts.containers)

    facts, sample, blind = asyncio.run(look())
    now = time.time()
    silent = heartbeat.silence(call.data_dir, now)
    state = "unknown" if sample.ok is None else "good" if sample.ok else "bad"
    suspended = _suspended(facts, starting(facts.containers))
    data: dict[str, Any] = {
        "time": heartbeat.stamp(now),
        "kind": "look",
        "project": facts.project,
        "state": state,
        "text": sample.detail,
        "probes": not blind,
        "suspended": suspended or None,
        **automation(call),
    }
    if call.json:
        from console.redact import redact_data

        call.say(json.dumps(redact_data(data)))
    else:
        marks = {"good": "●", "bad": "✖", "unknown": "○"}
        told = [f"{marks[state]} {state}: {sample.detail}"]
        told += ["▲ no [[probes]] ask what users ask: only the health of the containers is watched"] if blind else []
        told += [f"▲ nothing would be begun: {suspended}"] if suspended else []
        call.answer(data, "\n".join([*told, *(lines(data) or ["monitor: none has run here"])]))
    if not facts.engine.up:
        return 4
    return {"good": 1 if silent else 0, "bad": 1, "unknown": 4}[state]


def _suspended(facts: Facts, starting: tuple[str, ...]) -> str:
    from console.actions.lock import describe
    from console.actions.monitor.sentinel import Situation

    engine = "up" if facts.engine.up else "down"
    run = describe(facts.project, facts.holder, facts.taken_at) if facts.holder is not None else ""
    return Situation(engine, facts.engine.detail, run, facts.hold, facts.contained, starting).reason
