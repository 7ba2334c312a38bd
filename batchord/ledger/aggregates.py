"""The totals and aggregates of a step, counted from the rows in the tables."""

import math
from typing import Any

from batchord.core.run.summary import QUANTILES
from batchord.core.run.totals import StepTotals
from batchord.ledger.connection import Connection
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
           (SELECT count(*) FROM batchord.predictions WHERE run_id = %(run)s AND step = %(step)s)
               AS predictions_written,
           (SELECT count(*) FROM batchord.rejections WHERE run_id = %(run)s AND step = %(step)s)
               AS rejections_written
    FROM batchord.shards WHERE run_id = %(run)s AND step = %(step)s
"""
#: The most labels in a summary: a model with a label for each record must not fill it.
_MOST_LABELS = 50
_LABELS = f"""
    SELECT label, count(*) AS records FROM batchord.predictions
    WHERE run_id = %(run)s AND step = %(step)s AND label IS NOT NULL
    GROUP BY label ORDER BY records DESC, label LIMIT {_MOST_LABELS + 1}
"""
_SCORES = """
    SELECT {percentile}(%(quantiles)s::float8[]) WITHIN GROUP (ORDER BY score) AS quantiles
    FROM batchord.predictions
    WHERE run_id = %(run)s AND step = %(step)s AND score IS NOT NULL
"""
_BETWEEN_SCORES = _SCORES.format(percentile="percentile_cont")
#: Without a number between two scores: this may be infinite if they are very far apart, and JSON has no such number.
_ONE_OF_SCORES = _SCORES.format(percentile="percentile_disc")
#: How many scores are in each of so many ranges of the same width, from the least score to the greatest.
_BARS = 20
_SCORE_COUNTS = """
    SELECT least(width_bucket(score, %(least)s, %(greatest)s, %(bars)s), %(bars)s) AS bar, count(*) AS records
    FROM batchord.predictions
    WHERE run_id = %(run)s AND step = %(step)s AND score IS NOT NULL
    GROUP BY bar
"""
_REASONS = """
    SELECT reason, count(*) AS records FROM batchord.rejections
    WHERE run_id = %(run)s AND step = %(step)s GROUP BY reason ORDER BY records DESC, reason
"""
_TRUNCATED = """
    SELECT count(*) AS records FROM batchord.predictions
    WHERE run_id = %(run)s AND step = %(step)s AND output @> '{"truncated": true}'
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


def _quantiles(connection: Connection, values: dict[str, Any]) -> list[float] | None:
    """Those of the scores, in the order of :data:`.QUANTILES`; None without scores."""
    wanted = {**values, "quantiles": list(QUANTILES.values())}
    quantiles: list[float] | None = one(connection.execute(_BETWEEN_SCORES, wanted).fetchone())["quantiles"]
    if quantiles and not all(map(math.isfinite, quantiles)):
        quantiles = one(connection.execute(_ONE_OF_SCORES, wanted).fetchone())["quantiles"]
    return quantiles


def _score_counts(connection: Connection, values: dict[str, Any], quantiles: list[float] | None) -> list[int] | None:
    """None without scores, if all are equal, or if their range is too wide for a number."""
    if not quantiles or not 0 < quantiles[-1] - quantiles[0] < math.inf:
        return None
    ends = {"least": quantiles[0], "greatest": quantiles[-1], "bars": _BARS}
    counts = {row["bar"]: row["records"] for row in connection.execute(_SCORE_COUNTS, {**values, **ends})}
    return [counts.get(bar, 0) for bar in range(1, _BARS + 1)]


def step_totals(connection: Connection, run_id: str, step: str) -> StepTotals:
    """The counts for the conservation check."""
    row = connection.execute(_TOTALS, {"run": run_id, "step": step}).fetchone()
    assert row is not None  # noqa: S101 -- an aggregate without GROUP BY gives exactly one row
    return StepTotals(**row)


def step_aggregates(connection: Connection, run_id: str, step: str) -> dict[str, Any]:
    """Labels, quantiles and counts of scores, reasons of rejection, truncated texts, seconds per phase; as JSON."""
    values = {"run": run_id, "step": step}
    labels = connection.execute(_LABELS, values).fetchall()
    quantiles = _quantiles(connection, values)
    truncated = connection.execute(_TRUNCATED, values).fetchone()
    shards = connection.execute(_SHARDS, values).fetchone()
    assert truncated is not None and shards is not None  # noqa: S101, PT018 -- as above
    return {
        "labels": {row["label"]: row["records"] for row in labels[:_MOST_LABELS]},
        "more_labels": len(labels) > _MOST_LABELS,
        "score_quantiles": dict(zip(QUANTILES, quantiles, strict=True)) if quantiles else None,
        "score_counts": _score_counts(connection, values, quantiles),
        "rejections": {row["reason"]: row["records"] for row in connection.execute(_REASONS, values)},
        "truncated": truncated["records"],
        "seconds": {phase: round(shards[phase], 3) for phase in ("fetch", "predict", "write")},
        # max() is for a clock that stepped back meanwhile. None without shards.
        "elapsed": None if shards["elapsed"] is None else max(0.0, round(shards["elapsed"], 3)),
        "retries": shards["retries"],
        "shard_errors": (shards["errors"] or [])[:10],
    }
