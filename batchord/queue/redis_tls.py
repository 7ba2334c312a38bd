"""Why a connection to Redis by TLS failed, and what a person can do about it."""

import re
import socket
import ssl
from collections.abc import Mapping

#: Words of OpenSSL, which redis-py passes on, and our advice. The first match counts.
_REFUSALS = tuple(
    (re.compile(words, re.IGNORECASE), advice)
    for words, advice in (
        (
            r"hostname mismatch|ip address mismatch|certificate is not valid for",
            "its certificate is for another name. Write the host name that is in its certificate.",
        ),
        (
            r"certificate has expired|certificate is not yet valid",
            "its certificate is not valid at this time. Renew it, or correct this machine's clock.",
        ),
        (
            r"CERTIFICATE_VERIFY_FAILED",
            (
                "this machine does not trust the authority (CA) of its certificate. Set ssl_ca_certs in the address "
                "to the file with the certificate of that CA: rediss://host:6379/0?ssl_ca_certs=/path/ca.pem."
            ),
        ),
        (
            (
                r"alert (certificate|bad certificate|unknown ca|handshake failure)|"
                r"ALERT_(CERTIFICATE|BAD_CERTIFICATE|UNKNOWN_CA|HANDSHAKE_FAILURE)"
            ),
            (
                "it requires a client certificate that it trusts. Set ssl_certfile and ssl_keyfile in the address to "
                "that certificate and its key."
            ),
        ),
    )
)


def advice_for(message: str) -> str | None:
    """The problem and what to do, if no later attempt can succeed; None if one may."""
    return next((advice for words, advice in _REFUSALS if words.search(message)), None)


def unusable_file(files: Mapping[str, str]) -> str | None:
    """The problem of the first file that cannot be used; None if all can. redis-py would not name the file."""
    if not files:
        return None  # a context reads the system's certificates, which takes megabytes and a tenth of a second
    context = ssl.create_default_context()
    try:
        if ca := files.get("ssl_ca_certs"):
            context.load_verify_locations(ca)
    except OSError as error:
        return f"ssl_ca_certs={ca} does not hold a readable certificate ({error.strerror or error})"
    try:
        if certificate := files.get("ssl_certfile"):
            # An empty password. Without one, OpenSSL would ask on the terminal for the password of an encrypted key.
            context.load_cert_chain(certificate, files.get("ssl_keyfile"), password=lambda: "")
    except OSError as error:
        return (
            f"ssl_certfile={certificate} and its key, ssl_keyfile={files.get('ssl_keyfile', certificate)}, cannot be "
            f"read or do not belong together ({error.strerror or error})"
        )
    return None


def refusal_after_greeting(host: str, port: int, options: Mapping[str, str | bool], *, timeout: float) -> str:
    """The server's error after it has seen our certificate, or that we have none; empty if it sends no error.

    A client that writes at once usually finds the connection closed and never reads the reason. So this one only reads.
    """
    context = ssl.create_default_context(cafile=_file(options, "ssl_ca_certs"))
    context.check_hostname = bool(options["ssl_check_hostname"])
    context.verify_mode = ssl.CERT_NONE if options["ssl_cert_reqs"] == "none" else ssl.CERT_REQUIRED
    if certificate := _file(options, "ssl_certfile"):
        context.load_cert_chain(certificate, _file(options, "ssl_keyfile"))
    try:
        with (
            socket.create_connection((host, port), timeout=timeout) as plain,
            context.wrap_socket(plain, server_hostname=host) as encrypted,
        ):
            encrypted.recv(1)
    except OSError as error:
        return str(error)
    return ""


def _file(options: Mapping[str, str | bool], name: str) -> str | None:
    return str(options[name]) if name in options else None


def expects_tls(host: str, port: int, *, timeout: float) -> bool:
    """Whether the server completes a TLS handshake. Nothing else is sent, so it need not be trusted."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), timeout=timeout) as plain,
            context.wrap_socket(plain, server_hostname=host),
        ):
            return True
    except OSError:
        return False


def knows_no_tls(host: str, port: int, *, timeout: float) -> bool:
    """Whether the server answers as Redis without TLS. No password is sent to it."""
    try:
        with socket.create_connection((host, port), timeout=timeout) as plain:
            plain.sendall(b"PING\r\n")
            return plain.recv(1) in (b"+", b"-")
    except OSError:
        return False
