"""The totals and aggregates of a step, counted from the rows in the tables."""

from typing import Any

from batchord.core.run.summary import QUANTILES
from batchord.core.run.totals import StepTotals
from batchord.ledger.connection import Connection

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
    SELECT percentile_cont(%(quantiles)s::float8[]) WITHIN GROUP (ORDER BY score) AS quantiles
    FROM batchord.predictions
    WHERE run_id = %(run)s AND step = %(step)s AND score IS NOT NULL
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


def step_totals(connection: Connection, run_id: str, step: str) -> StepTotals:
    """The counts for the conservation check."""
    row = connection.execute(_TOTALS, {"run": run_id, "step": step}).fetchone()
    assert row is not None  # noqa: S101 -- an aggregate without GROUP BY gives exactly one row
    return StepTotals(**row)


def step_aggregates(connection: Connection, run_id: str, step: str) -> dict[str, Any]:
    """Labels, score quantiles, reasons of rejection, truncated texts and seconds per phase, as JSON values."""
    values = {"run": run_id, "step": step}
    labels = connection.execute(_LABELS, values).fetchall()
    scores = connection.execute(_SCORES, {**values, "quantiles": list(QUANTILES.values())}).fetchone()
    truncated = connection.execute(_TRUNCATED, values).fetchone()
    shards = connection.execute(_SHARDS, values).fetchone()
    assert scores is not None and truncated is not None and shards is not None  # noqa: S101, PT018 -- as above
    return {
        "labels": {row["label"]: row["records"] for row in labels[:_MOST_LABELS]},
        "more_labels": len(labels) > _MOST_LABELS,
        "score_quantiles": dict(zip(QUANTILES, scores["quantiles"], strict=True)) if scores["quantiles"] else None,
        "rejections": {row["reason"]: row["records"] for row in connection.execute(_REASONS, values)},
        "truncated": truncated["records"],
        "seconds": {phase: round(shards[phase], 3) for phase in ("fetch", "predict", "write")},
        # max() is for a clock that stepped back meanwhile. None without shards.
        "elapsed": None if shards["elapsed"] is None else max(0.0, round(shards["elapsed"], 3)),
        "retries": shards["retries"],
        "shard_errors": (shards["errors"] or [])[:10],
    }
