"""What masking costs: megabytes a second of clean and of dirty text, line by line and as one block, and the worst line."""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable

from console.redact import Redactor
from tests.bench.table import Row
from tests.unit.secret_lines import HARMLESS, SECRET

# Ordinary lines: an access log, JSON, logfmt, a database, a kernel, a trace. They hold none of the words that announce.
_ORDINARY = (
    "2026-11-22T19:00:{0:02d}Z INFO request GET /api/orders/{0} took 34 ms status 200 from 10.0.0.3",
    '172.18.0.1 - - [22/Nov/2026:19:08:{0:02d} +0000] "POST /webhook/order HTTP/1.1" 200 512 "-" "python-requests/2.31"',
    '{{"time":"2026-11-22T19:00:{0:02d}.123Z","level":"info","msg":"order {0} paid","total":129.9,"currency":"BRL"}}',
    'time=2026-11-22T19:00:{0:02d}Z level=info msg="job done" queue=mail id=550e8400-e29b-41d4-a716-44665544{0:04d} ms=12',
    "2026-11-22 19:00:{0:02d}.123 UTC [{0}] LOG:  checkpoint complete: wrote {0} buffers (0.0%); 0 WAL file(s) added",
    "Nov 22 19:00:{0:02d} web1 kernel: [12345.{0:06d}] eth0: link up, 1000 Mbps, full duplex, lpa 0x41E1",
    "    at com.shop.orders.OrderService.place(OrderService.java:{0}) ~[shop.jar:1.4.2]",
    "app-1  | WARN slow query 1{0:03d} ms: SELECT id, total FROM orders WHERE state = 'open' ORDER BY id LIMIT 50",
)
_WORDS = " ".join(f"word{number}" for number in range(40))


def clean_lines(count: int) -> list[str]:
    """Lines without a secret and without a word that announces one."""
    return [_ORDINARY[number % len(_ORDINARY)].format(number % 60) for number in range(count)]


def dirty_lines(count: int) -> list[str]:
    """The same with a secret, or a word that might announce one, in every tenth line."""
    odd = [line.replace("«", "").replace("»", "") for line in SECRET] + HARMLESS
    return [
        odd[number // 10 % len(odd)] if number % 10 == 0 else line for number, line in enumerate(clean_lines(count))
    ]


def cost(call: Callable[[], object], number: int = 1, repeat: int = 5) -> float:
    """Seconds of processor time of one call, the best of several."""
    return min(timeit.repeat(call, timer=time.thread_time, number=number, repeat=repeat)) / number


def yardstick() -> float:
    """Seconds for upper-casing and splitting a line of 40 words."""
    return cost(lambda: sum(len(word) for word in _WORDS.upper().split() if word.endswith("7")), 3000)


def rows(quick: bool = False) -> list[Row]:
    """Megabytes a second, beside how many a second the yardstick upper-cases and splits."""
    redactor = Redactor()
    redactor.text("password=x1y2z3")  # compiles the patterns
    count = 4_000 if quick else 20_000
    beside = len(_WORDS) / yardstick() / 1e6
    out: list[Row] = []
    for what, lines, must in (("clean", clean_lines(count), "20 MB/s"), ("dirty", dirty_lines(count), "-")):
        text = "\n".join(lines)
        by_line = len(text) / cost(lambda lines=lines: [redactor.text(line) for line in lines]) / 1e6  # type: ignore[misc]
        as_block = len(text) / cost(lambda text=text: redactor.text(text)) / 1e6  # type: ignore[misc]
        for how, speed in (("line by line", by_line), ("in one block", as_block)):
            rate = f"{speed:.0f} MB/s"
            out.append(
                Row(f"masking {what} text, {how}", rate, f"split {beside:.0f} MB/s", f"{speed / beside:.2f} x", must)
            )
    each = [(cost(lambda line=line: redactor.text(line), 20, 3), line) for line in dirty_lines(1_300)]  # type: ignore[misc]
    worst, line = max(each)
    words = yardstick()
    out.append(
        Row("masking, worst ordinary line", f"{worst * 1e6:.0f} us for {len(line)} characters",
            f"40 words {words * 1e6:.1f} us", f"{worst / words:.0f} x", "1 ms")
    )  # fmt: skip
    return out
