"""Writes predictions and rejections in bulk and never twice, and looks them up by key."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from psycopg import Cursor, sql
from psycopg.errors import UniqueViolation
from psycopg.rows import DictRow

from batchord.core.errors import ConfigurationError
from batchord.core.process.fault_points import fault
from batchord.core.reasons import Reason
from batchord.core.run.key_columns import unfitting
from batchord.core.run.leases import ShardLease
from batchord.core.run.predictions import Batch, Predictions
from batchord.core.run.records import Rejection, Scalar, ledger_texts, record_key, storable
from batchord.core.run.results import Destination, ResultsTable
from batchord.ledger.connection import Connection
from batchord.ledger.masked_text import masked_text
from batchord.ledger.results import find_table, has_key, place, text_of_key, texts_of_fitting

_NULL = r"\N"
_SPECIAL = re.compile(r"[\\\t\n\r]")
#: What a row of COPY holds behind the key, in this order.
_HELD = ("input_digest", "score", "writer", "label", "output")
#: A record has one outcome for ever, so a rejected record gets no prediction. Most steps have no rejection at all. Then
#: the keys need not be sent.
_ANY_REJECTED = "SELECT FROM batchord.rejections WHERE pipeline = %(pipeline)s AND step = %(step)s LIMIT 1"
_THESE_REJECTED = """
    SELECT FROM batchord.rejections
    WHERE pipeline = %(pipeline)s AND step = %(step)s AND record_key = ANY(%(keys)s::text[]) LIMIT 1
"""
_THESE_PREDICTED_EARLIER = """
    SELECT FROM batchord.earlier_predictions
    WHERE pipeline = %(pipeline)s AND step = %(step)s AND record_key = ANY(%(keys)s::text[]) LIMIT 1
"""
_STAGING = "CREATE TEMP TABLE batchord_staging ON COMMIT DROP AS SELECT {columns} FROM {table} WITH NO DATA"
_FROM_STAGING = """
    INSERT INTO {table} ({columns})
    SELECT {columns} FROM pg_temp.batchord_staging AS row
    WHERE NOT EXISTS (
        SELECT FROM batchord.rejections AS old
        WHERE old.pipeline = %(pipeline)s AND old.step = %(step)s AND old.record_key = {text})
      AND NOT EXISTS (
        SELECT FROM batchord.earlier_predictions AS old
        WHERE old.pipeline = %(pipeline)s AND old.step = %(step)s AND old.record_key = {text})
    ON CONFLICT DO NOTHING
"""
_REJECTIONS = """
    INSERT INTO batchord.rejections
        (pipeline, step, record_key, model_version, reason, detail, attempts, run_id, shard)
    SELECT %(pipeline)s, %(step)s, new.key, %(version)s, new.reason, new.detail, %(attempt)s, %(run)s, %(shard)s
    FROM unnest(%(keys)s::text[], %(reasons)s::text[], %(details)s::text[]) AS new (key, reason, detail)
    WHERE NOT new.key = ANY(%(accounted)s::text[])
    ON CONFLICT DO NOTHING
"""
_ACCOUNTED_BY_TEXT = """
    SELECT record_key AS key FROM batchord.earlier_predictions
    WHERE pipeline = %(pipeline)s AND step = %(step)s AND record_key = ANY(%(keys)s::text[])
    UNION ALL
    SELECT record_key FROM batchord.rejections
    WHERE pipeline = %(pipeline)s AND step = %(step)s AND record_key = ANY(%(keys)s::text[])
"""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Predictions as rows of PostgreSQL's COPY in its text format."""

    keys: list[str]
    text: str


def with_fitting_keys(lease: ShardLease, batch: Batch) -> Batch:
    """The batch, with a rejection for each prediction whose key the step's table cannot hold. Usually there is none."""
    predictions = batch.predictions
    if not predictions.keys:
        return batch
    table = _destination(lease).table
    wrong = unfitting(predictions.keys, table.key_type)
    if not wrong:
        return batch
    kept = [at for at, key in enumerate(predictions.keys) if key not in wrong]
    fields = {name: [getattr(predictions, name)[at] for at in kept] for name in Predictions.__slots__}
    rejections = [
        Rejection(key=key, reason=Reason.UNFITTING_KEY, detail=_unfitting(table))
        for key in predictions.keys
        if key in wrong
    ]
    return replace(batch, predictions=Predictions(**fields), rejections=[*batch.rejections, *rejections])


def _unfitting(table: ResultsTable) -> str:
    return (
        f"the table {table.schema_name}.{table.table_name} has keys of type {table.key_type}, and this key is of "
        "another kind or beyond its range: convert the key in the source, or give the step a new name"
    )


def copied(lease: ShardLease, predictions: Predictions) -> Rows:
    """The predictions as rows for COPY. Call it before the transaction: escaping a million characters takes time."""
    if not predictions.keys:
        return Rows(keys=[], text="")
    destination = _destination(lease)
    keys = [record_key(key) for key in predictions.keys]
    columns = (
        _key_columns(destination.table, predictions.keys, keys),
        map(str, predictions.digests),
        _texts(predictions.scores, repr),
        _labels(predictions.labels),
        _texts(predictions.outputs, lambda output: _escaped(json.dumps(output, allow_nan=False))),
    )
    writer = destination.writer
    rows = [
        f"{key}\t{digest}\t{score}\t{writer}\t{label}\t{output}\n"
        for key, digest, score, label, output in zip(*columns, strict=True)
    ]
    return Rows(keys=keys, text="".join(rows))


def _key_columns(table: ResultsTable, keys: Sequence[Scalar], texts: list[str]) -> list[str]:
    """The key's value, and behind it the ledger's text if the table has a column for it."""
    escaped = _escaped_all(texts)
    if not table.has_text:
        return escaped
    return [f"{_escaped(str(key))}\t{text}" for key, text in zip(keys, escaped, strict=True)]


def _copied_names(table: ResultsTable) -> list[str]:
    """The names of the columns of such a row."""
    held = ("record_key", *_HELD) if table.has_text else _HELD
    return [table.key_column, *(table.columns[each] for each in held)]


def _destination(lease: ShardLease) -> Destination:
    if lease.work.destination is None:
        raise ConfigurationError(f"{lease} has no table for its predictions. Please report this.")
    return lease.work.destination


def write_predictions(connection: Connection, lease: ShardLease, rows: Rows) -> int:
    """Writes the predictions of records without an outcome. Returns how many these were.

    Nearly always these are all records. The exceptions are records that moved into the shard after it was planned, or
    that another shard of the run has seen. So the rows are copied right into their table. Only if a record turns out to
    have an outcome, they take the way through a temporary table.
    """
    if not rows.keys:
        return 0
    table = _destination(lease).table
    name = place(table)
    columns = sql.SQL(", ").join(map(sql.Identifier, _copied_names(table)))
    copy = sql.SQL("COPY {} ({}) FROM STDIN")
    if not _has_outcome(connection, lease, table, rows.keys):
        try:
            with connection.transaction(), connection.cursor() as cursor:
                _copy(cursor, copy.format(name, columns), rows)
        except UniqueViolation:
            pass  # the savepoint is rolled back; now go through the temporary table
        else:
            return len(rows.keys)
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL(_STAGING).format(columns=columns, table=name))
        _copy(cursor, copy.format(sql.Identifier("pg_temp", "batchord_staging"), columns), rows)
        insert = sql.SQL(_FROM_STAGING).format(columns=columns, table=name, text=text_of_key(table))
        cursor.execute(insert, _lease_values(lease))
        return cursor.rowcount


def _has_outcome(connection: Connection, lease: ShardLease, table: ResultsTable, keys: Sequence[str]) -> bool:
    """Whether a record was rejected, or predicted by an earlier release. Its step's own table refuses a second row."""
    values = _lease_values(lease)
    with_keys = {**values, "keys": keys}
    if table.has_earlier and connection.execute(_THESE_PREDICTED_EARLIER, with_keys).fetchone() is not None:
        return True
    if connection.execute(_ANY_REJECTED, values).fetchone() is None:
        return False
    return connection.execute(_THESE_REJECTED, with_keys).fetchone() is not None


def _copy(cursor: Cursor[DictRow], statement: sql.Composed, rows: Rows) -> None:
    with cursor.copy(statement) as copy:
        copy.write(rows.text)
        fault("in-batch-copy")


def write_rejections(connection: Connection, lease: ShardLease, rejections: Sequence[Rejection]) -> int:
    """Writes the rejections of records without an outcome. Returns how many these were."""
    if not rejections:
        return 0
    keys = [rejection.key for rejection in rejections]
    destination = lease.work.destination
    table = None if destination is None else destination.table
    values = {
        **_lease_values(lease),
        "keys": [record_key(key) for key in keys],
        "reasons": [rejection.reason for rejection in rejections],
        "details": [masked_text(rejection.detail) for rejection in rejections],
        "accounted": _accounted_texts(connection, lease.pipeline, lease.step, table, keys),
    }
    return connection.execute(_REJECTIONS, values).rowcount


def accounted(connection: Connection, pipeline: str, step: str, keys: Sequence[Scalar]) -> set[Scalar]:
    """The ``keys`` that have a prediction or a rejection from any version of the model."""
    by_text = ledger_texts(keys)
    table = find_table(connection, pipeline, step)
    return {by_text[text] for text in _accounted_texts(connection, pipeline, step, table, keys)}


def _accounted_texts(
    connection: Connection, pipeline: str, step: str, table: ResultsTable | None, keys: Sequence[Scalar]
) -> list[str]:
    """The ledger's texts of those keys that have an outcome."""
    values = {"pipeline": pipeline, "step": step, "keys": list(ledger_texts(keys))}
    query = sql.Composed([sql.SQL(_ACCOUNTED_BY_TEXT)])
    if table is not None:
        own = sql.SQL("SELECT {} AS key FROM {} AS row WHERE {} UNION ALL ")
        query = own.format(text_of_key(table), place(table), has_key(table)) + query
        values["fitting"] = texts_of_fitting(table, keys)
    return [row["key"] for row in connection.execute(query, values)]


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
