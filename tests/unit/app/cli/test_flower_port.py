"""Which port Flower gets."""

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.cli.local_stack import _flower_ports
from app.localstack.claims import claim_port


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A program that listens on some port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def _remember(home: Path, port: int) -> None:
    (home / "run").mkdir()
    (home / "run" / "flower").write_text(f"http://127.0.0.1:{port}")


def test_it_is_the_port_of_the_time_before(tmp_path: Path, listener: socket.socket) -> None:
    """Whoever kept the address finds Flower there again."""
    port = listener.getsockname()[1]
    listener.close()
    _remember(tmp_path, port)

    with closing(claim_port(*_flower_ports(tmp_path))) as claim:
        assert claim.port == port


def test_a_taken_port_is_left_to_its_owner(tmp_path: Path, listener: socket.socket) -> None:
    """Then it is the usual one, or any that is free."""
    taken = listener.getsockname()[1]
    _remember(tmp_path, taken)

    with closing(claim_port(*_flower_ports(tmp_path))) as claim:
        assert claim.port != taken
        socket.create_server(("127.0.0.1", claim.port)).close()
