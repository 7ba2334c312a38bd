"""From a source's frames to batches for the ledger: what each call of the model gets, and what it returns.

A shard and a dry run predict with this code, so that both get the same predictions and the same rejections.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from batchord.core.declared.loaded_model import LoadedModel
from batchord.core.declared.steps import Predict
from batchord.core.run.output_types import OutputColumn
from batchord.core.run.predictions import Batch
from batchord.core.run.records import Rejection, Scalar
from batchord.flow.parts import Parts
from batchord.flow.predict.batches import batches_of_like_length
from batchord.flow.predict.isolate import OnFailure, predict_isolating
from batchord.flow.predict.outputs import to_batch
from batchord.flow.predict.prepare import Prepared, nothing_but, prepare

if TYPE_CHECKING:
    import pandas as pd


def usual_rows(declared: Predict) -> int:
    """The most records in one call of the model."""
    return declared.batch_rows or declared.declared_model.usual_batch_rows


def prepared_calls(
    parts: Parts,
    declared: Predict,
    model: LoadedModel,
    fetched: Iterator["pd.DataFrame"],
    unreadable: list[Rejection],
    *,
    spent: Callable[[float], None],
) -> Iterator[Prepared]:
    """What the model gets, call by call. Rejections of records that cannot be read are taken from ``unreadable``.

    ``spent`` is called with the seconds that reading and preparing took. Raises what the source and the store raise.
    """
    wanted, arrival = declared.declared_model, declared.source.arrival
    frames = fetched
    if wanted.text is not None and model.costly_characters is not None:
        rows, costly = usual_rows(declared), model.costly_characters
        frames = batches_of_like_length(fetched, wanted.text, rows=rows, costly=costly)
    started = time.perf_counter()
    for frame in frames:
        left: pd.DataFrame | None = frame
        while left is not None:
            prepared = prepare(left, wanted, parts.images, arrival=arrival, picture_side=model.picture_side)
            left = prepared.left
            prepared.rejections.extend(unreadable)
            unreadable.clear()
            spent(time.perf_counter() - started)
            yield prepared
            started = time.perf_counter()
    spent(time.perf_counter() - started)
    if unreadable:
        yield nothing_but(unreadable)


def predict_call(
    model: LoadedModel,
    prepared: Prepared,
    *,
    suspects: list[Scalar] | None,
    on_failure: OnFailure,
    columns: Sequence[OutputColumn] = (),
    whole: bool = False,
) -> Batch:
    """The predictions and the rejections of one call.

    See :func:`.isolate.predict_isolating`, and :func:`.outputs.to_batch` for ``columns`` and ``whole``.
    """
    if len(prepared.frame) == 0:  # not .empty: pandas calls a frame without columns empty, too
        return to_batch(prepared.frame, prepared.frame, [], prepared.rejections)
    returned, digests, rejections = predict_isolating(model, prepared, suspects=suspects, on_failure=on_failure)
    predicted = prepared.frame if len(returned) == len(prepared.frame) else prepared.frame.loc[returned.index]
    return to_batch(predicted, returned, digests, rejections, columns=columns, whole=whole)
