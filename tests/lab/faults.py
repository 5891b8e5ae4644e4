"""The faults: how each is made, how it is undone, and how it shows."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.lab.images import BAD_RELEASE, BASE
from tests.lab.shell import LabError
from tests.lab.stack import Stack

Act = Callable[[Stack], None]


@dataclass(frozen=True)
class Fault:
    """One switch. `shows` gives the symptom in words once it can be seen."""

    name: str
    about: str
    cure: str
    inject: Act
    undo: Act
    shows: Callable[[Stack], str | None]
    deadline: float = 30


# Undoing must work from any state that a recovery may have left behind.


def ensure_running(stack: Stack, service: str) -> None:
    state = stack.state(service)
    if state and state.status == "paused":
        stack.docker("unpause", state.name)
    elif state and state.status != "running":
        stack.docker("start", state.name)


def clear(service: str) -> Act:
    """Turns the switches of the running process off; a new process has none on."""

    def undo(stack: Stack) -> None:
        state = stack.state(service)
        if state and state.status == "running":
            stack.control(service, "clear")
        ensure_running(stack, service)

    return undo


def switch(service: str, name: str, value: float = 1) -> Act:
    return lambda stack: stack.control(service, name, value)


def on(service: str, *names: str) -> Act:
    """`docker NAME container`, in order."""

    def act(stack: Stack) -> None:
        for name in names:
            stack.docker(name, stack.container(service))

    return act


def started(service: str) -> Act:
    return lambda stack: ensure_running(stack, service)


# How faults show


def app_hung(stack: Stack) -> str | None:
    state = stack.state("app")
    if stack.direct(timeout=1) == "timeout" and state and state.health == "unhealthy":
        return f"direct /healthz: timeout; app {state}"
    return None


def app_slow(stack: Stack) -> str | None:
    began = time.monotonic()
    status = stack.webhook()
    took = time.monotonic() - began
    return f"webhook 200 after {took:.1f} s" if status == "200" and took > 2 else None


def app_spinning(stack: Stack) -> str | None:
    name = stack.container("app")
    said = stack.docker("stats", "--no-stream", "--format", "{{.CPUPerc}}", name).stdout
    return f"app cpu {said.strip()}" if float(said.strip().rstrip("%") or 0) > 40 else None


def exited(service: str, code: int, *, oom: bool = False) -> Callable[[Stack], str | None]:
    def shows(stack: Stack) -> str | None:
        state = stack.state(service)
        if not state or (state.status, state.exit_code) != ("exited", code):
            return None
        return f"{service} {state}" if state.oom_killed == oom else None

    return shows


def restarting(service: str, said: str) -> Callable[[Stack], str | None]:
    """A crash loop whose reason is in the log."""

    def shows(stack: Stack) -> str | None:
        state = stack.state(service)
        if not state or state.restarts < 2:
            return None
        done = stack.docker("logs", "--tail", "60", state.name)
        found = said in done.stdout + done.stderr
        return f"{service} restarts={state.restarts}, log has {said!r}" if found else None

    return shows


def webhook_500(stack: Stack) -> str | None:
    state = stack.state("app")
    webhook, ready = stack.webhook(), stack.http("/readyz")
    if (webhook, ready) == ("500", "200") and state and state.health == "healthy":
        return f"webhook {webhook}, /readyz {ready}, app {state}"
    return None


def not_ready(stack: Stack) -> str | None:
    ready = stack.http("/readyz", timeout=12)
    state = stack.state("app")
    if ready != "200" and state and state.health == "unhealthy":
        return f"/readyz {ready}, app {state}"
    return None


def connections_exhausted(stack: Stack) -> str | None:
    idle = stack.sql("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'")
    ready = not_ready(stack)
    return f"{idle} sessions idle in transaction, {ready}" if int(idle) > 20 and ready else None


def blocked(stack: Stack) -> str | None:
    waiting = stack.sql("SELECT count(*) FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0")
    status = stack.webhook()
    if int(waiting) and status != "200":
        return f"{waiting} sessions blocked, webhook {status}"
    return None


def redis_frozen(stack: Stack) -> str | None:
    said = stack.inside("redis", "timeout", "1", "redis-cli", "ping", check=False)
    return None if said == "PONG" else "redis: no answer within 1 s"


def worker_behind(stack: Stack) -> str | None:
    state, waiting = stack.state("worker"), int(stack.redis("llen", "queue:messages"))
    if state and state.status == "exited" and waiting > 2:
        return f"worker {state}, {waiting} messages waiting"
    stack.webhook()  # with no traffic running the queue would never grow
    return None


def edge_only(*codes: str) -> Callable[[Stack], str | None]:
    def shows(stack: Stack) -> str | None:
        edge, direct = stack.http("/readyz", timeout=12), stack.direct("/readyz")
        return f"edge {edge}, direct {direct}" if edge in codes and direct == "200" else None

    return shows


def off_network(stack: Stack) -> str | None:
    state = stack.state("app")
    if state and stack.network("back") not in state.networks:
        return not_ready(stack)
    return None


def flooding(stack: Stack) -> str | None:
    done = stack.docker("logs", "--since", "1s", stack.container("app"))
    lines = len(done.stdout.splitlines())
    return f"{lines} lines in the last second" if lines > 500 else None


def certificate(stack: Stack) -> str | None:
    return "certificate has expired" if stack.certificate_expired() else None


def data_full(stack: Stack) -> str | None:
    used = stack.inside("app", "df", "--output=pcent", "/data").split()[-1]
    status = stack.webhook()
    return f"/data {used}, webhook {status}" if (used, status) == ("100%", "500") else None


def half_there(stack: Stack) -> str | None:
    app, edge = stack.state("app"), stack.state("edge")
    return "app created, edge absent" if app and app.status == "created" and not edge else None


def app_paused(stack: Stack) -> str | None:
    state = stack.state("app")
    return f"app {state}" if state and state.status == "paused" else None


# Making and undoing the ones that are more than a switch


def without_restart(then: Act) -> Act:
    """The engine would bring the container back at once; here it is to stay down."""

    def inject(stack: Stack) -> None:
        stack.set_restart_policy("app", "no")
        then(stack)

    return inject


def app_back(stack: Stack) -> None:
    stack.set_restart_policy("app", "unless-stopped")
    clear("app")(stack)


def oom_loop_end(stack: Stack) -> None:
    """Only a new container is rid of the mark."""
    stack.compose("up", "--detach", "--force-recreate", "app")


def break_tenant(stack: Stack) -> None:
    stack.sql("UPDATE tenant_config SET body = '{\"language\": \"pt-BR\", ' WHERE tenant = 'default'")


def mend_tenant(stack: Stack) -> None:
    body = '{"language": "pt-BR", "handoff": true}'
    stack.sql(f"UPDATE tenant_config SET body = '{body}' WHERE tenant = 'default'")


def deploy(release: str) -> Act:
    """As a person deploys here: the release in .env, then `docker compose up -d`."""

    def act(stack: Stack) -> None:
        stack.write_env(release)
        # A crash-looping dependency makes `up` fail; that is the fault, not an error.
        stack.compose("up", "--detach", check=False)

    return act


def roll_back(stack: Stack) -> None:
    stack.write_env()
    stack.compose("up", "--detach")


def in_volume(stack: Stack, volume: str, script: str) -> None:
    mount = f"{stack.volume(volume)}:/volume"
    stack.docker("run", "--rm", "--network", "none", "-v", mount, BASE, "sh", "-euc", script)


def corrupt_control_file(stack: Stack) -> None:
    """The good copy stays beside it: it goes wherever the directory is moved to."""
    stack.docker("stop", stack.container("postgres"))
    in_volume(
        stack,
        "pgdata",
        "cd /volume/data/global && cp -a pg_control pg_control.lab &&"
        # Past the version numbers: it is the checksum that must not fit.
        " dd if=/dev/urandom of=pg_control bs=1 seek=64 count=128 conv=notrunc status=none",
    )
    stack.docker("start", stack.container("postgres"))


def restore_control_file(stack: Stack) -> None:
    stack.docker("stop", stack.container("postgres"))
    in_volume(
        stack,
        "pgdata",
        "cd /volume/data/global && [ ! -e pg_control.lab ] || mv pg_control.lab pg_control",
    )
    stack.docker("start", stack.container("postgres"))


# Its own output goes nowhere: `sleep` would keep the engine waiting for the stream's
# end after the shell was killed.
FREEZE = (
    "exec 9>/tmp/freezing >/dev/null 2>&1; while :; do pkill -STOP -x redis-server; sleep 9;"
    " pkill -CONT -x redis-server; sleep 4; done"
)


def freeze_redis(stack: Stack) -> None:
    stack.detached("redis", "sh", "-c", FREEZE)


def thaw_redis(stack: Stack) -> None:
    ensure_running(stack, "redis")
    # The shell that freezes is the one whose command line names its mark.
    script = "pkill -f '[e]xec 9>/tmp/freezing'; pkill -CONT -x redis-server; true"
    stack.inside("redis", "sh", "-c", script)


# Past maxmemory with the limit off: a set that just fits would leave gaps. One command
# at a time: a script's memory counts only against the container.
FILL = """
import redis
cache = redis.Redis(db=9)
limit = cache.config_get("maxmemory")["maxmemory"]
cache.config_set("maxmemory", 0)
for number in range(360):
    cache.set(f"session:{number}", b"s" * 100_000)
cache.config_set("maxmemory", limit)
"""


def fill_redis(stack: Stack) -> None:
    """Sessions that nobody expires, in a database of their own."""
    stack.inside("redis", "python3", "-c", FILL, timeout=60)


def empty_redis(stack: Stack) -> None:
    ensure_running(stack, "redis")
    stack.redis("-n", "9", "flushdb")


def move_app(stack: Stack) -> None:
    """The edge keeps the address it read at load, the app gets another one.

    The engine hands out the lowest free address. So the app has it first and the edge
    takes it over: left free, a mere restart of the app would get it back.
    """
    join_front(stack, "app", "edge")
    before = stack.address("app", "front")
    stack.reload_edge("literal")
    join_front(stack, "edge", "app")
    if stack.address("app", "front") == before:
        raise LabError("the engine gave the app its old address back")


def join_front(stack: Stack, *order: str) -> None:
    for service in order:
        stack.disconnect(service, "front")
    for service in order:
        stack.connect(service, "front")


def reload(upstream: str) -> Act:
    def act(stack: Stack) -> None:
        ensure_running(stack, "edge")
        stack.reload_edge(upstream)

    return act


def reconnect(service: str, network: str) -> Act:
    def undo(stack: Stack) -> None:
        state = stack.state(service)
        if state and stack.network(network) in state.networks:
            stack.disconnect(service, network)
        stack.connect(service, network)

    return undo


def lose_alias(stack: Stack) -> None:
    stack.disconnect("app", "front")
    stack.connect("app", "front", alias=False)


def make_certificate(kind: str) -> Act:
    def act(stack: Stack) -> None:
        ensure_running(stack, "edge")
        stack.inside("edge", "sh", "/etc/nginx/lab/make-cert.sh", kind)
        stack.inside("edge", "nginx", "-s", "reload")

    return act


# Until it stays full: a spool file that the worker takes away in between leaves room.
FILL_DATA = """
full=0
while [ $full -lt 5 ]; do
  cat /dev/zero 2>/dev/null >>/data/media-cache.bin || true
  sleep 0.1
  free=$(df --output=avail /data | tail -n 1)
  if [ "$free" -eq 0 ]; then full=$((full + 1)); else full=0; fi
done
"""


def fill_data(stack: Stack) -> None:
    stack.inside("worker", "sh", "-c", FILL_DATA)


def empty_data(stack: Stack) -> None:
    ensure_running(stack, "worker")
    stack.inside("worker", "rm", "-f", "/data/media-cache.bin")


def half_create(stack: Stack) -> None:
    """As an interrupted `down` and `up` leave it."""
    stack.docker("rm", "--force", stack.container("edge"), stack.container("app"))
    stack.compose("up", "--no-start", "app")


def complete(stack: Stack) -> None:
    stack.compose("up", "--detach")


L1 = "restart of the app"

FAULTS = {
    fault.name: fault
    for fault in (
        Fault(
            "app-hung",
            "the app accepts and never answers",
            L1,
            switch("app", "hang"),
            clear("app"),
            app_hung,
        ),
        Fault(
            "app-webhook-500",
            "healthy, but every webhook is a 500: a broken row in the database",
            "repair of the row; no restart helps",
            break_tenant,
            mend_tenant,
            webhook_500,
        ),
        Fault(
            "app-slow",
            "every answer of the app takes 2.5 s more",
            L1,
            switch("app", "slow", 2.5),
            clear("app"),
            app_slow,
        ),
        Fault(
            "app-leak",
            "the app eats its memory, is OOM-killed and stays down",
            "start of the app",
            without_restart(switch("app", "leak", 60)),
            app_back,
            exited("app", 137, oom=True),
        ),
        Fault(
            "app-oom-loop",
            "the app is OOM-killed again and again after every restart",
            "a new container",
            switch("app", "leak-always", 100),
            oom_loop_end,
            restarting("app", "no upper bound"),
            45,
        ),
        Fault(
            "app-spin",
            "the app burns all the cpu it may have",
            L1,
            switch("app", "spin", 2),
            clear("app"),
            app_spinning,
        ),
        Fault(
            "app-crash",
            "the app exits with 1 and stays down",
            "start of the app",
            without_restart(switch("app", "crash")),
            app_back,
            exited("app", 1),
        ),
        Fault(
            "app-paused",
            "somebody paused the app",
            "unpause",
            on("app", "pause"),
            started("app"),
            app_paused,
        ),
        Fault(
            "bad-release",
            "release 1.1-bad was deployed and crash-loops",
            "the previous release",
            deploy(BAD_RELEASE),
            roll_back,
            restarting("app", "WHATSAPP_TEMPLATE_NAMESPACE"),
            45,
        ),
        Fault(
            "half-created",
            "an interrupted down and up: app created, edge absent",
            "docker compose up",
            half_create,
            complete,
            half_there,
        ),
        Fault(
            "postgres-stopped",
            "PostgreSQL was stopped by hand",
            "start of postgres",
            on("postgres", "stop"),
            started("postgres"),
            not_ready,
        ),
        Fault(
            "postgres-connections-exhausted",
            "the worker holds every connection, idle in transaction",
            "ending those sessions, or restart of the worker",
            switch("worker", "hold-connections", 20),
            clear("worker"),
            connections_exhausted,
        ),
        Fault(
            "postgres-blocked",
            "a forgotten transaction of the worker locks the messages table",
            "ending that session, or restart of the worker",
            switch("worker", "hold-lock"),
            clear("worker"),
            blocked,
        ),
        Fault(
            "postgres-corrupt",
            "pg_control is garbage, PostgreSQL crash-loops",
            "restore from a backup (level 4)",
            corrupt_control_file,
            restore_control_file,
            restarting("postgres", "control file"),
        ),
        Fault(
            "redis-frozen",
            "redis stands still for 9 of every 13 seconds",
            "restart of redis",
            freeze_redis,
            thaw_redis,
            redis_frozen,
        ),
        Fault(
            "redis-full",
            "redis is at maxmemory and evicts nothing",
            "removal of keys; no restart helps",
            fill_redis,
            empty_redis,
            webhook_500,
        ),
        Fault(
            "worker-stopped",
            "the worker is down, the queue grows",
            "start of the worker",
            on("worker", "stop"),
            started("worker"),
            worker_behind,
        ),
        Fault(
            "edge-stale-upstream",
            "the edge talks to the app's old address",
            "reload of the edge; a restart of the app keeps the fault",
            move_app,
            reload("variable"),
            edge_only("502", "504"),
        ),
        Fault(
            "edge-5xx",
            "the edge was left on its maintenance page",
            "the edge's configuration",
            reload("maintenance"),
            reload("variable"),
            edge_only("503"),
        ),
        Fault(
            "network-disconnected",
            "the app is off the back network: no database, no cache",
            "connect with the alias",
            lambda stack: stack.disconnect("app", "back"),
            reconnect("app", "back"),
            off_network,
        ),
        Fault(
            "network-no-alias",
            "the app is on the front network without its name",
            "reconnect with the alias; a restart keeps the fault",
            lose_alias,
            reconnect("app", "front"),
            edge_only("502"),
        ),
        Fault(
            "log-flood",
            "the app writes 2000 lines a second",
            L1,
            switch("app", "flood", 2000),
            clear("app"),
            flooding,
        ),
        Fault(
            "cert-expired",
            "the edge's certificate ended two days ago",
            "a new certificate and a reload",
            make_certificate("expired"),
            make_certificate("valid"),
            certificate,
        ),
        Fault(
            "disk-full",
            "the app's small data volume is full",
            "removal of /data/media-cache.bin; no restart helps",
            fill_data,
            empty_data,
            data_full,
        ),
    )
}
