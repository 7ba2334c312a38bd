"""Who gets an answer from Flower."""

import base64
import socket

import pytest

from app.dashboard.door import Door

_DOOR = Door(credentials=("me:pass:word", "you:wörter"), hosts=("flower.example", "Other.Example."))
_LOGIN = "Basic " + base64.b64encode(b"me:pass:word").decode()


def _status(*, path: str = "/workers", host: str = "127.0.0.1:5555", authorization: str | None = _LOGIN) -> int:
    refusal = _DOOR.refusal(path=path, host=host, authorization=authorization)
    return 200 if refusal is None else refusal.status


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LocalHost:5555", "localhost.", "a.localhost", "127.0.0.1", "192.168.1.7:80", "[::1]:5555"),
        *("[::1]", "flower.example", "FLOWER.example.:8080", "other.example", socket.gethostname()),
    ],
)
def test_our_own_names_and_addresses_are_answered(host: str) -> None:
    """With any port, in any case: nobody can make an address point elsewhere."""
    assert _status(host=host) == 200


@pytest.mark.parametrize(
    "host",
    [
        *("", "attacker.example", "localhost.attacker.example", "127.0.0.1.attacker.example", "xlocalhost"),
        *("flower.example.attacker.example", "sub.flower.example", "localhost,attacker.example", "a@localhost"),
        *("localhost/", "[::1", ":5555", "0x7f.1", "127.1"),
    ],
)
def test_other_names_are_refused_even_with_the_password(host: str) -> None:
    """Values that are neither a name nor an address are refused as well."""
    assert _status(host=host) == 403


@pytest.mark.parametrize(
    "authorization",
    [
        *(None, "", "Basic", "Basic ", "Basic !!!!", "Bearer abc", f"Digest {_LOGIN.partition(' ')[2]}"),
        *(f"Basic {base64.b64encode(each).decode()}" for each in (b"me:pass", b"me", b":", b"\xff\xfe", b"you:worter")),
    ],
)
def test_nothing_but_a_known_name_and_password_opens(authorization: str | None) -> None:
    """What cannot be read is refused like what is wrong."""
    assert _status(authorization=authorization) == 401


def test_each_of_several_passwords_opens() -> None:
    """With letters of any language, and colons."""
    assert _status() == 200
    assert _status(authorization="basic  " + base64.b64encode("you:wörter".encode()).decode()) == 200


def test_only_the_health_check_is_open() -> None:
    """To everybody, by whatever name; and nothing that merely looks like its path."""
    assert _status(path="/healthcheck", host="anything", authorization=None) == 200
    for path in ("/healthcheck/", "/metrics", "//healthcheck", "/static/a.css", "/api/workers", "/stream", "/nowhere"):
        assert _status(path=path, authorization=None) == 401


def test_the_passwords_do_not_show() -> None:
    """A repr ends up in logs and tracebacks."""
    assert "word" not in repr(_DOOR)
