"""Logs of the last half hour, as an engine tells them: what is judged of them, and what a start or a busy hour is not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from console.checks.check import Finding, Status
from console.checks.diagnosis import Diagnosis, run_all
from console.checks.looks import log_tails, recent_logs
from console.checks.looks.log_tails import LINES, Heard, Said, understood
from console.config import Limits
from tests.unit.made_container import container, document, scene

NOW = 1_790_000_000.0
APP = replace(container("app"), started=NOW - 86400)


def stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")


def line(ago: float, text: str, now: float = NOW) -> bytes:
    return f"{stamp(now - ago)} {text}".encode()


def heard(*lines: bytes, since: float = NOW - 1800, **changes: Any) -> Heard:
    return replace(Heard("app", understood(sorted(lines), NOW), since, NOW, (APP,)), **changes)


def errors(number: int, first: float = 600, last: float = 10) -> list[bytes]:
    step = (first - last) / max(1, number - 1)
    return [line(first - step * n, f"ERROR order {n} failed: database timeout after {n}00 ms") for n in range(number)]


def burst(one: Heard) -> Finding | None:
    return recent_logs.burst(one, Limits(20.0, 100.0))


# -- errors


def test_three_times_as_many_errors_are_told_with_the_line_that_comes_most_often() -> None:
    found = burst(heard(*errors(30), *errors(10, 1700, 1000), line(5, "ERROR other thing")))
    assert found is not None and (found.key, found.status) == ("logs.burst:app", Status.WARN)
    assert found.summary.startswith("app logs 31 errors in 15 min, 10 in the 15 min before: order <*> failed")
    assert found.evidence[-1] == "last: other thing"
    assert f"--since {int(NOW - 600)} shop-app-1" in found.suggestions[0].title


@pytest.mark.parametrize(
    "lines",
    [
        errors(19),  # few
        [*errors(30), *errors(11, 1700, 1000)],  # as always
        errors(30, 800, 300),  # over
        [line(n, "INFO no ERROR here") for n in range(1, 60)],
    ],
    ids=["few", "usual", "over", "only the word"],
)
def test_what_is_no_burst(lines: list[bytes]) -> None:
    assert burst(heard(*lines)) is None


def test_errors_of_a_start_are_part_of_it() -> None:
    lines = [line(50 - n, f"ERROR cannot reach postgres, try {n}") for n in range(40)]
    fresh = replace(APP, started=NOW - 55)
    assert burst(heard(*lines, containers=(fresh,))) is None
    assert burst(heard(*lines)) is not None


def test_a_log_too_fast_to_compare_is_judged_by_the_minute() -> None:
    lines = errors(60, 110, 1)
    assert burst(heard(*lines, since=NOW - 110)) is not None  # 33 a minute
    assert burst(heard(*lines, since=NOW - 600)) is None  # 6 a minute


# -- words


def grave(*lines: bytes, **changes: Any) -> Finding | None:
    one = heard(*lines, **changes)
    told = recent_logs.grave(one)
    return recent_logs.worded(one, *told) if told else None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("PANIC:  could not locate a valid checkpoint record", "app reports damaged data at"),
        ("ERROR could not write /data/1: [Errno 28] No space left on device", "app reports a full disk at"),
        ('FATAL:  password authentication failed for user "shop"', "app reports a refused password at"),
        ('{"level":"fatal","msg":"cannot go on"}', "app reports a fatal error at"),
        ("2026-01-01 00:00:00 CRITICAL unrecoverable state", "app reports a fatal error at"),
    ],
)
def test_words_that_always_matter(text: str, says: str) -> None:
    found = grave(line(30, "INFO well"), line(20, text))
    assert found is not None and found.summary.startswith(says)
    assert (found.key, found.status) == ("logs.grave:app", Status.WARN)


@pytest.mark.parametrize(
    "text",
    [
        "FATAL:  the database system is starting up",
        "FATAL:  terminating connection due to administrator command",
        "INFO checksum verification failed for a download, trying again",
        "ERROR order 17 failed",
        "INFO no fatal errors",
    ],
)
def test_words_of_every_day(text: str) -> None:
    assert grave(line(20, text)) is None


def test_the_gravest_is_told_and_what_is_older_than_the_window_is_not() -> None:
    lines = [line(40, "CRITICAL giving up"), line(30, "ERROR No space left on device"), line(20, "CRITICAL again")]
    found = grave(*lines)
    assert found is not None and "full disk" in found.summary
    assert grave(line(901, "CRITICAL giving up")) is None


def test_a_full_disk_fails_only_while_it_is_full() -> None:
    one = heard(line(30, "ERROR No space left on device"))
    lines = [*one.said]
    full, room = recent_logs.worded(one, lines, "full"), recent_logs.worded(one, lines, "room")
    assert (full.status, room.status) == (Status.FAIL, Status.WARN)
    assert "and there is room again" in room.summary
    late = heard(line(300, "ERROR No space left on device"))
    assert recent_logs.worded(late, [*late.said], "full").status is Status.WARN


def test_secrets_in_lines_are_masked() -> None:
    found = grave(line(20, "CRITICAL cannot log in with password=hunter2secret"))
    assert found is not None and "hunter2secret" not in repr(found)


# -- silence and volume


def test_silence_after_a_quarter_of_an_hour_of_talk_is_told() -> None:
    talk = [line(1790 - 10 * n, f"INFO request {n}") for n in range(85)]
    found = recent_logs.silence(heard(*talk))
    assert found is not None and found.key == "logs.silence:app"
    assert "and 85 lines in the 15 min before" in found.summary
    assert recent_logs.silence(heard(*talk, line(5, "INFO alive"))) is None
    once = [line(1000, f"INFO starting {n}") for n in range(85)]
    assert recent_logs.silence(heard(*once)) is None  # a start, and nothing to say since
    assert recent_logs.silence(heard(*talk, since=NOW - 1000)) is None
    stopped = replace(APP, status="exited")
    assert recent_logs.silence(heard(*talk, containers=(stopped,))) is None


def test_a_flood_names_what_it_repeats_and_when_the_disk_is_full() -> None:
    lines = [line(3 - n / 1000, f"DEBUG cache miss for key {n}") for n in range(3000)]
    one = heard(*lines, since=NOW - 3)
    loose = replace(APP, log_capped=False)
    found = recent_logs.flood(replace(one, containers=(loose,)), Limits(20.0), {APP.id: (50 << 20, 1 << 30)})
    assert found is not None and found.key == "logs.flood:app"
    assert found.summary.startswith("app writes 1000 log lines a second, ")
    assert "cache miss for key <*>" in found.summary
    assert "500 of the last 500 lines" in found.evidence[0]
    assert "holds 50 MiB, nothing caps it: the disk is full in" in found.evidence[1]
    assert "max-size" in found.suggestions[0].title
    capped = recent_logs.flood(one, Limits(20.0), {APP.id: (50 << 20, 1 << 30)})
    assert capped is not None and "max-size" not in capped.suggestions[0].title


def test_few_and_long_lines_flood_by_their_bytes() -> None:
    lines = [line(59 - n, "x" * 500_000) for n in range(59)]
    assert recent_logs.flood(heard(*lines), Limits(20.0), {}) is not None
    assert recent_logs.flood(heard(*lines), Limits(30.0), {}) is None
    assert recent_logs.flood(heard(*lines), Limits(), {}) is None


def test_a_busy_log_is_no_flood() -> None:
    lines = [line(60 - n / 50, f"INFO 200 GET /orders/{n}") for n in range(3000)]
    one = heard(*lines, since=NOW - 60)
    assert recent_logs.flood(one, Limits(20.0), {}) is None
    assert recent_logs.grave(one) is None and burst(one) is None


# -- from the engine


def framed(lines: Iterable[bytes]) -> bytes:
    return b"".join(b"\x01\0\0\0" + (len(one) + 1).to_bytes(4, "big") + one + b"\n" for one in lines)


def asked(answer: tuple[int, Any], *more: dict[str, Any], **state: Any) -> tuple[Diagnosis, list[str]]:
    async def ask() -> tuple[Diagnosis, list[str]]:
        app = document("app", **state)
        async with scene(app, *more) as (here, engine):
            engine.answers[f"/containers/{app['Id']}/logs"] = answer
            return await run_all(here, recent_logs.CHECKS), list(engine.asked)

    return asyncio.run(ask())


def now_lines(*texts: str) -> bytes:
    now = datetime.now(UTC).timestamp()
    return framed(line(5 - n / 100, text, now) for n, text in enumerate(texts))


def test_each_log_is_asked_for_once_for_all_checks() -> None:
    found, paths = asked((200, now_lines("INFO one", "CRITICAL two")))
    assert [f.key for f in found.findings] == ["logs.grave:app"]
    assert found.findings[0].evidence[0].endswith("two")
    assert len([path for path in paths if path.endswith("/logs") or "/logs?" in path]) == 1
    assert "none of 1 service has fallen silent" in found.cleared


def test_a_log_that_the_engine_cannot_read_is_unknown_and_one_of_two_is_passed_over() -> None:
    refusal = (501, {"message": "configured logging driver does not support reading"})
    found, _ = asked(refusal)
    assert {f.status for f in found.findings} == {Status.UNKNOWN}
    assert "does not support reading" in found.findings[0].summary


def test_a_terminal_is_read_without_frames() -> None:
    now = datetime.now(UTC).timestamp()
    found, _ = asked((200, line(3, "CRITICAL alone", now) + b"\n"), config={"Tty": True})
    assert [f.key for f in found.findings] == ["logs.grave:app"]


def test_where_the_tail_was_cut_the_time_before_is_unknown() -> None:
    lines = [line(1000 - n / 10, "INFO x") for n in range(LINES)]
    said = understood(lines, NOW)
    assert len(said) == LINES
    assert Heard("app", said, said[0].at, NOW, (APP,)).before is None
    whole = Heard("app", said, NOW - 1800, NOW, (APP,)).before
    assert whole is not None and len(whole) == 1000


def test_lines_without_the_engines_stamp_or_from_the_future_are_passed_over() -> None:
    lines = [b"hello", b"", b"2026-13-99T99:99:99.000000000Z bad", line(-60, "INFO later"), line(1, "INFO now")]
    assert [one.message for one in understood(lines, NOW)] == ["now"]
    assert understood([line(1, "\xff\x00 ERROR odd")], NOW) != ()


def test_replicas_are_one_voice() -> None:
    first, second = ((Said(NOW - 9, -1, "a", 2),), NOW - 1800), ((Said(NOW - 99, -1, "b", 2),), NOW - 300)
    one = log_tails._together("app", [(APP, first), (APP, second)], NOW)
    assert [said.message for said in one.said] == ["b", "a"] and one.since == NOW - 300


def test_how_full_a_place_is(tmp_path: Path) -> None:
    assert 0.0 < recent_logs._used(str(tmp_path)) <= 1.0
    assert recent_logs._used(str(tmp_path / "gone")) == 0.0
