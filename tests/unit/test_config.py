"""Settings: every fault at once with its place and its remedy, secrets by reference, records where they can be kept."""

from __future__ import annotations

import doctest
import os
import stat
from pathlib import Path

import pytest

from console import config as module
from console import config_file, places
from console.config import (
    DEFAULT_THRESHOLDS,
    Config,
    Limits,
    data_dir,
    find_config,
    inline_secrets,
    load,
    mask_dsn,
    parse_duration,
    resolve_secret,
)
from console.config_show import effective
from console.errors import InvalidFileError, UsageError

DSN_LINE = 'target = "env:DSN"'
FULL = """
[service]
name = "shop"
environment = "production"
url = "https://shop.example.com/"

[docker]
host = "unix:///var/run/docker.sock"
project = "shop"
compose_files = ["/srv/shop/compose.yaml", "/srv/shop/prod.yaml"]

[roles]
edge = ["nginx"]
app = ["app", "worker"]
database = ["postgres"]
cache = ["redis"]

[[probes]]
name = "edge"
kind = "http"
target = "https://shop.example.com/healthz"
expect = "200 body:ok"
every = "30s"
timeout = "500ms"

[[probes]]
name = "order"
kind = "http"
target = "https://shop.example.com/webhook"
method = "POST"
body = '{"text": "probe"}'
business = true

[[probes]]
name = "db"
kind = "postgres"
target = "env:DSN"

[[logs]]
name = "app"
container = "app"
timezone = "UTC"

[[logs]]
name = "nginx"
path = "/var/log/nginx/*.log"

[[metrics]]
name = "orders"
kind = "sql"
query = "SELECT count(*) FROM orders"
window = "1h"
warn = 10
crit = 1
direction = "down"

[[metrics]]
name = "errors"
kind = "log_count"
source = "app"
query = "ERROR|CRITICAL"

[thresholds]
disk = {warn = 80, crit = 90}
cpu.crit = 99

[database]
dsn = "postgresql://app:hunt%40er22@db/shop"
container = "postgres"

[cache]
container = "redis"

[backup]
directory = "/srv/backup"
database = "shop"
keep_days = 14
rpo = "24h"
hook = "/srv/hook"

[recovery]
unattended_max_level = 1
observation = "2m"
budgets = {level1 = "3/15m", level4 = "1/24h"}

[access]
viewer = []
responder = ["@ops"]
commander = ["bob"]

[notify.slack]
url = "env:SLACK_WEBHOOK"

[notify.email]
host = "mail.example.com"
port = 587
from = "sevdeck@example.com"
to = ["ops@example.com"]
password = "Mail-Pass-9"

[notify.webhook]
url = "https://hook.example.com/x"

[[contacts]]
name = "Bob"
role = "commander"
phone = "+55 11 9999"

[escalation]
order = ["tech-lead", "cto"]
acknowledge = {sev1 = "5m", sev2 = "15m"}

[replica]
dsn = "env:REPLICA"
pooler = true

[console]
theme = "high-contrast"
refresh = 2

[keys]
"pane.zoom" = "f11"
"""


def written(directory: Path, text: str) -> Path:
    path = directory / "sevdeck.toml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(directory: Path, text: str) -> list[str]:
    """What is wrong, each as "line where: message"."""
    with pytest.raises(InvalidFileError) as caught:
        load(written(directory, text))
    assert all(problem.file.endswith("sevdeck.toml") for problem in caught.value.problems)
    return [f"{p.line} {p.where}: {p.message}" for p in caught.value.problems]


def test_every_table_of_the_contract_is_read(tmp_path: Path) -> None:
    config = load(written(tmp_path, FULL))
    assert (config.service.name, config.docker.compose_files[1]) == ("shop", "/srv/shop/prod.yaml")
    assert config.roles.app == ("app", "worker")
    assert [(probe.name, probe.every, probe.timeout, probe.business) for probe in config.probes] == [
        ("edge", 30.0, 0.5, False),
        ("order", 10.0, 3.0, True),
        ("db", 10.0, 3.0, False),
    ]
    assert [log.name for log in config.logs] == ["app", "nginx"]
    assert (config.metrics[0].window, config.metrics[0].direction, config.metrics[0].crit) == (3600.0, "down", 1.0)
    assert config.thresholds["disk"] == Limits(80.0, 90.0)
    assert config.thresholds["cpu"] == Limits(80.0, 99.0)  # what was left out keeps its default
    assert config.thresholds["load"] == DEFAULT_THRESHOLDS["load"]
    assert config.recovery.unattended_max_level == 1
    assert (config.recovery.observation, config.recovery.budgets["level4"]) == (120.0, "1/24h")
    assert (config.theme, config.refresh, config.keys) == ("high-contrast", 2.0, {"pane.zoom": "f11"})
    backup = config.backup
    assert (backup.directory, backup.database, backup.keep_days, backup.rpo) == ("/srv/backup", "shop", 14, 86400.0)
    assert config.extra["access"]["responder"] == ("@ops",)
    assert config.extra["notify"]["email"]["to"] == ("ops@example.com",)
    assert config.extra["escalation"]["acknowledge"] == {"sev1": 300.0, "sev2": 900.0}
    assert config.extra["replica"] == {"dsn": "env:REPLICA", "pooler": True}
    assert config.extra["contacts"][0]["role"] == "commander"


def test_without_a_file_the_defaults_hold_and_the_places_are_named(tmp_path: Path) -> None:
    config = load(cwd=tmp_path)
    assert config == Config(searched=config.searched)
    assert [str(path) for path in config.searched] == [
        str(tmp_path / "sevdeck.toml"),
        os.environ["XDG_CONFIG_HOME"] + "/sevdeck/sevdeck.toml",
        "/etc/sevdeck/sevdeck.toml",
    ]


def test_an_empty_file_means_the_defaults(tmp_path: Path) -> None:
    config = load(written(tmp_path, ""))
    assert config.thresholds == DEFAULT_THRESHOLDS and config.probes == ()


def test_where_a_file_is_looked_for(tmp_path: Path) -> None:
    user = tmp_path / "user" / "sevdeck" / "sevdeck.toml"
    user.parent.mkdir(parents=True)
    user.write_text("")
    env = {"XDG_CONFIG_HOME": str(tmp_path / "user")}
    assert find_config(cwd=tmp_path, env=env) == user
    assert find_config(cwd=tmp_path, env={"HOME": "/nonexistent"}) is None
    here = written(tmp_path, "")
    assert find_config(cwd=tmp_path, env=env) == here
    assert find_config(cwd=tmp_path, env={**env, "SEVDECK_CONFIG": str(user)}) == user
    assert find_config(here, cwd=tmp_path, env={**env, "SEVDECK_CONFIG": str(user)}) == here


def test_a_named_file_that_is_missing_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--config names .*gone.toml.*sevdeck init --output"):
        load(tmp_path / "gone.toml")
    with pytest.raises(UsageError, match="SEVDECK_CONFIG names"):
        load(env={"SEVDECK_CONFIG": str(tmp_path)})


def test_all_faults_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    text = """\
[service]
nmae = "x"
url = "foo"
[docker]
compose_files = "compose.yaml"
[[probes]]
name = "a"
kind = "htp"
target = "x"
[[probes]]
name = "a"
kind = "tcp"
target = "localhost"
every = 5
[thresholds]
dsk = {warn = 1}
cpu = {warn = 90, crit = 80}
[recovery.budgets]
level1 = "often"
[probez]
"""
    assert problems(tmp_path, text) == [
        '2 service.nmae: unknown key: did you mean "name"?',
        "3 service.url: expected a URL that begins with http:// or https://",
        '5 docker.compose_files: expected a list: write ["compose.yaml"]',
        '8 probes[0].kind: expected one of http, tcp, tls, postgres, redis, command, found "htp" '
        '(did you mean "http"?)',
        '11 probes[1].name: the name "a" is used twice; names must be unique',
        '13 probes[1].target: expected "host:port"',
        '14 probes[1].every: expected a duration in quotes such as "5s", found 5',
        '16 thresholds.dsk: unknown key: did you mean "disk"?',
        "17 thresholds.cpu.crit: must not be reached before warn: crit = 80 is not above warn = 90",
        '19 recovery.budgets.level1: expected runs per time such as "3/15m"',
        '20 probez: unknown table or key: did you mean "probes"?',
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[probes]]\nname = "a"\nkind = "http"', '1 probes[0]: "target" is missing'),
        ('[[probes]]\nkind = "tcp"\ntarget = "h:1"', '1 probes[0]: "name" is missing'),
        ('[[probes]]\nname = "a"\ntarget = "h:1"', '1 probes[0]: "kind" is missing: one of http, tcp'),
        ('[probes]\nname = "a"', "1 probes: expected a list of tables: write [[probes]]"),
        ('[[probes]]\nname=""\nkind="tcp"\ntarget="h:1"', "2 probes[0].name: must not be empty"),
        ('[[probes]]\nname="a"\nkind="http"\ntarget="http://h"\nexpect="ok"', "5 probes[0].expect: expected"),
        ('[[probes]]\nname="a"\nkind="tcp"\ntarget="h:1"\nmethod="POST"', '5 probes[0].method: only a probe of kind'),
        ('[[probes]]\nname="a"\nkind="tcp"\ntarget="h:99999"', "4 probes[0].target: expected"),
        ('[[probes]]\nname="a"\nkind="tcp"\ntarget="h:1"\nbusiness="yes"', "5 probes[0].business: expected true or"),
        ('[[logs]]\nname="a"', "1 logs[0]: expected exactly one of path, container, unit; found none"),
        ('[[logs]]\nname="a"\npath="/x"\nunit="y"', "4 logs[0].unit: expected exactly one of"),
        ('[[logs]]\nname="a"\npath="/x"\ntimezone="Mars"', "4 logs[0].timezone: expected a zone"),
        ('[[metrics]]\nname="a"\nkind="sql"', '1 metrics[0]: "query" is missing'),
        ('[[metrics]]\nname="a"\nkind="sql"\nquery="DROP TABLE x"', "4 metrics[0].query: expected one SELECT"),
        ('[[metrics]]\nname="a"\nkind="sql"\nquery="SELECT 1"', '1 metrics[0]: "source" is missing'),
        ('[[metrics]]\nname="a"\nkind="log_count"\nsource="x"\nquery="("', "5 metrics[0].query: not a regular"),
        ('[[metrics]]\nname="a"\nkind="jsonl"\nsource="x"\nfield="y"\nquery="median"', "6 metrics[0].query: expected"),
        ('[thresholds]\ndisk = 90', "2 thresholds.disk: expected limits such as {warn = 80, crit = 95}"),
        ('[monitor]\nmetrics_file = "sevdeck.prom"', "2 monitor.metrics_file: expected an absolute path"),
        ('[recovery]\nunattended_max_level = 4', "2 recovery.unattended_max_level: expected a whole number from 0"),
        ('[console]\nrefresh = 3', "2 console.refresh: expected 1, 2 or 5"),
        ('[console]\ntheme = "drak"', '(did you mean "dark"?)'),
        ('[backup]\nkeep_days = "x"', "2 backup.keep_days: expected a whole number"),
        ('[notify.slak]', '1 notify.slak: unknown key: did you mean "slack"?'),
        ('service = 3', "1 service: expected a table [service], found 3"),
        ('[docker]\nhost = "/run/x"', "2 docker.host: expected an engine such as"),
        ('[access]\nviewer = "bob"', '2 access.viewer: expected a list: write ["bob"]'),
        ('[escalation]\nacknowledge = {sev1 = "soon"}', "2 escalation.acknowledge.sev1: expected a duration"),
    ],
)  # fmt: skip
def test_faults_say_what_was_expected(tmp_path: Path, text: str, told: str) -> None:
    assert any(told in problem for problem in problems(tmp_path, text)), problems(tmp_path, text)


def test_a_secret_in_the_wrong_place_is_not_repeated(tmp_path: Path) -> None:
    assert "hunter22" not in str(problems(tmp_path, '[console]\ntheme = "postgres://u:hunter22@h/"'))


def test_toml_that_cannot_be_read_names_its_line(tmp_path: Path) -> None:
    assert problems(tmp_path, '[service]\nname = "x\n')[0].startswith("2 : not valid TOML: ")
    assert problems(tmp_path, "[a]\nx = 1\nx = 2\n")[0].startswith("3 : not valid TOML: ")
    (tmp_path / "sevdeck.toml").write_bytes(b'[service]\nname = "\xff"\n')
    with pytest.raises(InvalidFileError, match=r"sevdeck.toml:2: this is not UTF-8"):
        load(tmp_path / "sevdeck.toml")


def test_durations() -> None:
    assert [parse_duration(text) for text in ("500ms", "30s", "5m", "1h30m", "2d", "1.5h", " 1w ")] == [
        0.5, 30, 300, 5400, 172800, 5400, 604800,
    ]  # fmt: skip
    for wrong in ("", "5", "5 minutes", "-3s", "s", "1h-2m", "nan"):
        with pytest.raises(ValueError, match="expected a duration"):
            parse_duration(wrong)


# --- secrets


def test_references_are_resolved(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("from-file\n")
    assert resolve_secret("env:X", {"X": "from-env"}) == "from-env"
    assert resolve_secret(f"file:{file}") == "from-file"
    assert resolve_secret("postgres://u:p@h/") == "postgres://u:p@h/"
    with pytest.raises(UsageError, match=r"environment variable X is not set\. Set X"):
        resolve_secret("env:X", {})
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        resolve_secret(f"file:{tmp_path / 'gone'}")


@pytest.mark.parametrize(
    ("dsn", "shown"),
    [
        ("postgresql://u:p@h:5432/db", "postgresql://u:•••@h:5432/db"),
        ("postgresql://u:p@ss/w:rd@h/db", "postgresql://u:•••@h/db"),
        ("redis://:p@h/0", "redis://:•••@h/0"),
        ("postgresql://h/db?user=u&password=p&ssl=1", "postgresql://h/db?user=u&password=•••&ssl=1"),
        ("host=h password='a b' user=u", "host=h password=••• user=u"),
        ("postgresql://h/db", "postgresql://h/db"),
        ("env:DSN", "env:DSN"),
    ],
)
def test_dsns_are_shown_without_their_password(dsn: str, shown: str) -> None:
    assert mask_dsn(dsn) == shown


def test_secrets_in_the_file_are_known_for_masking(tmp_path: Path) -> None:
    assert set(inline_secrets(load(written(tmp_path, FULL)))) == {
        "hunt%40er22", "hunt@er22", "Mail-Pass-9", "https://hook.example.com/x",
    }  # fmt: skip


def test_the_effective_settings_say_where_they_come_from_and_hide_secrets(tmp_path: Path) -> None:
    rows = {row.key: row for row in effective(load(written(tmp_path, FULL)))}
    line = FULL.splitlines().index('name = "shop"') + 1
    assert (rows["service.name"].value, rows["service.name"].source) == ("shop", f"sevdeck.toml:{line}")
    assert (rows["probes[2].every"].value, rows["probes[2].every"].source) == ("10s", "default")
    assert rows["probes[0].every"].value == "30s"
    assert rows["probes[2].target"].source == f"sevdeck.toml:{FULL.splitlines().index(DSN_LINE) + 1}"
    assert rows["thresholds.disk"].source.startswith("sevdeck.toml:")
    assert rows["thresholds.cpu"].source.startswith("sevdeck.toml:")
    assert rows["thresholds.memory"].source == "default"
    assert rows["keys.pane.zoom"].source.startswith("sevdeck.toml:")
    assert rows["backup.rpo"].value == "1d"
    assert rows["escalation.acknowledge.sev1"].value == "5m"
    shown = "\n".join(row.shown for row in rows.values())
    assert "hunt" not in shown and "Mail-Pass" not in shown and "env:SLACK_WEBHOOK" in shown


def test_each_setting_that_does_nothing_yet_is_named_with_its_line(tmp_path: Path) -> None:
    config = load(written(tmp_path, FULL + '[[contacts]]\nname = "Ana"\n'))
    told = {notice.where: notice for notice in config.notices}
    assert {notice.message for notice in config.notices} == {"accepted, has no effect yet"}
    assert {
        "service.environment",
        "access.viewer", "notify.email.password", "contacts[0].name", "contacts[1].name", "escalation.order",
        "escalation.acknowledge.sev1",
    } <= told.keys()  # fmt: skip
    assert told["service.environment"].line == FULL.splitlines().index('environment = "production"') + 1
    assert not {key for key in told if key.startswith(("docker", "roles", "probes", "metrics", "thresholds", "keys"))}
    assert not {"notify.slack.url", "notify.webhook.url", "replica.dsn", "replica.pooler"} & told.keys()
    assert not {"recovery.observation", "recovery.budgets.level1", "logs[0].timezone", "cache.container"} & told.keys()
    log = load(written(tmp_path, '[[logs]]\nname = "a"\nunit = "x"\nformat = "json"\n[cache]\ndsn = "redis://h/"\n'))
    assert [notice.where for notice in log.notices] == ["logs[0].format", "cache.dsn"]


def test_what_does_nothing_yet_is_shown_only_where_it_is_set_and_says_so(tmp_path: Path) -> None:
    bare = {row.key for row in effective(load(written(tmp_path, '[[logs]]\nname = "a"\nunit = "x"\n')))}
    assert "logs[0].timezone" in bare and "cache.container" in bare
    assert not {"logs[0].format", "cache.dsn", "service.environment"} & bare
    rows = {row.key: row for row in effective(load(written(tmp_path, FULL)))}
    for key in ("service.environment", "access.commander", "escalation.order"):
        assert rows[key].source.endswith(", has no effect yet"), key
    assert "effect" not in rows["recovery.budgets.level1"].source


def test_the_effective_defaults_without_a_file(tmp_path: Path) -> None:
    assert {row.source for row in effective(load(cwd=tmp_path))} == {"default"}


# --- where records go


def test_the_directory_for_records(tmp_path: Path) -> None:
    shared, home = tmp_path / "shared", tmp_path / "home"
    home.mkdir()
    env = {"HOME": str(home)}
    assert data_dir(tmp_path / "told", env, shared).path == tmp_path / "told"
    assert data_dir(None, {**env, "SEVDECK_DATA_DIR": str(tmp_path / "env")}, shared).path == tmp_path / "env"
    found = data_dir(None, env, shared)
    assert (found.path, found.note) == (home / ".local/share/sevdeck", "")
    assert stat.S_IMODE(found.path.stat().st_mode) == 0o700
    shared.mkdir()
    assert data_dir(None, env, shared).path == shared  # all responders of a host share one record


def test_a_home_that_cannot_be_written_is_no_reason_to_stop(tmp_path: Path) -> None:
    blocked = tmp_path / "file"  # a file where a directory should be: cannot be written, also as root
    blocked.write_text("")
    runtime = tmp_path / "run"
    runtime.mkdir()
    env = {"HOME": str(blocked), "XDG_RUNTIME_DIR": str(runtime)}
    found = data_dir(None, env, tmp_path / "no-shared")
    assert found.path == runtime / "sevdeck"
    assert "cannot be written" in found.note and "do not outlive a restart" in found.note


def test_without_any_directory_of_its_own_a_private_temporary_one_is_used(tmp_path: Path) -> None:
    temp = tmp_path / "tmp"
    temp.mkdir()
    env = {"TMPDIR": str(temp)}
    found = data_dir(None, env, tmp_path / "no-shared")
    assert found.path == temp / f"sevdeck-{os.getuid()}"
    assert stat.S_IMODE(found.path.stat().st_mode) == 0o700
    assert "no home directory" in found.note
    assert data_dir(None, env, tmp_path / "no-shared").path == found.path  # a second console finds the first


def test_a_prepared_link_in_the_temporary_directory_is_not_followed(tmp_path: Path) -> None:
    temp, trap = tmp_path / "tmp", tmp_path / "trap"
    temp.mkdir()
    trap.mkdir()
    (temp / f"sevdeck-{os.getuid()}").symlink_to(trap)
    found = data_dir(None, {"TMPDIR": str(temp)}, tmp_path / "no-shared").path
    assert found.parent == temp and found.resolve() != trap
    assert stat.S_IMODE(found.stat().st_mode) == 0o700


def test_a_named_directory_that_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"--data-dir names .* cannot be written"):
        data_dir(tmp_path / "file" / "below", {})
    with pytest.raises(UsageError, match="SEVDECK_DATA_DIR names"):
        data_dir(None, {"SEVDECK_DATA_DIR": str(tmp_path / "file")})


def test_examples_in_the_documentation() -> None:
    assert sum(doctest.testmod(one).failed for one in (module, config_file, places)) == 0
