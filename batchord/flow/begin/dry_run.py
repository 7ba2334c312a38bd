"""A dry run: predicts a few records here and now, with the code of a shard, and writes nothing.

It needs no run, no lease and no worker. It reads the source in transactions that only read, and the ledger only for a
source with a window.
"""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from batchord.core.code.traces import trace_of
from batchord.core.declared.loaded_model import LoadedModel
from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.source_reader import SourceReader
from batchord.core.declared.sources import Window
from batchord.core.declared.steps import Predict
from batchord.core.errors import BatchordError, ConfigurationError
from batchord.core.process.leaving import ends_the_process
from batchord.core.reasons import OUTPUT_REASONS
from batchord.core.run.failures import Failure
from batchord.core.run.predictions import Batch
from batchord.core.run.records import Position, Rejection, Scalar
from batchord.core.text.counts import counted
from batchord.flow.attempt.failure import failure_of
from batchord.flow.begin.slots import window_by_hand
from batchord.flow.begin.unplaced import unplaced_warnings
from batchord.flow.parts import Parts
from batchord.flow.predict.calls import predict_call, prepared_calls, usual_rows
from batchord.flow.predict.prepare import Prepared

if TYPE_CHECKING:
    import pandas as pd


@dataclass(kw_only=True)
class DrySeconds:
    """Seconds in each phase of a dry run."""

    load: float = 0.0
    #: Reading the records, and preparing them for the model.
    read: float = 0.0
    predict: float = 0.0


@dataclass(kw_only=True)
class DryRun:
    """What a step would do with a few records."""

    pipeline: str
    step: str
    #: None if the version cannot be determined.
    model_version: str | None = None
    #: How the records were chosen, for people.
    chosen: str = ""
    #: Their keys, in the order in which people see them: the newest first.
    keys: list[Scalar] = field(default_factory=list)
    #: What the source gave, by frames; all have the same columns.
    fetched: "list[pd.DataFrame]" = field(default_factory=list)
    #: What the model got, call by call.
    given: "list[pd.DataFrame]" = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    #: The column with the pictures that the model gets; None: it gets none.
    pictures: str | None = None
    #: The first error of the author's code, or of the model's library.
    failure: Failure | None = None
    #: Why the dry run ended early; None if it came to its end. Rejections do not end it.
    error: BaseException | None = None
    seconds: DrySeconds = field(default_factory=DrySeconds)
    #: What a person should know besides, one sentence each.
    warnings: list[str] = field(default_factory=list)
    #: The exception behind :attr:`failure`, for a debugger.
    raised: BaseException | None = None

    @property
    def rejections(self) -> list[Rejection]:
        """The rejections, in the order in which they arose."""
        return [rejection for batch in self.batches for rejection in batch.rejections]


def dry_run(
    parts: Parts,
    declared: Pipeline,
    *,
    step: str | None = None,
    limit: int = 10,
    key: str | None = None,
    where: str | None = None,
    on_call: Callable[[int], None] = lambda _: None,
) -> DryRun:
    """Predicts the newest ``limit`` records, those of them that meet the condition ``where``, or the one with ``key``.

    ``on_call`` gets the number of records before each call of the model.

    An error of the model is in the result. Raises ConfigurationError for a step, a key, a condition or a source that
    cannot be used, and TransientError if a server does not answer.
    """
    if limit < 1:
        raise ConfigurationError(f"limit={limit} chooses nothing: give a number of at least 1.")
    predict = _step_of(declared, step)
    images = predict.declared_model.images
    tried = DryRun(pipeline=declared.name, step=predict.name, pictures=None if images is None else images.column)
    window = _window(parts, declared) if predict.source.uses_window else None
    source = parts.open_source(predict.source, window)
    try:
        positions = _positions(source, predict, limit=limit, key=key, where=where)
    except ConfigurationError as error:
        if not trace_of(error).is_authors:  # otherwise a source of the author's own kind raised it
            raise
        return _ended(parts, tried, error)
    tried.keys = [position.key for position in reversed(positions)]
    tried.chosen = _chosen(predict, positions, key, where)
    if key is None:
        tried.warnings = unplaced_warnings(parts.open_source, predict, window)
    try:
        _predict(parts, predict, source, positions, tried, on_call=on_call)
    except BaseException as error:
        if ends_the_process(error):
            raise
        return _ended(parts, tried, error)
    tried.warnings += _warnings_of_answers(predict, tried)
    return tried


def _warnings_of_answers(predict: Predict, tried: DryRun) -> list[str]:
    """A run fails if it predicts nothing because of the model: a dry run of such records says so."""
    predicted = any(batch.predictions.keys for batch in tried.batches)
    returned = {name for batch in tried.batches for name in batch.predictions.typed}
    absent = [each.name for each in predict.output_columns if predicted and each.name not in returned]
    if absent:
        return [f"The model returned no {' and no '.join(absent)}, which outputs= names: these columns would be NULL."]
    of_the_model = [each for each in tried.rejections if each.reason in OUTPUT_REASONS]
    if not of_the_model or tried.failure is not None or predicted:
        return []
    place = predict.declared_model.written_at
    return [
        "The model gave no answer that can be stored, and a run of such records fails. Let it return a finite score or "
        "a label for each record" + ("." if place is None else f": see {place}.")
    ]


def _step_of(declared: Pipeline, name: str | None) -> Predict:
    steps = declared.predict_steps
    if not steps:
        raise ConfigurationError(f"Pipeline {declared.name} has no Predict step, so there is nothing to try.")
    names = ", ".join(each.name for each in steps)
    if name is None and len(steps) > 1:
        raise ConfigurationError(
            f"Pipeline {declared.name} has several Predict steps: {names}. Name one: `--step {steps[0].name}`."
        )
    chosen = [each for each in steps if name in (None, each.name)]
    if not chosen:
        raise ConfigurationError(f"Pipeline {declared.name} has no Predict step {name!r}. It has: {names}.")
    return chosen[0]


def _positions(
    source: SourceReader, predict: Predict, *, limit: int, key: str | None, where: str | None
) -> Sequence[Position]:
    if key is not None and where is not None:
        raise ConfigurationError("Give a key or a condition, not both.")
    if key is not None:
        arrival = predict.source.arrival
        positions = source.find([key])
        if not positions:
            raise ConfigurationError(f"The source of step {predict.name} has no record with the key {key!r}.")
        arrived = [position for position in positions if arrival is None or position.arrival is not None]
        if not arrived:
            raise ConfigurationError(
                f"The record {key!r} has no {arrival}, so no run finds it. Give it one, or leave it out of the query."
            )
        return arrived[:1]
    if where is None:
        return source.newest(limit=limit)
    if source.conditions is None:
        raise ConfigurationError(
            f"The source of step {predict.name} is a {type(predict.source).__name__}, which knows no "
            "conditions. Choose a record by its key."
        )
    return source.conditions.newest_with(where, limit=limit)


def _chosen(predict: Predict, positions: Sequence[Position], key: str | None, where: str | None) -> str:
    if key is not None:
        return f"The record with the key {key}"
    condition = "" if where is None else " that meet the condition"
    if not positions:
        return f"No records{condition}"
    order = predict.source.arrival or predict.source.key_name
    return f"The newest {counted(len(positions), 'record')}{condition}, by {order}"


def _predict(
    parts: Parts,
    predict: Predict,
    source: SourceReader,
    positions: Sequence[Position],
    tried: DryRun,
    *,
    on_call: Callable[[int], None],
) -> None:
    started = time.perf_counter()
    tried.model_version = parts.models.version(predict.declared_model)
    model = parts.models.load(predict.declared_model, tried.model_version)
    tried.seconds.load = time.perf_counter() - started

    def note(error: Exception, key: Scalar, frame: "pd.DataFrame") -> None:
        if tried.failure is None:
            tried.raised = error
            tried.failure = failure_of(error, mask=parts.mask, key=key, frame=frame)

    for prepared in _calls(parts, predict, model, source, positions=positions, tried=tried):
        tried.given.append(prepared.frame)
        on_call(len(prepared.frame))
        started = time.perf_counter()
        try:
            batch = predict_call(
                model, prepared, suspects=None, on_failure=note, columns=predict.output_columns, whole=True
            )
        finally:
            tried.seconds.predict += time.perf_counter() - started
        # A shard asks the store again, later.
        batch.rejections.extend(prepared.undelivered)
        tried.batches.append(batch)


def _calls(
    parts: Parts,
    predict: Predict,
    model: LoadedModel,
    source: SourceReader,
    *,
    positions: Sequence[Position],
    tried: DryRun,
) -> Iterator[Prepared]:
    unreadable: list[Rejection] = []
    rows = usual_rows(predict)

    def frames() -> Generator["pd.DataFrame", None, None]:
        for frame, rejections in source.records_at(positions, columns=predict.declared_model.reads or model.reads):
            unreadable.extend(rejections)
            tried.fetched.append(frame)
            for start in range(0, len(frame), rows):
                yield frame.iloc[start : start + rows]

    def spent(seconds: float) -> None:
        tried.seconds.read += seconds

    with closing(frames()) as fetched:
        yield from prepared_calls(parts, predict, model, fetched, unreadable, spent=spent)


def _ended(parts: Parts, tried: DryRun, error: BaseException) -> DryRun:
    """The dry run that ended with ``error``. If no record is the cause, it has the traceback of the author's code."""
    tried.error = error
    if tried.failure is None and (trace_of(error).is_authors or not isinstance(error, BatchordError)):
        tried.raised = error
        tried.failure = failure_of(error, mask=parts.mask, frame=tried.given[-1] if tried.given else None)
    return tried


def _window(parts: Parts, declared: Pipeline) -> Window:
    """The window of a run by hand. The ledger need not know the pipeline, and does not learn of it."""
    standing = parts.ledger.pipelines.known([declared.name]).get(declared.name)
    now = parts.ledger.runs.now() if standing is None else standing.now
    return window_by_hand(declared.scheduled_by(None if standing is None else standing.schedule), standing, now)
