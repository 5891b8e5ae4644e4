"""Which lines belong together, told by their order; entries that the engine cut; caps."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from console.watch.logjoin import MAX_CHARS, MAX_LINES, MAX_PARTS, MAX_SOURCES, Joiner, OrderedReader, joined
from tests.unit.test_logline import NOW, SETS, read, samples

# Each line begins with "* " where an event begins, with "  " where the line belongs to the event before it.
BLOCKS = {
    "python, without stamps": """\
* listening on port 8080
* Traceback (most recent call last):
    File "/app/cart.py", line 41, in total
      return price / 0
  ZeroDivisionError: division by zero
  ␠
  During handling of the above exception, another exception occurred:
  ␠
  Traceback (most recent call last):
    File "/app/api.py", line 12, in get
      cart.total()
  shop.errors.CartError: broken
* ready again""",
    "python, under the line that reports it": """\
* ERROR:    Exception in ASGI application
  Traceback (most recent call last):
    File "/app/cart.py", line 41, in total
      return price / 0
  ZeroDivisionError: division by zero
* INFO:     10.0.0.4:50122 - "GET / HTTP/1.1" 200 OK""",
    "python, exception group": """\
* 2026-11-24 08:15:42,902 ERROR shop failed
    + Exception Group Traceback (most recent call last):
    |   File "/app/cart.py", line 41, in total
    | ExceptionGroup: two (2 sub-exceptions)
    +-+---------------- 1 ----------------
      | ValueError: one
      +------------------------------------
* 2026-11-24 08:15:43,902 INFO shop ready""",
    "java": """\
* 2026-11-24 08:15:42,902 ERROR [main] c.s.Cart - failed
  java.lang.IllegalStateException: boom
  \tat com.shop.Cart.total(Cart.java:41)
  \tSuppressed: java.io.IOException: closed
  Caused by: java.sql.SQLException: Connection is closed
  \tat com.shop.Db.get(Db.java:7)
  \t... 41 more
* 2026-11-24 08:15:43,902 INFO  [main] c.s.Cart - next""",
    "java.util.logging": """\
* Nov 24, 2026 8:15:42 AM com.shop.Main start
  SEVERE: cannot start
* Nov 24, 2026 8:15:43 AM com.shop.Main start
  INFO: again""",
    "go": """\
* panic: runtime error: invalid memory address or nil pointer dereference
  [signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x4a1b2c]
  ␠
  goroutine 1 [running]:
  main.(*Cart).Total(...)
  \t/app/cart.go:41
  main.main()
  \t/app/main.go:12 +0x1d
  created by net/http.(*Server).Serve in goroutine 1
  exit status 2
* starting""",
    "node": """\
* /app/src/cart.js:41
      throw new TypeError('no price')
      ^
  ␠
  TypeError: no price
      at Cart.total (/app/src/cart.js:41:17)
      at node:internal/main/run_main_module:28:49
  ␠
  Node.js v20.11.1
* Server listening""",
    ".net": """\
* Unhandled exception. System.InvalidOperationException: boom
   ---> System.IO.IOException: closed
     at Shop.Db.Get() in /src/Db.cs:line 7
     --- End of inner exception stack trace ---
     at Shop.Cart.Total() in /src/Cart.cs:line 41
* info: Microsoft.Hosting.Lifetime[14]
        Now listening on: http://[::]:8080""",
    "ruby": """\
* app/cart.rb:41:in `total': undefined method `price' for nil (NoMethodError)
  \tfrom app/api.rb:12:in `get'
  app/main.rb:3:in `block in call'
* Puma starting""",
    "php": """\
* PHP Fatal error:  Uncaught Error: Call to a member function total() on null in /app/cart.php:41
  Stack trace:
  #0 /app/index.php(12): Cart->total()
  #1 {main}
    thrown in /app/cart.php on line 41
* 172.18.0.1:50122 [200]: GET /""",
    "rust": """\
* thread 'main' panicked at src/main.rs:41:9:
  no price
  note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
* starting""",
    "rust, with its backtrace": """\
* thread 'main' panicked at src/main.rs:41:9:
  no price
  stack backtrace:
     0: std::panicking::begin_panic_handler
               at /rustc/a1b2/library/std/src/panicking.rs:645:5
  note: Some details are omitted
* starting""",
    "postgresql": """\
* 2026-11-24 08:15:42.902 UTC [27] ERROR:  duplicate key value violates unique constraint "orders_pkey"
  2026-11-24 08:15:42.902 UTC [27] DETAIL:  Key (id)=(4711) already exists.
  2026-11-24 08:15:42.902 UTC [27] STATEMENT:  INSERT INTO orders
  \t\tVALUES (4711)
* 2026-11-24 08:15:43.902 UTC [27] LOG:  checkpoint starting: time""",
    "an object on many lines": """\
* {
    "order": 4711,
  }
* done""",
    "journalctl -o export": """\
* __CURSOR=s=1
  __REALTIME_TIMESTAMP=1795508142902133
  PRIORITY=3
  MESSAGE=boom
  ␠
* __CURSOR=s=2
  __REALTIME_TIMESTAMP=1795508143902133""",
    "two exceptions in a row": """\
* TypeError: one
* TypeError: two""",
}


def lines_of(block: str) -> list[tuple[bool, str]]:
    return [
        (line.startswith("  "), line[2:].replace("\\t", "\t").replace("␠", "")) for line in BLOCKS[block].split("\n")
    ]


def reader() -> OrderedReader:
    return OrderedReader(now=lambda: NOW)


@pytest.mark.parametrize("block", BLOCKS)
def test_lines_that_belong_together(block: str) -> None:
    lines = lines_of(block)
    one = reader()
    assert [(one.read(text).continuation, text) for _, text in lines] == lines


@pytest.mark.parametrize("block", BLOCKS)
def test_the_same_lines_make_events(block: str) -> None:
    lines = lines_of(block)
    events = list(joined((text for _, text in lines), now=lambda: NOW))
    assert len(events) == sum(not continues for continues, _ in lines)
    assert sum(len(event.lines) for event in events) == sum(continues for continues, _ in lines)


def test_an_event_has_the_first_level_and_time_that_its_lines_tell() -> None:
    first, second = joined((text for _, text in lines_of("java.util.logging")), now=lambda: NOW)
    assert (first.level, second.level) == ("error", "info")
    (event, _) = joined((text for _, text in lines_of("journalctl -o export")), now=lambda: NOW)
    assert event.time == datetime(2026, 11, 24, 8, 15, 42, 902133, UTC)
    assert event.level == "error"


def test_services_that_write_at_once_keep_their_own_lines() -> None:
    events = list(
        joined(
            (
                "api-1  | ERROR: cart failed",
                "db-1   | 2026-11-24 08:15:42.902 UTC [27] LOG:  ready",
                "api-1  | Traceback (most recent call last):",
                'api-1  |   File "/app/cart.py", line 41, in total',
                "db-1   | 2026-11-24 08:15:43.902 UTC [27] LOG:  still ready",
                "api-1  | ValueError: no price",
            ),
            now=lambda: NOW,
        )
    )
    assert sorted((event.source, len(event.lines)) for event in events) == [("api-1", 3), ("db-1", 0), ("db-1", 0)]


def entry(text: str, stream: str = "stdout") -> str:
    fields = {"log": text, "stream": stream, "time": "2026-11-24T08:15:42.902133456Z"}
    return json.dumps(fields, separators=(",", ":"))


def test_entries_that_the_engine_cut_are_one_event() -> None:
    whole = json.dumps({"message": "x" * 40000, "level": "error"})
    parts = [whole[at : at + 16384] for at in range(0, len(whole), 16384)]
    lines = [entry(part + ("\n" if part is parts[-1] else "")) for part in parts]
    lines.insert(1, entry("a line of the other stream\n", "stderr"))
    events = {event.message[:9]: event for event in joined(lines, now=lambda: NOW)}
    assert set(events) == {"xxxxxxxxx", "a line of"}
    assert (len(events["xxxxxxxxx"].message), events["xxxxxxxxx"].level) == (40000, "error")

    one = reader()
    read = [one.read(line) for line in lines]
    assert [line.continuation for line in read] == [False, False, True, True]
    assert [line.level for line in read[2:]] == [None, None]


def test_partial_lines_of_cri_are_one_event() -> None:
    lines = [
        '2026-11-24T08:15:42.902133456Z stdout P level=error msg="no ',
        "2026-11-24T08:15:42.902133457Z stderr F INFO ready",
        '2026-11-24T08:15:42.902133458Z stdout F route"',
    ]
    events = list(joined(lines, now=lambda: NOW))
    assert sorted((event.level, event.message) for event in events) == [("error", "no route"), ("info", "ready")]


def test_nothing_grows_without_end() -> None:
    joiner = Joiner(now=lambda: NOW)
    for _ in range(3 * MAX_PARTS):
        assert not list(joiner.add(entry("x" * 1000)))
    (event,) = joiner.flush()
    assert len(event.message) <= 1000 * MAX_PARTS

    list(joiner.add("ERROR: failed"))
    for _ in range(2 * MAX_LINES):
        assert not list(joiner.add("\tat com.shop.Cart.total(Cart.java:41)"))
    for _ in range(100):
        assert not list(joiner.add("\t" + "x" * 50000))
    (event,) = joiner.flush()
    assert len(event.lines) == MAX_LINES
    assert event.left_out == MAX_LINES + 100
    assert sum(map(len, event.lines)) <= MAX_CHARS

    ended = sum(len(list(joiner.add(f"app-{number}  | ERROR: failed"))) for number in range(MAX_SOURCES + 50))
    assert ended == 50
    assert len(list(joiner.flush())) == MAX_SOURCES
    assert not list(joiner.flush())


@pytest.mark.parametrize("step", [1, -1])
def test_lines_of_all_formats_in_one_file_mean_what_they_mean_alone(step: int) -> None:
    one = reader()
    for sample in (sample for name in SETS for sample in samples(name)[::step]):
        alone, among = read(sample.raw), one.read(sample.raw)
        assert (among.level, among.time) == (alone.level, alone.time), sample.raw
