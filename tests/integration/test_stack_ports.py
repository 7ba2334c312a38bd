"""Which stack of a machine has which port."""

import socket
from contextlib import closing

from app.localstack.claims import claim_port
from app.localstack.embedded import LOOPBACK


def test_two_stacks_that_start_together_get_different_ports() -> None:
    """Also while nobody listens on either; the first one's is free again when its claim is closed."""
    with closing(claim_port()) as first, closing(claim_port(first.port)) as second:
        assert second.port != first.port
    with closing(claim_port(first.port)) as third:
        assert third.port == first.port


def test_a_port_that_another_program_has_is_left_to_it() -> None:
    """It may be no stack of ours."""
    with socket.create_server((LOOPBACK, 0)) as other:
        taken = other.getsockname()[1]
        with closing(claim_port(taken)) as claim:
            assert claim.port != taken


def test_a_claim_does_not_keep_the_program_itself_out() -> None:
    """What is claimed can be listened on."""
    with closing(claim_port()) as claim:
        socket.create_server((LOOPBACK, claim.port)).close()
