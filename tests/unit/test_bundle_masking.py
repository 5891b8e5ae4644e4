"""Nothing that was planted leaves in a bundle, and what stands everywhere stays where it is."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import Any

import pytest

from console.checks.bundle import harvest
from console.checks.bundle.items import KNOWN, NAMED, PERSONAL, RULE
from console.checks.bundle.masking import Masker
from tests.unit import planted

DOCUMENT: dict[str, Any] = {
    "Id": "a" * 64,
    "Name": "/shop-app-1",
    "Config": {
        "Env": [f"{name}={value}" for name, value in planted.ENVIRONMENT.items()],
        "Cmd": ["redis-server", "--requirepass", planted.IN_ARGUMENT, "--port", "6379"],
        "Labels": {"com.example.api_key": planted.IN_LABEL, "com.docker.compose.service": "app"},
    },
}


def masker() -> Masker:
    values = [*harvest.values_in(DOCUMENT)]
    for name, value in harvest.env_pairs(f"FILE_TOKEN='{planted.IN_FILE}'\n"):
        values += harvest.values_of(name, value)
    return Masker(harvest.usable(values, ["app", "shop-app-1"]))


def test_no_planted_value_is_left_in_a_log_in_any_way_of_writing_it() -> None:
    counts: Counter[str] = Counter()
    clear = masker().text(planted.log_lines(), counts)
    assert planted.leaks([("log", clear.encode())]) == []
    assert counts[KNOWN] > 5 and counts[RULE] >= 3 and counts[PERSONAL] > 3
    assert len(clear.splitlines()) == len(planted.log_lines().splitlines())
    assert "INFO worker started with •••" in clear and "\x1b" not in clear


def test_no_planted_value_is_left_in_a_document() -> None:
    counts: Counter[str] = Counter()
    clear = masker().data({"told": DOCUMENT, "log": planted.log_lines()}, counts)
    assert planted.leaks([("inspect", json.dumps(clear).encode())]) == []
    assert planted.leaks([("inspect", json.dumps(clear, ensure_ascii=False).encode())]) == []
    assert counts[NAMED] >= 7
    config = clear["told"]["Config"]
    assert config["Cmd"] == ["redis-server", "--requirepass", "•••", "--port", "6379"]
    assert {"LOG_LEVEL=debug", "PGDATA=/var/lib/postgresql/data", "DEBUG=true", "PORT=5432"} <= set(config["Env"])
    assert "POSTGRES_PASSWORD=•••" in config["Env"]


def test_what_stands_everywhere_is_not_replaced() -> None:
    line = "2026-11-23 10:00:00 LOG: postgres is ready on port 5432, debug true, container shop-app-1, sunshines\n"
    assert masker().text(line, Counter()) == line


@pytest.mark.parametrize(
    ("name", "value", "taken"),
    [
        ("DB_PASSWORD", "hunter2x", {"hunter2x"}),
        ("DB_PASSWORD", "postgres", set()),
        ("DB_PASSWORD", "5432", set()),
        ("DEBUG_TOKEN", "true", set()),
        ("PASSWORD_FILE", "/run/secrets/db", set()),
        ("PGDATA", "/var/lib/postgresql/15/data", set()),
        ("RELEASE", "shop-agent-v2", set()),
        ("TZ", "America/Sao_Paulo", set()),
        ("LANG", "en_US.UTF-8", set()),
        ("UPSTREAM", "app:8000", set()),
        ("VERSION", "3.11.2", set()),
        ("QUEUE", "Xk29fLq07PzMw3Nd", {"Xk29fLq07PzMw3Nd"}),
        ("URL", "https://example.com/?token=abcDEF123x", {"abcDEF123x"}),
        ("DSN", "host=db password='a b9c' user=app", {"a b9c"}),
        ("SETTINGS", '{"smtp": {"password": "in-json-77"}}', {"in-json-77"}),
        ("BROKER_URL", "amqp://u:p%40ss99@mq:5672//", {"p%40ss99", "p@ss99"}),
    ],
)
def test_what_is_taken_from_a_setting(name: str, value: str, taken: set[str]) -> None:
    assert harvest.usable(harvest.values_of(name, value), ["app", "db"]) == taken


def test_an_env_file_is_read_as_compose_does() -> None:
    text = '# x\nexport A=1 # remark\nB=\'two words\'\nC="three \\"q\\"\nlines"\nD=\n'
    assert dict(harvest.env_pairs(text)) == {"A": "1", "B": "two words", "C": 'three "q"\nlines', "D": ""}


def test_values_of_options_are_taken_also_from_a_script() -> None:
    words = ["sh", "-c", "exec redis-server --requirepass 'Zq 81' --api-token=Tk-9912 --port 1"]
    assert set(harvest.arguments(words)) == {"Zq 81", "Tk-9912"}


def test_the_same_person_is_the_same_token_in_one_bundle_and_another_one_in_the_next() -> None:
    first, second = Masker(), Masker()
    line = f"from {planted.PHONE}@s.whatsapp.net to +55 (11) 98765-4321"
    clear = first.text(line, Counter())
    tokens = [part for part in clear.replace("@", " ").split() if part.startswith("[phone-")]
    assert len(tokens) == 2 and len(set(tokens)) == 1
    assert second.text(line, Counter()) != clear


@pytest.mark.parametrize(
    "line",
    [
        "took 1732355555123 ns, 8589934592 bytes, id 550e8400-e29b-41d4-a716-446655440000",
        "2026-11-23T10:00:00.123456789+00:00 10.0.0.12:5432 git@sha256:abc 1,234,567,890",
        "ssh://git@host/x.git and image registry:5000/shop@sha256:0123456789abcdef",
    ],
)
def test_figures_times_and_addresses_are_nobody(line: str) -> None:
    assert Masker().text(line, Counter()) == line


def test_what_people_wrote_into_the_journal_stays_and_their_numbers_do_not() -> None:
    told = {"text": f"customer {planted.PHONE} says: it is down", "to": planted.PHONE}
    clear = Masker().data(told, Counter(), bodies=False)
    assert "says: it is down" in clear["text"] and planted.PHONE not in json.dumps(clear)


def test_a_quote_that_never_closes_ends_with_its_line() -> None:
    lines = 'text="half of a message\nnext line "with quotes"\n'
    assert Masker().text(lines, Counter()) == lines


def test_long_values_of_many_words_are_judged_at_once() -> None:
    began = time.process_time()
    assert list(harvest.values_of("NOTE", "-".join(["word"] * 58) + "-9!aB")) != []
    assert time.process_time() - began < 1


def test_it_stops_when_the_time_is_up() -> None:
    found = Masker(["secret-value-1"]).hurried(time.monotonic() - 1)
    with pytest.raises(TimeoutError):
        found.text("x\n" * 10, Counter())
