"""Log lines with a secret between « and », in the shapes secrets have in logs; and lines with none.

Tokens of issuers are put together from pieces, so that no scanner takes this file for a leak. None is real.
"""

from __future__ import annotations

import random

_random = random.Random(7)
_ALNUM = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def _made(prefix: str, count: int, letters: str = _ALNUM) -> str:
    return prefix + "".join(_random.choice(letters) for _ in range(count))


_HEX = "0123456789abcdef"
_JWT = ".".join((_made("ey" + "J", 30), _made("ey" + "J", 60), _made("", 43)))

PROVIDERS = [
    f"2026-11-22T10:00:01Z ERROR upload failed for «{_made('AKI' + 'A', 16, _ALNUM[:26])}» in eu-west-1",
    f"remote: invalid credentials for «{_made('gh' + 'p_', 36)}»",
    f"git clone https://«{_made('github_' + 'pat_', 22)}_{_made('', 59)}»@github.com/acme/shop.git failed",
    f"WARN gitlab runner registered with «{_made('glp' + 'at-', 20)}»",
    f"slack: token «{_made('xo' + 'xb-', 12, '0123456789')}-{_made('', 24)}» revoked",
    f"POST https://hooks.slack.com/services/«T0{_made('', 8)}/B0{_made('', 8)}/{_made('', 24)}» 404",
    f"stripe charge failed, key «{_made('sk_' + 'live_', 24)}» (test mode off)",
    f"webhook signed with «{_made('wh' + 'sec_', 32)}»",
    f"openai 401 for «{_made('sk' + '-proj-', 48)}»",
    f"anthropic: «{_made('sk' + '-ant-api03-', 60)}» over quota",
    f"maps request refused: «{_made('AI' + 'za', 35)}»",
    f"oauth: «{_made('ya' + '29.', 60)}» is no longer valid",
    f"sendgrid: «{_made('S' + 'G.', 22)}.{_made('', 43)}» rejected",
    f"npm publish with «{_made('np' + 'm_', 36)}»",
    f"twine: uploading with «{_made('py' + 'pi-', 80)}»",
    f"droplet created by «{_made('do' + 'p_v1_', 64, _HEX)}»",
    f"vault: lease renewed with «{_made('hv' + 's.', 24)}»",
    f"shopify app uses «{_made('sh' + 'pat_', 32, _HEX)}»",
    f"session «{_JWT}» expired",
    f"docker hub pull by «{_made('dckr_' + 'pat_', 27)}»",
    f"telegram bot «{_made('', 9, '123456789')}:AA{_made('', 33)}» got 409",
    f"hugging face: «{_made('h' + 'f_', 34, _ALNUM[:52])}»",
    f"discord https://discord.com/api/webhooks/123456789012345678/«{_made('', 68)}»",
]

NAMES = [
    "db: connecting with password=«hunter22»",
    "config loaded: DB_PASSWORD=«Tr0ub4dor&3» DB_HOST=db",
    'startup {"host": "db", "password": "«correct horse battery»", "port": 5432}',
    'retry {\\"user\\":\\"app\\",\\"password\\":\\"«s3cr et»\\"} after 3 s',
    "login failed for user bob, password: «Winter2026!»",
    "PGPASSWORD=«pg-Pa55word» psql -h db shop",
    "env: AWS_SECRET_ACCESS_KEY=«wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzzzzzzzz»",
    "spring.datasource.password=«Qwerty!234»",
    "stripeSecretKey: «abcDEF123456xyz»",
    "clientSecret='«9f8e7d6c5b4a»'",
    "{'api_key': '«0a1b2c3d4e5f6071»', 'retries': 3}",
    "x-api-key: «5d41402abc4b2a76b9719d911017c592»",
    "refresh_token=«1k2j3h4g5f6d7s8a9p» grant_type=refresh_token",
    "User{name=bob, passwd=«letmein99», age=4}",
    "redis requirepass «Sup3rS3cret» set",
    'password = "«two words»" # of the old server',
    "smtp_pass=«mail!Pass1» smtp_port=587",
    "<password>«xml-Secret-9»</password>",
    "encryption_key=«MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=»",
    "otp=«483920» sent to +55 11 9999",
    "auth token=«c29tZXRva2VuMTIz» for tenant 4",
    "password=«'quoted and, strange'» next=1",
]

SHAPES = [
    "could not connect to postgresql://app:«p4ssw0rd»@db:5432/shop: timeout",
    "amqp://guest:«gu/est@1»@rabbit:5672/ refused",
    "redis://:«r3dis-Pass»@cache:6379/0 unreachable",
    "GET /callback?code=4&access_token=«ya7x9k2m4n6p8q0r»&state=ok 302",
    'GET "https://files.example.com/a?sig=«Zm9vYmFyYmF6cXV4MTIzNDU2»&se=2026" 200',
    "Authorization: Bearer «mF_9.B5f-4.1JqM»",
    'curl -H "Authorization: Basic «YWxhZGRpbjpvcGVuc2VzYW1l»" https://api.example.com',
    '> "Authorization": "Token «9944b09199c62bcf9418ad846dd0e4bb»",',
    "Cookie: sessionid=«38afes7a8abcd123»; csrftoken=«u32t4o3tb3gg43»",
    "Set-Cookie: sid=«s%3Aj1Kd92kd.ZkLo»; Path=/; HttpOnly",
    "running mysqldump -u root -p«S3cr3tRoot» shop",
    "cmd: redis-cli -h cache -a «cachepw11» ping",
    "cmd: curl -s -u deploy:«depl0y-Me» https://registry.example.com/v2/",
    "exec: docker login -u ci -p «ci-Pa55» registry.example.com",
    "exec: ./backup --password «bk-Pass-77» --to s3",
    "exec: vault login --token=«s3rv1ceT0ken99»",
    "sshpass -p «ssh-pw-1» ssh root@web1",
    "LOG:  statement: ALTER ROLE app PASSWORD '«n3w-Pass'' word»'",
    "CREATE USER 'app'@'%' IDENTIFIED BY '«myS3cret»'",
    "machine api.example.com login bob password «netrc-pass1»",
    '1763800000.123 [0 127.0.0.1:5000] "AUTH" "«r3disAuth9»"',
    "request body=username%3Dbob%26password%3D«urlenc0ded» status=401",
    "jdbc:postgresql://db/shop?user=app&password=«jdbcPass1»&ssl=true",
]

SECRET = [*PROVIDERS, *NAMES, *SHAPES]

HARMLESS = [
    "2026-11-22 19:00:00 INFO GET /api/orders/123 200 34 ms",
    '172.18.0.1 - - [22/Nov/2026:19:08:14 +0000] "POST /webhook/order HTTP/1.1" 200 512 "-" "python-requests/2.31"',
    "LOG:  checkpoint complete: wrote 3 buffers (0.0%); 0 WAL file(s) added, 0 removed",
    'password authentication failed for user "app"',
    'FATAL:  password authentication failed for user "postgres"',
    "password: required",
    '{"errors": {"password": "must be at least 8 characters"}}',
    '{"password": null, "token": "", "secret": "***"}',
    "password=*** token=<redacted> secret=[FILTERED]",
    "Invalid token: unexpected end of input",
    "SyntaxError: Unexpected token: } in JSON at position 12",
    "token expired, please log in again",
    "max_tokens=4096 prompt_tokens: 311 completion_tokens: 42",
    "POSTGRES_PASSWORD_FILE=/run/secrets/pg_password",
    "password_file: /etc/app/password.txt",
    "compass=north bypass=true passed=17 failed=0 pass=17",
    "tests: pass: 12, fail: 0",
    "key=order:1234 value=paid",
    "cache miss for key user:42:profile",
    'duplicate key value violates unique constraint "orders_pkey"',
    "author=bob authority=example.com authenticated=true auth=ldap",
    "session 42 of user root opened",
    "pam_unix(sshd:session): session opened for user root(uid=0) by (uid=0)",
    "Accepted publickey for root from 10.0.0.5 port 51234 ssh2: RSA SHA256:x1y2",
    "signature: valid, 3 checks",
    "pinned pin=17 mode=out",
    "connecting to postgresql://db:5432/shop",
    "GET https://example.com/token/refresh 200",
    "git clone ssh://git@github.com/acme/shop.git",
    "image sha256:6d6717a3709b453f1cc2acc693e1b8b65aa851710b868b5cca662e060209b3d2 pulled",
    "request id 550e8400-e29b-41d4-a716-446655440000 took 12 ms",
    "commit 9f8e7d6c5b4a39281706f5e4d3c2b1a098765432 deployed",
    'secret "db-credentials" not found in namespace shop',
    "mounted secret at /run/secrets/db",
    "using env var ${DB_PASSWORD} for password=${DB_PASSWORD}",
    "docker compose -p shop up -d",
    "ssh -p 2222 root@web1 uptime",
    'WWW-Authenticate: Basic realm="shop"',
    "Authorization: required",
    "Bearer token missing",
    "set-cookie header missing in response",
    "basic health check passed in 3 ms",
    "-----BEGIN CERTIFICATE-----",
    "task-runner sk-module desk-42 risk-level=low",
    "password reset mail sent to bob@example.com",
    "user changed password: success",
    "certificate for shop.example.com expires in 12 days",
    "AUTH failed for client 10.0.0.9",
    "credentials: not provided",
    "cookie: disabled",
]
