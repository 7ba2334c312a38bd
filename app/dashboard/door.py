"""Decides which requests Flower answers: a request must name this machine and have a password."""

import binascii
import hmac
import ipaddress
import socket
from base64 import b64decode
from collections.abc import Collection
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlsplit


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a request is not answered."""

    status: HTTPStatus
    message: str


@dataclass(frozen=True, kw_only=True)
class Door:
    """The check before every page, API call and stream, also those that later releases of Flower add."""

    #: ``name:password`` entries, each of which opens the door. Empty: another service asks for a login (OAuth).
    credentials: Collection[str] = field(repr=False)
    #: Host names that requests may have, besides IP addresses, ``localhost`` and this machine's own name.
    hosts: Collection[str] = ()
    #: Paths that are open to everybody. They tell only that Flower runs.
    open_paths: Collection[str] = ("/healthcheck",)

    def refusal(self, *, path: str, host: str, authorization: str | None) -> Refusal | None:
        """Why a request is not answered; None if it is. ``host`` and ``authorization`` are headers of the request."""
        if path in self.open_paths:
            return None
        name = _name(host)
        if name is None or not self._is_ours(name):
            # An attacker can make a host name point to this machine (DNS rebinding). Such a request has that name.
            return Refusal(
                status=HTTPStatus.FORBIDDEN,
                message="Flower refuses requests for this host name. If the name is yours, add it to "
                "BATCHORD_FLOWER_HOSTS.",
            )
        if self.credentials and not self._opens(authorization or ""):
            return Refusal(
                status=HTTPStatus.UNAUTHORIZED,
                message="Flower needs a user name and a password. `batchord status --password` shows them.",
            )
        return None

    def user(self, authorization: str | None) -> str | None:
        """The name of the login that opened the door; None if another service asks for the login."""
        return _login(authorization or "").partition(b":")[0].decode("utf-8", "replace") if self.credentials else None

    def _is_ours(self, name: str) -> bool:
        try:
            ipaddress.ip_address(name)
        except ValueError:
            own = ("localhost", socket.gethostname(), *self.hosts)
            return name.endswith(".localhost") or name in {host.lower().rstrip(".") for host in own}
        return True  # an IP address cannot be made to point elsewhere

    def _opens(self, authorization: str) -> bool:
        login = _login(authorization)
        # Not any(): all comparisons must run, so that the time does not show which one matches.
        return True in [hmac.compare_digest(login, allowed.encode()) for allowed in self.credentials]


def _login(authorization: str) -> bytes:
    """The ``name:password`` of the header; empty for any other header."""
    scheme, _, encoded = authorization.strip().partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _name(host: str) -> str | None:
    """The name or address of a ``Host`` header without its port, in lower case; None for an invalid header."""
    if not host or set(host) & set("/\\?#@, "):
        return None
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return None
    return (name or "").rstrip(".") or None
