"""`sevdeck backup create / list / verify / prune`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from console.cli.call import Call
from console.errors import SevdeckError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from console.actions.backup.manifest import Backup
    from console.incident.events import Actor

_UNWELL = 1


def register(commands: Any) -> None:
    backup = commands.add_parser("backup", help="back the database up, and know that it can be brought back")
    actions = backup.add_subparsers(metavar="create|list|verify|prune", required=True)
    actions.add_parser("create", help="dump the database; what is not whole is no backup").set_defaults(run=_create)
    actions.add_parser("list", help="every backup, and what is wrong with them as a whole").set_defaults(run=_list)
    verify = actions.add_parser("verify", help="read a backup to its last byte; exit 1 when it is not good")
    verify.add_argument("id", nargs="?", default="", metavar="ID", help="default: the newest")
    verify.add_argument("--restore", action="store_true", help="bring it back into a scratch database and compare")
    verify.set_defaults(run=_verify)
    prune = actions.add_parser("prune", help="remove old ones; never the newest, never the last one that is good")
    prune.add_argument("--keep-days", type=float, default=None, metavar="N", help="default: [backup] keep_days")
    prune.add_argument("--confirm", metavar="TEXT", default=None, help="the words that it asks for")
    prune.set_defaults(run=_prune)


def _actor() -> Actor:
    from console.incident.events import Actor

    return Actor.current("cli")


def _done(work: Coroutine[Any, Any, Any]) -> Any:
    """Ended from outside it cleans up first, as after Ctrl-C: nothing of a backup that was begun may stay."""
    import asyncio

    try:
        return asyncio.run(_interruptible(work))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _interruptible(work: Coroutine[Any, Any, Any]) -> Any:
    import asyncio
    import signal

    task = asyncio.current_task()
    if task is not None:
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await work


def _create(call: Call) -> int:
    from console.actions.backup import service

    found = _done(service.create(call.config, call.data_dir, _actor()))
    where = "" if found.source else f"\n{found.path}"
    where += f"\n{found.archive}: {', '.join(found.files)}" if found.archive else ""
    where += "".join(f"\n▲ left out: {what}" for what in found.left_out)
    call.answer(_data(found), lambda: f"Backup {found.id}: {_line(found, time.time())}{where}")
    return 0


def _list(call: Call) -> int:
    from console.actions.backup import manifest, shelf

    place, now = shelf.directory(call.config, call.data_dir), time.time()
    known, silent = manifest.catalog(place), []
    try:
        known = _done(shelf.known(call.config, call.data_dir))
    except SevdeckError as error:
        silent = [error.message]
    # With a hook its backups are the ones that must be there; sizes are compared with their like.
    relied_on = [b for b in known if b.source or not call.config.backup.hook]
    if wanted := call.config.backup.database:  # dumps that a level 4 made of others are not asked to be new
        relied_on = [b for b in relied_on if b.database == wanted]
    alarms = silent or manifest.alarms(relied_on, call.config.backup.rpo, now)
    alarms += [f"{name} cannot be read" for name in manifest.unreadable(place)]
    body = {"directory": str(place), "backups": [_data(b) for b in known], "alarms": alarms}
    lines = [f"{b.id}  {_line(b, now)}" for b in known] + [f"▲ {text}" for text in alarms]
    call.answer(body, "\n".join(lines))
    return _UNWELL if alarms else 0


def _verify(call: Call) -> int:
    from console.actions.backup import service

    backup, found = _done(service.verify(call.config, call.data_dir, _actor(), call.args.id, restore=call.args.restore))
    bad = [f for f in found if f.status.value in ("fail", "unknown")]
    checks = [{"check": f.check, "status": f.status.value, "summary": f.summary} for f in found]
    marks = {"ok": "✔", "warn": "▲", "fail": "✖", "unknown": "○"}
    lines = [f"{marks[f.status.value]} {f.summary}" for f in found]
    lines.append(f"Backup {backup.id} is {'not good' if bad else 'good'}.")
    call.answer({**_data(backup), "good": not bad, "checks": checks}, "\n".join(lines))
    return _UNWELL if bad else 0


def _prune(call: Call) -> int:
    from console.actions.backup import manifest, pruning, shelf

    days = call.config.backup.keep_days if call.args.keep_days is None else call.args.keep_days
    known, now = manifest.catalog(shelf.directory(call.config, call.data_dir)), time.time()
    old = pruning.removable(known, days, now)
    if old:
        listed = "\n".join(f"{b.id}  {_line(b, now)}" for b in old)
        many = f"{len(old)} backup{'' if len(old) == 1 else 's'}"
        call.confirm(f"remove {many}", f"These are older than {days:g} days:\n{listed}", call.args.confirm)
    for backup in old:
        pruning.remove(backup)
    kept = [b.id for b in known if b not in old]
    said = f"Removed {len(old)}, kept {len(kept)}." if old else f"Nothing is older than {days:g} days and may go."
    call.answer({"removed": [b.id for b in old], "kept": kept}, said)
    return 0


def _data(b: Backup) -> dict[str, Any]:
    from console.cli.as_json import rfc3339

    return {
        "id": b.id,
        "created_at": rfc3339(b.created_at),
        "database": b.database,
        "size": b.size,
        "rows": b.rows,
        "sha256": b.sha256,
        "path": None if b.source else str(b.path),
        "source": b.source or "dump",
        "files": list(b.files),
        "left_out": list(b.left_out),
        "verified": {"at": rfc3339(b.verified.at), "how": b.verified.how, "by": b.verified.by} if b.verified else None,
    }


def _line(b: Backup, now: float) -> str:
    age = b.age(now) / 3600
    words = f"{age / 24:.1f} days" if age >= 48 else f"{age:.1f} h"
    good = f"{b.verified.how}, {b.verified.by}" if b.verified else "not verified"
    what = [b.database, b.source] if b.source else [b.database, f"{b.rows} rows"]
    return ", ".join([*filter(None, what), f"{b.size / 1024:.0f} KiB", f"{words} old", good])
