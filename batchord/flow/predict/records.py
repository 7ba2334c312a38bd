"""A shard's records become predictions: fetch, prepare, predict and write overlap."""

import time
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from batchord.core.declared.limits import MOST_RECORDS
from batchord.core.declared.loaded_model import LoadedModel
from batchord.core.declared.source_reader import Fetched
from batchord.core.declared.steps import Predict
from batchord.core.errors import LeaseLost
from batchord.core.process.fault_points import fault
from batchord.core.run.leases import ShardLease
from batchord.core.run.predictions import Batch
from batchord.core.run.records import Rejection, Scalar
from batchord.core.text.counts import counted
from batchord.flow.attempt.heartbeat import Heartbeat
from batchord.flow.parts import Parts
from batchord.flow.predict.batches import batches_of_like_length
from batchord.flow.predict.isolate import predict_isolating
from batchord.flow.predict.outputs import to_batch
from batchord.flow.predict.prepare import Prepared, nothing_but, prepare
from batchord.flow.predict.split import rows_to_leave
from batchord.flow.predict.spool import spooled
from batchord.flow.predict.stages import WriteBehind, read_ahead
from batchord.flow.predict.undelivered import check_undelivered, settle_undelivered

if TYPE_CHECKING:
    import pandas as pd

#: Frames read ahead of the model, and batches written behind it: memory is bounded by both.
AHEAD = 2
BEHIND = 2
#: Bytes of a shard's records that are read while the model works: usually all, so that no transaction on the source
#: stays open for longer than reading takes.
SPOOLED = 64 * 2**20


@dataclass(kw_only=True)
class Phases:
    """Seconds in each phase; each is written by one thread only."""

    fetch: float = 0.0
    predict: float = 0.0
    write: float = 0.0
    #: From the model being there to the last record being written.
    work: float = 0.0


@dataclass(kw_only=True)
class Progress:
    """What one attempt found and wrote."""

    runs_on: str = "cpu"
    #: Records that the model was given so far.
    predicted: int = 0
    #: Of a shard that would take far too long: how many records a shard may hold that does not. 1 where records are
    #: left that this process lacked memory for: each is looked at alone, by a new one. Else 0.
    rows_left_out: int = 0

    #: Records of the range that nobody had accounted for when this attempt read them, as far as they were taken.
    fetched: int = 0
    #: Of those, records that another run accounted for first.
    conflicts: int = 0
    #: Records whose objects were not delivered; not counted above.
    undelivered: list[Rejection] = field(default_factory=list)
    #: Records whose outcome is committed.
    written: int = 0
    phases: Phases = field(default_factory=Phases)


def predict_records(parts: Parts, lease: ShardLease, beat: Heartbeat, progress: Progress) -> None:
    """Predicts what is missing of the shard, and commits it batch by batch; ``progress`` says how far it is.

    Raises LeaseLost, TransientError, ModelError, and whatever the model raises for more than a few records.
    """
    declared = parts.catalog.get(lease.pipeline).predict_step(lease.step)
    model = parts.models.load(declared.declared_model, lease.work.model_version)
    progress.runs_on = model.runs_on
    began = time.perf_counter()
    # A record that is all there is to the shard stands alone already: then the process is a loss.
    alone = lease.work.planned - lease.work.accounted_before <= 1
    suspects: list[Scalar] | None = None if alone else []

    def write(batch: Batch) -> None:
        started = time.perf_counter()
        given = len(batch.predictions.keys) + len(batch.rejections)
        fault("before-batch-commit")
        written = parts.ledger.shards.commit(lease, batch)
        progress.written += written
        progress.conflicts += given - written
        fault("after-batch-commit")
        progress.phases.write += time.perf_counter() - started

    with (
        WriteBehind(write, depth=BEHIND) as writer,
        _ahead(_batches(parts, lease, declared, progress, model), declared) as frames,
    ):
        for prepared in frames:
            if beat.lost.is_set():
                raise LeaseLost(f"{lease} no longer belongs to this worker.")
            started = time.perf_counter()
            progress.undelivered += prepared.undelivered
            check_undelivered(lease, progress.undelivered)
            batch = _predict(model, prepared, suspects)
            fault("after-predict")
            progress.phases.predict += time.perf_counter() - started
            writer.put(batch)
            progress.fetched += len(batch.predictions.keys) + len(batch.rejections)
            progress.predicted += len(prepared.frame)
            if suspects and len(suspects) > MOST_RECORDS:  # it is the process
                raise MemoryError(f"for {counted(len(suspects), 'record')}, each alone")
            if declared.shard_rows is None:  # an author who gives a size means it
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


def _ahead(batches: Iterator[Prepared], declared: Predict) -> AbstractContextManager[Iterator[Prepared]]:
    """Prepares batches while the model works; one at a time where each has pictures, which take memory."""
    if declared.declared_model.images is None:
        return read_ahead(batches, depth=AHEAD)
    return spooled(batches, weight=lambda _: 1, most=1)


def _batches(
    parts: Parts, lease: ShardLease, declared: Predict, progress: Progress, model: LoadedModel
) -> Iterator[Prepared]:
    """The shard's records that nobody has accounted for, ready for the model."""
    wanted, arrival = declared.declared_model, declared.source.arrival
    rows = declared.batch_rows or wanted.usual_batch_rows
    unreadable: list[Rejection] = []
    # Closed by name: an error keeps what it passed through, and with it an open transaction on the source.
    with closing(_fresh(parts, lease, declared, model, unreadable, chunk_rows=rows)) as fresh:
        frames: Iterator[pd.DataFrame] = fresh
        if wanted.text is not None and model.costly_characters is not None:
            frames = batches_of_like_length(fresh, wanted.text, rows=rows, costly=model.costly_characters)
        started = time.perf_counter()
        for frame in frames:
            left: pd.DataFrame | None = frame
            while left is not None:
                prepared = prepare(left, wanted, parts.images, arrival=arrival, picture_side=model.picture_side)
                left = prepared.left
                prepared.rejections.extend(unreadable)
                unreadable.clear()
                progress.phases.fetch += time.perf_counter() - started
                yield prepared
                started = time.perf_counter()
        progress.phases.fetch += time.perf_counter() - started
        if unreadable:
            yield nothing_but(unreadable)


def _fresh(
    parts: Parts,
    lease: ShardLease,
    declared: Predict,
    model: LoadedModel,
    unreadable: list[Rejection],
    *,
    chunk_rows: int,
) -> Generator["pd.DataFrame", None, None]:
    """Frames of records that nobody has accounted for; to ``unreadable`` come those that are in no frame."""
    source = parts.open_source(declared.source, lease.work.window)
    reads = declared.declared_model.reads or model.reads
    rows = source.rows(first=lease.work.first, last=lease.work.last, chunk_rows=chunk_rows, columns=reads)
    with spooled(rows, weight=_bytes, most=SPOOLED) as chunks:
        for frame, rejections in chunks:
            known = _accounted(parts, lease, [*frame.index, *(rejection.key for rejection in rejections)])
            unreadable += [rejection for rejection in rejections if rejection.key not in known]
            fresh = frame[[key not in known for key in frame.index]] if known else frame
            if len(fresh):
                yield fresh


def _bytes(chunk: Fetched) -> int:
    return int(chunk[0].memory_usage(deep=True).sum())


def _accounted(parts: Parts, lease: ShardLease, keys: list[Scalar]) -> set[Scalar]:
    return set() if _untouched(lease) else parts.ledger.shards.accounted(lease.pipeline, lease.step, keys)


def _untouched(lease: ShardLease) -> bool:
    """Whether none of its records can have been accounted for: runs of a pipeline follow each other."""
    return lease.work.dense and lease.attempt == 1


def _predict(model: LoadedModel, prepared: Prepared, suspects: list[Scalar] | None) -> Batch:
    if len(prepared.frame) == 0:  # not .empty: pandas calls a frame without columns empty, too
        return to_batch(prepared.frame, prepared.frame, [], prepared.rejections)
    returned, digests, rejections = predict_isolating(model, prepared, suspects=suspects)
    given = prepared.frame if len(returned) == len(prepared.frame) else prepared.frame.loc[returned.index]
    return to_batch(given, returned, digests, rejections)
