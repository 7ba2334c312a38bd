"""The queues: how many messages each has, and how long the oldest has been due."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batchord.queue.depths import QueueDepth, QueueDepths


def queues_now(depths: "QueueDepths", *, standard: Sequence[str], others: Iterable[str] = ()) -> list["QueueDepth"]:
    """The ``standard`` queues in their order, then the ``others``, sorted.

    ``others``: queues that steps name, see :meth:`batchord.ledger.metrics.MetricsQueries.queues`. Raises
    ConfigurationError if Redis refuses the connection, TransientError if it does not answer.
    """
    return depths.read([*standard, *sorted(set(others) - set(standard))])
