"""The maintenance page at the edge: by an nginx of this project, or by commands of your own."""

from __future__ import annotations

import asyncio
import io
import posixpath
import shlex
import tarfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

from console.actions.action import Risk, Step
from console.actions.containment import nginx
from console.actions.containment.entry import Sight
from console.actions.containment.operation import Operation, Tools, container, must
from console.actions.facts import ServiceContainer
from console.actions.operation import StepFailedError
from console.config import ProbeConfig
from console.errors import SourceError

_EXEC = 10.0  # seconds
_WAIT = 5.0  # seconds for an edge to change what it answers: a reload is not waited for by nginx itself
_ASK = 2.0
_PACE = 0.1
_SECURE = ("443", "8443")


def urls(inspect: Mapping[str, Any]) -> tuple[str, ...]:
    """Where this host reaches the container's published ports, plain ones first.

    >>> urls({"HostConfig": {"PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}}})
    ('http://127.0.0.1:8080/',)
    """
    found = []
    for port, bound in ((inspect.get("HostConfig") or {}).get("PortBindings") or {}).items():
        number, _, kind = str(port).partition("/")
        for one in bound or ():
            host = str(one.get("HostIp") or "")
            host = "127.0.0.1" if host in ("", "0.0.0.0", "::") else f"[{host}]" if ":" in host else host
            scheme = "https+insecure" if number in _SECURE else "http"
            if kind == "tcp" and str(one.get("HostPort") or "").isdecimal():
                found.append(f"{scheme}://{host}:{one['HostPort']}/")
    return tuple(sorted(dict.fromkeys(found), key=lambda url: (not url.startswith("http:"), url)))


def page_step(c: ServiceContainer, dump: str, page: str, asked: Sequence[str]) -> Step:
    """Let the nginx in `c` answer 503. Raises ValueError when its configuration is not understood."""
    path = next(iter(nginx.files(dump)))
    health = nginx.health_paths(c.check.command if c.check else ())
    directory, saved = posixpath.dirname(path), path + nginx.SAVED
    new = posixpath.join(directory, nginx.CONF)
    name = shlex.quote(c.name)
    return Step(
        f"page-{c.name}",
        f"{c.name} answers 503 with the maintenance page",
        f"docker cp {nginx.CONF} {nginx.PAGE} into {name}:{directory}; docker exec {name} sh -c "
        + shlex.quote(f"nginx -t -c {new} && cp -P {path} {saved} && mv {new} {path} && nginx -s reload"),
        {
            "op": "page",
            "id": c.id,
            "path": path,
            "files": {
                nginx.CONF: nginx.maintenance(dump, health),
                "plain": nginx.maintenance(dump, health, plain=True),
                nginx.PAGE: page,
            },
            "urls": list(asked),
        },
        undo=f"docker exec {name} sh -c " + shlex.quote(f"mv {saved} {path} && nginx -s reload"),
        target=c.service,
        expected=0.5,
        timeout=40.0,
        risk=Risk.OUTAGE,
    )


def tar(files: Mapping[str, str]) -> bytes:
    """An archive of these texts by path, readable by everybody."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in files.items():
            raw = text.encode()
            about = tarfile.TarInfo(name)
            about.size, about.mode, about.mtime = len(raw), 0o644, int(time.time())
            tar.addfile(about, io.BytesIO(raw))
    return out.getvalue()


async def _engage(tools: Tools, step: Step) -> str:
    found, path = await must(tools, step), str(step.call["path"])
    if not found.running:
        raise StepFailedError(f"it is {found.state}")
    directory = posixpath.dirname(path)
    new, ours = posixpath.join(directory, nginx.CONF), posixpath.join(directory, nginx.PAGE)
    files = step.call["files"]
    for text in (files[nginx.CONF], files["plain"]):
        await tools.driver.put_archive(found.id, directory, tar({nginx.CONF: text, nginx.PAGE: files[nginx.PAGE]}))
        tested = await tools.driver.execute(found.id, ["nginx", "-t", "-q", "-c", new], _EXEC)
        if tested.ok:
            break
    else:
        await tools.driver.execute(found.id, ["rm", "-f", new, ours], _EXEC)
        raise StepFailedError(f"nginx does not take the configuration: {tested.text[:300]}")
    script = 'set -e; [ -e "$2" ] || [ -L "$2" ] || cp -P "$1" "$2"; mv -f "$3" "$1"; exec nginx -s reload'
    ran = await tools.driver.execute(found.id, ["sh", "-c", script, "sh", path, path + nginx.SAVED, new], _EXEC)
    if not ran.ok:
        raise StepFailedError(f"the configuration could not be put in place (exit {ran.code}): {ran.text[:300]}")
    return await _until(tools, step, True)


async def _release(tools: Tools, step: Step) -> str:
    path, saved = str(step.call["path"]), str(step.call["path"]) + nginx.SAVED
    directory = posixpath.dirname(path)
    rest = [posixpath.join(directory, nginx.CONF), posixpath.join(directory, nginx.PAGE)]
    script = 'set -e; if [ -e "$2" ] || [ -L "$2" ]; then mv -f "$2" "$1"; fi; nginx -s reload; rm -f "$3" "$4"'
    ran = await tools.driver.execute(str(step.call["id"]), ["sh", "-c", script, "sh", path, saved, *rest], _EXEC)
    if not ran.ok:
        raise StepFailedError(f"the configuration could not be put back (exit {ran.code}): {ran.text[:300]}")
    return await _until(tools, step, False)


async def _until(tools: Tools, step: Step, wanted: bool) -> str:
    """Ask until the edge shows our page, or no longer does."""
    if not step.call["urls"]:
        return "reloaded; it publishes no port that could be asked"
    until = time.monotonic() + _WAIT
    while await _shows(tools, step) is not wanted:
        if time.monotonic() > until:
            words = "does not show the maintenance page" if wanted else "still shows the maintenance page"
            raise StepFailedError(f"it was told to reload and {words}")
        await asyncio.sleep(_PACE)
    return "users get 503 with the maintenance page" if wanted else "the maintenance page is gone"


async def _shows(tools: Tools, step: Step) -> bool:
    """Does the edge answer 503 with our page?"""
    url = str(step.call["urls"][0])
    asked = ProbeConfig("maintenance", "http", url, expect=f"503 body:{nginx.MARKER}", timeout=_ASK)
    return (await tools.probe(asked)).ok is True


async def _look(tools: Tools, step: Step) -> Sight:
    found = await container(tools, step)
    if found is None:
        return Sight.GONE
    if step.call["urls"] and await _shows(tools, step):
        return Sight.IN_FORCE
    if not found.running:
        raise SourceError(f"{found.name} is {found.state}: its files cannot be looked at")
    saved = str(step.call["path"]) + nginx.SAVED
    script = '[ -e "$1" ] || [ -L "$1" ]'
    ran = await tools.driver.execute(found.id, ["sh", "-c", script, "sh", saved], _EXEC)
    if ran.code not in (0, 1):
        raise SourceError(f"{found.name} could not be looked into: {ran.text[:200]}")
    if ran.code == 1:
        return Sight.ABSENT
    return Sight.PARTLY if step.call["urls"] else Sight.IN_FORCE


PAGE = Operation(_engage, _release, _look)
