"""What a database's and a cache's answers mean."""

from __future__ import annotations

import json
from typing import Any

import pytest

from console.checks.check import Finding, Status
from console.checks.looks import cache, database
from console.errors import SourceError
from console.watch import pg_activity

NOW = 1_790_000_000.0
PLACES = {"10.2.0.3": "app", "10.2.0.7": "worker"}


def session(pid: int, app: str, age: float, **more: Any) -> dict[str, Any]:
    return {"pid": pid, "usename": "shop", "app": app, "addr": "10.2.0.3", "age": age, "query": "", **more}


def activity(**changes: Any) -> pg_activity.Activity:
    row = {
        "version": "15.4", "now": NOW, "started": NOW - 9000, "max": 30, "reserved": 3, "used": 4,
        "by": [{"usename": "shop", "app": "app", "addr": "10.2.0.3", "state": "idle", "n": 4, "longest": 3.0}],
        "idle": [], "active": [], "blocked": [], "sessions": {}, "deadlocks": 0, "xid_age": 900, "sees_all": True,
        "recovery": False, "read_only": False, "size": 1 << 30, "slots": [],
    }  # fmt: skip
    return pg_activity.read(json.dumps({**row, **changes}), "over the network")


def sessions(**changes: Any) -> list[Finding]:
    return list(database.sessions("db", activity(**changes), PLACES))


def test_a_server_with_little_to_do_is_well() -> None:
    assert sessions() == []
    assert list(database.server("db", activity(), NOW)) == []


@pytest.mark.parametrize(("used", "status"), [(21, None), (22, Status.WARN), (25, Status.WARN), (26, Status.FAIL)])
def test_connections_run_out_of_those_that_are_no_reserve(used: int, status: Status | None) -> None:
    found = sessions(used=used)
    assert [f.status for f in found] == ([status] if status else [])
    if found:
        assert f"{used} of 27 connections" in found[0].summary
        assert "app holds 4" in found[0].suggestions[0].title


def test_idle_transactions_that_take_all_connections_are_ended_by_their_age() -> None:
    idle = [session(i, "report", 9.0 + i, addr="10.2.0.7") for i in range(27)]
    (found,) = sessions(used=27, idle=idle)
    assert (found.check, found.status) == ("database.connections", Status.FAIL)
    fix = found.suggestions[0]
    assert "end 27 sessions of report from worker" in fix.title
    assert "interval '9 s'" in fix.why


def test_an_idle_transaction_is_a_warning_once_it_is_old() -> None:
    assert sessions(idle=[session(1, "app", 59.0)]) == []
    (found,) = sessions(idle=[session(1, "app", 61.0)])
    assert (found.check, found.status) == ("database.idle", Status.WARN)
    assert "1 session of db has a transaction open and does nothing" in found.summary


def blocked(age: float, held: float, waiting: int = 3) -> list[Finding]:
    its = [session(10 + i, "app", age, blockers=[9] if i == 0 else [10]) for i in range(waiting)]
    root = session(9, "migration", held, state="idle in transaction", query="LOCK TABLE messages", addr="10.2.0.7")
    return sessions(blocked=its, sessions={"9": root, "10": its[0]})


def test_who_holds_the_lock_is_named_behind_a_chain_of_those_who_wait() -> None:
    (found,) = blocked(2.0, 14.0)
    assert found.status is Status.FAIL
    assert "3 sessions of db wait for a lock that migration from worker (pid 9, idle in transaction)" in found.summary
    assert found.suggestions[0].title == "end session 9 of db: SELECT pg_terminate_backend(9)"
    assert found.evidence[0] == "held by pid 9, migration from worker: LOCK TABLE messages"


def test_short_waits_are_everyday_life() -> None:
    assert blocked(2.0, 3.0) == []
    (found,) = sessions(blocked=[session(4, "app", 6.0, blockers=[99])])
    assert "see who holds the locks" in found.suggestions[0].title, "the holder is gone, or may not be seen"


def test_a_statement_that_takes_long_is_nothing_to_end_unasked() -> None:
    (found,) = sessions(active=[session(5, "app", 61.0, query="VACUUM")])
    assert (found.check, found.status) == ("database.long", Status.WARN)
    assert "ask before you end it" in found.suggestions[0].why


@pytest.mark.parametrize(
    ("changes", "check", "status"),
    [
        ({"xid_age": 1_000_000_000}, "xid", Status.WARN),
        ({"xid_age": 1_900_000_000}, "xid", Status.FAIL),
        ({"recovery": True}, "read_only", Status.WARN),
        ({"read_only": True}, "read_only", Status.WARN),
        ({"slots": [{"name": "far", "active": False, "kept": 6.0 * 1024**3}]}, "slot", Status.WARN),
        ({"now": NOW + 30}, "clock", Status.WARN),
    ],
)
def test_what_keeps_a_server_from_writing(changes: dict[str, Any], check: str, status: Status) -> None:
    (found,) = database.server("db", activity(**changes), NOW)
    assert (found.check, found.status) == (f"database.{check}", status)


def test_a_slot_that_is_read_and_one_that_keeps_little_are_well() -> None:
    slots = [{"name": "near", "active": True, "kept": 9e12}, {"name": "new", "active": False, "kept": None}]
    assert list(database.server("db", activity(slots=slots), NOW)) == []


def test_an_answer_that_is_none_is_an_error_in_words() -> None:
    for text in ("", "[]", "{}", '{"version": 1}'):
        with pytest.raises(SourceError, match="not understood"):
            pg_activity.read(text, "x")


def test_statements_are_shown_without_what_users_wrote() -> None:
    shown = pg_activity.statement("UPDATE chat SET body = 'meet me at 5' WHERE note = $$it's$$ AND x = 'cut here")
    assert shown == "UPDATE chat SET body = '?' WHERE note = '?' AND x = '?'"


INFO = {"used_memory": "10", "maxmemory": "100", "maxmemory_policy": "noeviction", "connected_clients": "3",
        "maxclients": "10000", "rdb_last_bgsave_status": "ok", "aof_last_write_status": "ok"}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "check", "status"),
    [
        ({"used_memory": "100"}, "cache_full", Status.FAIL),
        ({"used_memory": "91"}, "cache_memory", Status.WARN),
        ({"aof_last_write_status": "err"}, "cache_save", Status.FAIL),
        ({"loading": "1"}, "cache_loading", Status.WARN),
        ({"connected_clients": "8000"}, "cache_clients", Status.WARN),
        ({"connected_clients": "9999"}, "cache_clients", Status.FAIL),
        ({"master_link_status": "down"}, "cache_master", Status.WARN),
    ],
)
def test_what_a_cache_suffers_from(changes: dict[str, str], check: str, status: Status) -> None:
    (found,) = cache.cache("redis", {**INFO, **changes})
    assert (found.check, found.status) == (f"database.{check}", status)


def test_a_cache_that_may_throw_keys_away_is_full_by_design() -> None:
    assert list(cache.cache("redis", {**INFO, "used_memory": "100", "maxmemory_policy": "allkeys-lru"})) == []
    assert list(cache.cache("redis", {**INFO, "maxmemory": "0"})) == []
    assert list(cache.cache("redis", {})) == []
