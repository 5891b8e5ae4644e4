#!/usr/bin/env python3
"""pgBackRest for `[backup] hook`: list, create, verify ID, restore ID DIRECTORY; one JSON object on standard output.

hook = "/path/to/pgbackrest.py --stanza shop"
hook = "/path/to/pgbackrest.py --stanza shop --command 'sudo -n -u postgres pgbackrest' --restore-command 'sudo -n pgbackrest'"

Needs nothing but Python and pgBackRest 2.45 or newer. Its `verify` ends with 0 for a damaged repository too, so its
words are read, and only the plain statement that this very backup is valid counts.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FAILED, REFUSED, UNKNOWN = 1, 3, 4


class Stop(Exception):
    """`code` is the exit code, the text goes to standard error."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class PgBackRest:
    """One stanza. `command`: how pgbackrest is called, for example through sudo."""

    def __init__(self, stanza: str, command: str, config: str) -> None:
        self._argv = shlex.split(command)
        self._options = [f"--stanza={stanza}", *([f"--config={config}"] if config else [])]
        self._stanza = stanza

    def backups(self) -> list[dict[str, Any]]:
        for stanza in json.loads(self._run("info", "--output=json")):
            if stanza["name"] != self._stanza:
                continue
            if not stanza["backup"] and stanza["status"]["code"] not in (0, 2):  # 2: no valid backups yet
                raise Stop(FAILED, f"stanza {self._stanza}: {stanza['status']['message']}")
            return [self._told(one) for one in stanza["backup"]]
        raise Stop(FAILED, f"there is no stanza {self._stanza}")

    def create(self, kind: str) -> dict[str, Any]:
        before = {b["id"] for b in self.backups()}
        self._run("backup", f"--type={kind}")
        made = [b for b in self.backups() if b["id"] not in before]
        if not made:
            raise Stop(FAILED, "pgbackrest made no new backup")
        return made[-1]

    def verify(self, ident: str) -> dict[str, Any]:
        known = next((b for b in self.backups() if b["id"] == ident), None)
        if known is None:
            raise Stop(FAILED, f"there is no backup {ident}")
        said = self._run("verify", "--output=text", "--verbose")
        # An incremental backup stands on the ones it refers to; it is as good as the worst of them.
        for one in (ident, *known["needs"]):
            line = re.search(rf"^\s*backup: {re.escape(one)}, status: ([^,\n]+)(.*)$", said, re.MULTILINE)
            if line is None:
                raise Stop(UNKNOWN, f"pgbackrest verify says nothing of {one}")
            if line[1] != "valid":
                return {"id": ident, "good": False, "summary": f"backup {one} is {line[1]}{line[2]}"}
        if known["page_errors"]:
            return {"id": ident, "good": False, "summary": "pages with wrong checksums were found when it was made"}
        if not re.search(r"^\s*status: ok\s*$", said, re.MULTILINE):
            return {"id": ident, "good": False, "summary": f"the repository is not ok: {' '.join(said.split())[:250]}"}
        return {"id": ident, "good": True, "summary": "every file of it and the archive has its checksum"}

    def restore(self, ident: str, directory: str) -> dict[str, Any]:
        """The cluster as it was when the backup ended. It archives nothing: two may not write to one archive."""
        self._run(
            "restore", f"--set={ident}", f"--pg1-path={directory}", "--type=immediate", "--target-action=promote",
            "--archive-mode=off", f"--tablespace-map-all={directory}/tablespaces",
        )  # fmt: skip
        return {"id": ident, "directory": directory}

    def _told(self, one: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": one["label"],
            "created_at": datetime.fromtimestamp(one["timestamp"]["stop"], UTC).isoformat(),
            "size": one["info"]["size"],
            "type": one["type"],
            "needs": one.get("reference") or [],
            "page_errors": bool(one.get("error")),
        }

    def _run(self, *words: str) -> str:
        argv = [*self._argv, *self._options, "--log-level-console=error", *words]
        try:
            done = subprocess.run(
                argv, capture_output=True, text=True, errors="replace", check=False, stdin=subprocess.DEVNULL
            )
        except OSError as error:
            raise Stop(FAILED, f"{argv[0]}: {error.strerror}") from error
        if done.returncode == 50:  # another pgBackRest holds the stanza
            raise Stop(REFUSED, _last(done))
        if done.returncode:
            raise Stop(FAILED, _last(done) or f"pgbackrest {words[0]}: exit {done.returncode}")
        return done.stdout


def _last(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()]
    return "; ".join([line for line in lines if "ERROR" in line][-2:] or lines[-2:])


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="pgBackRest as a backup hook")
    parser.add_argument("--stanza", required=True)
    parser.add_argument("--command", default="pgbackrest", help="how pgbackrest is called")
    parser.add_argument("--restore-command", default="", help="the same for restore, as one who may write anywhere")
    parser.add_argument("--config", default="", help="its settings, where they are not in the usual place")
    parser.add_argument("--type", default="incr", choices=("full", "diff", "incr"), help="of the backups to make")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("list")
    actions.add_parser("create")
    actions.add_parser("verify").add_argument("id")
    restore = actions.add_parser("restore")
    restore.add_argument("id")
    restore.add_argument("directory")
    asked = parser.parse_args(words)
    command = asked.restore_command if asked.action == "restore" and asked.restore_command else asked.command
    program = PgBackRest(asked.stanza, command, asked.config)
    answer: dict[str, Any]
    try:
        if asked.action == "list":
            answer = {"backups": program.backups()}
        elif asked.action == "create":
            answer = program.create(asked.type)
        elif asked.action == "verify":
            answer = program.verify(asked.id)
        else:
            if Path(asked.directory).is_dir() and any(Path(asked.directory).iterdir()):
                raise Stop(REFUSED, f"{asked.directory} is not empty")
            answer = program.restore(asked.id, asked.directory)
    except Stop as stop:
        sys.stderr.write(f"{stop}\n")
        return stop.code
    except (ValueError, KeyError, TypeError) as error:
        sys.stderr.write(f"pgbackrest said something unexpected: {error!r}\n")
        return UNKNOWN
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
