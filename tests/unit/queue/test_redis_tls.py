"""Why TLS with Redis did not come about: the words of OpenSSL, and files that cannot be used."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import pytest
import trustme

from batchord.core.errors import ConfigurationError
from batchord.queue.redis_server import check_redis
from batchord.queue.redis_tls import expects_tls, knows_no_tls, unusable_file


@pytest.fixture
def authority() -> trustme.CA:
    """The authority that signs the certificates of a test."""
    return trustme.CA()


@pytest.fixture
def port(authority: trustme.CA) -> Iterator[int]:
    """The port of a server that does a TLS handshake as ``localhost`` and nothing more."""
    with greeting(authority.issue_cert("localhost")) as port:
        yield port


@contextmanager
def greeting(certificate: trustme.LeafCert) -> Iterator[int]:
    """The port of a server that greets with this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = Thread(target=_greet, args=(listening, context), daemon=True)
        thread.start()
        yield int(listening.getsockname()[1])
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=20)


def _greet(listening: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:  # the test is over
            return
        try:
            with context.wrap_socket(connection, server_side=True) as greeted:
                greeted.recv(1)
        except OSError:  # the client does not trust it
            connection.close()


def line(url: str) -> str:
    """The one error line for a Redis at this address."""
    with pytest.raises(ConfigurationError) as caught:
        check_redis(url)
    (said,) = str(caught.value).splitlines()
    assert "BATCHORD_REDIS_URL" in said
    return said


def test_a_stranger_is_not_trusted(port: int, authority: trustme.CA, tmp_path: Path) -> None:
    """A server with another name is not trusted either. The error says what to write."""
    certificate = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(certificate))
    assert "this machine does not trust the authority" in line(f"rediss://localhost:{port}/0")
    assert "is for another name" in line(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={certificate}")
    check_redis(f"rediss://localhost:{port}/0?ssl_ca_certs={certificate}")  # it does not answer, and that may pass


def test_an_expired_certificate_is_reported_as_expired(authority: trustme.CA, tmp_path: Path) -> None:
    """Its signer is known, so the error proposes no change of the address."""
    certificate = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(certificate))
    with greeting(authority.issue_cert("localhost", not_after=datetime(2020, 1, 1, tzinfo=UTC))) as port:
        assert "is not valid at this time" in line(f"rediss://localhost:{port}/0?ssl_ca_certs={certificate}")


def test_a_server_that_expects_tls_is_known(port: int) -> None:
    """It ends a connection without, and says nothing."""
    assert expects_tls("localhost", port, timeout=5)
    assert not knows_no_tls("localhost", port, timeout=5)
    assert "Write rediss:// instead of redis://" in line(f"redis://localhost:{port}/0")


def test_a_server_without_tls_is_known(redis_url: str) -> None:
    """The embedded one."""
    place = redis_url.rpartition("@")[2].partition("/")[0]
    host, _, port = place.partition(":")
    assert knows_no_tls(host, int(port), timeout=5)
    assert "Write redis:// instead of rediss://" in line(f"rediss://{place}/0")


def test_without_files_no_certificate_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's certificates would take megabytes of each process, and a tenth of a second of its start."""
    monkeypatch.setattr(ssl, "create_default_context", lambda: pytest.fail("certificates were read"))
    assert unusable_file({}) is None


def test_files_that_cannot_be_used_are_named(authority: trustme.CA, tmp_path: Path) -> None:
    """The check comes before anything is sent. redis-py would only say that there is no such file."""
    certificate, key, other = tmp_path / "c.pem", tmp_path / "c.key", tmp_path / "other.key"
    issued = authority.issue_cert("us")
    issued.cert_chain_pems[0].write_to_path(str(certificate))
    issued.private_key_pem.write_to_path(str(key))
    authority.issue_cert("them").private_key_pem.write_to_path(str(other))
    empty = tmp_path / "empty.pem"
    empty.touch()
    for ca in (tmp_path / "nosuch.pem", empty, tmp_path):
        assert f"ssl_ca_certs={ca} does not hold a readable certificate" in (
            unusable_file({"ssl_ca_certs": str(ca)}) or ""
        )
    pair = {"ssl_certfile": str(certificate), "ssl_keyfile": str(key)}
    assert unusable_file(pair) is None
    for broken in (pair | {"ssl_keyfile": str(other)}, pair | {"ssl_keyfile": str(empty)}, {"ssl_certfile": str(key)}):
        assert broken["ssl_certfile"] in (unusable_file(broken) or "")
    nosuch = tmp_path / "nosuch.pem"
    assert str(nosuch) in line(f"rediss://127.0.0.1:9/0?ssl_ca_certs={nosuch}")
