"""The totals and aggregates of a step, counted from the rows in the tables."""

import math
from typing import Any

from psycopg import sql

from batchord.core.errors import ConfigurationError
from batchord.core.run.summary import QUANTILES
from batchord.core.run.totals import StepTotals
from batchord.ledger.connection import Connection
from batchord.ledger.readable import readable
from batchord.ledger.results import rows_of_run
from batchord.ledger.rows import one

_TOTALS = """
    SELECT count(*)::int AS shards,
           (count(*) FILTER (WHERE state IN ('pending', 'running')))::int AS open_shards,
           (count(*) FILTER (WHERE state = 'failed'))::int AS failed_shards,
           (count(*) FILTER (WHERE state = 'code-changed'))::int AS changed_shards,
           coalesce(sum(planned), 0)::bigint AS planned,
           coalesce(sum(discovered), 0)::bigint AS discovered,
           coalesce(sum(predicted), 0)::bigint AS predicted,
           coalesce(sum(rejected), 0)::bigint AS rejected,
           (SELECT count(*) FROM batchord.rejections WHERE run_id = %(run)s AND step = %(step)s)
               AS rejections_written
    FROM batchord.shards WHERE run_id = %(run)s AND step = %(step)s
"""
_COUNT = "SELECT count(*) AS predictions FROM {rows} AS prediction"
#: The most labels in a summary: a model with a label for each record must not fill it.
_MOST_LABELS = 50
#: All that can be said of the predictions without sorting them: one scan. The sums over all labels stand in each row.
_GROUPS = """
    SELECT label, records, (sum(truncated) OVER ())::bigint AS truncated,
           min(least) OVER () AS least, max(greatest) OVER () AS greatest
    FROM (SELECT label, count(*) AS records, min(score) AS least, max(score) AS greatest,
                 count(*) FILTER (WHERE output @> '{{"truncated": true}}') AS truncated
          FROM {rows} AS prediction GROUP BY label) AS of_label
    ORDER BY label IS NULL, records DESC, label LIMIT %(most)s
"""
_SCORES = (
    "SELECT {percentile}(%(quantiles)s::float8[]) WITHIN GROUP (ORDER BY score) AS quantiles FROM {rows} AS prediction"
)
_BETWEEN_SCORES = "percentile_cont"
#: Without a number between two scores: this may be infinite if they are very far apart, and JSON has no such number.
_ONE_OF_SCORES = "percentile_disc"
#: How many scores are in each of so many ranges of the same width, from the least score to the greatest.
_BARS = 20
_SCORE_COUNTS = """
    SELECT least(width_bucket(score, %(least)s, %(greatest)s, %(bars)s), %(bars)s) AS bar, count(*) AS records
    FROM {rows} AS prediction WHERE score IS NOT NULL GROUP BY bar
"""
#: An author may lock a table for hours. The run's row is locked here, and whoever wants it holds a thread of a control
#: worker: a few such waits would hold all of them. This is for the rest of the transaction, which can be tried again.
_WAIT_SHORTLY = "SET LOCAL lock_timeout = '100ms'"
_REASONS = """
    SELECT reason, count(*) AS records FROM batchord.rejections
    WHERE run_id = %(run)s AND step = %(step)s GROUP BY reason ORDER BY records DESC, reason
"""
_SHARDS = """
    SELECT coalesce(sum((timings->>'fetch')::float8), 0) AS fetch,
           coalesce(sum((timings->>'predict')::float8), 0) AS predict,
           coalesce(sum((timings->>'write')::float8), 0) AS write,
           extract(epoch FROM max(finished_at) - min(started_at))::float8 AS elapsed,
           coalesce(sum(attempt - 1), 0)::int AS retries,
           array_agg(index || ': ' || error ORDER BY index) FILTER (WHERE state = 'failed') AS errors
    FROM batchord.shards WHERE run_id = %(run)s AND step = %(step)s
"""


class StepPredictions:
    """The predictions of one step of a run, and where they lie."""

    def __init__(self, connection: Connection, run_id: str, step: str) -> None:
        self._connection = connection
        self._rows, self._values, self.chosen = rows_of_run(connection, run_id, step)

    def count(self) -> int:
        """How many there are, counted row by row."""
        count: int = self._ask(_COUNT)[0]["predictions"]
        return count

    def groups(self) -> list[dict[str, Any]]:
        """Up to one label more than a summary shows, the most frequent first."""
        return self._ask(_GROUPS, most=_MOST_LABELS + 1)

    def quantiles(self) -> list[float]:
        """Those of the scores, in the order of :data:`.QUANTILES`. There must be scores."""
        wanted = list(QUANTILES.values())
        for percentile in (_BETWEEN_SCORES, _ONE_OF_SCORES):
            quantiles: list[float] = self._ask(_SCORES.replace("{percentile}", percentile), quantiles=wanted)[0][
                "quantiles"
            ]
            if all(map(math.isfinite, quantiles)):
                break
        return quantiles

    def score_counts(self, least: float, greatest: float) -> list[int] | None:
        """None if all scores are equal, or if their range is too wide for a number."""
        if not 0 < greatest - least < math.inf:
            return None
        ends = {"least": least, "greatest": greatest, "bars": _BARS}
        counts = {row["bar"]: row["records"] for row in self._ask(_SCORE_COUNTS, **ends)}
        return [counts.get(bar, 0) for bar in range(1, _BARS + 1)]

    def _ask(self, query: str, **values: Any) -> list[dict[str, Any]]:
        return self._connection.execute(sql.SQL(query).format(rows=self._rows), {**self._values, **values}).fetchall()


def step_totals(connection: Connection, run_id: str, step: str) -> tuple[StepTotals, StepPredictions | None]:
    """The counts for the conservation check, and the predictions; None for a step without shards, which has none.

    Raises LockNotAvailable if an author's table is locked.
    """
    row = one(connection.execute(_TOTALS, {"run": run_id, "step": step}).fetchone())
    if not row["shards"]:
        return StepTotals(**row, predictions_written=0), None
    predictions = StepPredictions(connection, run_id, step)
    return _with_written(connection, row, predictions), predictions


def _with_written(connection: Connection, row: dict[str, Any], predictions: StepPredictions) -> StepTotals:
    if not predictions.chosen:
        return StepTotals(**row, predictions_written=predictions.count())
    try:
        with readable(predictions.chosen), connection.transaction():
            connection.execute(_WAIT_SHORTLY)
            return StepTotals(**row, predictions_written=predictions.count(), rows_may_go=True)
    except ConfigurationError as error:
        return StepTotals(**row, predictions_written=0, rows_may_go=True, unreadable=str(error))


def step_aggregates(
    connection: Connection, run_id: str, step: str, predictions: StepPredictions | None
) -> dict[str, Any]:
    """Labels, quantiles and counts of scores, reasons of rejection, truncated texts, seconds per phase; as JSON.

    ``predictions``: None: there are none, or they cannot be read. Then nothing is said of them.
    """
    values = {"run": run_id, "step": step}
    groups = [] if predictions is None else predictions.groups()
    labels = [group for group in groups if group["label"] is not None]
    scored = predictions if groups and groups[0]["least"] is not None else None
    shards = connection.execute(_SHARDS, values).fetchone()
    assert shards is not None  # noqa: S101 -- an aggregate without GROUP BY gives exactly one row
    return {
        "labels": {row["label"]: row["records"] for row in labels[:_MOST_LABELS]},
        "more_labels": len(labels) > _MOST_LABELS,
        "score_quantiles": None if scored is None else dict(zip(QUANTILES, scored.quantiles(), strict=True)),
        "score_counts": None if scored is None else scored.score_counts(groups[0]["least"], groups[0]["greatest"]),
        "rejections": {row["reason"]: row["records"] for row in connection.execute(_REASONS, values)},
        "truncated": groups[0]["truncated"] if groups else 0,
        "seconds": {phase: round(shards[phase], 3) for phase in ("fetch", "predict", "write")},
        # max() is for a clock that stepped back meanwhile. None without shards.
        "elapsed": None if shards["elapsed"] is None else max(0.0, round(shards["elapsed"], 3)),
        "retries": shards["retries"],
        "shard_errors": (shards["errors"] or [])[:10],
    }
