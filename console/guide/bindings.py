"""What `{{...}}` stands for on this host, and the argv a command step becomes.

Values are words of an argv, never text for a shell. Names come from Compose by role, or from a person and are held
against the var's pattern. Nothing is executed here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from console.errors import RefusedError
from console.guide.loader import PLACEHOLDER
from console.guide.schema import Command, Playbook, Step


@dataclass(frozen=True, slots=True)
class Host:
    """What playbooks may know of the host. `roles`: role -> services; `containers`: service -> running containers."""

    project: str = ""
    service: str = ""
    url: str = ""
    roles: Mapping[str, Sequence[str]] = field(default_factory=dict)
    containers: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bindings:
    """Values of a playbook's vars; `missing` says of each unknown one why it is unknown."""

    values: Mapping[str, str]
    missing: Mapping[str, str]
    containers: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def fill(self, text: str) -> str:
        """`text` with its placeholders replaced. Raises RefusedError for one that has no value here."""

        def value(match: re.Match[str]) -> str:
            name = match[1]
            if name not in self.values:
                why = self.missing.get(name, "it is not declared")
                raise RefusedError(f"{{{{{name}}}}} has no value here: {why}")
            return self.values[name]

        return PLACEHOLDER.sub(value, text)

    def argv(self, command: Command, timeout: float) -> tuple[str, ...]:
        """The words to execute. Raises RefusedError when a target is unknown on this host.

        In a container the command gets a deadline of its own there: ending `docker exec` from outside leaves
        what it started running.
        """
        if command.shell:
            return ("sh", "-c", command.argv[0])
        words = tuple(self.fill(word) for word in command.argv)
        if not command.exec_in:
            return words
        service = self.fill(command.exec_in)
        found = self.containers.get(service, ())
        if not found:
            raise RefusedError(f"no running container of {service}", remedy="See `docker ps -a`")
        limit = str(max(1, int(timeout)))
        return ("docker", "exec", found[0], "timeout", "-k", "1", limit, *words)


def bind(playbook: Playbook, host: Host, given: Mapping[str, str] | None = None) -> Bindings:
    """Values for this host. `given`: what a person typed; a value that its pattern refuses counts as missing."""
    values = {k: v for k, v in (("project", host.project), ("service", host.service), ("url", host.url)) if v}
    missing = {name: "it is not known on this host" for name in ("project", "service", "url") if name not in values}
    for name, var in playbook.vars.items():
        if var.source == "given":
            value = (given or {}).get(name, var.default)
            if not value:
                missing[name] = "nobody gave a value"
            elif not re.fullmatch(var.pattern, value):
                missing[name] = f"{value!r} does not match {var.pattern}"
            else:
                values[name] = value
            continue
        services = host.roles.get(var.role, ())
        if not services:
            missing[name] = f"no Compose service has the role {var.role} (see [roles] in sevdeck.toml)"
        elif var.source == "compose.service":
            values[name] = services[0]
        else:
            running = host.containers.get(services[0], ())
            if running:
                values[name] = running[0]
            else:
                missing[name] = f"no container of {services[0]} is known"
    return Bindings(values, missing, host.containers)


def preview(step: Step, bindings: Bindings) -> str:
    """The command as a person would type it, for showing before anything happens; placeholders stay if unknown."""
    import shlex

    if step.run is None:
        return ""
    try:
        return shlex.join(bindings.argv(step.run, step.timeout or 1))
    except RefusedError as error:
        return f"{' '.join(step.run.argv)}   ({error.message})"
