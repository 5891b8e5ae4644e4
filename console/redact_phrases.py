"""Words and commands after which a secret stands: options, SQL, protocols, sentences.

Patterns only: each ends where the value begins, and is tried only on text that has one of its words.
`console.redact_rules` applies them.
"""

from __future__ import annotations

import re
from functools import cache

_SECRET_NAME = r"(?:password|passwd|secret|token|api[_.-]?key|senha)"
_QUOTE = r"\\{0,3}[\"']?"

# name -> the lower-cased words of which a text must have one, and what comes before the value.
_PHRASES = {
    "option": (
        ("-p", "-t", "-s", "-k", "-a", "--"),
        r"(?<![\w-])--?[a-z0-9_-]{0,40}?(?:passwd|password|passphrase|secret|token|api-?key|access-?key|"
        r"secret-?key|private-?key|pass|pwd|senha)\s{1,3}(?![-|&;<>])",
    ),
    "database -p": (
        ("mysql", "mariadb", "mongo"),
        r"\b(?:mysql\w{0,10}|mariadb[\w-]{0,10})\b[^|;\n]{0,200}?\s(?-i:-p)(?=\S)|\bmongo\w{0,10}\b[^|;\n]{0,200}?\s(?-i:-p)\s{1,3}",
    ),
    "login -p": (
        (" -p",),
        r"\bsshpass\s[^|;\n]{0,80}?(?-i:-p)\s{0,3}"
        r"|\b(?:docker|podman|az|nerdctl|buildah|skopeo|oc|twine)\s{1,3}(?:login|upload)\b[^|;\n]{0,200}?\s(?-i:-p)\s{1,3}"
        r"|\b(?:sqlcmd|bcp|ipmitool|zip|unzip|mosquitto_\w{3})\b[^|;\n]{0,200}?\s(?-i:-P)\s{1,3}",
    ),
    "user:password": (
        (" -u", "--user", " -a", "--auth"),
        r"\b(?:curl|httpie?|https?)\b[^|;\n]{0,200}?\s(?:(?-i:-u|-a)|--user|--auth)[=\s]{0,3}[\"']?[^\s:\"'/]{1,80}:"
        r"|\b(?:smb\w{1,10}|rpcclient)\b[^|;\n]{0,200}?\s(?:(?-i:-U)|--user)[=\s]{1,3}[\"']?[^\s%\"']{1,80}%",
    ),
    "redis": (
        ("redis-cli", "requirepass", "masterauth", "setuser"),
        r"\bredis-cli\b[^|;\n]{0,200}?\s(?-i:-a)\s{1,3}|\b(?:requirepass|masterauth)\\?\"?\s{1,3}"
        r"|\bsetuser\b[^\n]{0,120}?\s\\?[\"']?>",
    ),
    "archives and ciphers": (
        ("openssl", "7z", "lftp"),
        r"\bopenssl\b[^|;\n]{0,200}?\s(?-i:-k|-K)\s{1,3}|\b7z\w?\s[^|;\n]{0,120}?\s(?-i:-p)(?=\S)"
        r"|\blftp\b[^|;\n]{0,200}?\s(?-i:-u)\s{1,3}[^\s,]{1,80},",
    ),
    "echo": (
        ("password-stdin", "chpasswd"),
        r"\becho\s{1,3}(?:-n\s)?(?=[^|\n]{1,200}\|[^\n]{0,80}(?:--password-stdin|chpasswd))",
    ),
    "securestring": (("securestring",), r"\bconvertto-securestring\s{1,3}(?:-string\s{1,3})?"),
    "pdo": (("__construct('",), r"\bpdo->__construct\('[^'\n]{1,200}',\s'[^'\n]{0,80}',\s(?=')"),
    "define": (
        ("define(",),
        r"\bdefine\(\s?['\"][\w.-]{0,60}?(?:password|secret|token|key|salt)\w{0,20}['\"]\s?,\s?(?=['\"])",
    ),
    "pair": (
        ("n',", 'n",', "t',", 't",', "y',", 'y",', "e',", 'e",'),
        r"(?:token|secret|key|session|signature)[\"'],\s{0,2}b?(?=[\"'][\w.~+/=%-]{16})(?=.[^\"']{0,80}\d)",
    ),
    "ldap": (("ldap",), r"\bldap\w{2,10}\b[^|;\n]{0,200}?\s(?-i:-w)\s{1,3}"),
    "user tools": (
        ("rabbitmqctl", "htpasswd"),
        r"\brabbitmqctl\s{1,3}(?:add_user|change_password)\s{1,3}\S{1,80}\s{1,3}"
        r"|\bhtpasswd\s{1,3}-\w{0,3}b\w{0,3}\s{1,3}\S{1,120}\s{1,3}\S{1,80}\s{1,3}",
    ),
    "identified": (("identified",), r"\bidentified\s{1,3}(?:with\s{1,3}\w{1,40}\s{1,3})?by\s{1,3}(?:password\s{1,3})?"),
    "password": (
        ("password",),
        r"password(?:\s{1,3}(?=\\{0,2}['\"])|\s{0,3}\(\s{0,2}(?=['\"])"
        r"|\s{1,3}(?:is|was|set\s{1,3}to|changed\s{1,3}to)\s{1,3}:?\s{0,2}(?=\S{0,80}[\d!@#$%^&*\"'])"
        r"|\s{1,3}for\s{1,3}(?:the\s)?\S{1,60}\suser\b[^:=\n]{0,80}:\s{1,3}(?=\S{6})(?=\S{0,80}\d))",
    ),
    "a password": (
        (
            "with password",
            "using password",
            "tried password",
            "wrong password",
            "new password",
            "old password",
            "default password",
            "temporary",
            "generated",
            "initial",
            "bootstrap",
        ),
        r"\b(?:with|using|tried|wrong|new|old|default)\s{1,3}password\s{1,3}(?=\S{6})(?=\S{0,80}\d)(?=\S{0,80}[a-z])"
        r"|\b(?:temporary|generated|initial|default|bootstrap)\s[a-z ]{0,20}password\b[^:=\n]{0,80}:\s{1,3}(?=\S{6})",
    ),
    "login": (
        ("login ",),
        r"\blogin\s{1,3}\S{1,80}\s{1,3}password\s{1,3}"
        r"|\b[a-z]{1,3}\d{1,6}\s(?-i:LOGIN)\s{1,3}(?!from|failed|ok)\S{1,80}\s{1,3}",
    ),
    "openssl": ((" pass:",), r"\bpass(?:in|out)?\s{1,3}pass:"),
    "pass": (
        ("pass ",),
        r"(?:[>;<]\s{0,2}|\b[cs]:\s{0,2}|\b(?:ftp|pop3?)\b[^\n]{0,40}?\s)(?-i:PASS)\s{1,3}(?=\S)(?!\S{0,60}[/=])",
    ),
    "auth": (
        ("auth",),
        r"\b(?-i:AUTH)\\?\"?[ \t]{1,3}(?:PLAIN\s{1,3}|LOGIN\s{1,3}|\\?\"[^\"]{1,80}\"\s{1,3}(?=\\?\")"
        r"|(?!plain|login)\w{1,40}\s{1,3}(?=\S{0,80}\d))?|\bauth=\(\s?['\"][^'\"]{1,80}['\"]\s?,\s?(?=['\"])",
    ),
    "query": (("key=", "code="), r"[?&](?:key|code)=(?=[\w.%/-]{0,60}\d)(?=[\w.%/-]{16})"),
    "unseal": (("unseal",), r"\bunseal\s{1,3}key\s{1,3}\d{1,2}:\s{1,3}"),
    "name and value": (
        ("value",),
        rf"\b(?:name|key){_QUOTE}\s{{0,3}}[:=]>?\s{{0,3}}{_QUOTE}[\w.-]{{0,60}}?{_SECRET_NAME}[\w.-]{{0,20}}{_QUOTE}"
        rf"[,\s]{{1,40}}{_QUOTE}value{_QUOTE}\s{{0,3}}[:=]>?\s{{0,3}}",
    ),
    "form part": (
        ("name=",),
        rf"\bname=\\?[\"'][\w.\[\]-]{{0,60}}?{_SECRET_NAME}[\w\]]{{0,20}}\\?[\"'](?:\r?\n|\\r\\n|\\n){{2}}",
    ),
    "link": (
        ("/reset/", "/verify/", "/confirm/", "/activate/", "/magic/", "/invite/"),
        r"/(?:reset|verify|confirm|activate|magic|invite)/(?=[\w.~-]{0,80}\d)(?=[\w.~-]{20})",
    ),
}


@cache
def phrases() -> tuple[tuple[tuple[str, ...], re.Pattern[str]], ...]:
    """Words of which a text must have one, lower-cased, and the pattern that ends where the value begins."""
    return tuple((words, re.compile(pattern, re.IGNORECASE)) for words, pattern in _PHRASES.values())
