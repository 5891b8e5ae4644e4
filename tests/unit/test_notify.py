"""The outbox and its sender, against receivers that take, refuse, fail, hang, or are not there."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from console.actions.monitor.telling import Teller
from console.config import Config
from console.incident import outbox
from console.tell import notify
from console.tell.notify import Sender
from tests.unit.project_twin import config as config_of_shop
from tests.unit.test_runner import Setting

ROOT = Path(__file__).resolve().parents[2]
NOW = 1_790_000_000.0


class Receiver:
    """A web server that answers with `codes` in turn, the last again and again; 0 is no answer at all."""

    def __init__(self, *codes: int) -> None:
        self.codes, self.got, self.signed = list(codes), list[dict[str, Any]](), list[str | None]()
        self.gone = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                code = receiver.codes.pop(0) if len(receiver.codes) > 1 else receiver.codes[0]
                receiver.got.append(json.loads(body))
                receiver.signed.append(self.headers["X-Sevdeck-Signature"])
                if not code:
                    receiver.gone.wait(20)
                    return
                self.send_response(code)
                self.end_headers()
                self.wfile.write(b"ok" if code < 300 else b"no_service")

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/hook/s3cr3t-path"

    def close(self) -> None:
        self.gone.set()
        self.server.shutdown()
        self.thread.join(5)
        self.server.server_close()


@pytest.fixture
def receivers() -> Iterator[list[Receiver]]:
    made: list[Receiver] = []
    yield made
    for one in made:
        one.close()


def config(**channels: dict[str, str]) -> Config:
    return replace(Config(), extra={"notify": channels})


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def put(data_dir: Path, settings: Config, text: str = "app is hung") -> outbox.Message:
    names = outbox.channels(settings.extra["notify"])
    told = outbox.put(data_dir, names, "page", "shop: frozen", text, NOW, project="shop", incident="INC-1")
    assert told is not None
    return told


def standing(data_dir: Path) -> dict[str, tuple[str, int]]:
    (told,) = outbox.read(data_dir)
    return {name: (delivery.state, delivery.tries) for name, delivery in told.channels.items()}


async def test_a_message_reaches_each_channel_once_with_a_receipt(tmp_path: Path, receivers: list[Receiver]) -> None:
    slack, hook = Receiver(200), Receiver(202)
    receivers += [slack, hook]
    settings = config(slack={"url": slack.url}, webhook={"url": hook.url, "secret": "k"})
    put(tmp_path, settings, "it is <b>down</b> & password=hunter2 of ana")
    sender = Sender(settings, tmp_path, wall=Clock())
    await sender.deliver()
    await sender.deliver()
    sender.close()
    assert standing(tmp_path) == {"slack": ("sent", 1), "webhook": ("sent", 1)}
    assert (len(slack.got), len(hook.got)) == (1, 1)
    assert slack.got[0]["text"].startswith("PAGE: shop: frozen\nit is &lt;b&gt;down&lt;/b&gt; &amp; password=")
    assert "hunter2" not in json.dumps([slack.got, hook.got])
    assert hook.got[0]["incident"] == "INC-1"
    assert hook.got[0]["time"].startswith("2026-")
    body = json.dumps(hook.got[0]).encode()
    assert hook.signed == [f"sha256={hmac.new(b'k', body, hashlib.sha256).hexdigest()}"]
    (told,) = outbox.read(tmp_path)
    assert told.channels["slack"].detail == "200 ok"


async def test_what_fails_over_there_is_tried_three_times_with_a_pause_that_grows(
    tmp_path: Path, receivers: list[Receiver]
) -> None:
    slack, clock, said = Receiver(503, 429, 500, 200), Clock(), list[str]()
    receivers.append(slack)
    settings = config(slack={"url": slack.url})
    put(tmp_path, settings)
    sender = Sender(settings, tmp_path, said.append, wall=clock)
    tries = []
    for _ in range(60):
        before = len(slack.got)
        await sender.deliver()
        if len(slack.got) > before:
            tries.append(clock.now - NOW)
        clock.now += 1
    sender.close()
    assert tries == [0, 10, 30]
    assert standing(tmp_path) == {"slack": ("failed", 3)}
    assert said == ["NOT SENT to slack after 3 tries: shop: frozen (500 no_service)"]


async def test_a_wrong_address_is_said_at_once_and_one_that_comes_back_gets_it(
    tmp_path: Path, receivers: list[Receiver]
) -> None:
    wrong, clock = Receiver(404), Clock()
    receivers.append(wrong)
    settings = config(slack={"url": wrong.url}, webhook={"url": "http://127.0.0.1:9/s3cr3t-path"})
    put(tmp_path, settings)
    sender = Sender(settings, tmp_path, wall=clock)
    await sender.deliver()
    assert standing(tmp_path) == {"slack": ("failed", 1), "webhook": ("waiting", 1)}
    (told,) = outbox.read(tmp_path)
    assert "s3cr3t-path" not in json.dumps({n: d.detail for n, d in told.channels.items()})
    back = Receiver(200)
    receivers.append(back)
    clock.now += 10
    again = Sender(config(slack={"url": wrong.url}, webhook={"url": back.url}), tmp_path, wall=clock)
    await again.deliver()
    assert standing(tmp_path)["webhook"] == ("sent", 2)
    sender.close()
    again.close()


async def test_a_receiver_that_hangs_costs_its_deadline_and_no_more(
    tmp_path: Path, receivers: list[Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "TIMEOUT", 0.3)
    hung = Receiver(0)
    receivers.append(hung)
    settings = config(webhook={"url": hung.url})
    began = time.monotonic()
    put(tmp_path, settings)
    assert time.monotonic() - began < 0.3, "who writes a message does not wait for anybody"
    sender = Sender(settings, tmp_path, wall=Clock())
    await sender.deliver()
    sender.close()
    (told,) = outbox.read(tmp_path)
    assert (told.channels["webhook"].state, told.channels["webhook"].tries) == ("waiting", 1)


async def test_only_one_process_sends(tmp_path: Path, receivers: list[Receiver]) -> None:
    slack = Receiver(200)
    receivers.append(slack)
    settings = config(slack={"url": slack.url})
    put(tmp_path, settings)
    sender = Sender(settings, tmp_path, wall=Clock())
    with notify.alone(tmp_path) as first:
        assert first
        assert await sender.deliver() == []
    await sender.deliver()
    sender.close()
    assert len(slack.got) == 1


def test_without_a_channel_nothing_is_written_and_a_flood_fills_no_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert outbox.put(tmp_path, (), "page", "t", "x", NOW) is None
    assert not outbox.directory(tmp_path).exists()
    monkeypatch.setattr(outbox, "_MOST", 5)
    made = [outbox.put(tmp_path, ("slack",), "page", "t", "x", NOW + n) for n in range(20)]
    assert sum(1 for one in made if one is not None) <= 6
    for message in outbox.read(tmp_path):
        outbox.settle(tmp_path, message, "slack", outbox.Delivery("sent", 1))
    later = [outbox.put(tmp_path, ("slack",), "page", f"later {n}", "x", NOW + 60 + n) for n in range(4)]
    assert all(later), "what was sent is no reason to tell nothing more"
    assert {m.title for m in outbox.read(tmp_path)} >= {f"later {n}" for n in range(4)}


def test_who_shares_the_directory_may_send_too(tmp_path: Path) -> None:
    place = outbox.directory(tmp_path)
    place.mkdir()
    place.chmod(0o2770)
    with notify.alone(tmp_path) as first:
        assert first
    assert (place / ".lock").stat().st_mode & 0o777 == 0o660


def test_what_was_settled_long_ago_goes_and_a_damaged_file_is_passed_over(tmp_path: Path) -> None:
    told = outbox.put(tmp_path, ("slack",), "page", "t", "x", NOW)
    assert told is not None
    outbox.settle(tmp_path, told, "slack", outbox.Delivery("sent", 1))
    outbox.put(tmp_path, ("slack",), "page", "waits", "x", NOW)
    (outbox.directory(tmp_path) / "1790000000000-00000000.json").write_text("{")
    outbox.prune(tmp_path, NOW + outbox.KEPT + 1)
    assert [m.title for m in outbox.read(tmp_path)] == ["waits"]


@pytest.mark.scenario(
    "Slack down: the run is as fast as ever, the message is kept, tried three times, and NOT SENT said"
)
async def test_a_recovery_does_not_wait_for_a_channel_and_its_begin_and_end_are_told(
    tmp_path: Path, receivers: list[Receiver]
) -> None:
    hung, said, clock = Receiver(0), list[str](), Clock()
    receivers.append(hung)
    shop = Setting(tmp_path / "data", replace(config_of_shop(), extra={"notify": {"slack": {"url": hung.url}}}))
    shop.twin.hung.add("app")
    view = await shop.go(1)
    assert view.outcome == "ok"
    assert hung.got == [], "the run itself sends nothing"
    begun, ended = outbox.read(shop.data_dir)
    assert begun.title == ended.title == "shop: level 1, restart app"
    assert begun.text.startswith("begun by ana: touches 1 container")
    assert ended.text.startswith("ok, validated")
    clock.now = ended.at
    sender = Sender(shop.config, shop.data_dir, said.append, wall=clock)
    hung.codes[:] = [500]
    for pause in (0, 10, 20):
        clock.now += pause
        await sender.deliver()
    sender.close()
    assert [m.failed for m in outbox.read(shop.data_dir)] == [["slack"], ["slack"]]
    assert len(said) == 2
    assert all(text.startswith("NOT SENT to slack after 3 tries: shop: level 1") for text in said)


async def test_a_monitor_pages_by_a_message_and_lines_of_no_news_are_none(tmp_path: Path) -> None:
    teller = Teller(tmp_path, lambda line: None, lambda: "shop", lambda: NOW, channels=("slack",))
    await teller.tell("good", "users are served")
    await teller.tell("opened", "users are not served: webhook: 500")
    await teller.tell("frozen", "a restart of app did not help", page=True)
    teller.close()
    told = outbox.read(tmp_path)
    assert sorted((m.kind, m.title) for m in told) == [("opened", "shop: opened"), ("page", "shop: frozen")]
    assert any("No incident is declared" in m.text for m in told)


def test_the_command_sends_a_test_and_shows_its_receipt(tmp_path: Path, receivers: list[Receiver]) -> None:
    good, bad = Receiver(200), Receiver(403)
    receivers += [good, bad]

    def notify(*words: str, **channels: str) -> subprocess.CompletedProcess[str]:
        file = tmp_path / "sevdeck.toml"
        file.write_text("".join(f'[notify.{name}]\nurl = "{url}"\n' for name, url in channels.items()))
        argv = [sys.executable, "-m", "console", "--config", str(file), "notify", "test", *words]
        return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60)

    done = notify("--json", slack=good.url)
    assert (done.returncode, json.loads(done.stdout)["delivered"]) == (0, True), done.stderr
    assert good.got[0]["text"].startswith("TEST of sevdeck")
    both = notify(slack=good.url, webhook=bad.url)
    assert both.returncode == 1
    assert "✔ slack: 200 ok" in both.stdout
    assert "✖ NOT DELIVERED webhook: 403" in both.stdout
    none = notify("webhook", slack=good.url)
    assert none.returncode == 2
    assert "channel webhook is not configured; there are: slack" in none.stderr
