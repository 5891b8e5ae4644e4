"""All figures as one Markdown table: `python -m tests.bench [--quick] [SECTION ...]`.

It measures and does not judge: the exit code is 0 unless the bench itself is broken. Sections that need a Docker
engine or a PostgreSQL say so where there is none.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence

from tests.bench.table import Row, markdown


def _startup(quick: bool) -> list[Row]:
    from tests.bench import console_bench

    return console_bench.startup_rows(quick)


def _wire(quick: bool) -> list[Row]:
    from tests.bench import console_bench

    return console_bench.wire_rows(quick)


def _cpu(quick: bool) -> list[Row]:
    from tests.bench import console_bench

    return console_bench.cpu_rows(quick)


def _memory(quick: bool) -> list[Row]:
    from tests.bench import console_bench

    return console_bench.memory_rows(quick)


def _latency(quick: bool) -> list[Row]:
    from tests.bench import console_bench

    return console_bench.latency_rows(quick)


def _logs(quick: bool) -> list[Row]:
    from tests.bench import bench_logs

    return bench_logs.rows(quick)


def _journal(quick: bool) -> list[Row]:
    from tests.bench import journal_bench

    return journal_bench.rows(quick)


def _parsing(quick: bool) -> list[Row]:
    from tests.bench import parsing_bench

    return parsing_bench.rows()


def _mining(quick: bool) -> list[Row]:
    from tests.bench import mining_bench

    return mining_bench.rows(quick)


def _redact(quick: bool) -> list[Row]:
    from tests.bench import redact_bench

    return redact_bench.rows(quick)


def _replica(quick: bool) -> list[Row]:
    from tests.bench import replica_bench

    return replica_bench.rows(quick)


def _containment(quick: bool) -> list[Row]:
    from tests.bench import containment_bench

    return containment_bench.rows(quick)


def _recovery(quick: bool) -> list[Row]:
    from tests.bench import recovery_bench

    return recovery_bench.rows(quick)


def _diagnosis(quick: bool) -> list[Row]:
    from tests.bench import diagnosis_bench

    return diagnosis_bench.rows(quick)


def _bundle(quick: bool) -> list[Row]:
    from tests.bench import bundle_bench

    return bundle_bench.rows(quick)


def _history(quick: bool) -> list[Row]:
    from tests.bench import history_bench

    return history_bench.rows(quick)


SECTIONS: dict[str, Callable[[bool], list[Row]]] = {
    "startup": _startup,
    "wire": _wire,
    "cpu": _cpu,
    "memory": _memory,
    "latency": _latency,
    "logs": _logs,
    "journal": _journal,
    "parsing": _parsing,
    "mining": _mining,
    "redact": _redact,
    "replica": _replica,
    "containment": _containment,
    "recovery": _recovery,
    "diagnosis": _diagnosis,
    "bundle": _bundle,
    "history": _history,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure the sections that were named, or all, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter runs, smaller files: minutes become seconds")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    options = parser.parse_args(argv)
    unknown = [name for name in options.sections if name not in SECTIONS]
    if unknown:
        parser.error(f"no such section: {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    # Where this is set, every start compiles every module anew, which no installed program does.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    rows: list[Row] = []
    for name in options.sections or SECTIONS:
        began = time.monotonic()
        sys.stderr.write(f"{name} ...")
        sys.stderr.flush()
        rows += SECTIONS[name](options.quick)
        sys.stderr.write(f" {time.monotonic() - began:.0f} s\n")
    load = os.getloadavg()[0]
    print(markdown(rows))
    print(f"\n{os.cpu_count()} cores, load of the last minute at the end {load:.1f}, Python {sys.version.split()[0]}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
