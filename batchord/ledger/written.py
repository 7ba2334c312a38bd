"""Writes predictions and rejections in bulk and never twice, and looks them up by key."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg import Cursor
from psycopg.errors import UniqueViolation
from psycopg.rows import DictRow

from batchord.core.process.fault_points import fault
from batchord.core.run.leases import ShardLease
from batchord.core.run.predictions import Predictions
from batchord.core.run.records import Rejection, Scalar, ledger_texts, record_key, storable
from batchord.ledger.connection import Connection
from batchord.ledger.masked_text import masked_text

_NULL = r"\N"
_SPECIAL = re.compile(r"[\\\t\n\r]")
_COLUMNS = "pipeline, step, model_version, run_id, shard, attempt, record_key, label, score, output, input_digest"
_COPY = f"COPY batchord.predictions ({_COLUMNS}) FROM STDIN"
#: A record has one outcome for ever, so a rejected record gets no prediction. Most steps have no rejection at all. Then
#: the keys need not be sent.
_ANY_REJECTED = "SELECT FROM batchord.rejections WHERE pipeline = %(pipeline)s AND step = %(step)s LIMIT 1"
_THESE_REJECTED = """
    SELECT FROM batchord.rejections
    WHERE pipeline = %(pipeline)s AND step = %(step)s AND record_key = ANY(%(keys)s::text[]) LIMIT 1
"""
_STAGING = f"""
    CREATE TEMP TABLE batchord_staging ON COMMIT DROP AS SELECT {_COLUMNS} FROM batchord.predictions WITH NO DATA
"""
_COPY_STAGING = f"COPY pg_temp.batchord_staging ({_COLUMNS}) FROM STDIN"
_FROM_STAGING = f"""
    INSERT INTO batchord.predictions ({_COLUMNS})
    SELECT {_COLUMNS} FROM pg_temp.batchord_staging AS new
    WHERE NOT EXISTS (
        SELECT FROM batchord.rejections AS old
        WHERE old.pipeline = new.pipeline AND old.step = new.step AND old.record_key = new.record_key)
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
      AND NOT EXISTS (
        SELECT FROM batchord.rejections AS old
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


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Predictions as rows of PostgreSQL's COPY in its text format."""

    keys: list[str]
    text: str


def copied(lease: ShardLease, predictions: Predictions) -> Rows:
    """The predictions as rows for COPY. Call it before the transaction: escaping a million characters takes time."""
    keys = [record_key(key) for key in predictions.keys]
    constants = (lease.pipeline, lease.step, lease.work.model_version, lease.run_id, lease.shard, lease.attempt)
    prefix = "\t".join(_escaped(str(value)) for value in constants)
    columns = (
        _escaped_all(keys),
        _labels(predictions.labels),
        _texts(predictions.scores, repr),
        _texts(predictions.outputs, lambda output: _escaped(json.dumps(output, allow_nan=False))),
        map(str, predictions.digests),
    )
    rows = [
        f"{prefix}\t{key}\t{label}\t{score}\t{output}\t{digest}\n"
        for key, label, score, output, digest in zip(*columns, strict=True)
    ]
    return Rows(keys=keys, text="".join(rows))


def write_predictions(connection: Connection, lease: ShardLease, rows: Rows) -> int:
    """Writes the predictions of records without an outcome. Returns how many these were.

    Nearly always these are all records. The exceptions are records that moved into the shard after it was planned, or
    that another shard of the run has seen. So the rows are copied right into their table. Only if a record turns out to
    have an outcome, they take the way through a temporary table.
    """
    if not rows.keys:
        return 0
    if not _rejected(connection, lease, rows.keys):
        try:
            with connection.transaction(), connection.cursor() as cursor:
                _copy(cursor, _COPY, rows)
        except UniqueViolation:
            pass  # the savepoint is rolled back; now go through the temporary table
        else:
            return len(rows.keys)
    with connection.cursor() as cursor:
        cursor.execute(_STAGING)
        _copy(cursor, _COPY_STAGING, rows)
        cursor.execute(_FROM_STAGING)
        return cursor.rowcount


def _rejected(connection: Connection, lease: ShardLease, keys: Sequence[str]) -> bool:
    values = _lease_values(lease)
    if connection.execute(_ANY_REJECTED, values).fetchone() is None:
        return False
    return connection.execute(_THESE_REJECTED, {**values, "keys": keys}).fetchone() is not None


def _copy(cursor: Cursor[DictRow], statement: LiteralString, rows: Rows) -> None:
    with cursor.copy(statement) as copy:
        copy.write(rows.text)
        fault("in-batch-copy")


def write_rejections(connection: Connection, lease: ShardLease, rejections: Sequence[Rejection]) -> int:
    """Writes the rejections of records without an outcome. Returns how many these were."""
    if not rejections:
        return 0
    values = {
        **_lease_values(lease),
        "keys": [record_key(rejection.key) for rejection in rejections],
        "reasons": [rejection.reason for rejection in rejections],
        "details": [masked_text(rejection.detail) for rejection in rejections],
    }
    return connection.execute(_REJECTIONS, values).rowcount


def accounted(connection: Connection, pipeline: str, step: str, keys: Sequence[Scalar]) -> set[Scalar]:
    """The ``keys`` that have a prediction or a rejection from any version of the model."""
    by_text = ledger_texts(keys)
    values = {"pipeline": pipeline, "step": step, "keys": list(by_text)}
    return {by_text[row["key"]] for row in connection.execute(_ACCOUNTED, values)}


def _lease_values(lease: ShardLease) -> dict[str, object]:
    return {
        "pipeline": lease.pipeline,
        "step": lease.step,
        "version": lease.work.model_version,
        "run": lease.run_id,
        "shard": lease.shard,
        "attempt": lease.attempt,
    }


def _labels(labels: Sequence[str | None]) -> list[str]:
    # A classifier has few labels, so each is escaped only once.
    texts = {label: _NULL if label is None else _escaped(storable(label)) for label in set(labels)}
    return [texts[label] for label in labels]


def _texts(values: Sequence[Any], write: Callable[[Any], str]) -> Iterable[str]:
    return [_NULL if value is None else write(value) for value in values]


def _escaped_all(values: list[str]) -> list[str]:
    return [_escaped(value) for value in values] if _SPECIAL.search("".join(values)) else values


def _escaped(value: str) -> str:
    """``value`` with the escapes of COPY's text format."""
    if _SPECIAL.search(value) is None:
        return value
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
