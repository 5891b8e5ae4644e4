"""The tls probe: is the certificate trusted, for this name, and for how long still.

With `tls+insecure://HOST:PORT` only the end counts. A certificate that does not verify is fetched once more without verifying, so that an expired one can be named
and its end told. Only the few fields that a person needs are read.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from console.config import ProbeConfig
from console.watch.address import Resolver, connect, split_host_port
from console.watch.probes.result import Answer
from console.watch.reasons import reason
from console.watch.web import no_authorities

_UNVERIFIED = "tls+insecure://"  # a certificate of one's own making: only its end matters
_MIN_DAYS = 14.0
_DAY = 86400.0
_COMMON_NAME = b"\x55\x04\x03"  # OID 2.5.4.3
_VERSION, _SEQUENCE, _OID, _UTC_TIME, _LONG_TIME = 0xA0, 0x30, 0x06, 0x17, 0x18


@dataclass(frozen=True, slots=True)
class Certificate:
    """`name` is the subject's common name, "" without one; `ends` unix seconds."""

    name: str
    ends: float


async def probe_tls(
    config: ProbeConfig, target: str, resolver: Resolver, trust: ssl.SSLContext, now: float | None = None
) -> Answer:
    unverified = target.startswith(_UNVERIFIED)
    host, port = split_host_port(target.removeprefix(_UNVERIFIED), 443)
    least = _days(config.expect)
    refused = ""
    try:
        raw = await _shown(host, port, config.timeout, resolver, no_authorities() if unverified else trust)
    except ssl.SSLCertVerificationError as error:
        refused = reason(error, config.timeout).removeprefix("TLS certificate ")
        raw = await _shown(host, port, config.timeout, resolver, no_authorities())
    try:
        certificate = read_certificate(raw)
    except (ValueError, IndexError):
        return Answer(None, "the certificate cannot be read")
    return _judge(certificate, host, refused, least, time.time() if now is None else now)


def _judge(certificate: Certificate, host: str, refused: str, least: float, now: float) -> Answer:
    left = (certificate.ends - now) / _DAY
    subject = f"certificate of {certificate.name or host}"
    if left < 0:
        return Answer(False, f"{subject} expired {_about(-left)} ago", timed=False)
    if refused:
        return Answer(False, f"{subject} {refused}, ends in {_about(left)}", timed=False)
    if left < least:
        words = f"{subject} ends in {_about(left)}, expected at least {least:g} days"
        return Answer(False, words, timed=False)
    return Answer(True, f"{subject} ends in {_about(left)}", timed=False)


def _about(days: float) -> str:
    """
    >>> _about(0.5), _about(1.2), _about(300.9)
    ('12 h', '1 day', '300 days')
    """
    if days < 1:
        return f"{int(days * 24)} h"
    return "1 day" if days < 2 else f"{int(days)} days"


def _days(expect: str) -> float:
    text = expect.strip().lower().removesuffix("days").removesuffix("d").strip()
    if not text:
        return _MIN_DAYS
    try:
        return float(text)
    except ValueError:
        raise ValueError("expect: a tls probe expects a number of days") from None


async def _shown(host: str, port: int, deadline: float, resolver: Resolver, context: ssl.SSLContext) -> bytes:
    """The certificate that the server shows, as it came."""
    _, writer = await connect(resolver, host, port, deadline, context)
    try:
        connection = writer.get_extra_info("ssl_object")
        return connection.getpeercert(binary_form=True) or b""
    finally:
        writer.transport.abort()


def read_certificate(der: bytes) -> Certificate:
    """Name and end of an X.509 certificate (RFC 5280, 4.1). Raises ValueError or IndexError when it is none."""
    (_, outer), *_ = _elements(der)
    (_, signed), *_ = _elements(outer)
    parts = list(_elements(signed))
    if parts[0][0] == _VERSION:
        parts = parts[1:]
    # serialNumber, signature, issuer, validity, subject
    (_, _), (_, _), (_, _), (_, validity), (_, subject) = parts[:5]
    _, (kind, end) = list(_elements(validity))[:2]
    return Certificate(_common_name(subject), _moment(kind, end.decode("ascii")))


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """(tag, content) of each element of DER data."""
    at = 0
    while at < len(der):
        tag, length, at = der[at], der[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(der[at : at + size], "big"), at + size
        if at + length > len(der):
            raise ValueError("cut off")
        yield tag, der[at : at + length]
        at += length


def _common_name(subject: bytes) -> str:
    for _, group in _elements(subject):
        for _, pair in _elements(group):
            (kind, oid), (_, value) = list(_elements(pair))[:2]
            if kind == _OID and oid == _COMMON_NAME:
                return value.decode("utf-8", "replace")
    return ""


def _moment(kind: int, text: str) -> float:
    if kind == _UTC_TIME:  # two digits of a year mean 1950-2049
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    elif kind != _LONG_TIME:
        raise ValueError("no time")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
