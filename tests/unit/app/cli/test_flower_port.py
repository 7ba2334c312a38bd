"""Which port Flower gets."""

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.cli.local_stack import _flower_ports, flower_remark, keep_flower_remark
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


def test_another_port_is_remarked_on_until_flower_is_back(tmp_path: Path) -> None:
    """Whoever looks at the usual place reads where Flower is, and why; also when it is started there again."""
    (tmp_path / "run").mkdir()
    keep_flower_remark(tmp_path, wanted=5555, port=5555)
    assert flower_remark(tmp_path) is None

    keep_flower_remark(tmp_path, wanted=5555, port=40123)
    remark = "Flower listens on port 40123: another program or stack had port 5555 at the start."
    assert flower_remark(tmp_path) == remark
    keep_flower_remark(tmp_path, wanted=40123, port=40123)
    assert flower_remark(tmp_path) == remark

    keep_flower_remark(tmp_path, wanted=40123, port=5555)
    assert (
        flower_remark(tmp_path) == "Flower listens on port 5555: another program or stack had port 40123 at the start."
    )
    keep_flower_remark(tmp_path, wanted=5555, port=5555)
    assert flower_remark(tmp_path) is None
