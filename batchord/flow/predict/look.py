"""Reads what discovery needs before the scan: the greatest position, and the transactions that are still open."""

from batchord.core.declared.source_reader import SourceReader
from batchord.core.declared.steps import Predict
from batchord.core.run.frontier import Sighting
from batchord.core.run.records import Position
from batchord.flow.parts import Parts


def look(parts: Parts, declared: Predict, source: SourceReader, run_id: str) -> tuple[Position | None, Sighting]:
    """The greatest position that the frontier may move up to, and what was seen right after reading it."""
    transactions, settle = source.transactions, declared.source.settle
    # Without transactions and settle=, nobody can tell when a position is settled: every run scans the whole source.
    follows = transactions is not None or settle is not None
    top = source.greatest_position() if follows else None  # 1. B, a statement of its own
    nothing: frozenset[str] = frozenset()
    return top, Sighting(  # 2. V, a later statement
        run_id=run_id,
        running=nothing if transactions is None else transactions.running_transactions(),
        prepared=nothing if transactions is None else transactions.prepared_transactions(),
        now=parts.ledger.runs.now(),  # after B was read and before the scan
        settle=None if source.settles_by_clock else settle,
    )
