"""Deletes what need not be kept any longer.

Predictions stay: a record without a prediction would be predicted again.
"""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from batchord.core.run.history import Actor
from batchord.flow.parts import Parts
from batchord.flow.upkeep.history import change


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """How much was deleted."""

    runs: int
    #: Parts of logs.
    logs: int
    alerts: int
    #: Changes by hand.
    history: int
    #: Findings of audits.
    audits: int
    #: Predictions whose column ``output`` was cleared.
    outputs: int

    def as_json(self) -> dict[str, int]:
        """The counts by name."""
        return asdict(self)


def prune(parts: Parts, *, actor: Actor | None = None) -> Pruned:
    """Deletes what is older than the settings allow. Raises TransientError; what was deleted before stays deleted.

    ``actor``: the person for the history. The entry is written first, since pruning takes many transactions.
    """
    configured, pruning = parts.settings, parts.ledger.pruning
    pruning.keep(change(parts, actor, "prune"))
    parts.ledger.tallies.tally_all()  # a run that is not tallied is kept
    now = parts.ledger.runs.now()

    def before(days: float) -> datetime:
        return now - timedelta(days=days)

    kept = before(configured.keep_runs_days)
    outputs = configured.keep_outputs_days
    return Pruned(
        logs=parts.logs.delete_before(before(min(configured.keep_logs_days, configured.keep_runs_days))),
        runs=pruning.runs(before=kept, idle_before=before(configured.keep_idle_runs_days)),
        alerts=pruning.alerts(before=kept),
        history=pruning.history(before=kept),
        audits=pruning.audits(before=kept),
        outputs=0 if outputs is None else pruning.outputs(before=before(outputs)),
    )
