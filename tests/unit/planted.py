"""Secrets that are planted where secrets live, and the search for them in a bundle: raw, URL-encoded, in base64.

None is real; those with an issuer's prefix are put together from pieces, so that no scanner takes this file for a leak.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

SPACED = 'Blue Horse "77"& Lane'  # with a space, quotes and what JSON of Go escapes
IN_URL = "p@ss/w0rd:9+x"  # must be encoded in a URL
IN_ENV = "kV7-qRt2_Zz"
UNNAMED = "Xk29fLq07PzMw3Nd"  # in an environment, under a name that announces nothing
DOLLAR = "pa$$ing$99x"
WORD = "sunshine"  # a plain word, known by its name in the environment
IN_FILE = "Dotenv-only-5512"
IN_LABEL = "label-K3y-98x"
IN_ARGUMENT = "requirepass-Zq81"
IN_PS = "ps-Arg-4471-tok"
IN_QUERY = "qry-Secret-20x1"
JWT = ".".join(("ey" + "JhbGciOiJIUzI1NiJ9", "ey" + "JzdWIiOiIxMjM0NTY3ODkwIn0", "c2lnbmF0dXJlLW9mLXRoaXM"))
KEY = [base64.b64encode(bytes([n]) * 48).decode() for n in range(3, 7)]
PEM = "\n".join(("-----BEGIN " + "PRIVATE KEY-----", *KEY, "-----END " + "PRIVATE KEY-----"))
PHONE, MAIL = "5511987654321", "maria.silva@example.com"
BODY = "meu endereço é Rua das Flores 12"

SECRETS = (SPACED, IN_URL, IN_ENV, UNNAMED, DOLLAR, WORD, IN_FILE, IN_LABEL, IN_ARGUMENT, IN_PS, IN_QUERY, JWT, *KEY)
PERSONAL = (PHONE, MAIL, BODY)


def ways(secret: str) -> set[str]:
    """How it might be written; its base64 also within that of something longer."""
    raw = secret.encode()
    found = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
    found |= {secret.replace("$", "$$"), json.dumps(secret, ensure_ascii=False)[1:-1]}
    found |= {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
    for user in ("a:", "ab:", "abc:"):
        whole = base64.b64encode(user.encode() + raw).decode().rstrip("=")
        found.add(whole[(len(user) * 8 + 5) // 6 : -1])
    return found


def leaks(contents: Iterable[tuple[str, bytes]], secrets: Iterable[str] = SECRETS + PERSONAL) -> list[str]:
    """ "file: secret as it stands there", for each that is found. A plain word counts where it stands alone."""
    found = []
    for name, content in contents:
        text = content.decode("utf-8", "replace")
        for secret in secrets:
            for way in ways(secret):
                hit = re.search(rf"\b{way}\b", text) if way.isalpha() else way in text
                if hit:
                    found.append(f"{name}: {way}")
    return found


def log_lines() -> str:
    """What an application prints when it should not."""
    pair = base64.b64encode(f"shop:{IN_ENV}".encode()).decode()
    stamp = "2026-11-23T10:00:00.000000000Z"
    lines = [
        f'INFO config password="{SPACED}" loaded',
        f"ERROR cannot connect to postgresql://shop:{quote(IN_URL, safe='')}@db:5432/shop",
        f"ERROR cannot connect to postgresql://shop:{IN_URL}@db:5432/shop",
        f"DEBUG sent {IN_ENV} to upstream",
        f"DEBUG Authorization: Basic {pair}",
        f"DEBUG blob {pair}",
        f"INFO worker started with {UNNAMED}",
        f"ERROR login failed with {WORD}",
        f"WARN price {DOLLAR}",
        json.dumps({"level": "info", "message": "startup", "db": {"note": SPACED}, "label": IN_LABEL}),
        json.dumps({"log": json.dumps({"inner": SPACED})}),
        f"INFO session {JWT} expired",
        *PEM.split("\n"),
        json.dumps({"from": PHONE, "text": BODY}, ensure_ascii=False),
        f"INFO reply to +55 11 98765-4321 and {PHONE}@s.whatsapp.net, mail {MAIL}",
        f"INFO env file has {IN_FILE}, redis uses {IN_ARGUMENT}",
        f"\x1b[31mERROR\x1b[0m pass{chr(27)}[0mword={IN_PS}",
    ]
    return "".join(f"{stamp} {line}\n" for line in lines)


ENVIRONMENT = {
    "SMTP_PASSWORD": SPACED,
    "DATABASE_URL": f"postgresql://shop:{quote(IN_URL, safe='')}@db:5432/shop",
    "API_KEY": IN_ENV,
    "PARTNER": UNNAMED,
    "DB_PASSWORD": DOLLAR,
    "ADMIN_PASSWORD": WORD,
    "SIGNING_KEY": PEM,
    "LOG_LEVEL": "debug",
    "PGDATA": "/var/lib/postgresql/data",
    "POSTGRES_PASSWORD": "postgres",
    "DEBUG": "true",
    "PORT": "5432",
}
