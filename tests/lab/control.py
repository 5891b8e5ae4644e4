"""The lab as tests and the command line hold it: a stack and its switches."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.lab.faults import FAULTS, Fault
from tests.lab.images import HERE
from tests.lab.shell import LabError, wait_until
from tests.lab.stack import Ports, Stack


class Lab:
    """One stack and which of its faults are on."""

    faults: Mapping[str, Fault] = FAULTS

    def __init__(self, project: str = "shop", offset: int = 0, *, traffic: float = 3.0) -> None:
        self.stack = Stack(project, Ports().shifted(offset), traffic=traffic)

    @property
    def active(self) -> list[str]:
        """The faults that are on, oldest first; kept with the project."""
        try:
            names: list[str] = json.loads(self._active_file.read_text())
        except FileNotFoundError:
            return []
        return names

    @active.setter
    def active(self, names: list[str]) -> None:
        self._active_file.write_text(json.dumps(names))

    @property
    def _active_file(self) -> Path:
        return self.stack.directory / "faults.json"

    def compose(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`docker compose` in the project's directory."""
        return self.stack.compose(*arguments, check=check)

    def up(self) -> float:
        return self.stack.up()

    def down(self, *, keep_data: bool = False) -> None:
        self.stack.down(keep_data=keep_data)

    def is_well(self) -> bool:
        return not self.active and not self.stack.troubles()

    def break_(self, name: str, *, wait: bool = True) -> str:
        """Turn a fault on; with `wait`, only return once it can be seen. The symptom."""
        fault = self._fault(name)
        # On record first: an injection that fails half way is mended all the same.
        self.active = [*(other for other in self.active if other != name), name]
        fault.inject(self.stack)
        return self.wait_shown(name) if wait else ""

    def wait_shown(self, name: str) -> str:
        """Wait until the fault shows; the symptom in words."""
        fault, seen = self._fault(name), ""

        def shown() -> bool:
            nonlocal seen
            seen = fault.shows(self.stack) or ""
            return bool(seen)

        wait_until(shown, f"symptom of {name}", deadline=fault.deadline)
        return seen

    def mend(self, name: str = "", *, wait: bool = True) -> None:
        """Turn one fault off, or all that are on; with `wait`, until the stack is well."""
        for each in [name] if name else list(reversed(self.active)):
            self._fault(each).undo(self.stack)
            self.active = [other for other in self.active if other != each]
        if wait and not self.active:
            self.stack.wait_well()

    def reset(self) -> float:
        """Well again from any state; seconds it took."""
        if not self.stack.directory.is_dir():
            return self.up()
        took = self.stack.reset(self._mend_all)
        self.active = []
        return took

    def config(self) -> str:
        """A sevdeck.toml for this stack."""
        text = (HERE / "sevdeck.toml").read_text()
        for mine, default in zip(vars(self.stack.ports).values(), vars(Ports()).values(), strict=True):
            text = text.replace(str(default), str(mine))
        text = text.replace("/tmp/sevdeck-lab/shop", str(self.stack.directory))
        text = text.replace('project = "shop"', f'project = "{self.stack.project}"')
        return text.replace("shop-", f"{self.stack.project}-")

    def _mend_all(self) -> None:
        for name in reversed(self.active):
            with contextlib.suppress(LabError):
                self._fault(name).undo(self.stack)

    def _fault(self, name: str) -> Fault:
        if name not in self.faults:
            raise LabError(f"no fault {name!r}; there are: {', '.join(self.faults)}")
        return self.faults[name]
