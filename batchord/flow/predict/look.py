"""Reads what discovery needs before the scan: the greatest position, the open transactions, and the step's past."""

from batchord.core.declared.source_reader import SourceReader
from batchord.core.declared.steps import Predict
from batchord.core.run.frontier import SESSION_PREFIX, Sighting
from batchord.core.run.plans import Past
from batchord.core.run.records import Position
from batchord.flow.parts import Parts


def look(
    parts: Parts, *, pipeline: str, declared: Predict, source: SourceReader, version: str, run_id: str
) -> tuple[Position | None, Sighting, Past]:
    """The greatest position that the frontier may move up to, what was seen right after reading it, and the past.

    ``version`` is the model's.
    """
    transactions, settle = source.transactions, declared.source.settle
    running: frozenset[str] = frozenset()
    # Without transactions and settle=, nobody can tell when a position is settled: every run scans the whole source.
    follows = transactions is not None or settle is not None
    with source.together():
        top = source.greatest_position() if follows else None  # 1. B, a statement of its own
        if transactions is not None:
            running = transactions.running_transactions()  # 2. V, a later statement
    # Its time is after B was read and before the scan.
    past = parts.ledger.planner.past(
        pipeline, declared.name, source_digest=declared.source_digest, model_version=version
    )
    sighting = Sighting(
        run_id=run_id,
        running=running,
        prepared=frozenset(name for name in running if not name.startswith(SESSION_PREFIX)),
        now=past.now,
        settle=None if source.settles_by_clock else settle,
    )
    return top, sighting, past
