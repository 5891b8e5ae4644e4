"""Tokens that name their issuer by a prefix, private keys, and the cheap question whether a line may hold any secret.

Patterns only; `console.redact_rules` applies them.
"""

from __future__ import annotations

import re

MASK = "•••"

PEM_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
PEM_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
PEM_BODY = re.compile(r"(?:[A-Za-z0-9+/=]{16,80}|[A-Za-z-]{1,30}: .{0,80}|^\s*|=[A-Za-z0-9+/]{4})\s*$")

# A lower-cased line in which this finds nothing holds no secret that any rule below would find. Each branch
# begins with one character that is rare in logs and looks back from there: `re` skips all others quickly. The same
# words in their natural order, or one branch that begins with a set, take three times as long.
_HINT = re.compile(
    r"""p(?:ass|wd|sk|in["'=:\\]|at["'=:\\]|(?<=otp)["'=:\\]|ypi-|ul-[0-9a-f]{40}|scale_|mak-|i(?<=dapi)[0-9a-f]{32})
|c(?:ret|red|ook|srf|v[vc]["'=:\\])
|k(?:ey(?:["'=:\\_>`%\]s]|\s?[=:]|\s[\w-]{16}|-(?:[0-9a-f]{32}|(?<=tskey-)|---)|\ block-)|en(?<=token)|-(?<=nrak-)|(?<=sk)[0-9a-f]{32}
   |-(?<=sk-)(?:proj|ant|svc|or-|admin|[a-z0-9]{16})|ia(?<=akia)[a-z0-9]{16})
|h(?:oriz|(?<=auth)["'=:%_\]\ \\]|v[sbr]\.[\w-]{20})
|s(?:ession(?:["'=:_.\\-]|id)|ignature|ig["'=:\\]|id["'=:\\]|ia(?<=asia)[a-z0-9]{16}|\.[a-z0-9]{24})
|b(?:earer|asic\ |ia(?<=abia)[a-z0-9]{16}|b(?<=atbb)[a-z0-9]{24}) | ca(?<=acca)[a-z0-9]{16}
|g(?:ocspx|\.(?<=sg\.)[\w-]{16}|l(?:pat|dt|rt|cbt|ptt|soat|ft|imt|agent)-) | fied(?<=identified)
|x(?:ox[a-z][.-]|app-|srf|ai-|keysib|smtpsib) | za(?<=aiza) | y(?:a29\.|j(?<=eyj)[\w-]{8}) | q0[a-z]{3}- | jwt
|v1\.(?<=atlasv1\.) | ltai[a-z0-9]{12} | 3(?<=atatt3) | _[a-z0-9]{16}
|-(?:-[a-z]|(?<=\s-)[aup]) | //(?:0|(?<=://)) | \?code= | &code= | :aa[\w-]{30} | \$(?:2[abxy]|[156]|argon2\w{0,2})\$""",
    re.VERBOSE,
)


def suspicious(text: str) -> bool:
    """Whether any rule could apply: the cheap question every line is asked."""
    return _HINT.search(text.lower()) is not None


PROVIDERS = r"""
 (?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])
|gh[pousr]_[A-Za-z0-9]{30,255} | github_pat_\w{22,255}
|gl(?:pat|dt|rt|cbt|ptt|soat|ft|imt|agent)-[\w-]{16,255}
|xox[abeoprs](?:\.xox[bp])?-[\w-]{8,255} | xapp-\d-[\w-]{10,255}
|[sr]k_(?:live|test)_[A-Za-z0-9]{10,255} | whsec_[A-Za-z0-9+/=]{16,255}
|sk-[A-Za-z0-9_-]{20,255} | AIza[\w-]{30,60} | ya29\.[\w-]{20,2048} | GOCSPX-[\w-]{20,60} | 1//0[\w-]{30,255}
|SG\.[\w-]{16,64}\.[\w-]{16,128} | key-[0-9a-f]{32}(?![0-9a-f]) | SK[0-9a-f]{32}(?![0-9a-f])
|npm_[A-Za-z0-9]{30,64} | pypi-[\w-]{50,1024} | rubygems_[0-9a-f]{48}
|do[opr]_v1_[0-9a-f]{64} | hv[sbr]\.[\w-]{20,255} | s\.[A-Za-z0-9]{24}(?![A-Za-z0-9])
|shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32} | sq0[a-z]{3}-[\w-]{22,64}
|(?<![_-])eyJ[\w-]{8,8192}\.[\w-]{2,8192}(?:\.[\w-]{0,8192}){0,3}
|dckr_[po]at_[\w-]{20,64} | NRAK-[A-Z0-9]{20,40} | lin_api_[A-Za-z0-9]{30,64} | ntn_[A-Za-z0-9]{40,64}
|figd_[\w-]{30,64} | pul-[0-9a-f]{40} | dapi[0-9a-f]{32} | hf_[A-Za-z]{30,64} | gsk_[A-Za-z0-9]{30,64}
|xai-[A-Za-z0-9]{30,128} | [A-Za-z0-9]{14}\.atlasv1\.[\w-]{40,128} | sntry[su]_[\w+/=-]{30,512}
|glsa_[A-Za-z0-9]{32}_[0-9a-f]{8} | glc_[A-Za-z0-9+/=]{32,400} | AGE-SECRET-KEY-1[0-9A-Z]{50,64}
|(?:bot)?\d{8,10}:AA[\w-]{32,36} | sbp_[0-9a-f]{40} | sb_secret_[\w-]{20,64} | pscale_(?:tkn|pw|oauth)_[\w.-]{30,64}
|PMAK-[0-9a-f]{24}-[0-9a-f]{34} | x(?:key|smtp)sib-[0-9a-f]{64}-\w{16} | ATBB[A-Za-z0-9]{24,40}
|ATATT3[\w=-]{60,255} | LTAI[A-Za-z0-9]{16,24}(?![A-Za-z0-9]) | tskey-[a-z]{2,10}-[\w-]{16,64}
|\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53} | \$argon2\w{0,2}\$[\w=,$+/]{20,255} | \$[156]\$[^\s$]{1,40}\$[./A-Za-z0-9]{20,90}
"""
HOOKS = (
    r"(hooks\.slack\.com/(?:services|workflows|triggers)/|discord(?:app)?\.com/api/webhooks/\d{5,25}/"
    r"|webhook\.office\.com/webhookb2/)[\w/+=@-]{16,400}"
)
