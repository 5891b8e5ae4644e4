"""Does `sevdeck diagnose`, asked for the first time, name what was broken? `python -m tests.lab.diagnosed [NAME ...]`.

Each fault, some pairs, and stacks that are well: injected, waited for until it shows, then diagnosed by a process of
its own, as somebody would who was just called. The first suggestion is right when it names the injected cause; of a
pair the first names one of them and the other is among the causes. A table is printed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from console.checks.containers import LOOP_DEATHS
from tests.lab.control import Lab
from tests.lab.judged import CAUSES
from tests.lab.shell import LabError, wait_until

PAIRS = (  # the second is broken after the first and has to show all the same
    ("postgres-stopped", "cert-expired"),
    ("redis-full", "app-hung"),
    ("redis-full", "postgres-blocked"),
    ("network-no-alias", "log-flood"),
    ("worker-stopped", "edge-5xx"),
    ("disk-full", "app-paused"),
)
WELL = ("healthy", "busy", "fresh")
_DEADLINE = 40.0  # seconds for one diagnosis, of which it should take 15 at the most
_BUSY = 8  # processes that ask the edge without a pause
_FRESH = (0.0, 3.0, 8.0)  # seconds after `up` began to answer at which a fresh stack is looked at


@dataclass(frozen=True)
class Row:
    """`seconds` of the diagnosis."""

    name: str
    first: str
    suggestion: str
    right: bool
    seconds: float
    why: str = ""

    def __str__(self) -> str:
        mark = "right" if self.right else f"WRONG {self.why}".strip()
        return f"| {self.name} | {self.first} | {self.suggestion} | {mark} | {self.seconds:.1f} |"


class Diagnostician:
    """Asks for diagnoses of one lab; records go to a directory that is thrown away."""

    def __init__(self, lab: Lab, place: Path) -> None:
        self._lab = lab
        self._config, self._data = place / "sevdeck.toml", place / "data"
        self._config.write_text(lab.config())

    def ask(self) -> dict[str, Any]:
        command = [sys.executable, "-m", "console", "--config", str(self._config), "--data-dir", str(self._data)]
        done = subprocess.run([*command, "--json", "diagnose"], capture_output=True, text=True, timeout=_DEADLINE)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def fault(self, *names: str) -> Row:
        """Injects, asks, judges, mends."""
        if not self._lab.is_well():
            self._lab.reset()
        self._calm()
        try:
            for name in names:
                self._lab.break_(name)
            return judged(names, self.ask())
        except LabError as error:  # the other faults are asked all the same
            return Row(" + ".join(names), "-", "-", False, 0.0, str(error))
        finally:
            self._lab.reset()

    def _calm(self) -> None:
        """Wait until no crash loop of the fault before is in the last two minutes: it would be one to whoever looks."""
        stack = self._lab.stack
        asked = ["events", "--since", "2m", "--until", "0s", "--filter", "event=die", "--format", "{{.Actor.ID}}"]
        asked += ["--filter", f"label=com.docker.compose.project={stack.project}"]

        def calm() -> bool:
            return max(Counter(stack.docker(*asked).stdout.split()).values(), default=0) < LOOP_DEATHS

        wait_until(calm, "no crash loop of before", deadline=150, every=1)

    def well(self, name: str) -> Row:
        """A stack that is well: no finding may be above a warning."""
        if name == "fresh":
            self._lab.down()
        if name == "fresh" or not self._lab.is_well():
            self._lab.reset()
        answers = [self.ask() for _ in (_FRESH if name == "fresh" else (0.0,))] if name != "busy" else [self._busy()]
        bad = [f for a in answers for f in a["findings"] if f["status"] in ("fail", "unknown")]
        worst = bad[0]["summary"] if bad else "; ".join(f["summary"] for f in answers[-1]["findings"]) or "nothing"
        return Row(name, worst, "-", not bad, max(a["took"] for a in answers), "above a warning" if bad else "")

    def _busy(self) -> dict[str, Any]:
        """Asked while many users ask, too."""
        url = f"http://127.0.0.1:{self._lab.stack.ports.edge}/"
        ask = f"while :; do curl -s -m 5 -o /dev/null {url}; done"
        crowd = [subprocess.Popen(["sh", "-c", ask], start_new_session=True) for _ in range(_BUSY)]
        try:
            time.sleep(5)  # until it shows in figures
            return self.ask()
        finally:
            for one in crowd:
                one.terminate()
                one.wait()


def judged(names: Sequence[str], answer: dict[str, Any]) -> Row:
    """Whether the first cause names one of what was injected, and the others are causes, too."""
    causes = [f for f in answer["findings"] if not f["cause"]]
    told = [f"{f['summary']} -> {f['suggestions'][0]['title'] if f['suggestions'] else ''}" for f in causes]
    first = told[0] if told else "nothing -> "
    wanted = [CAUSES[name] for name in names]
    named = [any(re.search(w, text, re.IGNORECASE) for text in told) for w in wanted]
    top = any(re.search(w, first, re.IGNORECASE) for w in wanted)
    why = "" if top else "first"
    if top and not all(named):
        why = f"no {', '.join(n for n, there in zip(names, named, strict=True) if not there)}"
    summary, _, suggestion = first.partition(" -> ")
    return Row(" + ".join(names), summary, suggestion, top and all(named), answer["took"], why)


def rows(lab: Lab, wanted: Sequence[str], place: Path) -> Iterator[Row]:
    """Names are those of faults, of pairs ("a+b"), or of stacks that are well."""
    asking = Diagnostician(lab, place)
    for name in wanted:
        yield asking.well(name) if name in WELL else asking.fault(*name.split("+"))


def every(lab: Lab) -> list[str]:
    return [*WELL, *lab.faults, *("+".join(pair) for pair in PAIRS)]


def main(words: Sequence[str]) -> int:
    lab = Lab(os.environ.get("SEVDECK_LAB_PROJECT", "shop"), int(os.environ.get("SEVDECK_LAB_PORT_OFFSET", "0")))
    wrong = 0
    print("| fault | first cause | first suggestion | | seconds |\n|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as place:
        for row in rows(lab, words or every(lab), Path(place)):
            wrong += not row.right
            print(row, flush=True)
    print(f"\n{wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
