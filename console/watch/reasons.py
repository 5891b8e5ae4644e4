"""Network failures in plain words: "connection refused", "name does not resolve", "TLS certificate expired".

Libraries wrap one failure in another; the innermost one that has a name wins. No I/O here.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator

from console.redact import redact
from console.text import clean

_BY_ERRNO = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EPIPE: "connection closed by the other side",
    errno.EHOSTUNREACH: "no route to host",
    errno.ENETUNREACH: "network unreachable",
    errno.EACCES: "permission denied",
    errno.EMFILE: "too many open files",
    errno.EADDRNOTAVAIL: "no free local port or address",
}
# OpenSSL's X509_V_ERR_* numbers, as `ssl.SSLCertVerificationError.verify_code` gives them.
_BY_VERIFY_CODE = {
    9: "TLS certificate is not valid yet",
    10: "TLS certificate expired",
    18: "TLS certificate is self-signed",
    19: "TLS certificate is signed by an authority this host does not trust",
    20: "TLS certificate is signed by an authority this host does not trust",
    21: "TLS certificate chain is incomplete",
    23: "TLS certificate is revoked",
    62: "TLS certificate is for another name",
    64: "TLS certificate is for another address",
}


def no_answer(seconds: float) -> str:
    """
    >>> no_answer(3.0)
    'no answer in 3 s'
    """
    return f"no answer in {seconds:g} s"


def reason(error: BaseException, seconds: float) -> str:
    """Why it failed, for a person: one cleaned line without secrets. `seconds` is the deadline it had.

    >>> reason(ConnectionRefusedError(111, "x"), 3)
    'connection refused'
    """
    chain = list(causes(error))
    for cause in reversed(chain):
        words = _known(cause)
        if words:
            return words
    # Each library has its own timeout classes, named so, and not all are TimeoutErrors.
    if any(isinstance(cause, TimeoutError) or "Timeout" in type(cause).__name__ for cause in chain):
        return no_answer(seconds)
    text = str(error).strip() or type(error).__name__
    return clean(redact(text), 160).rstrip(".")


def _known(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _BY_VERIFY_CODE.get(error.verify_code, f"TLS certificate refused: {clean(error.verify_message, 80)}")
    if isinstance(error, ssl.SSLError):
        return "TLS handshake failed: " + clean((error.reason or str(error)).lower().replace("_", " "), 80)
    if isinstance(error, socket.gaierror):
        return "name does not resolve"
    if isinstance(error, OSError) and error.errno is not None:
        return _BY_ERRNO.get(error.errno, "")
    return ""


def causes(error: BaseException, depth: int = 0) -> Iterator[BaseException]:
    """The error and what lies beneath it, outermost first."""
    if depth > 8:
        return
    yield error
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from causes(inner, depth + 1)
    beneath = error.__cause__ or error.__context__
    if beneath is not None:
        yield from causes(beneath, depth + 1)
