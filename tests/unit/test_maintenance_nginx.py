"""The nginx configuration for maintenance: made from what runs, with the same addresses and certificates."""

from __future__ import annotations

import pytest

from console.actions.containment import nginx

DUMP = """\
nginx: the configuration file /etc/nginx/nginx.conf syntax is ok
# configuration file /etc/nginx/nginx.conf:
user www-data;
pid /run/nginx.pid;
load_module modules/ngx_stream_module.so;
events { worker_connections 4096; }
http {
    log_format timed '$remote_addr "$request" {$status} # no comment';
    map $http_upgrade $connection_upgrade { default upgrade; '' close; }
    upstream app { server app:8000; }   # not a web server: an address of one
    include /etc/nginx/conf.d/*.conf;
}
stream { server { listen 5432; proxy_pass db:5432; } }

# configuration file /etc/nginx/conf.d/default.conf:
server {
    listen 80 default_server;
    server_name shop.example "~^www\\d+\\.example$";
    location / { proxy_pass http://app; if ($arg_a = "}") { return 418; } }
}
server {
    listen [::]:443 ssl http2;
    include snippets/tls.conf;
    location /api { proxy_pass http://app; }
}

# configuration file /etc/nginx/snippets/tls.conf:
ssl_certificate /certs/shop.crt;
ssl_certificate_key /certs/shop.key;
ssl_protocols TLSv1.2 TLSv1.3;
"""


def test_every_server_keeps_its_addresses_and_certificates_and_nothing_else() -> None:
    text = nginx.maintenance(DUMP, ("/healthz",))
    tree = nginx.parse(text)
    names = [d.name for d in tree]
    assert names == ["user", "pid", "load_module", "events", "stream", "http"]
    http = next(d.block or () for d in tree if d.name == "http")
    first, second = [d.block or () for d in http if d.name == "server"]
    assert ("listen", "80", "default_server") in [d.words for d in first]
    assert ("server_name", "shop.example", '"~^www\\d+\\.example$"') in [d.words for d in first]
    assert ("ssl_certificate", "/certs/shop.crt") in [d.words for d in second]
    assert "proxy_pass" not in text.replace("proxy_pass db:5432", "")
    assert text.count("return 503;") == 2
    assert 'location = /healthz { access_log off; default_type text/plain; return 200 "ok\\n"; }' in text
    assert "map" not in [d.name for d in http]
    assert any(d.name == "log_format" for d in http)


def test_without_what_rests_on_lost_variables_no_log_format_is_left() -> None:
    assert "log_format" not in nginx.maintenance(DUMP, (), plain=True)


def test_a_directory_of_includes_that_include_each_other_ends() -> None:
    loop = "# configuration file /etc/nginx/nginx.conf:\nhttp { include loop.conf; server { listen 80; } }\n"
    loop += "# configuration file /etc/nginx/loop.conf:\ninclude loop.conf;\n"
    assert "listen 80;" in nginx.maintenance(loop, ())


@pytest.mark.parametrize(
    "dump",
    [
        "",
        "nginx: command not found",
        "# configuration file /etc/nginx/nginx.conf:\nevents {}\n",
        "# configuration file /etc/nginx/nginx.conf:\nhttp { server { listen 80; }",
        "# configuration file /etc/nginx/nginx.conf:\nhttp { } }",
        "# configuration file /etc/nginx/nginx.conf:\nhttp { }",
    ],
)
def test_what_is_not_understood_is_said_and_not_guessed(dump: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        nginx.maintenance(dump, ())


def test_the_root_of_the_site_is_no_health_check() -> None:
    assert nginx.health_paths(["sh", "-c", "curl -f http://localhost:80/ && wget -q http://127.0.0.1/ping"]) == (
        "/ping",
    )
    assert nginx.health_paths(["true"]) == ()


def test_a_page_of_ones_own_carries_the_mark_by_which_it_is_known() -> None:
    assert nginx.MARKER in nginx.page()
    assert nginx.page("<h1>zurück</h1>").startswith("<h1>zurück</h1>")
    assert nginx.MARKER in nginx.page("<h1>zurück</h1>")
