"""What is read in a log line: level, time, message, continuation; measured over labelled lines."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from console.watch.logline import Line, LineReader

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()
SAMPLES = Path(__file__).parent / "data" / "log_lines.txt"


def samples() -> list[tuple[str | None, str | None, str]]:
    found = []
    for line in SAMPLES.read_text(encoding="utf-8").splitlines():
        if line.startswith("# ") or not line:
            continue
        level, when, raw = line.split("\t", 2)
        raw = raw.replace("\\t", "\t").replace("\\x1b", "\x1b").replace("\\\\n", "\\n")
        found.append((None if level == "-" else level, None if when == "-" else when, raw))
    return found


def read(raw: str) -> Line:
    return LineReader(now=lambda: NOW).read(raw)


def shown(when: datetime | None) -> datetime | None:
    return when.replace(microsecond=when.microsecond // 1000 * 1000) if when is not None else None


def expected_time(when: str | None) -> datetime | None:
    return shown(datetime.fromisoformat(when)) if when is not None else None


def same_time(found: datetime | None, wanted: datetime | None) -> bool:
    if found is None or wanted is None:
        return found is wanted
    if (found.tzinfo is None) != (wanted.tzinfo is None):
        return False
    return found == wanted


def misses() -> tuple[list[str], list[str], list[str]]:
    levels, times, invented = [], [], []
    for level, when, raw in samples():
        line = read(raw)
        if line.level != level:
            levels.append(f"{level} != {line.level}: {raw}")
        if not same_time(shown(line.time), expected_time(when)):
            times.append(f"{when} != {line.time}: {raw}")
            if when is None:
                invented.append(raw)
    return levels, times, invented


def test_levels_and_times_of_the_labelled_lines() -> None:
    levels, times, invented = misses()
    count = len(samples())
    print(
        f"level {1 - len(levels) / count:.3f}, time {1 - len(times) / count:.3f}, invented {len(invented)}, of {count}"
    )
    print("\n".join(levels + times))
    assert count >= 140
    assert len(levels) <= count * 0.05
    assert len(times) <= count * 0.05
    assert len(invented) <= 1
