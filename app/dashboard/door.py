"""Who may come in: a request must name this machine, and know a password."""

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
    """Stands before every page, API call and stream, those of later releases included."""

    #: ``name:password``; any one opens. Empty: somebody else asks (OAuth).
    credentials: Collection[str] = field(repr=False)
    #: Names that the requests may be for, besides addresses, ``localhost`` and this machine's own.
    hosts: Collection[str] = ()
    #: Open to everybody: tells nothing but that Flower runs.
    open_paths: Collection[str] = ("/healthcheck",)

    def refusal(self, *, path: str, host: str, authorization: str | None) -> Refusal | None:
        """Why a request for ``path`` is not answered; None: it is. ``host`` and ``authorization`` are its headers."""
        if path in self.open_paths:
            return None
        name = _name(host)
        if name is None or not self._is_ours(name):
            # A page of an attacker's whose name was made to point here (DNS rebinding) comes with that name.
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
        """Whose name opened the door; None where somebody else asks for it."""
        return _given(authorization or "").partition(b":")[0].decode("utf-8", "replace") if self.credentials else None

    def _is_ours(self, name: str) -> bool:
        try:
            ipaddress.ip_address(name)
        except ValueError:
            own = ("localhost", socket.gethostname(), *self.hosts)
            return name.endswith(".localhost") or name in {each.lower().rstrip(".") for each in own}
        return True  # nobody can make an address point elsewhere

    def _opens(self, authorization: str) -> bool:
        given = _given(authorization)
        # Not any(): every comparison takes its time, whichever matches.
        return True in [hmac.compare_digest(given, each.encode()) for each in self.credentials]


def _given(authorization: str) -> bytes:
    """The name and the password of the header, as ``name:password``; empty for what is none of that."""
    scheme, _, encoded = authorization.strip().partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _name(host: str) -> str | None:
    """The host's name or address without its port, in lower case; None for what is neither."""
    if not host or set(host) & set("/\\?#@, "):
        return None
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return None
    return (name or "").rstrip(".") or None
