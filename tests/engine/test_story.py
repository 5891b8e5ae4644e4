"""The whole story on a real stack, in a real terminal: it breaks, somebody opens the console, and in the end the
post-mortem says what happened."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.engine.conftest import without
from tests.lab.lab import Lab
from tests.pty.terminal import Tmux, have_tmux

ROOT = Path(__file__).parents[2]


def settings(lab: Lab, home: Path) -> dict[str, str]:
    """A home of its own, and the lab's config with an observation of seconds."""
    config = home / "sevdeck.toml"
    config.write_text(lab.config() + '\n[recovery]\nobservation = "5s"\n')
    data = home / "data"
    keep = {name: value for name, value in os.environ.items() if name.startswith("DOCKER_")}
    return {
        "HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "SEVDECK_CONFIG": str(config),
        "SEVDECK_DATA_DIR": str(data),
        "LANG": "C.UTF-8",
        **keep,
    }


def sevdeck(env: dict[str, str], *words: str) -> dict[str, object]:
    """A command's JSON answer."""
    done = subprocess.run(
        [sys.executable, "-m", "console", *words, "--json"], env={**os.environ, **env}, capture_output=True, text=True,
        timeout=60, check=True,
    )  # fmt: skip
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
def test_from_the_fault_to_the_post_mortem(healthy_lab: Lab, tmp_path: Path, size: tuple[int, int]) -> None:
    if not have_tmux():
        without("tmux is missing")
    env = settings(healthy_lab, tmp_path)
    restarted_before = healthy_lab.stack.state("app")
    healthy_lab.break_("app-hung")
    broken_at = time.time()
    with Tmux(f"{sys.executable} -m console", cols=size[0], rows=size[1], env=env, cwd=tmp_path) as console:
        # It says what is wrong and what to do.
        console.wait_for(r"✖ app is hung", 45)
        console.send("3")
        console.wait_for(r"✖ webhook", 20)

        # Declared, with the evidence that was there before anybody asked.
        console.send("D")
        console.wait_for("Declare an incident")
        console.type("Webhooks time out")
        console.send("Enter")
        console.wait_for(r"SEV-1 proposed")
        console.send("D")
        console.wait_for(r"SEV-1\s+INC-\d{4}-\d{4}.*Webhooks")
        console.wait_for(r"0/\d+")

        # The first step of the checklist, and a note.
        console.send("Space")
        console.wait_for(r"✔ .*root|1/\d+")
        console.send("n")
        console.wait_for("what you saw, did, or think")
        console.type("edge times out, database is well")
        console.send("Enter")

        # Level 1 with one key, to its verdict.
        console.wait_for(r"── (Checklist|Timeline)")
        console.send("R")
        console.wait_for(r"restart app .*recommended", 20)
        console.send("Enter")
        console.wait_for("press r to run it")
        time.sleep(0.7)  # the confirmation is armed only after a moment; a key held down must not run it
        console.send("r")
        console.wait_for("outcome: ok", 90)
        console.send("Escape")
        console.wait_for(r"app\s+healthy|webhook\s.*200", 30)

        # Resolved and exported.
        console.send("I")
        console.wait_for(r"── Checklist")
        console.send("S")
        console.wait_for("mitigated")
        for _ in range(4):
            console.send("Down")
        console.send("Enter")
        console.wait_for("resolved: why")
        console.type("restarted the app; its worker thread was stuck")
        console.send("Enter")
        console.wait_for(r"INC-\d{4}-\d{4}.*resolved")
        console.send("E")
        console.wait_for("Write the post-mortem as")
        console.send("Enter")
        console.wait_for("Written:", 20)
        console.send("Escape", "q")

    after = healthy_lab.stack.state("app")
    assert after is not None and restarted_before is not None
    assert healthy_lab.stack.webhook() == "200"
    check_record(env, broken_at)
    check_export(tmp_path)


def check_record(env: dict[str, str], broken_at: float) -> None:
    """What was done is in the record, and the record is whole."""
    incident = sevdeck(env, "incident", "show", "current")
    assert incident["severity"] == 1
    assert incident["status"] == "resolved"
    timeline = incident["timeline"]
    assert isinstance(timeline, list)
    kinds = [entry["kind"] for entry in timeline]
    for kind in ("declared", "fact", "flight", "playbook.started", "step", "note", "recovery.run", "recovery.step",
                 "recovery.validation", "resolved"):  # fmt: skip
        assert kind in kinds, f"{kind} is not in {kinds}"
    texts = " ".join(entry["summary"] for entry in timeline)
    assert "edge times out, database is well" in texts
    verdict = sevdeck(env, "incident", "verify", "current")
    assert verdict["ok"] is True
    assert int(str(verdict["events"])) >= len(timeline)


def check_export(folder: Path) -> None:
    """The post-mortem is one file that tells the same story."""
    (path,) = folder.glob("INC-*-postmortem.html")
    page = path.read_text()
    for fact in ("Webhooks time out", "SEV-1", "edge times out, database is well", "restart app", "resolved", "<svg"):
        assert fact in page, fact
    assert not re.search(r"(src|href)=[\"']https?://", page)
