"""A bundle is always made, whatever answers; what is in it is whole, opens without us, and holds nothing planted."""

from __future__ import annotations

import asyncio
import contextlib
import doctest
import errno
import hashlib
import importlib
import io
import json
import os
import signal
import stat
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from console.checks.bundle import Bundle, Item, collect, packed, packed_within, preview, write
from console.checks.bundle.collect import _facts
from console.checks.bundle.files import contents
from console.checks.bundle.from_host import of_host
from console.checks.bundle.from_stores import _without_queries, of_stores
from console.checks.bundle.items import FAILED, LATE, OK, Collector, Got
from console.checks.bundle.known import Known
from console.checks.check import Finding, Status
from console.checks.scene import Scene
from console.config import Config, DockerConfig, StoreConfig
from console.errors import RecordError
from console.incident.events import Actor
from console.incident.journal import Journal
from tests.unit import planted
from tests.unit.engine_twin import EngineTwin, inspected
from tests.unit.loopback import serve

ID = "a" * 64


def framed(text: str) -> bytes:
    """As the engine sends a container's output."""
    return b"".join(
        b"\x01\0\0\0" + len(line).to_bytes(4, "big") + line for line in text.encode().splitlines(keepends=True)
    )


@pytest.fixture
def twin() -> Iterator[EngineTwin]:
    """An engine with one container that tells all its secrets in every way."""
    with EngineTwin() as twin:
        app = inspected(ID)
        app["Config"]["Env"] = [f"{name}={value}" for name, value in planted.ENVIRONMENT.items()]
        app["Config"]["Labels"]["com.example.api_key"] = planted.IN_LABEL
        app["Config"]["Cmd"] = ["redis-server", "--requirepass", planted.IN_ARGUMENT]
        app["State"]["Running"] = True
        twin.put(app)
        path = f"/containers/{ID}"
        twin.answers[f"{path}/logs"] = (200, framed(planted.log_lines()))
        twin.answers[f"{path}/stats"] = (200, {"read": "2026-01-01T10:00:00Z"})
        arguments = f"python app.py --api-key={planted.IN_ENV} --label {planted.IN_LABEL}"
        twin.answers[f"{path}/top"] = (200, {"Titles": ["PID", "COMMAND"], "Processes": [["1", arguments]]})
        twin.answers["/info"] = (200, {"SystemTime": "2026-01-01T10:00:00Z", "Name": "twin"})
        twin.answers["/system/df"] = (200, {"LayersSize": 1})
        event = {"Type": "container", "Action": f"exec_create: sh -c 'TOKEN={planted.IN_ENV}'"}
        twin.answers["/events"] = (200, (json.dumps(event) + "\n" + json.dumps(event) + "\n").encode())
        twin.answers["/networks/shop_back"] = (200, {"Name": "shop_back"})
        yield twin


@pytest.fixture
def project(tmp_path: Path) -> Path:
    place = tmp_path / "project"
    place.mkdir()
    (place / ".env").write_text(f"FILE_TOKEN='{planted.IN_FILE}'\n")
    file = place / "compose.yaml"
    file.write_text("name: shop\nservices:\n  app:\n    image: shop/app:1\n")
    return file


def scene_of(twin: EngineTwin, file: Path | None = None, **more: Any) -> Scene:
    files = (str(file),) if file is not None else ()
    return Scene(Config(docker=DockerConfig(host=twin.host, project="shop", compose_files=files), **more))


@contextlib.asynccontextmanager
async def made(scene: Scene, **how: Any) -> Any:
    try:
        yield await collect(scene, **how)
    finally:
        await scene.close()


def item(bundle: Bundle, name: str) -> Item:
    return next(one for one in bundle.items if one.name == name)


def fixed(*items: Item) -> Bundle:
    return Bundle("prod-1", 1_795_000_000.0, 1.5, items, {"tool": {"name": "sevdeck"}})


# -- what is in it


async def test_everything_that_the_engine_tells_is_there_and_nothing_planted_is(
    twin: EngineTwin, project: Path, tmp_path: Path
) -> None:
    (tmp_path / "INC-1").mkdir()
    with contextlib.closing(Journal(tmp_path / "INC-1", Actor("ana"))) as journal:
        journal.append("note", {"text": f"the customer {planted.PHONE} called about {planted.IN_ENV}"})
        events = list(journal.events())
    finding = Finding("logs.errors", "logs", Status.FAIL, "errors", (planted.log_lines(),))
    flight = {"version": 1, "log": [{"message": planted.log_lines()}]}
    async with made(scene_of(twin, project), findings=[finding], flight=flight, journal=events) as bundle:
        files = dict(contents(bundle))
        assert planted.leaks(files.items()) == []
        logs = files["services/shop-app-1/logs.txt"].decode()
        assert len(logs.splitlines()) == len(planted.log_lines().splitlines()) and "worker started with •••" in logs
        inspect = json.loads(files["services/shop-app-1/inspect.json"])
        assert inspect["Id"] == ID and "LOG_LEVEL=debug" in inspect["Config"]["Env"]
        assert "--api-key=•••" in files["services/shop-app-1/top.txt"].decode()
        assert len(files["docker/events.jsonl"].splitlines()) == 2
        assert json.loads(files["docker/networks.json"]) == [{"Name": "shop_back"}]
        assert json.loads(files["diagnosis.json"])["findings"][0]["status"] == "fail"
        note = [json.loads(line) for line in files["incident/journal.jsonl"].splitlines()][-1]
        assert note["data"]["text"].startswith("the customer [phone-") and note["actor"]["login"] == "ana"
        manifest = json.loads(files["manifest.json"])
        assert manifest["clock"]["engine_ahead_seconds"] < -86400 and manifest["tool"]["version"]
        for told in manifest["items"]:
            if told["status"] == OK:
                assert hashlib.sha256(files[told["file"]]).hexdigest() == told["sha256"]
                assert len(files[told["file"]]) == told["bytes"]
        assert manifest["masked"] == dict(bundle.masked) and bundle.masked["known values"] > 20


async def test_what_redis_tells_is_masked_and_its_password_is_known(tmp_path: Path) -> None:
    told = f"redis_version:7.0\r\nconfig_note:{planted.IN_URL}\r\nexecutable:redis-server --requirepass {planted.IN_PS}\r\n"

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in (b"+OK\r\n", b"$%d\r\n%s\r\n" % (len(told), told.encode())):
            await reader.readuntil(b"\r\n$4\r\n")  # AUTH, then INFO
            writer.write(answer)
        await reader.read()

    async with serve(talk) as port:
        dsn = f"redis://:{quote(planted.IN_URL, safe='')}@127.0.0.1:{port}/0"
        scene = Scene(Config(docker=DockerConfig(host=f"unix://{tmp_path}/none.sock"), cache=StoreConfig(dsn=dsn)))
        async with made(scene, collectors=of_stores(scene, queries=False)) as bundle:
            redis = item(bundle, "stores/redis.json")
    assert redis.ok, redis.reason
    assert json.loads(redis.content) == {
        "redis_version": "7.0", "config_note": "•••", "executable": "redis-server --requirepass •••"
    }  # fmt: skip


def test_texts_of_queries_are_left_out_wherever_they_stand() -> None:
    session = {"pid": 7, "query": planted.IN_QUERY, "blockers": (1,)}
    told = {"active": (session,), "blockers": {"1": dict(session)}, "limit": 97}
    assert _without_queries(told) == {
        "active": [{"pid": 7, "blockers": [1]}], "blockers": {"1": {"pid": 7, "blockers": [1]}}, "limit": 97
    }  # fmt: skip


async def test_without_an_engine_the_rest_is_there(tmp_path: Path) -> None:
    config = Config(docker=DockerConfig(host=f"unix://{tmp_path}/none.sock"), database=StoreConfig(dsn="env:NO_SUCH"))
    async with made(Scene(config)) as bundle:
        assert item(bundle, "services").status == FAILED and "Docker" in item(bundle, "services").reason
        assert item(bundle, "stores/postgres.json").reason.startswith("the environment variable NO_SUCH is not set")
        assert item(bundle, "host/pressure.txt").name and item(bundle, "diagnosis.json").ok
        told = "\n".join(preview(bundle))
        assert "items are missing" in told and "known values could not be looked for: containers: Docker" in told
        assert write(bundle, tmp_path / "out").path.is_dir()


async def test_what_hangs_is_late_and_the_others_are_there(twin: EngineTwin) -> None:
    twin.hanging |= {f"/containers/{ID}/logs", "/info"}
    scene = scene_of(twin)
    began = time.monotonic()
    async with made(scene, each=3.5) as bundle:
        assert time.monotonic() - began < 30
        assert item(bundle, "services/shop-app-1/logs.txt").status == LATE
        assert item(bundle, "docker/info.json").status == LATE
        assert item(bundle, "services/shop-app-1/inspect.json").ok
        assert json.loads(bundle.manifest())["clock"]["engine_ahead_seconds"] is None


async def test_an_engine_that_answers_nonsense_costs_its_items_and_no_other(twin: EngineTwin) -> None:
    twin.answers["/containers/json"] = (200, {"Id": 3})
    twin.answers["/info"] = (200, [1])
    async with made(scene_of(twin)) as bundle:
        assert json.loads(bundle.manifest())["clock"]["engine_ahead_seconds"] is None
        assert item(bundle, "host/uptime.txt").name and item(bundle, "docker/version.json").ok
    twin.answers["/containers/json"] = (200, 7)
    async with made(scene_of(twin)) as bundle:
        assert item(bundle, "services").status == FAILED and "it broke (TypeError)" in item(bundle, "services").reason
        assert "known values could not be looked for" in "\n".join(preview(bundle))


async def test_there_is_a_bundle_also_when_nothing_ends(twin: EngineTwin) -> None:
    async def never() -> Got:
        await asyncio.Event().wait()
        raise AssertionError

    async def breaks() -> Got:
        raise KeyError("x")

    async def well() -> Got:
        return Got("well\n")

    parts = [Collector("a.txt", never), Collector("b.txt", breaks), Collector("c.txt", well)]
    async with made(scene_of(twin), collectors=parts, in_all=3.0) as bundle:
        assert [one.status for one in bundle.items] == [LATE, FAILED, OK]
        assert "1.8 s" in bundle.items[0].reason and "KeyError" in bundle.items[1].reason


async def test_what_there_is_no_time_to_mask_is_not_kept(twin: EngineTwin) -> None:
    async def much() -> Got:
        return Got("x password=hunter22x\n" * 3_000_000, "note")

    async def little() -> Got:
        return Got("password=hunter22x\n")

    parts = [Collector("much.txt", much), Collector("little.txt", little)]
    async with made(scene_of(twin), collectors=parts, in_all=1.0) as bundle:
        little_one, much_of_it = bundle.items
        assert little_one.content == "password=•••\n".encode()
        assert (much_of_it.status, much_of_it.content) == (LATE, b"") and "no time was left" in much_of_it.reason


async def test_a_program_that_is_missing_or_refuses_is_an_item_with_its_reason(tmp_path: Path) -> None:
    programs = {
        "host/none.txt": ("sevdeck-no-such-program",),
        "host/refused.txt": ("sh", "-c", "echo 'read kernel buffer failed: Operation not permitted' >&2; exit 1"),
        "host/half.txt": ("sh", "-c", "echo table; echo 'df: /dead: Stale file handle' >&2; exit 1"),
    }
    scene = Scene(Config(docker=DockerConfig(host=f"unix://{tmp_path}/none.sock")))
    parts = of_host(programs, tmp_path / "pressure")
    async with made(scene, collectors=parts) as bundle:
        reasons = {one.name: (one.status, one.reason, one.note) for one in bundle.items}
        assert reasons["host/none.txt"] == (FAILED, "sevdeck-no-such-program: No such file or directory", "")
        assert reasons["host/refused.txt"][:2] == (FAILED, "read kernel buffer failed: Operation not permitted")
        assert reasons["host/half.txt"] == (OK, "", "sh ended with 1: df: /dead: Stale file handle")
        assert item(bundle, "host/half.txt").content == b"table\n"
        assert reasons["host/pressure.txt"][0] == FAILED and "measures no pressure" in reasons["host/pressure.txt"][1]


def test_where_values_could_not_be_looked_for_is_in_the_manifest() -> None:
    scene = Scene(Config())
    facts = _facts(scene, 0.0, None, Known(unread=("containers: password=hunter22x",)))
    assert facts["known_values"] == {"count": 0, "not_looked_for_in": ["containers: password=•••"]}


def test_the_examples_hold() -> None:
    for name in ("preview", "files"):
        found = doctest.testmod(importlib.import_module(f"console.checks.bundle.{name}"))
        assert found.attempted > 0 and found.failed == 0


def test_the_preview_says_a_reason_once_for_all_that_it_cost() -> None:
    gone = [Item(f"docker/{n}.json", FAILED, 0.1, "no engine") for n in range(5)]
    well = Item("a.txt", OK, 0.1, note="9 bytes before these are left out", content=b"x" * 2048, masked={"by rule": 3})
    told = preview(fixed(well, *gone))
    assert told[0] == "1 file, 2.0 KiB, collected in 1.5 s"
    assert "     3 secrets masked by rule" in told
    assert "  docker/0.json, docker/1.json and 3 more failed: no engine" in told
    assert "  a.txt: 9 bytes before these are left out" in told


# -- as files


def test_it_opens_with_tar_and_json_alone_and_is_the_same_each_time(tmp_path: Path) -> None:
    bundle = fixed(Item("a/b.json", OK, 0.1, content=b"{}\n"), Item("c.txt", FAILED, 0.2, "gone"))
    told = write(bundle, tmp_path, archive=True)
    assert told.archive is not None
    content = told.archive.read_bytes()
    assert content == packed(bundle) and hashlib.sha256(content).hexdigest() == told.sha256
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        names = tar.getnames()
        inside = {name.partition("/")[2]: tar.extractfile(name).read() for name in names}  # type: ignore[union-attr]
    assert all(name.startswith("sevdeck-bundle-prod-1-2026") for name in names)
    assert sorted(inside) == ["README.txt", "a/b.json", "manifest.json"]
    on_disk = {str(path.relative_to(told.path)): path.read_bytes() for path in told.path.rglob("*") if path.is_file()}
    assert on_disk == inside and told.files == 3 and told.bytes == sum(map(len, inside.values()))
    assert json.loads(inside["manifest.json"])["items"][1] == {
        "file": "c.txt", "status": "failed", "seconds": 0.2, "reason": "gone"
    }  # fmt: skip
    assert [one.name for one in told.missing] == ["c.txt"]


def test_it_is_for_its_owner_alone_and_overwrites_nothing(tmp_path: Path) -> None:
    os.umask(os.umask(0o022))
    bundle = fixed(Item("a/b.txt", OK, 0.1, content=b"x"))
    first, second = write(bundle, tmp_path, archive=True), write(bundle, tmp_path, archive=True)
    assert (second.path.name, first.path.is_dir()) == (f"{first.path.name}-2", True)
    for path in (*tmp_path.rglob("*"),):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    third = write(replace(bundle, items=()), tmp_path)
    assert third.path.name.endswith("-3") and (first.path / "a/b.txt").read_bytes() == b"x"
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    bundle = fixed(Item("a.txt", OK, 0.1, content=b"x" * 100))
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RecordError, match="No space left on device"):
        write(bundle, tmp_path / "out", archive=True)
    assert list((tmp_path / "out").iterdir()) == []


def test_killed_in_the_middle_it_leaves_no_half_bundle(tmp_path: Path) -> None:
    program = (
        "import os, sys, pathlib\n"
        "from console.checks.bundle import Bundle, Item, write\n"
        "calls = 0\nreal = os.fsync\n"
        "def dies(fd):\n    global calls\n    calls += 1\n    real(fd)\n"
        f"    if calls == int(sys.argv[2]): os.kill(os.getpid(), {int(signal.SIGKILL)})\n"
        "os.fsync = dies\n"
        "items = tuple(Item(f'{n}.txt', 'ok', 0.1, content=b'x') for n in range(3))\n"
        "write(Bundle('h', 0.0, 0.0, items), pathlib.Path(sys.argv[1]), archive=True)\n"
    )
    ended = set()
    for call in range(1, 12):
        place = tmp_path / str(call)
        done = subprocess.run([sys.executable, "-c", program, str(place), str(call)], timeout=60, check=False)
        ended.add(done.returncode)
        for path in place.iterdir():
            if path.is_dir() and not path.name.startswith("."):
                assert len(list(path.iterdir())) == 5
            if path.suffix == ".gz":
                with tarfile.open(path) as tar:
                    assert len(tar.getnames()) == 5
    assert ended == {0, -signal.SIGKILL}


def test_what_a_killed_writer_left_long_ago_is_removed(tmp_path: Path) -> None:
    left, fresh = tmp_path / ".sevdeck-bundle-1-old", tmp_path / ".sevdeck-bundle-2-new"
    for place in (left, fresh):
        place.mkdir()
    os.utime(left, (0, 0))
    write(fixed(), tmp_path)
    assert (left.exists(), fresh.exists()) == (False, True)


def test_an_archive_that_is_too_large_loses_its_largest_item_and_says_so() -> None:
    bundle = fixed(Item("big.txt", OK, 0.1, content=os.urandom(50_000)), Item("small.txt", OK, 0.1, content=b"x"))
    less, content = packed_within(bundle, 20_000)
    assert len(content) <= 20_000
    assert [(one.name, one.status) for one in less.items] == [("big.txt", FAILED), ("small.txt", OK)]
    assert "left out: the archive may have 19 KiB" in less.items[0].reason
    assert packed_within(bundle, 1 << 20)[0] is bundle
