"""How long the oldest pending record of each pipeline has waited: one rule for the metric and for people."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from batchord.core.errors import TransientError

if TYPE_CHECKING:
    from batchord.ledger import Ledger


def oldest_pending(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """By pipeline, the seconds since its oldest pending record was discovered; 0 if none is pending.

    ``rows``: those of ``ledger.metrics.pending()``. A pipeline whose newest runs have planned nothing is not in it.
    """
    ages: dict[str, float] = {}
    for row in rows:
        ages[row["pipeline"]] = max(ages.get(row["pipeline"], 0.0), row["age"])
    return ages


def oldest_pending_soon(ledger: "Ledger") -> dict[str, float]:
    """The same within a second; empty if the ledger does not answer by then: nobody waits longer for it."""
    try:
        return oldest_pending(ledger.metrics.pending(hurried=True))
    except TransientError:
        return {}
