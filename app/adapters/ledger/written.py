"""Predictions and rejections: written in bulk, never twice, and looked up by key."""

from collections.abc import Sequence

from psycopg.types.json import Jsonb

from app.adapters.ledger.connection import Connection
from app.core.predictions import Predictions
from app.core.records import Rejection, Scalar, record_key, storable
from app.core.runs import ShardLease

#: One statement and one round trip for a batch of any size: unnest takes columns as arrays.
_PREDICTIONS = """
    INSERT INTO batchord.predictions
        (pipeline, step, record_key, model_version, label, score, output, run_id, shard, attempt, input_digest)
    SELECT %(pipeline)s, %(step)s, new.key, %(version)s, new.label, new.score, new.output,
           %(run)s, %(shard)s, %(attempt)s, new.digest
    FROM unnest(%(keys)s::text[], %(labels)s::text[], %(scores)s::float8[], %(outputs)s::jsonb[], %(digests)s::int8[])
         AS new (key, label, score, output, digest)
    WHERE NOT EXISTS (
        SELECT FROM batchord.rejections AS old
        WHERE old.pipeline = %(pipeline)s AND old.step = %(step)s AND old.record_key = new.key)
    ON CONFLICT DO NOTHING
"""
_REJECTIONS = """
    INSERT INTO batchord.rejections
        (pipeline, step, record_key, model_version, reason, detail, attempts, run_id, shard)
    SELECT %(pipeline)s, %(step)s, new.key, %(version)s, new.reason, new.detail, %(attempt)s, %(run)s, %(shard)s
    FROM unnest(%(keys)s::text[], %(reasons)s::text[], %(details)s::text[]) AS new (key, reason, detail)
    WHERE NOT EXISTS (
        SELECT FROM batchord.predictions AS old
        WHERE old.pipeline = %(pipeline)s AND old.step = %(step)s AND old.record_key = new.key)
    ON CONFLICT DO NOTHING
"""
_ACCOUNTED = """
    SELECT key FROM unnest(%(keys)s::text[]) AS key
    WHERE EXISTS (SELECT FROM batchord.predictions AS old
                  WHERE old.pipeline = %(pipeline)s AND old.step = %(step)s AND old.record_key = key)
       OR EXISTS (SELECT FROM batchord.rejections AS old
                  WHERE old.pipeline = %(pipeline)s AND old.step = %(step)s AND old.record_key = key)
"""


def write_predictions(connection: Connection, lease: ShardLease, predictions: Predictions) -> int:
    """Writes those that are new; returns how many were."""
    if not predictions.keys:
        return 0
    values = {
        **_lease_values(lease),
        "keys": [record_key(key) for key in predictions.keys],
        "labels": [None if label is None else storable(label) for label in predictions.labels],
        "scores": predictions.scores,
        "outputs": [None if output is None else Jsonb(output) for output in predictions.outputs],
        "digests": predictions.digests,
    }
    return connection.execute(_PREDICTIONS, values).rowcount


def write_rejections(connection: Connection, lease: ShardLease, rejections: Sequence[Rejection]) -> int:
    """Writes those that are new; returns how many were."""
    if not rejections:
        return 0
    values = {
        **_lease_values(lease),
        "keys": [record_key(rejection.key) for rejection in rejections],
        "reasons": [rejection.reason for rejection in rejections],
        "details": [storable(rejection.detail) for rejection in rejections],
    }
    return connection.execute(_REJECTIONS, values).rowcount


def accounted(connection: Connection, pipeline: str, step: str, keys: Sequence[Scalar]) -> set[Scalar]:
    """Those of ``keys`` that have a prediction or a rejection, whatever the model's version."""
    by_text = {record_key(key): key for key in keys}
    values = {"pipeline": pipeline, "step": step, "keys": list(by_text)}
    return {by_text[row["key"]] for row in connection.execute(_ACCOUNTED, values)}


def _lease_values(lease: ShardLease) -> dict[str, object]:
    return {
        "pipeline": lease.pipeline,
        "step": lease.step,
        "version": lease.model_version,
        "run": lease.run_id,
        "shard": lease.index,
        "attempt": lease.attempt,
    }
