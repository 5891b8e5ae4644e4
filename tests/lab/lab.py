#!/usr/bin/env python3
"""The lab: a real Compose stack to break and mend. See README.md beside this file."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

# Run as a file, Python looks beside it and not in the checkout.
sys.path[0] = str(Path(__file__).resolve().parents[2])

from tests.lab.control import Lab  # noqa: E402
from tests.lab.engine import PrivateEngine  # noqa: E402
from tests.lab.images import HERE, ensure_images, ensure_systemd_image  # noqa: E402
from tests.lab.many import start_many  # noqa: E402
from tests.lab.selftest import HEADER, selftest  # noqa: E402
from tests.lab.shell import LabError, NotPermitted  # noqa: E402
from tests.lab.stack import Stack  # noqa: E402

__all__ = ["Lab", "LabError", "NotPermitted", "PrivateEngine", "Stack", "main"]


Act = Callable[[Lab, argparse.Namespace], int]


def say(text: str) -> None:
    print(text, flush=True)


def require_engine() -> None:
    """Install and start the engine where that is possible, say why where not."""
    done = subprocess.run([str(HERE / "install-engine")], check=False)
    if done.returncode == 3:
        raise NotPermitted("the lab needs a Docker engine with Compose v2")
    if done.returncode:
        raise LabError("the engine could not be made ready")


def up(lab: Lab, _: argparse.Namespace) -> int:
    began = time.monotonic()
    built = ensure_images()
    if built:
        say(f"built {', '.join(built)} in {time.monotonic() - began:.1f} s")
    took = lab.up()
    say(f"{lab.stack.project}: healthy after {took:.1f} s")
    return status(lab, _)


def images(_: Lab, __: argparse.Namespace) -> int:
    say(f"built: {', '.join([*ensure_images(), *ensure_systemd_image()]) or 'nothing, all are there'}")
    return 0


def down(lab: Lab, arguments: argparse.Namespace) -> int:
    lab.down(keep_data=arguments.keep_data)
    say(f"{lab.stack.project}: gone")
    return 0


def status(lab: Lab, _: argparse.Namespace) -> int:
    """0 only when everything is well."""
    stack, ports = lab.stack, lab.stack.ports
    for item in sorted(stack.containers().values(), key=lambda item: item.service):
        say(f"  {item.service:<10}{item.image:<26}{item}")
    troubles = stack.troubles()
    for trouble in troubles:
        say(f"  ! {trouble}")
    say(f"  faults on: {', '.join(lab.active) or 'none'}")
    say(f"  edge http://127.0.0.1:{ports.edge}  https://127.0.0.1:{ports.tls}")
    say(f"  app http://127.0.0.1:{ports.app}  redis 127.0.0.1:{ports.redis}")
    say(f"  postgres 127.0.0.1:{ports.postgres} (DSN in {stack.directory}/database.dsn)")
    say(f"  project directory {stack.directory}")
    return 1 if troubles or lab.active else 0


def faults(lab: Lab, _: argparse.Namespace) -> int:
    for fault in lab.faults.values():
        say(f"{fault.name:<31}{fault.about}; cure: {fault.cure}")
    return 0


def break_(lab: Lab, arguments: argparse.Namespace) -> int:
    began = time.monotonic()
    seen = lab.break_(arguments.fault, wait=not arguments.no_wait)
    say(f"{arguments.fault}: on, {seen or 'not waited for'} ({time.monotonic() - began:.1f} s)")
    return 0


def mend(lab: Lab, arguments: argparse.Namespace) -> int:
    began = time.monotonic()
    lab.mend(arguments.fault or "")
    say(f"{lab.stack.project}: mended after {time.monotonic() - began:.1f} s")
    return status(lab, arguments)


def reset(lab: Lab, _: argparse.Namespace) -> int:
    say(f"{lab.stack.project}: well after {lab.reset():.1f} s")
    return 0


def config(lab: Lab, _: argparse.Namespace) -> int:
    say(lab.config())
    return 0


def many(_: Lab, arguments: argparse.Namespace) -> int:
    took = start_many(arguments.count, arguments.lines)
    say(f"many: {arguments.count} containers after {took:.1f} s")
    return 0


def run_selftest(lab: Lab, arguments: argparse.Namespace) -> int:
    lab.reset()
    say(HEADER)
    failed = 0
    for row in selftest(lab, arguments.fault):
        say(str(row))
        failed += not row.ok
    say(f"{failed} failed; well after {lab.reset():.1f} s")
    return 1 if failed else 0


def engine(_: Lab, arguments: argparse.Namespace) -> int:
    private = PrivateEngine()
    if arguments.act == "exec":
        return subprocess.run(private.inside(*arguments.command), check=False).returncode
    acts: dict[str, Callable[[], object]] = {
        "start": private.start,
        "freeze": private.freeze,
        "thaw": private.thaw,
        "kill": private.kill,
        "stop": private.stop,
    }
    acts[arguments.act]()
    say(private.host if arguments.act == "start" else f"private engine: {arguments.act} done")
    return 0


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="lab.py", description=__doc__)
    env = os.environ
    top.add_argument("-p", "--project", default=env.get("SEVDECK_LAB_PROJECT", "shop"))
    top.add_argument(
        "--offset",
        type=int,
        default=int(env.get("SEVDECK_LAB_PORT_OFFSET", "0")),
        help="added to every port, for a second stack beside the first",
    )
    top.add_argument("--traffic", type=float, default=3.0, help="requests a second by customers, 0 for none")
    commands = top.add_subparsers(required=True)

    def command(name: str, act: Act, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text)
        sub.set_defaults(act_on=act)
        return sub

    command("up", up, "start the stack and wait until it is healthy")
    sub = command("down", down, "remove the stack and its data")
    sub.add_argument("--keep-data", action="store_true")
    command("status", status, "what runs, what is wrong, which faults are on")
    command("faults", faults, "all faults")
    sub = command("break", break_, "turn a fault on and wait until it shows")
    sub.add_argument("fault")
    sub.add_argument("--no-wait", action="store_true")
    sub = command("mend", mend, "turn a fault off, or all of them")
    sub.add_argument("fault", nargs="?")
    command("images", images, "only build the images")
    command("reset", reset, "well again from any state")
    command("config", config, "print a sevdeck.toml for this stack")
    sub = command("many", many, "exactly N tiny containers; 0 removes them")
    sub.add_argument("count", type=int)
    sub.add_argument("--lines", type=float, default=0, help="log lines a second, all together")
    sub = command("engine", engine, "a private second engine")
    sub.add_argument("act", choices=["start", "freeze", "thaw", "kill", "stop", "exec"])
    sub.add_argument("command", nargs=argparse.REMAINDER)
    sub = command("selftest", run_selftest, "break and mend everything for real")
    sub.add_argument("fault", nargs="*")
    return top


def main(words: list[str] | None = None) -> int:
    arguments = parser().parse_args(words)
    lab = Lab(arguments.project, arguments.offset, traffic=arguments.traffic)
    try:
        if arguments.act_on not in (faults, config):
            require_engine()
        return int(arguments.act_on(lab, arguments))
    except NotPermitted as error:
        print(f"lab: {error}", file=sys.stderr)
        return 3
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
