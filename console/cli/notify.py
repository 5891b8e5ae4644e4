"""`sevdeck notify test [CHANNEL]`: a marked message to a way out, and its receipt."""

from __future__ import annotations

import time
from typing import Any

from console.cli.call import Call
from console.errors import UsageError

_NOT_DELIVERED = 1


def register(commands: Any) -> None:
    notify = commands.add_parser("notify", help="the ways out: Slack, a webhook")
    actions = notify.add_subparsers(metavar="test", required=True)
    test = actions.add_parser("test", help="send a marked message now, and show the receipt")
    test.add_argument("channel", nargs="?", default="", metavar="CHANNEL", help="slack or webhook (default: all)")
    test.set_defaults(run=_test)


def _test(call: Call) -> int:
    import asyncio
    import os

    from console.incident.outbox import Message
    from console.tell.notify import Channel, channels, post

    known = channels(call.config)
    wanted: str = call.args.channel
    if not known or (wanted and wanted not in known):
        here = ", ".join(known) or "none"
        raise UsageError(
            f"channel {wanted} is not configured; there are: {here}" if wanted else "no channel is configured",
            remedy='Set url in [notify.slack] or [notify.webhook], for example "env:SLACK_WEBHOOK"',
        )
    chosen = [known[wanted]] if wanted else list(known.values())
    now, host = time.time(), os.uname().nodename
    told = Message("test", now, "test", "TEST of sevdeck", f"A test from {host}: nothing is wrong.", host=host)

    async def send(channel: Channel) -> dict[str, Any]:
        good, _, detail = await post(channel, told)
        return {"channel": channel.name, "delivered": good, "detail": detail}

    async def send_all() -> list[dict[str, Any]]:
        return list(await asyncio.gather(*(send(channel) for channel in chosen)))

    results = asyncio.run(send_all())
    data: dict[str, Any] = {
        "channel": ",".join(str(r["channel"]) for r in results),
        "delivered": all(r["delivered"] for r in results),
        "detail": "; ".join(str(r["detail"]) for r in results),
        "results": results,
    }
    lines = [f"{'✔' if r['delivered'] else '✖ NOT DELIVERED'} {r['channel']}: {r['detail']}" for r in results]
    call.answer(data, "\n".join(lines))
    return 0 if data["delivered"] else _NOT_DELIVERED
