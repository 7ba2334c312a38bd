"""Predicts the records of a shard. Fetching, preparing, predicting and writing overlap."""

import logging
import time
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from batchord.core.declared.limits import MOST_RECORDS
from batchord.core.declared.loaded_model import LoadedModel, remarks_of
from batchord.core.declared.source_reader import Fetched
from batchord.core.declared.steps import Predict
from batchord.core.errors import LeaseLost
from batchord.core.process.fault_points import fault
from batchord.core.run.failures import Failure
from batchord.core.run.leases import ShardLease
from batchord.core.run.predictions import Batch
from batchord.core.run.records import Rejection, Scalar
from batchord.core.text.counts import counted
from batchord.flow.attempt.failure import failure_of, keep_failure, log_failure
from batchord.flow.attempt.heartbeat import Heartbeat
from batchord.flow.parts import Parts
from batchord.flow.predict.calls import predict_call, prepared_calls, usual_rows
from batchord.flow.predict.isolate import OnFailure
from batchord.flow.predict.prepare import Prepared
from batchord.flow.predict.split import rows_to_leave
from batchord.flow.predict.spool import spooled
from batchord.flow.predict.stages import WriteBehind, read_ahead
from batchord.flow.predict.undelivered import check_undelivered, settle_undelivered

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

#: How many frames are read ahead of the model, and how many batches wait to be written. Both bound the memory.
AHEAD = 2
BEHIND = 2
#: How many bytes of a shard are read ahead while the model works. Usually these are all, so that a transaction on the
#: source stays open only as long as reading takes.
SPOOLED = 64 * 2**20


@dataclass(kw_only=True)
class Phases:
    """Seconds in each phase. Only one thread writes each of them."""

    fetch: float = 0.0
    predict: float = 0.0
    write: float = 0.0
    #: From the time at which the model is loaded to the write of the last record.
    work: float = 0.0


@dataclass(kw_only=True)
class Progress:
    """What one attempt has read and written so far."""

    runs_on: str = "cpu"
    #: Records that the model has got so far.
    predicted: int = 0
    #: If the shard takes far too long: the size of the shards that take over the records that are left. 1 if this
    #: process lacked memory for records: a new process then tries each of them alone. Otherwise 0.
    rows_left_out: int = 0

    #: Records without a prediction or a rejection that this attempt has read and taken.
    fetched: int = 0
    #: How many of these another run accounted for first.
    conflicts: int = 0
    #: Records whose objects the store did not deliver. The counts above leave them out.
    undelivered: list[Rejection] = field(default_factory=list)
    #: Records whose predictions or rejections are committed.
    written: int = 0
    phases: Phases = field(default_factory=Phases)


def predict_records(parts: Parts, lease: ShardLease, beat: Heartbeat, progress: Progress) -> None:
    """Predicts the missing records of the shard and commits them batch by batch. It updates ``progress``.

    Raises LeaseLost, TransientError, ModelError, and the error that the model raises for more than a few records.
    """
    declared = parts.catalog.get(lease.pipeline).predict_step(lease.step)
    model = parts.models.load(declared.declared_model, lease.work.model_version)
    progress.runs_on = model.runs_on
    for remark in remarks_of(model):
        _remark(remark)
    began = time.perf_counter()
    # If a single record is left, it is alone already. Then a lack of memory counts as the loss of the process.
    alone = lease.work.planned - lease.work.accounted_before <= 1
    suspects: list[Scalar] | None = None if alone else []
    on_failure = _failures(parts, lease)
    columns = declared.output_columns

    def write(batch: Batch) -> None:
        started = time.perf_counter()
        records = len(batch.predictions.keys) + len(batch.rejections)
        fault("before-batch-commit")
        written = parts.ledger.shards.commit(lease, batch)
        progress.written += written
        progress.conflicts += records - written
        fault("after-batch-commit")
        progress.phases.write += time.perf_counter() - started

    with (
        WriteBehind(write, depth=BEHIND) as writer,
        _ahead(_prepared(parts, lease, declared, progress, model), declared) as frames,
    ):
        for prepared in frames:
            if beat.lost.is_set():
                raise LeaseLost(f"{lease} no longer belongs to this worker.")
            started = time.perf_counter()
            progress.undelivered += prepared.undelivered
            check_undelivered(lease, progress.undelivered)
            batch = predict_call(model, prepared, suspects=suspects, on_failure=on_failure, columns=columns)
            fault("after-predict")
            progress.phases.predict += time.perf_counter() - started
            writer.put(batch)
            progress.fetched += len(batch.predictions.keys) + len(batch.rejections)
            progress.predicted += len(prepared.frame)
            if suspects and len(suspects) > MOST_RECORDS:  # the process is the cause, not the records
                raise MemoryError(f"for {counted(len(suspects), 'record')}, each alone")
            if declared.shard_rows is None:  # keep the size that the author gave
                elapsed = time.perf_counter() - began
                aim = parts.settings.aimed_shard_seconds
                progress.rows_left_out = rows_to_leave(lease, progress.predicted, elapsed, aim=aim)
            if progress.rows_left_out:
                break
    if suspects and not progress.rows_left_out:
        progress.rows_left_out = 1
    if progress.undelivered and not progress.rows_left_out:
        last = lease.attempt >= parts.settings.max_attempts and not progress.written
        settle_undelivered(lease, progress.undelivered, last=last, write=write)
        progress.fetched += len(progress.undelivered)
    progress.phases.work = time.perf_counter() - began


@cache
def _remark(text: str) -> None:
    """Logs a remark about a model, once in each process and not with each shard."""
    log.warning("%s", text)


def _ahead(batches: Iterator[Prepared], declared: Predict) -> AbstractContextManager[Iterator[Prepared]]:
    """Prepares batches while the model works; only one at a time if they have pictures, which take memory."""
    if declared.declared_model.images is None:
        return read_ahead(batches, depth=AHEAD)
    return spooled(batches, weight=lambda _: 1, most=1)


def _prepared(
    parts: Parts, lease: ShardLease, declared: Predict, progress: Progress, model: LoadedModel
) -> Iterator[Prepared]:
    """The calls of the model for the shard's unaccounted records."""
    unreadable: list[Rejection] = []

    def spent(seconds: float) -> None:
        progress.phases.fetch += seconds

    # Close the generator explicitly: an error keeps the frames that it passed, and so a transaction on the source.
    with closing(_fresh(parts, lease, declared, model, unreadable, chunk_rows=usual_rows(declared))) as fresh:
        yield from prepared_calls(parts, declared, model, fresh, unreadable, spent=spent)


def _fresh(
    parts: Parts,
    lease: ShardLease,
    declared: Predict,
    model: LoadedModel,
    unreadable: list[Rejection],
    *,
    chunk_rows: int,
) -> Generator["pd.DataFrame", None, None]:
    """Frames of unaccounted records. Rejections of records that cannot be read are added to ``unreadable``."""
    source = parts.open_source(declared.source, lease.work.window)
    reads = declared.declared_model.reads or model.reads
    rows = source.rows(first=lease.work.first, last=lease.work.last, chunk_rows=chunk_rows, columns=reads)
    with spooled(rows, weight=_bytes, most=SPOOLED) as chunks:
        for frame, rejections in chunks:
            accounted = _accounted(parts, lease, [*frame.index, *(rejection.key for rejection in rejections)])
            unreadable += [rejection for rejection in rejections if rejection.key not in accounted]
            fresh = frame[[key not in accounted for key in frame.index]] if accounted else frame
            if len(fresh):
                yield fresh


def _bytes(chunk: Fetched) -> int:
    return int(chunk[0].memory_usage(deep=True).sum())


def _accounted(parts: Parts, lease: ShardLease, keys: list[Scalar]) -> set[Scalar]:
    return set() if _untouched(lease) else parts.ledger.shards.accounted(lease.pipeline, lease.step, keys)


def _untouched(lease: ShardLease) -> bool:
    """Whether no record of the shard can have an outcome yet: runs that read the same records never overlap."""
    return lease.work.dense and lease.attempt == 1


def _failures(parts: Parts, lease: ShardLease) -> OnFailure:
    """Logs the first record of the attempt for which the model raises, and keeps it in the ledger. Others are as it."""
    known: list[Failure] = []

    def note(error: Exception, key: Scalar, frame: "pd.DataFrame") -> None:
        if known:
            return
        failure = failure_of(error, mask=parts.mask, key=key, frame=frame)
        known.append(failure)
        log_failure(failure)
        keep_failure(parts, lease.attempt_name, failure)

    return note
