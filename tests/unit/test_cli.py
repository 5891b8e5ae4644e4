"""The command line: options anywhere, exit codes, one sentence for every failure, and the commands about the host."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import re
import subprocess
import sys
import threading
import time
import types
from pathlib import Path
from typing import Any

import pytest

from console import __version__, cli
from console.cli.as_json import as_json
from console.cli.call import Call
from console.cli.snapshot import lines, take
from console.config import Config
from console.errors import RefusedError, SourceError, UsageError
from console.watch.containers import ContainersReading
from console.watch.host import Disk, HostReading, Pressure
from console.watch.metrics import MetricPoint, MetricsReading
from console.watch.probes import ProbeResult, ProbesReading
from console.watch.source import Lane

ROOT = Path(__file__).parents[2]


def program(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """sevdeck as a person starts it, in a process of its own."""
    command = [sys.executable, "-m", "console", *words]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, **options)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine.sock")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Adds a command `try` whose run is the function given."""

    def add(run: Any) -> None:
        module = types.ModuleType("console.cli.tried")

        def register(commands: Any) -> None:
            parser = commands.add_parser("try")
            parser.add_argument("--confirm")
            parser.add_argument("rest", nargs="*")
            parser.set_defaults(run=run)

        module.register = register  # type: ignore[attr-defined]
        module.__spec__ = types.SimpleNamespace()  # type: ignore[assignment]
        monkeypatch.setitem(sys.modules, "console.cli.tried", module)
        monkeypatch.setitem(cli.COMMANDS, "try", "tried")

    return add


# --- options and failures


def test_version() -> None:
    done = program("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"sevdeck {__version__}\n", "")


def test_options_hold_before_and_after_the_command() -> None:
    call = Call()
    words = call.take_options(["--json", "config", "--config=a.toml", "show", "--data-dir", "d", "--", "--json"])
    assert words == ["config", "show", "--", "--json"]
    assert (call.json, call.config_path, call.data_path) == (True, Path("a.toml"), Path("d"))
    with pytest.raises(UsageError, match="--config needs a path"):
        Call().take_options(["config", "--config"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("snapshto",), "unknown command 'snapshto'. Did you mean `sevdeck snapshot`?"),
        (("config",), "sevdeck config --help"),
        (("config", "show", "--config", "gone.toml"), "--config names gone.toml"),
        (("redact", "gone.log"), "gone.log cannot be read: No such file or directory"),
        (("--data-dir",), "--data-dir needs a path"),
    ],
)
def test_bad_usage_is_a_sentence_and_exit_2(words: tuple[str, ...], told: str, here: Path) -> None:
    done = program(*words)
    assert done.returncode == 2 and done.stdout == ""
    assert told in done.stderr and "Traceback" not in done.stderr


def test_help_lists_the_commands_that_are_there() -> None:
    done = program("--help")
    assert done.returncode == 0
    assert all(word in done.stdout for word in ("init", "config", "snapshot", "redact", "--data-dir", "exit codes"))


def test_a_command_whose_module_is_not_there_is_absent(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setitem(cli.COMMANDS, "someday", "no_such_module")
    assert cli.main(["someday"]) == 2
    assert "someday" in capsys.readouterr().err
    assert cli.main(["--help"]) == 0
    assert "someday" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (RefusedError("locked by run 7", remedy="Wait for it"), 3, "sevdeck: locked by run 7. Wait for it\n"),
        (SourceError("no answer"), 1, "sevdeck: no answer\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_expected_failures_have_their_exit_code(
    error: BaseException, code: int, told: str, command: Any, capsys: Any
) -> None:
    def run(call: Call) -> int:
        raise error

    command(run)
    assert cli.main(["try"]) == code
    assert capsys.readouterr() == ("", told)


def test_an_unexpected_failure_is_one_sentence_and_a_traceback_in_the_log(
    own_world: Path, command: Any, capsys: Any
) -> None:
    def run(call: Call) -> int:
        raise ValueError("password=hunter22")

    command(run)
    assert cli.main(["try"]) == 1
    out, err = capsys.readouterr()
    log = own_world / "data" / "sevdeck.log"
    assert out == "" and err == f"sevdeck failed unexpectedly (ValueError); the details are in {log}\n"
    written = log.read_text()
    assert "Traceback" in written and "ValueError" in written and "hunter22" not in written


def test_a_reader_that_leaves_early_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -m console config show | head -1",
        shell=True, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.stderr == "" and done.stdout.count("\n") == 1


def test_answers_are_masked_and_survive_any_terminal() -> None:
    ask = (
        "import sys\nfrom console import cli\nfrom console.cli.call import Call\n"
        "cli._run = lambda call, argv: call.take_options(argv) or call.answer("
        "{'dsn': 'postgres://u:hunter22@h/', 'bad': '\\x9b'}, 'password=hunter22 \u2713') or 0\n"
        "sys.exit(cli.main())"
    )
    env = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}

    def shown(*flags: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", ask, *flags], cwd=ROOT, env=env, capture_output=True, text=True, timeout=30
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    assert shown() == "password=\\u2022\\u2022\\u2022 \\u2713\n"
    assert json.loads(shown("--json")) == {"dsn": "postgres://u:•••@h/", "bad": "\x9b"}
    assert "\x9b" not in shown("--json")


# --- confirmation


def test_without_a_terminal_a_confirmation_must_be_given(command: Any, capsys: Any) -> None:
    def run(call: Call) -> int:
        call.confirm("app", "Restart app?", call.args.confirm)
        call.say("done")
        return 0

    command(run)
    assert cli.main(["try"]) == 3
    assert "--confirm app" in capsys.readouterr().err
    assert cli.main(["try", "--confirm", "ap"]) == 3
    assert "expected app, got ap" in capsys.readouterr().err
    assert cli.main(["try", "--confirm", "app"]) == 0
    assert capsys.readouterr().out == "done\n"


# --- the console


def test_without_a_terminal_the_console_says_what_to_do_instead() -> None:
    done = program(stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert "there is no terminal" in done.stderr and "sevdeck snapshot" in done.stderr


def test_a_terminal_that_cannot_draw_gets_the_same_sentence() -> None:
    master, slave = pty.openpty()
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "dumb"}
    command = [sys.executable, "-m", "console"]
    done = subprocess.run(command, stdin=slave, stdout=slave, stderr=subprocess.PIPE, env=env, text=True, timeout=30)
    os.close(slave)
    os.close(master)
    assert done.returncode == 2
    assert "this terminal cannot draw" in done.stderr and "sevdeck snapshot" in done.stderr


# --- init and config


@pytest.mark.usefixtures("no_engine")
def test_init_writes_a_file_that_check_accepts_and_never_overwrites_it(here: Path) -> None:
    done = program("init", cwd=here)
    assert done.returncode == 0, done.stderr
    assert "Wrote sevdeck.toml." in done.stdout and "No container could be seen" in done.stdout
    checked = program("config", "check", "--json", cwd=here)
    told = json.loads(checked.stdout)
    assert (checked.returncode, told["valid"], told["errors"]) == (0, True, [])
    (here / "sevdeck.toml").write_text("# mine\n")
    refused = program("init", cwd=here)
    assert refused.returncode == 3 and "--force" in refused.stderr
    assert (here / "sevdeck.toml").read_text() == "# mine\n"
    forced = program("init", "--force", "--json", cwd=here)
    assert forced.returncode == 0 and set(json.loads(forced.stdout)) == {"path", "detected"}
    assert (here / "sevdeck.toml").read_text() != "# mine\n"


@pytest.mark.usefixtures("no_engine")
def test_init_into_a_place_that_cannot_be_written(here: Path) -> None:
    (here / "file").write_text("")
    done = program("init", "--output", "file/below/x.toml", cwd=here)
    assert done.returncode == 1 and "cannot be written" in done.stderr


def test_config_check_tells_every_fault(here: Path) -> None:
    (here / "sevdeck.toml").write_text('[service]\nnmae = "x"\n[keys]\n"no.such" = "x"\n')
    done = program("config", "check", "--json", cwd=here)
    told = json.loads(done.stdout)
    assert done.returncode == 2 and told["valid"] is False
    assert told["errors"][0]["key"] == "service.nmae"
    assert told["errors"][0]["file"].endswith("sevdeck.toml")
    assert "did you mean" in told["errors"][0]["message"]
    human = program("config", "check", cwd=here)
    assert human.returncode == 2 and "sevdeck.toml:2: service.nmae: unknown key" in human.stdout


def test_config_check_names_what_has_no_effect_yet_and_does_not_fail(here: Path) -> None:
    (here / "sevdeck.toml").write_text('[service]\nenvironment = "lab"\n')
    done = program("config", "check", cwd=here)
    assert done.returncode == 0
    assert (
        "sevdeck.toml:2: service.environment: accepted, has no effect yet" in done.stdout and "is well." in done.stdout
    )
    told = json.loads(program("config", "check", "--json", cwd=here).stdout)
    assert told["valid"] is True and [notice["key"] for notice in told["notices"]] == ["service.environment"]


def test_config_check_knows_the_commands_that_keys_are_bound_to(here: Path) -> None:
    (here / "sevdeck.toml").write_text('[keys]\n"no.such" = "x"\n')
    done = program("config", "check", "--json", cwd=here)
    assert done.returncode == 2 and json.loads(done.stdout)["errors"][0]["key"] == "keys.no.such"


def test_config_show_masks_secrets_and_names_sources(here: Path) -> None:
    (here / "sevdeck.toml").write_text('[database]\ndsn = "postgresql://app:hunter22@db/shop"\n')
    done = program("config", "show", cwd=here)
    assert done.returncode == 0 and "hunter22" not in done.stdout
    assert "postgresql://app:•••@db/shop" in done.stdout and "# sevdeck.toml:2" in done.stdout
    data = json.loads(program("config", "show", "--json", cwd=here).stdout)
    assert data["path"] == str(here / "sevdeck.toml")
    assert {"key": "console.refresh", "value": 1.0, "source": "default"} in data["settings"]


def test_a_faulty_file_stops_every_command_that_needs_it(here: Path) -> None:
    (here / "sevdeck.toml").write_text("[service\n")
    done = program("config", "show", cwd=here)
    assert done.returncode == 2 and "sevdeck.toml:1: not valid TOML" in done.stderr


# --- snapshot


class Given:
    """A source that answers with one value, an error, or never."""

    every, deadline = 60.0, 1.0

    def __init__(self, name: str, value: Any) -> None:
        self.name, self._value = name, value
        self.closed = False

    async def read(self) -> Any:
        if isinstance(self._value, Exception):
            raise self._value
        return await self._value() if callable(self._value) else self._value

    async def changed(self) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None:
        self.closed = True


NO_PRESSURE = Pressure(None, None, None, None, None)
HOST = HostReading(
    hostname="web1", cores=2, cpu=12.5, cpu_per_core=(10.0, 15.0), load=(0.1, 0.2, 0.3), pressure=NO_PRESSURE,
    memory_total=1000, memory_available=400, swap_total=0, swap_used=0,
    disks=(Disk("/", "sda", 100, 50, 50, None, None),), net_in=None, net_out=None, disk_read=None, disk_write=None,
    top=(), uptime=5.0,
)  # fmt: skip
PROBE = ProbeResult("edge", "http", "http://h/", True, "200 in 3 ms", 0.003, 1e9, 1e9, False)
METRIC = MetricPoint("orders", "1/h", 5.0, 4.0, "ok", "", (4.0, 5.0), "down", "", 1e9)


async def test_a_snapshot_has_every_source_and_a_dead_one_says_why() -> None:
    sources = [
        Given("host", HOST),
        Given("containers", SourceError("Docker does not answer", remedy="Start it")),
        Given("probes", ProbesReading((PROBE,))),
        Given("metrics", MetricsReading((METRIC,))),
    ]
    taken = await take(Config(), sources, limit=2)
    assert list(taken) == ["taken_at", "host", "containers", "logs", "metrics", "probes"]
    assert taken["containers"] == {"error": "Docker does not answer", "remedy": "Start it"}
    assert taken["logs"] == {"error": "no answer in 2 s"}
    assert taken["host"]["cpu"] == 12.5
    assert taken["probes"][0]["at"] == "2001-09-09T01:46:40.000000Z"
    assert taken["metrics"][0]["value"] == 5.0
    assert all(source.closed for source in sources)
    text = "\n".join(lines(taken))
    assert "web1: cpu 12 % of 2 cores" in text and "unknown: Docker does not answer. Start it" in text
    json.dumps(taken)


async def test_a_snapshot_of_frozen_sources_ends_in_time() -> None:
    release, lane = threading.Event(), Lane("frozen")
    frozen = Given("containers", lambda: lane.call(release.wait))
    frozen.deadline = 60.0
    began = time.monotonic()
    taken = await take(Config(), [Given("host", HOST), frozen], limit=0.3)
    assert time.monotonic() - began < 2.0
    assert taken["containers"] == {"error": "no answer in 0.3 s"} and taken["host"]["hostname"] == "web1"
    release.set()
    lane.close()


async def test_a_snapshot_of_an_empty_engine() -> None:
    empty = ContainersReading("Docker 27 (API 1.45)", "unix:///x", (), ())
    taken = await take(Config(), [Given("containers", empty)], limit=0.2)
    assert taken["containers"] == []


@pytest.mark.usefixtures("no_engine")
def test_snapshot_without_docker_is_done_within_six_seconds(here: Path) -> None:
    began = time.monotonic()
    done = program("snapshot", "--json", cwd=here)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < 6.0
    taken = json.loads(done.stdout)
    assert "error" in taken["containers"] and taken["host"]["cores"] >= 1 and taken["probes"] == []


def test_records_become_json() -> None:
    data = as_json(HOST)
    assert data["disks"][0]["mount"] == "/" and data["net_in"] is None
    assert as_json({"a": (1, float("inf")), "p": Path("/x")}) == {"a": [1, None], "p": "/x"}


# --- redact


def test_redact_copies_its_input_with_secrets_masked() -> None:
    raw = b"ok\r\npassword=hunter22\n-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n\xff end"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "console", "redact"], input=raw, env=env, capture_output=True, timeout=30
    )
    mask = "•••".encode()
    assert done.stdout == (b"ok\r\npassword=" + mask + b"\n-----BEGIN PRIVATE KEY-----\n" + mask + b"\n\xff end")


def test_redact_replaces_personal_data_when_asked_and_ends_quietly_with_its_reader() -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "console", "redact", "--people"]
    done = subprocess.run(
        command, input=b"from bob@example.com\rto bob@example.com\r\n", env=env, capture_output=True, timeout=30
    )
    first, second = re.findall(rb"\[mail-[0-9a-f]{8}\]", done.stdout)
    assert done.stdout == b"from %b\rto %b\r\n" % (first, second) and first == second
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env
    ) as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(b"token=abcd1234efgh5678\n" * 100_000)
            process.stdin.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 0
