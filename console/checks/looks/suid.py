"""Programs in containers that run as another user than who starts them, and that their images do not have. Opt-in: the
engine compares every file of a container with its image for it.
"""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from console.checks import files
from console.checks.check import Finding, Suggestion, advice
from console.checks.diagnosis import Looked
from console.checks.made import count, listed
from console.checks.scene import Scene
from console.errors import SourceError
from console.text import clean

DEADLINE = 3.0  # seconds for one container
_MODIFIED, _ADDED = 0, 1
_BITS = stat.S_ISUID | stat.S_ISGID
_MOST = 5  # files of one container that are named


async def look(scene: Scene) -> Looked:
    if not scene.config.checks.suid_files:
        return Looked()
    if not scene.engine.local:
        raise SourceError("files in containers of another host cannot be looked at", remedy="Run sevdeck there")
    running = [one for one in await scene.watched() if (one.get("State") or {}).get("Pid")]
    found = await asyncio.gather(*(_of(scene, one) for one in running))
    named = {str(one.get("Name", "")).lstrip("/"): paths for one, paths in zip(running, found, strict=True) if paths}
    if named:
        return Looked((judge(named),))
    return Looked(cleared=f"no new set-user-ID file in {count(len(running), 'container')}" if running else "")


async def _of(scene: Scene, told: Mapping[str, Any]) -> list[str]:
    """Raises SourceError."""
    changes = await scene.get(f"/containers/{told['Id']}/changes", DEADLINE)
    paths = [str(one["Path"]) for one in changes or () if one.get("Kind") in (_MODIFIED, _ADDED)]
    root = f"/proc/{int(told['State']['Pid'])}/root"
    return await files.look(lambda: privileged(root, paths), DEADLINE)


def privileged(root: str, paths: Iterable[str]) -> list[str]:
    """Those of `paths` below `root` that are programs with another's rights. Raises OSError where we may not look.

    Only looked at, never opened; no link at the end of a path is followed.
    """
    Path(root).stat()
    found = []
    for path in paths:
        try:
            mode = Path(root + path).lstat().st_mode
        except (FileNotFoundError, NotADirectoryError):  # gone since, or covered by a mount
            continue
        executable = mode & (stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        if stat.S_ISREG(mode) and mode & _BITS and executable:
            found.append(path)
    return sorted(found)


def judge(named: Mapping[str, Sequence[str]]) -> Finding:
    lines = [f"{name}: {clean(path, 200)}" for name, paths in named.items() for path in paths[:_MOST]]
    total = sum(len(paths) for paths in named.values())
    return advice(
        "security.suid",
        f"{count(total, 'set-user-ID file')} that the image does not have: {listed(list(named))}",
        lines,
        Suggestion(
            f"keep {listed(list(named))} for evidence (full isolation on the Containment screen), then make it anew",
            "somebody who is root in there once leaves such a file to become root again",
            "none",
            0.5,
            cost="what it wrote beside its volumes",
            falsified_by="its start script installs packages: put them into the image",
        ),
    )
