"""The shop's customers: a few requests a second at the edge, some of them odd."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
import threading
import time
import urllib.request

BASE = os.environ.get("TARGET", "http://127.0.0.1:18080")
RATE = float(os.environ.get("RATE", "3"))
TEXTS = ("oi", "quero reservar", "qual o valor?", "obrigada!", "pode ser às 15h?", "cancelar")
READS = ("/webhook/last", "/healthz", "/production/metrics/performance")
ODD = ("/admin/login", "/.env", "/wp-login.php", "/favicon.ico")


def request() -> urllib.request.Request:
    dice = random.random()
    headers = {"User-Agent": "facebookexternalua" if dice < 0.6 else "Mozilla/5.0"}
    if dice < 0.6:
        phone = f"+55119{random.randrange(400):03d}87654"
        body = json.dumps({"from": phone, "text": random.choice(TEXTS)}).encode()
        headers["Content-Type"] = "application/json"
        return urllib.request.Request(f"{BASE}/webhook", data=body, headers=headers)
    path = random.choice(READS if dice < 0.96 else ODD)
    return urllib.request.Request(BASE + path, headers=headers)


def send() -> None:
    # Customers see failures too and come back; counting them is the edge's matter.
    with contextlib.suppress(OSError), urllib.request.urlopen(request(), timeout=12) as answer:
        answer.read()


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        threading.Thread(target=send, daemon=True).start()
        time.sleep(random.expovariate(RATE))


if __name__ == "__main__":
    main()
