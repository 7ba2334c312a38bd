"""Claims a port of loopback for one stack of the machine, before a program of the stack listens there."""

import random
import socket
from dataclasses import dataclass

from batchord.core.errors import ConfigurationError

from .embedded import LOOPBACK, PORTS, is_free


@dataclass(frozen=True)
class PortClaim:
    """A port that no other stack takes while this claim is open. Keep it open until a program listens there.

    A port that is free now may be taken a moment later. Without claims, two stacks that start together would both see
    the usual port free. Then the second stack's program would end at each start.
    """

    port: int
    _socket: socket.socket

    def close(self) -> None:
        """Ends the claim. Then other stacks may have the port when nobody listens there."""
        self._socket.close()


def claim_port(*wanted: int) -> PortClaim:
    """A claim of the first of the ``wanted`` ports that is free and not claimed, or else of any other port.

    Raises ConfigurationError if there is none.
    """
    for port in (*wanted, *random.sample(PORTS, 200)):
        bound = _bind_name(port)
        if bound is None:
            continue
        if is_free(port):
            return PortClaim(port, bound)
        bound.close()
    raise ConfigurationError(f"No port between {PORTS.start} and {PORTS.stop} is free on {LOOPBACK}.")


def _bind_name(port: int) -> socket.socket | None:
    """A socket bound to a name that only one process can have. The kernel frees the name when the process ends."""
    bound = socket.socket(socket.AF_UNIX)
    try:
        bound.bind(f"\0batchord-port-{port}")
    except OSError:
        bound.close()
        return None
    return bound
