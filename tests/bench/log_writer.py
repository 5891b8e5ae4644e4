"""Write a log at a fixed rate: `python -m tests.bench.log_writer FILE RATE SECONDS`. Each line says when it was sent."""

from __future__ import annotations

import sys
import time
from pathlib import Path


def main() -> None:
    path, rate, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    step = 0.02
    batch = max(1, int(rate * step))
    began = time.monotonic()
    sent = 0
    with path.open("ab", buffering=0) as file:
        while (now := time.monotonic()) - began < seconds:
            stamp = f"2026-11-22 03:12:01,123 INFO [worker-3] shop.checkout - order accepted in 31 ms sent={time.time():.4f}"
            body = stamp + " customer=99871 basket=4711 gateway=stripe\n"
            lines = [body] * batch
            if sent % (batch * 10) == 0:
                lines[0] = body.replace("INFO", "ERROR")
            file.write("".join(lines).encode())
            sent += batch
            time.sleep(max(0.0, began + sent / rate - time.monotonic()) if now else 0.0)


if __name__ == "__main__":
    main()
