"""Ports of loopback, claimed by one stack of the machine before a program of it listens there."""

import random
import socket
from dataclasses import dataclass

from batchord.core.errors import ConfigurationError

from .embedded import LOOPBACK, PORTS, is_free


@dataclass(frozen=True)
class PortClaim:
    """A port that no other stack takes while this claim is open: long enough for a program to listen there.

    That a port is free holds for a moment only. Two stacks that start together would both see the usual port free,
    and the second one's program would end each time that it is started.
    """

    port: int
    _held: socket.socket

    def close(self) -> None:
        """Lets other stacks have the port, once nobody listens there."""
        self._held.close()


def claim_port(*wanted: int) -> PortClaim:
    """The first of the ``wanted`` ports that is free and not claimed, else any other.

    Raises ConfigurationError when there is none.
    """
    for port in (*wanted, *random.sample(PORTS, 200)):
        held = _hold(port)
        if held is None:
            continue
        if is_free(port):
            return PortClaim(port, held)
        held.close()
    raise ConfigurationError(f"No port between {PORTS.start} and {PORTS.stop} is free on {LOOPBACK}.")


def _hold(port: int) -> socket.socket | None:
    """A name that one process of the machine can have, and that the kernel takes back when the process ends."""
    held = socket.socket(socket.AF_UNIX)
    try:
        held.bind(f"\0batchord-port-{port}")
    except OSError:
        held.close()
        return None
    return held
