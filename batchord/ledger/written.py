"""Writes predictions and rejections in bulk and never twice."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import Cursor, DataError, sql
from psycopg.errors import ProgramLimitExceeded, UniqueViolation
from psycopg.rows import DictRow

from batchord.core.errors import TransientError
from batchord.core.process.fault_points import fault
from batchord.core.run.leases import ShardLease
from batchord.core.run.records import Rejection, record_key
from batchord.core.run.results import ResultsTable
from batchord.ledger.accounted import accounted_texts
from batchord.ledger.connection import Connection
from batchord.ledger.copied import Rows, copied_names, destination_of
from batchord.ledger.masked_text import masked_text
from batchord.ledger.refusals import attempt, write_isolating
from batchord.ledger.results import columns_of, fitting_values, has_key, place, text_of_key
from batchord.ledger.rows import one

#: A record has one outcome for ever, so a rejected record gets no prediction. Most steps have no rejection at all. Then
#: the keys need not be sent.
_STANDING = """
    SELECT EXISTS (SELECT FROM batchord.rejections WHERE pipeline = %(pipeline)s AND step = %(step)s) AS any_rejected,
           EXISTS (SELECT FROM batchord.results WHERE id = %(results)s AND is_current) AS is_current
"""
_THESE_REJECTED = """
    SELECT FROM batchord.rejections
    WHERE pipeline = %(pipeline)s AND step = %(step)s AND record_key = ANY(%(keys)s::text[]) LIMIT 1
"""
_THESE_PREDICTED_EARLIER = """
    SELECT FROM batchord.earlier_predictions
    WHERE pipeline = %(pipeline)s AND step = %(step)s AND record_key = ANY(%(keys)s::text[]) LIMIT 1
"""
#: The first number of the locks on tables of predictions. ``batchord.serve_results`` takes them, too.
_HELD_TABLES = "pg_catalog.hashtext('batchord.results')"
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


@dataclass(frozen=True, kw_only=True)
class Written:
    """What became of the predictions of a batch. The others' records had an outcome."""

    predicted: int
    #: Rejections of those whose rows the author's table has refused.
    refused: list[Rejection] = field(default_factory=list)


def write_predictions(connection: Connection, lease: ShardLease, rows: Rows) -> Written:
    """Writes the predictions of records without an outcome.

    Nearly always these are all records. The exceptions are records that moved into the shard after it was planned, or
    that another shard of the run has seen. So the rows are copied right into their table. Only if a record turns out to
    have an outcome, they take the way through a temporary table. Rows with columns for keys of the output are tried in
    halves then: PostgreSQL may also have refused a value.

    Raises TransientError if the step has another table since the claim, and as :func:`.refusals.write_isolating` does.
    """
    if not rows.keys:
        return Written(predicted=0)
    table = destination_of(lease).table
    has_outcome = _has_outcome(connection, lease, table, rows)
    copy = sql.SQL("COPY {} ({}) FROM STDIN")
    columns = sql.SQL(", ").join(map(sql.Identifier, copied_names(table, rows.typed)))
    into_table = copy.format(place(table), columns)
    if table.is_chosen:
        return _isolating(connection, lease, rows, into_table, has_outcome=has_outcome)
    if not has_outcome:
        try:
            with connection.transaction(), connection.cursor() as cursor:
                _copy(cursor, into_table, rows.lines)
        except UniqueViolation:
            pass  # the savepoint is rolled back; now go through the temporary table
        except (DataError, ProgramLimitExceeded):
            if not rows.typed:
                raise
        else:
            return Written(predicted=len(rows.keys))
    if rows.typed:
        return _isolating(connection, lease, rows, into_table, has_outcome=True)
    lines = rows.lines
    if table.has_former:
        accounted = set(accounted_texts(connection, lease.pipeline, lease.step, rows.records))
        lines = [line for key, line in zip(rows.keys, lines, strict=True) if key not in accounted]
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL(_STAGING).format(columns=columns, table=place(table)))
        _copy(cursor, copy.format(sql.Identifier("pg_temp", "batchord_staging"), columns), lines)
        insert = sql.SQL(_FROM_STAGING).format(columns=columns, table=place(table), text=text_of_key(table))
        cursor.execute(insert, _lease_values(lease))
        return Written(predicted=cursor.rowcount)


def _isolating(
    connection: Connection, lease: ShardLease, rows: Rows, copy: sql.Composed, *, has_outcome: bool
) -> Written:
    """Writes rows of which the table may refuse some: its author knows more of it, or its columns have types."""
    table, writer = destination_of(lease).table, destination_of(lease).writer
    kept = sql.SQL("SELECT count(*) AS rows FROM {} AS row WHERE {} AND row.{} = %(writer)s").format(
        place(table), has_key(table), columns_of(table)["writer"]
    )

    def write(places: Sequence[int]) -> int:
        with connection.cursor() as cursor:
            _copy(cursor, copy, [rows.lines[at] for at in places])
            # What a constraint refuses at the end of the transaction would cost the whole batch.
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            keys = fitting_values([table], [rows.records[at] for at in places])
            count: int = one(cursor.execute(kept, {**keys, "writer": writer}).fetchone())["rows"]
            return count

    def has_one(at: int) -> bool:
        return bool(accounted_texts(connection, lease.pipeline, lease.step, [rows.records[at]]))

    every = range(len(rows.keys))
    if not has_outcome and attempt(connection, table, write, every) is None:
        return Written(predicted=len(every))
    accounted = set(accounted_texts(connection, lease.pipeline, lease.step, rows.records))
    left = [at for at in every if rows.keys[at] not in accounted]
    predicted, refused = write_isolating(connection, table, rows.records, left, write=write, has_outcome=has_one)
    return Written(predicted=predicted, refused=refused)


def hold_table(lease: ShardLease) -> bytes:
    """The statement that keeps the lease's table the step's current one until the transaction ends, if it is now."""
    destination = lease.work.destination
    if destination is None:
        return b""
    return f"SELECT pg_catalog.pg_advisory_xact_lock_shared({_HELD_TABLES}, {destination.table.id})".encode()


def _has_outcome(connection: Connection, lease: ShardLease, table: ResultsTable, rows: Rows) -> bool:
    """Whether a record was rejected, or predicted into another table. Its step's own table refuses a second row."""
    values: dict[str, Any] = {**_lease_values(lease), "results": table.id}
    standing = one(connection.execute(_STANDING, values).fetchone())
    if not standing["is_current"]:
        raise TransientError(f"{lease} was to write into {table.name}, but the predictions go to another table now.")
    with_keys = {**values, "keys": rows.keys}
    if table.has_earlier and connection.execute(_THESE_PREDICTED_EARLIER, with_keys).fetchone() is not None:
        return True
    if table.has_former and accounted_texts(connection, lease.pipeline, lease.step, rows.records):
        return True
    return standing["any_rejected"] and connection.execute(_THESE_REJECTED, with_keys).fetchone() is not None


def _copy(cursor: Cursor[DictRow], statement: sql.Composed, lines: Sequence[str]) -> None:
    with cursor.copy(statement) as copy:
        copy.write("".join(lines))
        fault("in-batch-copy")


def write_rejections(connection: Connection, lease: ShardLease, rejections: Sequence[Rejection]) -> int:
    """Writes the rejections of records without an outcome. Returns how many these were."""
    if not rejections:
        return 0
    keys = [rejection.key for rejection in rejections]
    values = {
        **_lease_values(lease),
        "keys": [record_key(key) for key in keys],
        "reasons": [rejection.reason for rejection in rejections],
        "details": [masked_text(rejection.detail) for rejection in rejections],
        "accounted": accounted_texts(connection, lease.pipeline, lease.step, keys),
    }
    return connection.execute(_REJECTIONS, values).rowcount


def _lease_values(lease: ShardLease) -> dict[str, object]:
    return {
        "pipeline": lease.pipeline,
        "step": lease.step,
        "version": lease.work.model_version,
        "run": lease.run_id,
        "shard": lease.shard,
        "attempt": lease.attempt,
    }
