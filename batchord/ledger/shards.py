"""The ledger for workers: they claim a shard, renew its lease, write it batch by batch and end it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

from psycopg.types.json import Jsonb

from batchord.core.errors import ConservationError, LeaseLost
from batchord.core.reasons import LossCause
from batchord.core.run.key_columns import KeyColumn
from batchord.core.run.leases import Claim, Lease, ShardLease, ShardOutcome, ShardWork
from batchord.core.run.output_types import OutputColumn, lacking
from batchord.core.run.predictions import Batch
from batchord.core.run.records import Position, Scalar
from batchord.core.run.results import Destination, TableName
from batchord.core.run.shards import ShardRange
from batchord.core.text.counts import counted
from batchord.ledger import shard_statements as statements
from batchord.ledger.accounted import accounted
from batchord.ledger.connection import Connection, Connections
from batchord.ledger.copied import copied, with_fitting_keys
from batchord.ledger.masked_text import masked_text
from batchord.ledger.places import have_table
from batchord.ledger.results import table_from
from batchord.ledger.rows import one
from batchord.ledger.written import hold_table, write_predictions, write_rejections


class ShardsTable:
    """The ledger for workers."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def claim(
        self, run_id: str, step: str, index: int, *, lease_seconds: float, worker: str, task: str | None = None
    ) -> ShardLease | Claim:
        """A lease to predict a shard, or why there is none. It counts the attempt before any work is done.

        ``task``: the id of the Celery task, kept with the attempt.
        """
        token = str(uuid4())
        values = {"run": run_id, "step": step, "index": index}
        claim = {**values, "token": token, "worker": worker, "task": task, "lease": lease_seconds}
        with self._connections.transaction() as connection:
            row = connection.execute(statements.CLAIM, claim).fetchone()
            if row is None:
                state = connection.execute(statements.HELD, values).fetchone()
                return Claim.HELD if state is not None and state["held"] else Claim.ENDED
        window = (row["window_start"], row["window_end"])
        return Lease(
            run_id=run_id,
            pipeline=row["pipeline"],
            step=step,
            shard=index,
            attempt=row["attempt"],
            token=token,
            losses=row["losses"],
            last_error=row["error"],
            cause=None if row["cause"] is None else LossCause(row["cause"]),
            work=ShardWork(
                first=Position.from_json(row["first_position"]),
                last=Position.from_json(row["last_position"]),
                planned=row["planned"],
                accounted_before=row["accounted"],
                dense=row["dense"],
                model_version=row["model_version"],
                window=None if None in window else window,
                code=row["code"],
                planned_at=row["planned_at"],
                destination=_destination(row["place"], row["writer"]),
            ),
        )

    def settled(
        self, lease: ShardLease, key: KeyColumn, into: TableName | None, outputs: Sequence[OutputColumn] = ()
    ) -> ShardLease:
        """The lease with its destination, which has these columns for keys of the output.

        The step's table is made if an earlier release planned it without one. Raises as :func:`.places.have_table`
        does.
        """
        destination = lease.work.destination
        if destination is not None and not lacking(destination.table.outputs, outputs):
            return lease
        table = have_table(self._connections, lease.pipeline, lease.step, key, into, outputs=outputs)
        values = {"results": table.id, "attempt": lease.attempt, "version": lease.work.model_version}
        with self._connections.transaction() as connection:
            row = one(connection.execute(statements.WRITER, _values(lease, **values)).fetchone())
        return replace(lease, work=replace(lease.work, destination=Destination(table=table, writer=row["id"])))

    def accounted(self, pipeline: str, step: str, keys: Sequence[Scalar]) -> set[Scalar]:
        """The ``keys`` that have a prediction or a rejection from any version of the model."""
        with self._connections.transaction() as connection:
            return accounted(connection, pipeline, step, keys)

    def commit(self, lease: ShardLease, batch: Batch) -> int:
        """Writes a batch and the shard's progress in one transaction.

        Returns how many records it accounted for: fewer than the batch has if another run accounted for some before.
        Raises LeaseLost after writing nothing, and as :func:`.written.write_predictions` does.
        """
        fitting = with_fitting_keys(lease, batch)
        rows = copied(lease, fitting.predictions)
        with self._connections.transaction(writes_results=True, then=hold_table(lease)) as connection:
            written = write_predictions(connection, lease, rows)
            predicted = written.predicted
            rejected = write_rejections(connection, lease, [*fitting.rejections, *written.refused])
            # Checks the token last, in the same transaction: if it is another worker's, all of this is rolled back.
            _owned(connection, statements.PROGRESS, lease, predicted=predicted, rejected=rejected)
            return predicted + rejected

    def renew(self, lease: ShardLease, *, lease_seconds: float) -> None:
        """Extends the lease. Raises LeaseLost."""
        with self._connections.transaction() as connection:
            _owned(connection, statements.RENEW, lease, seconds=lease_seconds)

    def finish(self, lease: ShardLease, outcome: ShardOutcome) -> None:
        """Marks the shard as done. Raises LeaseLost, or ConservationError if its counts do not add up."""
        with self._connections.transaction() as connection:
            row = connection.execute(
                statements.FINISH,
                _values(lease, found=outcome.found, timings=Jsonb(outcome.timings), runs_on=outcome.runs_on),
            ).fetchone()
            if row is None:
                raise _lost(lease)
            if row["accounted"] != outcome.found:
                raise ConservationError(
                    f"{lease} found {counted(outcome.found, 'record')} but accounted for {row['accounted']}. The shard "
                    "stays open. Please report this."
                )

    def release(self, lease: ShardLease, error: str, *, wait: float = 0) -> None:
        """Gives the shard back for another attempt, due after ``wait`` seconds. Does nothing if the lease is lost."""
        with self._connections.transaction() as connection:
            connection.execute(statements.RELEASE, _values(lease, error=masked_text(error), wait=wait))

    def lose(
        self, run_id: str, step: str, index: int, *, worker: str, cause: LossCause, error: str, loss: bool = True
    ) -> bool:
        """Notes that ``worker`` died while it had the shard, and ends its lease at once; False if it had no lease.

        ``loss``: whether this counts against the shard's records.
        """
        values: dict[str, object] = {"run": run_id, "step": step, "index": index, "worker": worker, "loss": loss}
        values |= {"cause": cause, "error": masked_text(error)}
        with self._connections.transaction() as connection:
            return connection.execute(statements.LOST, values).rowcount == 1

    def split(
        self, lease: ShardLease, parts: Sequence[ShardRange], *, losses: int, outcome: ShardOutcome | None = None
    ) -> list[int]:
        """Ends the shard as split and adds ``parts`` as new shards, which begin with ``losses``.

        Returns the new shards' indexes. Raises LeaseLost.
        """
        with self._connections.transaction() as connection:
            # Two shards of a step that split at the same time must not get the same indexes.
            connection.execute(
                "SELECT FROM batchord.steps WHERE run_id = %s AND name = %s FOR NO KEY UPDATE",
                [lease.run_id, lease.step],
            )
            timings, runs_on = ({}, None) if outcome is None else (outcome.timings, outcome.runs_on)
            _owned(connection, statements.SPLIT, lease, timings=Jsonb(timings), runs_on=runs_on)
            return [_insert_half(connection, lease, part, losses) for part in parts]

    def blamed(self, lease: ShardLease, reasons: Sequence[str]) -> int:
        """How many records this run rejected in the lease's step for one of ``reasons``."""
        with self._connections.transaction() as connection:
            rows = connection.execute(statements.BLAMED, _values(lease, reasons=list(reasons))).fetchall()
            return len(rows)

    def failure(self, run_id: str, step: str, index: int) -> str | None:
        """Why the shard failed; None if it did not fail or does not exist."""
        with self._connections.transaction() as connection:
            row = connection.execute(statements.FAILURE, {"run": run_id, "step": step, "index": index}).fetchone()
            return None if row is None else row["error"]

    def fail(self, lease: ShardLease, error: str) -> None:
        """Marks the shard as failed for good. Does nothing if the lease is lost."""
        with self._connections.transaction() as connection:
            connection.execute(statements.FAIL, _values(lease, error=masked_text(error), state="failed"))

    def leave(self, lease: ShardLease, error: str) -> None:
        """Ends the shard because its code has changed; a follow-up run takes it. Does nothing if the lease is lost."""
        with self._connections.transaction() as connection:
            connection.execute(statements.LEAVE, _values(lease, error=masked_text(error), state="code-changed"))


def _destination(place: Mapping[str, Any] | None, writer: int | None) -> Destination | None:
    return None if place is None or writer is None else Destination(table=table_from(place), writer=writer)


def _insert_half(connection: Connection, lease: ShardLease, part: ShardRange, losses: int) -> int:
    values = {
        "run": lease.run_id,
        "step": lease.step,
        "index": lease.shard,
        "first": Jsonb(part.first.to_json()),
        "last": Jsonb(part.last.to_json()),
        "planned": part.planned,
        # A single record must lose two workers of its own before it is blamed.
        "losses": losses if part.planned > 1 else 0,
        "error": lease.last_error,
        "cause": lease.cause,
    }
    row = connection.execute(statements.HALF, values).fetchone()
    assert row is not None  # noqa: S101 -- an aggregate without GROUP BY gives exactly one row
    index: int = row["index"]
    return index


def _values(lease: ShardLease, **more: Any) -> dict[str, Any]:
    return {"run": lease.run_id, "step": lease.step, "index": lease.shard, "token": lease.token, **more}


def _owned(connection: Connection, statement: str, lease: ShardLease, **more: Any) -> None:
    """Runs an update of the lease's shard. Raises LeaseLost if the lease is lost."""
    if connection.execute(statement, _values(lease, **more)).rowcount != 1:
        raise _lost(lease)


def _lost(lease: ShardLease) -> LeaseLost:
    return LeaseLost(
        f"{lease} no longer belongs to this worker: its lease ran out and another worker took it over, or the run was "
        "ended."
    )
