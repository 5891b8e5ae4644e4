"""What goes wrong around a recovery: who asked for it dies, somebody else asks too, it makes things worse, names lie."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from console.actions import offspring, runs
from console.actions.lock import holder
from console.cli import main
from tests.engine.conftest import without
from tests.engine.small import ROWS, SmallDatabase, SmallStack
from tests.engine.test_recovery import ROOT, Sevdeck
from tests.lab.images import TINY
from tests.lab.shell import run, wait_until
from tests.pty.terminal import Terminal, has_terminal
from tests.sshd import missing, sshd

GRACE = 4  # seconds that containers of the slow stack take to stop
REFUSAL = 0.5  # seconds of work until a second responder is refused
# What would do something: in a shell, in a terminal, in markup, to somebody who reads.
EVIL = "$(touch {mark})`touch {mark}`;touch {mark}|'\"&\x1b]0;owned\x07\x1b[2J\x9b31m[red]x[/red]\u202eppa\nok: done"
# Nothing of this may reach a terminal raw.
OBEYED = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture
def slow(small: SmallStack) -> SmallStack:
    """Its containers take four seconds to stop: there is time to do something while they do."""
    whole = small.file.read_text(encoding="utf-8")
    small.file.write_text(whole.replace("stop_signal: SIGKILL", f"stop_grace_period: {GRACE}s"), encoding="utf-8")
    small.up()
    return small


def rebuilder(stack: SmallStack, tmp_path: Path) -> Sevdeck:
    return Sevdeck(tmp_path, stack.config, observation=0.1)


def processes(sevdeck: Sevdeck, *, with_terminal: bool) -> list[psutil.Process]:
    """Those of the command that was typed, or those of the run, which left its terminal."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if str(sevdeck.data) in (process.info["cmdline"] or []) and has_terminal(process.pid) == with_terminal:
            found.append(process)
    return found


@pytest.mark.scenario("console killed inside level 3: the run goes on")
def test_a_console_that_is_killed_in_the_middle_of_a_rebuild(
    slow: SmallStack, small: SmallStack, tmp_path: Path
) -> None:
    sevdeck = rebuilder(slow, tmp_path)
    with Terminal(sevdeck.argv(), cwd=ROOT) as console:
        console.wait_for(r"cpu .* load", 30)
        console.send("R")
        console.wait_for(r"rebuild 3 services", 30)
        console.send("down", "down", "enter")
        console.wait_for(rf"{slow.name} +.*to go on|[Tt]ype .*{slow.name}", 20)
        console.send(slow.name, "enter")
        sevdeck.until("down", lambda v: v.step == "down")
        os.kill(console.process.pid, signal.SIGKILL)
    view = sevdeck.until("the end of the run", lambda v: v.over, deadline=90)
    assert view.outcome == "ok", view.reason
    assert view.plan.level == 3


@pytest.mark.scenario("ssh drops inside level 3: the run goes on")
def test_an_ssh_connection_that_drops_in_the_middle_of_a_rebuild(
    slow: SmallStack, small: SmallStack, tmp_path: Path, own_world: Path
) -> None:
    if why := missing():
        without(why)
    sevdeck = rebuilder(slow, tmp_path)
    words = ["env", f"HOME={own_world}", f"SEVDECK_DATA_DIR={own_world}/data"]
    typed = shlex.join([*words, *sevdeck.argv("recover", "run", "3", "--confirm", slow.name)])
    place = tmp_path / "ssh"
    place.mkdir()
    with sshd(place) as server, Terminal([*server.command, "-tt", "127.0.0.1", f"cd {ROOT} && {typed}"]) as terminal:
        sevdeck.until("down", lambda v: v.step == "down")
        before = processes(sevdeck, with_terminal=True)
        assert before, terminal.text()
        session = next(p for p in before[0].parents() if p.name().startswith("sshd"))
        session.kill()
        wait_until(lambda: not processes(sevdeck, with_terminal=True), "the hang-up", deadline=15)
        assert processes(sevdeck, with_terminal=False), "the run ended with the connection"
        view = sevdeck.until("the end of the run", lambda v: v.over, deadline=90)
    assert view.outcome == "ok", view.reason
    assert sevdeck("recover", "attach", view.run_id, "--json").data["outcome"] == "ok"


@pytest.mark.scenario("two responders inside level 3: refused within 0.5 s, by name; attach")
def test_a_second_responder_is_refused_at_once_and_attaches(
    slow: SmallStack, small: SmallStack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sevdeck = rebuilder(slow, tmp_path)
    assert sevdeck("recover", "run", "3", "--confirm", slow.name, "--detach").code == 0
    sevdeck.until("down", lambda v: v.step == "down")
    held = holder(sevdeck.data, slow.name)
    assert held is not None
    took = []
    for _ in range(5):  # the work alone: Python has started, and the best of five is not the machine's
        began = time.monotonic()
        code = main([*sevdeck.argv()[3:], "recover", "run", "3", "--confirm", slow.name])
        took.append(time.monotonic() - began)
        said = capsys.readouterr().err
        assert code == 3
        assert f"{held.who} is recovering {slow.name}: level 3" in said
        assert held.run_id in said
    assert min(took) <= REFUSAL, took
    followed = sevdeck("recover", "attach", held.run_id, "--json")
    assert (followed.code, followed.data["outcome"]) == (0, "ok")
    assert len(runs.ids(sevdeck.data)) == 1


@pytest.mark.scenario("two responders in the same moment: one run, one refusal")
def test_of_two_who_begin_in_the_same_moment_one_is_refused(
    slow: SmallStack, small: SmallStack, tmp_path: Path
) -> None:
    sevdeck = rebuilder(slow, tmp_path)
    both = [sevdeck.background("recover", "run", "3", "--confirm", slow.name) for _ in range(2)]
    said = {process.communicate(timeout=100)[0]: process.returncode for process in both}
    assert sorted(said.values()) == [0, 3], said
    assert "is recovering" in next(text for text, code in said.items() if code == 3)
    assert len(runs.ids(sevdeck.data)) == 1


@pytest.mark.scenario("Compose itself killed in the middle of level 3: asked again")
def test_a_compose_that_is_killed_is_no_success(slow: SmallStack, small: SmallStack, tmp_path: Path) -> None:
    sevdeck, began = rebuilder(slow, tmp_path), time.time()
    assert sevdeck("recover", "run", "3", "--confirm", slow.name, "--detach").code == 0
    view = sevdeck.until("down", lambda v: v.step == "down")
    held = holder(sevdeck.data, slow.name)
    assert held is not None
    programs = runs.directory(sevdeck.data, view.run_id) / "programs.lock"
    family = {held.pid, os.getpgid(held.pid)}

    def compose() -> set[int]:
        return set(offspring.holders(programs)) - family

    def stopping() -> bool:
        """The engine was told to stop a container, and it goes on with that whoever asked."""
        asked = ["events", "--since", f"{began:.0f}", "--until", f"{time.time():.3f}", "--filter", "event=kill"]
        return f"com.docker.compose.project={slow.name}" in slow.docker(*asked)

    wait_until(stopping, "the first stop", deadline=10, every=0.02)
    children = compose()
    assert children
    for pid in children:
        with contextlib.suppress(ProcessLookupError):  # one that ends with the one killed before it
            os.kill(pid, signal.SIGKILL)
    view = sevdeck.until("the end of the run", lambda v: v.over, deadline=90)
    assert view.outcome == "ok", (view.outcome, view.reason)
    assert next(step.attempt for step in view.steps if step.step.id == "down") == 1
    time.sleep(GRACE + 1)  # what the engine was told to stop must not stop afterwards
    assert slow.running, slow.containers()


@pytest.mark.scenario("recovery makes it worse: a person is called, nothing climbs")
def test_a_restart_that_makes_it_worse_ends_with_a_person(small: SmallStack, tmp_path: Path) -> None:
    """The app runs on what it read when it started; what lies on the disk by now does not start any more."""
    whole = small.file.read_text(encoding="utf-8")
    starts = (
        'command: [sh, -c, "echo app; [ ! -e /data/broken ] && exec sleep 2147483647"]\n    volumes: [storedata:/data]'
    )
    small.file.write_text(
        whole.replace('command: [sleep, "2147483647"]\n    depends_on: [store]', f"{starts}\n    depends_on: [store]"),
        encoding="utf-8",
    )
    small.up()
    sevdeck = rebuilder(small, tmp_path)
    small.docker("exec", f"{small.name}-store-1", "sh", "-c", "echo > /data/broken")
    done = sevdeck("recover", "run", "1", "--service", "app", "--confirm", "restart app", "--json")
    assert (done.code, done.data["outcome"]) == (1, "failed"), done.out + done.err
    assert "worse than before" in done.data["reason"]
    assert "call a person" in done.data["reason"]
    assert done.data["frozen"] is True
    climbed = sevdeck("recover", "auto", "--unattended", "--json")
    assert climbed.code == 3, climbed.out
    assert climbed.data["levels"] == []
    assert len(runs.ids(sevdeck.data)) == 1
    small.docker("exec", f"{small.name}-store-1", "sh", "-c", "busybox rm /data/broken")


@pytest.mark.scenario("a restore fails half-way: the copy goes, the live database was not touched")
def test_a_restore_that_fails_half_way_leaves_nothing(database: SmallDatabase, tmp_path: Path) -> None:
    """The dump is good, and the server no longer has a role that it names: it fails between two tables."""
    database.sql("CREATE ROLE gone; CREATE TABLE zebra AS SELECT 1 AS id; ALTER TABLE zebra OWNER TO gone")
    sevdeck = rebuilder(database, tmp_path)
    backup = sevdeck("backup", "create", "--json").data["id"]
    assert sevdeck("backup", "verify", "--json").code == 0
    database.sql("DROP OWNED BY gone; DROP ROLE gone")
    database.sql("INSERT INTO messages SELECT i FROM generate_series(1, 10) i")
    plan = sevdeck("recover", "plan", "4", "--json").data
    done = sevdeck("recover", "run", "4", "--confirm", plan["confirm"], "--json")
    assert (done.code, done.data["outcome"]) == (1, "rolled_back"), done.out + done.err
    states = {step["id"]: step["state"] for step in done.data["steps"]}
    assert (states["check"], states["read-in"], states["swap"]) == ("ok", "failed", "pending")
    assert "gone" in done.data["reason"]
    assert set(database.databases()) == {"postgres", "shop", "template0", "template1"}
    assert database.rows() == ROWS + 10
    assert backup in [one["id"] for one in sevdeck("backup", "list", "--json").data["backups"]]


@pytest.fixture
def evil(engine: str, lab_name: str, tmp_path: Path) -> Iterator[tuple[str, str, Path]]:
    """(project, service, mark): a container whose labels lie; the mark is a file that must never be there."""
    mark = tmp_path / "owned"
    project, service = (f"{lab_name}-{what}-{EVIL.format(mark=mark)}" for what in ("evil", "app"))
    name = f"{lab_name}-evil"
    run(["docker", "rm", "--force", name], check=False)
    labels = [f"com.docker.compose.project={project}", f"com.docker.compose.service={service}"]
    marked = [word for label in labels for word in ("--label", label)]
    run(["docker", "run", "--detach", "--name", name, *marked, "--stop-timeout", "0", TINY, "sleep", "2147483647"])
    yield project, service, mark
    run(["docker", "rm", "--force", name])


@pytest.mark.scenario("hostile names in plans, confirmations and records")
def test_names_that_lie_are_text_everywhere(evil: tuple[str, str, Path], tmp_path: Path) -> None:
    project, service, mark = evil
    config = f"[docker]\nproject = {json.dumps(project)}\n[roles]\napp = [{json.dumps(service)}]\n"
    sevdeck = Sevdeck(tmp_path, config, observation=0.1)
    for words in (("1", "--service", service), ("2",), ("3",), ("4",)):
        said = sevdeck("recover", "plan", *words)
        assert "Traceback" not in said.err
        assert not OBEYED.search(said.out + said.err), (words, OBEYED.findall(said.out + said.err))
        assert "\nok: done" not in said.out + said.err  # a line of its own, as if sevdeck had said it
    shown = sevdeck("recover", "plan", "2", "--json").data["targets"][0]
    for words in (("1", "--service", service), ("1", "--service", shown), ("2",)):
        plan = sevdeck("recover", "plan", *words, "--json").data
        assert plan["refused"] is None, plan
        # Pasted into a shell, the words are the words.
        typed = sevdeck("recover", "plan", *words).out.partition("To run it: ")[2].partition(" (within")[0]
        echoed = run(["sh", "-c", typed.replace("sevdeck", "printf '%s\\n'", 1)], cwd=tmp_path).stdout
        assert echoed.splitlines()[-1] == plan["confirm"]
        confirm = plan["confirm"]
        assert not OBEYED.search(confirm), confirm
        assert "\n" not in confirm
        began = sevdeck("recover", "run", *words, "--confirm", "restart app")
        assert began.code == 3
        assert not OBEYED.search(began.out + began.err)
        done = sevdeck("recover", "run", *words, "--confirm", confirm)
        assert done.code == 0, done.out + done.err
        assert not OBEYED.search(done.out + done.err)
    status = sevdeck("recover", "status")
    assert not OBEYED.search(status.out + status.err)
    assert not mark.exists()
    locks = {path.name for path in (sevdeck.data / "locks").iterdir()}
    assert all(re.fullmatch(r"[\w.-]+", name) for name in locks), locks


@pytest.mark.scenario("hostile path of the Compose files: level 3")
def test_compose_files_at_a_path_that_lies(engine: str, lab_name: str, tmp_path: Path) -> None:
    mark = tmp_path / "owned"
    stack = SmallStack(
        f"{lab_name}-path", tmp_path / f"st ack;$(touch {mark.name})`touch {mark.name}`'\x1b]0;owned\x07"
    )
    listed = json.dumps(str(stack.file))
    config = f'[docker]\nproject = "{stack.name}"\ncompose_files = [{listed}]\n[roles]\ncache = ["store"]\n'
    sevdeck = Sevdeck(tmp_path, config, observation=0.1)
    stack.down()
    stack.up()
    try:
        said = sevdeck("recover", "plan", "3")
        assert said.code == 0, said.out + said.err
        assert not OBEYED.search(said.out + said.err)
        done = sevdeck("recover", "run", "3", "--confirm", stack.name)
        assert done.code == 0, done.out + done.err
        assert not OBEYED.search(done.out + done.err)
        assert stack.running
        assert not list(tmp_path.rglob("owned"))
    finally:
        stack.down()
