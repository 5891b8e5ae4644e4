"""Tokens that name their issuer by a prefix, private keys, and the cheap question whether a line may hold any secret.

Patterns only; `console.redact_rules` applies them.
"""

from __future__ import annotations

import re

MASK = "•••"

PEM_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
PEM_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
# Lines of a key: base64 (the last one may be short), its headers, an empty line, the checksum of PGP.
PEM_BODY = re.compile(
    r"\s*(?:[A-Za-z0-9+/=]{16,80}|(?:[A-Za-z0-9+/]{4}){1,3}|(?:[A-Za-z0-9+/]{4}){0,3}[A-Za-z0-9+/]{2}[A-Za-z0-9+/=]="
    r"|(?:Proc-Type|DEK-Info|Version|Comment|Charset|Hash|MessageID|x-[\w-]{1,30}): .{0,200}|=[A-Za-z0-9+/]{4})?\s*$"
)
PEM_PART = re.compile(r"[A-Za-z0-9+/]{40,80}={0,2}")

# A lower-cased line in which this finds nothing holds no secret that any rule below would find. Each branch
# begins with one character that is rare in logs and looks back from there: `re` skips all others quickly. The same
# words in their natural order, or one branch that begins with a set, take three times as long.
# First character -> what else must stand there, in lower case.
_ISSUED = {
    "p": r"""at(?:[a-z0-9]{14}\.[0-9a-f]|-[a-z]{2}\d-)|ypi-|ul-[0-9a-f]{40}|scale_|mak-|plx-|i(?<=dapi)[0-9a-f]{32}
        |\.(?<=dp\.)[a-z]{2,5}\.""",
    "c": r"ret_|ord(?<=discord)|io[a-z0-9]{32}|a(?<=acca)[a-z0-9]{16}|(?<=ac)[0-9a-f]{32}:",
    "k": r"""-(?<=sdk-)[0-9a-f]{8}-|ey-(?:[0-9a-f]{32}|(?<=tskey-)|(?<=secret-key-))|en(?<=token)|-(?<=nrak-)|(?<=sk)[0-9a-f]{32}
        |-(?<=sk-)(?:proj|ant|svc|or-|admin|[a-z0-9]{16})|ia(?<=akia)[a-z0-9]{16}|cp[a-z0-9]{60}|u-(?<=hrku-)
        |id(?<=akid)[a-z0-9]{32}|(?<=ez[at]k)[a-z0-9]{40}|n-(?<=tkn-)1-""",
    "h": r"v[sbr]\.[\w-]{20}|a\}(?<=\{ssha\})",
    "s": r"ia(?<=asia)[a-z0-9]{16}|\.[a-z0-9]{24}|l\.[\w-]{60}|0tls1crud",
    "b": r"ia(?<=abia)[a-z0-9]{16}|b(?<=atbb)[a-z0-9]{24}|k(?<=absk)[a-z0-9]{60}|kdf2",
    "q": r"~(?<=\dq~)|oj(?<=iqoj)b3j|0[a-z]{3}-",
    "g": r"ocspx|\.(?<=sg\.)[\w-]{16}|l(?:pat|dt|rt|cbt|ptt|soat|ft|imt|agent)-",
    "x": r"ox[a-z][.-]|app-|ai-|keysib|smtpsib",
    "z": r"a(?<=aiza)",
    "y": r"a29\.|j(?<=eyj)[\w-]{8}|2(?<=oy2)[a-z0-9]{43}",
    "v": r"1\.(?:(?<=atlasv1\.)|0-[0-9a-f]{24})|ly-(?<=tvly-)|k1\.a\.",
    "l": r"tai[a-z0-9]{12}",
    "3": r"(?<=atatt3)|(?<=atctt3)",
    "_": r"(?=\d*[a-z])[a-z0-9]{16}|usr-|live_",
    "-": r"us\d|[0-9a-f]{8}-[0-9a-f]{8}(?![0-9a-f-])|(?<=a3-)[a-z0-9]{6}-|\d{16}-",
    "/": r"/0",
    ":": r"a(?:a[\w-]{30}|pa91b)",
    "$": r"2[abxy]\$|[156y]\$|argon2|apr1\$|aact_|\d{4,6}:",
}
_NAMED = {
    "p": r"""ass|wd|sk|w["'=:\\]|in["'=:\\]|at["'=:\\]|(?<=otp)["'=:\\]|hrase|lus\ (?<=sqlplus\ )|\ (?<=[mx]pdp\ )""",
    "c": r"""ret|red|ook|srf|v[vc]["'=:\\]|(?<=mnemonic)""",
    "k": r"""ey(?:["'=:\\_>`%\]s]|\s?[=:]|\s[\w-]{16}|-(?:data|---)|\ block-|(?<=seal\ key))|en(?<=token)""",
    "h": r"""oriz|ooks\.slack|ooks/\d{5}|ookb2|(?<=auth)["'=:%_\]\ \\]|mac["'=:]|a(?<=senha)["'=:\\\ ]""",
    "s": r"""ess(?:ion(?:["'=:_.\\-]|id)|id)|ignature|ig["'=:\\]|id["'=:\\]|etuser|ecures""",
    "b": r"earer|asic\ |c(?<=smbc)",
    "f": r"ied(?<=identified)",
    "x": r"srf",
    "j": r"wt",
    "g": r"in\ (?<=login\ )\S{1,80}\ [\"\\]",
    "-": r"-(?:[a-z-]{0,30}key[\s=]|user|auth)|(?<=\s-)[akupw]\S?|>__con",
    "@": r"tcp\(|unix\(",
    "/": r"/(?<=://)[^\s\"'<>]{1,400}@|(?<=(?:reset|erify|nfirm|ivate|magic|nvite)/)[\w-]{16}",
    "?": r"code=",
    "&": r"code=",
    ":": r"(?<=thin:)",
}


def _hints(*sets: dict[str, str]) -> re.Pattern[str]:
    branches: dict[str, list[str]] = {}
    for one in sets:
        for first, rest in one.items():
            branches.setdefault(first, []).append(rest)
    return re.compile("|".join(f"{re.escape(c)}(?:{'|'.join(rest)})" for c, rest in branches.items()), re.VERBOSE)


_HINT = _hints(_NAMED, _ISSUED)
_ISSUED_HINT = _hints(_ISSUED)


def issued(low: str) -> bool:
    """Whether this lower-cased text may hold a token that names its issuer."""
    return _ISSUED_HINT.search(low) is not None


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
|AC[0-9a-f]{32}:[0-9a-f]{32}(?!\w) | (?:sdk|mob)-[0-9a-f]{8}(?:-[0-9a-f]{4,12}){4} | (?:[a-z]{2,12}_)?(?:live|prod)_[A-Za-z0-9]{14,255}(?![A-Za-z0-9_])
|SCRAM-SHA-\d{1,3}\$\d{4,6}:[\w+/=$:]{40,200}
|HRKU-[\w-]{30,80} | v1\.0-[0-9a-f]{24}-[0-9a-f]{100,200} | GR1348941[\w-]{20,40} | SWMTKN-1-[a-z0-9]{40,60}-[a-z0-9]{20,40}
|[0-9a-f]{32}-us\d{1,2}(?!\w) | [0-9a-f]{32}-[0-9a-f]{8}-[0-9a-f]{8}(?![\w-]) | pat[A-Za-z0-9]{14}\.[0-9a-f]{64}
|access_token\$(?:production|sandbox)\$[a-z0-9]{16}\$[0-9a-f]{32} | EAA[A-Za-z0-9][\w-]{56,512}(?![\w-]) | EZ[AT]K[A-Za-z0-9]{50,60}
|dp\.(?:pt|st|ct|sa|scim|audit)\.[\w.-]{40,64} | A3-[A-Z0-9]{6}(?:-[A-Z0-9]{5,6}){4,6} | ops_eyJ[\w-]{60,2048}
|pat-(?:na|eu|ap)\d-[0-9a-f]{8}(?:-[0-9a-f]{4,12}){4} | APP_USR-\d{10,20}-\d{6}-[\w-]{20,80} | TEST-\d{16}-\d{6}-[\w-]{30,80}
|sl\.[\w-]{60,512} | sq[uap]_[0-9a-f]{40} | r8_[A-Za-z0-9]{30,64} | nf[pcoub]_[A-Za-z0-9]{30,64} | (?:fm[12][ar]?|fo1)_[\w+/=,-]{40,2048}
|dt0[a-z]\d\d\.[A-Z0-9]{24}\.[A-Z0-9]{64} | AKCp[A-Za-z0-9]{60,80} | AKID[A-Za-z0-9]{32} | ABSK[A-Za-z0-9+/=]{60,200}
|(?:IQoJb3JpZ2lu|FwoGZXIvYXdz)[A-Za-z0-9+/=%]{40,4096} | [\w~.]{3}\dQ~[\w~.-]{31,34} | secret_[A-Za-z0-9]{40,64}
|AAAA[\w-]{7}:APA91b[\w-]{100,200} | access-(?:production|development|sandbox)-[0-9a-f]{8}(?:-[0-9a-f]{4,12}){4}
|AT(?:CTT3|BBT)[\w=-]{60,255} | oy2[a-z0-9]{43}(?![a-z0-9]) | cio[A-Za-z0-9]{32}(?![A-Za-z0-9]) | (?:pplx|nvapi|tvly|CFPAT)-[\w-]{30,80}
|(?:CCIPAT|FLWSECK(?:_TEST)?|CLOJARS)[_-][\w-]{30,80} | \$aact_[\w=:+/-]{30,300} | re_[A-Za-z0-9]{8}_[A-Za-z0-9]{24}
|[MNO][A-Za-z0-9_-]{23,27}\.[\w-]{6}\.[\w-]{27,40}(?![\w-]) | vk1\.a\.[\w-]{60,300}
|LS0tLS1CRUdJTiB(?!DRVJU|QVUJM)[A-Za-z0-9+/=]{20,16384}
|[a-z][a-z0-9]{1,11}(?:_[a-z0-9]{2,8}){0,2}_(?=[a-z0-9]{0,60}[A-Z])(?=[A-Z0-9]{0,60}[a-z])(?=[A-Za-z]{0,60}\d)[A-Za-z0-9]{36,255}(?![A-Za-z0-9_])
|\{S(?:SHA|MD5|HA)\d{0,3}\}[A-Za-z0-9+/=]{20,120} | pbkdf2[_:]sha\d{1,3}[$:]\d{2,8}[$:][^\s"']{20,200} | scrypt:\d{3,8}:\d:\d\$[^\s"']{20,300}
|\$apr1\$[^\s$]{1,20}\$[./A-Za-z0-9]{20,30} | \$y\$[./A-Za-z0-9]{1,10}\$[./A-Za-z0-9]{8,90}\$[./A-Za-z0-9]{30,60}
|\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53} | \$argon2\w{0,2}\$[\w=,$+/]{20,255} | \$[156]\$[^\s$]{1,40}\$[./A-Za-z0-9]{20,90}
"""
HOOKS = (
    r"(hooks\.slack\.com/(?:services|workflows|triggers)/|discord(?:app)?\.com/api/webhooks/\d{5,25}/"
    r"|webhook\.office\.com/webhookb2/)[\w/+=@-]{16,400}"
)
