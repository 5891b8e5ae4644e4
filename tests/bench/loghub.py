"""How well patterns agree with labelled logs: `python -m tests.bench.loghub DIR [--wrong NAME]`.

DIR holds NAME.log and NAME.log_structured.csv with the columns Content and EventId (LogHub-2k has these). Both the
message column and the whole lines go through `sevdeck logs analyze --assign`, with its one configuration. GA is the
share of lines whose group is exactly a true one; FGA is F1 over groups.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from contextlib import redirect_stdout
from pathlib import Path

from console.cli import main as sevdeck


def grouped(labels: Sequence[Hashable]) -> set[frozenset[int]]:
    """The groups of line numbers that have the same label."""
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for number, label in enumerate(labels):
        groups[label].append(number)
    return {frozenset(group) for group in groups.values()}


def score(given: Sequence[Hashable], true: Sequence[Hashable]) -> tuple[float, float]:
    """(GA, FGA), each 0 to 1."""
    found, wanted = grouped(given), grouped(true)
    right = found & wanted
    return sum(map(len, right)) / len(true), 2 * len(right) / (len(found) + len(wanted))


def assigned(path: Path) -> list[str]:
    """The pattern of each line, as the command tells it."""
    out = io.StringIO()
    with redirect_stdout(out):
        code = sevdeck(["logs", "analyze", "--assign", str(path)])
    if code:
        raise SystemExit(f"sevdeck logs analyze {path} ended with {code}")
    return [json.loads(line)["pattern"] for line in out.getvalue().splitlines()]


def _wrong(lines: Sequence[str], given: Sequence[str], true: Sequence[str]) -> None:
    """The largest groups that are not whole or not pure, with an example of each part."""
    found = grouped(given)
    sizes = Counter(given)
    for group in sorted(grouped(true) - found, key=len, reverse=True)[:12]:
        parts = Counter(given[n] for n in group)
        print(f"{true[min(group)]}: {len(group)} lines in {len(parts)} patterns")
        for id_, count in parts.most_common(4):
            example = next(n for n in sorted(group) if given[n] == id_)
            print(f"    {count} of {sizes[id_]}  {lines[example][:180]}")


def main() -> int:
    """Print the figures of each source and their means."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.loghub", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--wrong", metavar="NAME", help="show what is grouped wrongly in this source's whole lines")
    options = parser.parse_args()
    tables = sorted(options.directory.glob("*.log_structured.csv"))
    if not tables:
        parser.error(f"no *.log_structured.csv in {options.directory}")
    sums = [0.0] * 4
    print("| source | GA message | FGA message | GA line | FGA line |\n|---|---|---|---|---|")
    for table in tables:
        name = table.name.removesuffix(".log_structured.csv")
        with table.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        true = [row["EventId"] for row in rows]
        raw = options.directory / f"{name}.log"
        with tempfile.TemporaryDirectory() as directory:
            messages = Path(directory) / "messages.log"
            messages.write_text("".join(row["Content"] + "\n" for row in rows), encoding="utf-8")
            figures = [*score(assigned(messages), true), *score(given := assigned(raw), true)]
        sums = [a + b for a, b in zip(sums, figures, strict=True)]
        print(f"| {name} | " + " | ".join(f"{figure:.3f}" for figure in figures) + " |")
        if options.wrong == name:
            _wrong(raw.read_text(encoding="utf-8", errors="replace").splitlines(), given, true)
    print("| mean | " + " | ".join(f"{total / len(tables):.3f}" for total in sums) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
