"""Backups that another program keeps (pgBackRest, WAL-G, restic): asked by one command, `[backup] hook`.

    HOOK list                 {"backups": [{"id", "created_at", "size", "database", "sha256"}]}
    HOOK create               one such object: the backup that was made
    HOOK verify ID            {"good": true, "summary": "what was read"}
    HOOK restore ID DIRECTORY {"directory": "..."}; into an empty directory, never over anything

One JSON object on standard output, words for people on standard error. Exit codes are ours: 0 done, 1 failed or not
good, 3 refused, 4 unknown. Past its deadline (SEVDECK_DEADLINE, seconds) it is ended with all it started, and what
it did is unknown. Nothing it says is believed without a look: docs/backups.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shlex
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from console.actions.backup.manifest import Backup, Verified
from console.checks.check import Finding, Status
from console.errors import RefusedError, SevdeckError, UnknownOutcomeError, UsageError
from console.incident.disk import ensure_directory, write_atomically
from console.programs.running import run_program
from console.text import clean

LIST_SECONDS = 30.0
SOURCE = "hook"
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:+@-]{0,119}")
_ROOM = 1.2  # times the size of the backup that a rehearsal must find free
_REHEARSAL = "rehearsal-"


class HookError(SevdeckError):
    """The program said no, or said something that is no answer."""


@dataclass(frozen=True, slots=True)
class Hook:
    """`directory`: ours, for what we verified and for rehearsals. `deadline`: seconds, for everything but a list."""

    command: str
    directory: Path
    project: str = ""
    database: str = ""
    deadline: float = 3600.0
    keep_fds: tuple[int, ...] = ()

    async def backups(self) -> list[Backup]:
        """Newest first. Raises HookError, RefusedError, UnknownOutcomeError."""
        told = (await self._ask(["list"], LIST_SECONDS)).get("backups")
        if not isinstance(told, list):
            raise HookError('hook list: expected {"backups": [...]}')
        return sorted((self._backup(one) for one in told), key=lambda b: (b.created_at, b.id), reverse=True)

    async def create(self) -> Backup:
        """Make one, and see it in the list: an exit code is no backup."""
        made = self._backup(await self._ask(["create"], self.deadline))
        found = next((b for b in await self.backups() if b.id == made.id), None)
        if found is None:
            raise HookError(f"the hook says that it made {made.id}, and does not list it")
        return found

    async def verify(self, backup: Backup) -> Finding:
        """What the program says of one backup; only a plain `"good": true` is good."""
        try:
            told = await self._ask(["verify", backup.id], self.deadline)
        except HookError as error:
            return _finding("verify", Status.FAIL, error.message)
        except UnknownOutcomeError as error:
            return _finding("verify", Status.UNKNOWN, error.message)
        words = clean(str(told.get("summary", "")), 300) or "nothing more was said"
        return _finding("verify", Status.OK if told.get("good") is True else Status.FAIL, words)

    async def rehearse(self, backup: Backup) -> Finding:
        """Bring it back into a directory of our own, and throw that away in any case."""
        home = self._home()
        await asyncio.to_thread(_sweep, home)
        free, wanted = shutil.disk_usage(home).free, int(_ROOM * backup.size)
        if free < wanted:
            return _finding("restore", Status.UNKNOWN, f"{home} has {free >> 20} MiB free, {wanted >> 20} are needed")
        place = Path(tempfile.mkdtemp(prefix=_REHEARSAL, dir=home))
        try:
            await self._ask(["restore", backup.id, str(place)], self.deadline)
            files, size = await asyncio.to_thread(_content, place)
        except HookError as error:
            return _finding("restore", Status.FAIL, error.message)
        except UnknownOutcomeError as error:
            return _finding("restore", Status.UNKNOWN, error.message)
        finally:
            await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)
        if not size:
            return _finding("restore", Status.FAIL, "it says that it restored, and nothing is there")
        return _finding("restore", Status.OK, f"restored: {files} files, {size} bytes")

    def passed(self, backup: Backup, how: str, by: str) -> Backup:
        """Write down that it is good; a check that only read does not replace a rehearsal. Raises OSError."""
        if how != "restored" and backup.verified and backup.verified.how == "restored":
            how = "restored"
        verified = Verified(time.time(), how, by)
        write_atomically(self._home() / f"{backup.id}.json", json.dumps(asdict(verified)).encode())
        return replace(backup, verified=verified)

    def withdraw(self, backup: Backup) -> Backup:
        """It was good once and is not any more. Raises OSError."""
        (self._home() / f"{backup.id}.json").unlink(missing_ok=True)
        return replace(backup, verified=None)

    @property
    def _argv(self) -> list[str]:
        try:
            argv = shlex.split(self.command)
        except ValueError as error:
            raise UsageError(f"[backup] hook is no command line: {error}") from error
        if not argv:
            raise UsageError("[backup] hook is empty")
        return argv

    def _home(self) -> Path:
        place = self.directory / "hook"
        ensure_directory(place)
        return place

    async def _ask(self, words: Sequence[str], seconds: float) -> dict[str, Any]:
        env = {
            **os.environ,
            "SEVDECK_DEADLINE": f"{seconds:g}",
            "SEVDECK_PROJECT": self.project,
            "SEVDECK_DATABASE": self.database,
        }
        argv = [*self._argv, *words]
        ran = await run_program(argv, deadline=seconds, env=env, keep_fds=self.keep_fds)
        said = f"hook {words[0]}"
        reason = clean(ran.error, 400)
        if ran.missing:
            raise UsageError(f"[backup] hook cannot be run: {reason}", remedy="Name a program that can, with its path")
        if ran.code is None:
            raise UnknownOutcomeError(f"{said} gave no answer in {seconds:g} s", remedy="Look before you repeat it")
        if ran.code == RefusedError.exit_code:
            raise RefusedError(f"{said}: {reason or 'refused'}")
        if ran.code == UnknownOutcomeError.exit_code:
            raise UnknownOutcomeError(f"{said}: {reason or 'unknown'}", remedy="Look before you repeat it")
        if ran.code != 0:
            raise HookError(f"{said}: {reason or f'exit {ran.code}'}")
        try:
            told = json.loads(ran.out)
        except ValueError:
            told = None
        if not isinstance(told, dict):
            raise HookError(f"{said}: expected one JSON object on standard output")
        return told

    def _backup(self, told: Any) -> Backup:
        try:
            ident = str(told["id"])
            moment = datetime.fromisoformat(str(told["created_at"]))
            size = int(told["size"])
            more = {key: clean(str(told.get(key) or ""), 200) for key in ("database", "sha256")}
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise HookError(f"hook: a backup needs id, created_at, size: {clean(str(error), 100)}") from error
        if not _ID.fullmatch(ident):
            raise HookError(f"hook: {clean(ident, 60)} is no id of a backup")
        if moment.tzinfo is None:
            raise HookError(f"hook: created_at of {ident} has no offset")
        return Backup(
            id=ident,
            created_at=moment.timestamp(),
            project=self.project,
            database=more["database"] or self.database,
            server=0,
            size=size,
            sha256=more["sha256"],
            path=Path(),
            verified=_remembered(self.directory / "hook" / f"{ident}.json"),
            source=SOURCE,
        )


def _remembered(place: Path) -> Verified | None:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        raw = json.loads(place.read_bytes())
        return Verified(float(raw["at"]), clean(str(raw["how"]), 40), clean(str(raw["by"]), 200))
    return None


def _sweep(home: Path) -> None:
    """Rehearsals that a kill left. The caller holds the project: no other is at work."""
    for left in home.glob(f"{_REHEARSAL}*"):
        shutil.rmtree(left, ignore_errors=True)


def _content(place: Path) -> tuple[int, int]:
    sizes = [p.lstat().st_size for p in place.rglob("*") if p.is_file() and not p.is_symlink()]
    return len(sizes), sum(sizes)


def _finding(what: str, status: Status, summary: str) -> Finding:
    return Finding(f"backup.{what}", "database", status, summary, subject=what)
