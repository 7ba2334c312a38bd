"""Finds the records for which the model raises, so that the other records of the batch are predicted.

When a call raises, the batch is halved and each half is tried again, down to the single record, which is rejected with
the error. When the model raises for nearly all records, the model is broken, not the records. Then an error says so,
and no record is rejected.

A lack of memory rejects no record here: other work may have filled this process's memory.
"""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from batchord.core.code.traces import trace_of
from batchord.core.declared.limits import MOST_RECORDS, MOST_SHARE
from batchord.core.declared.loaded_model import LoadedModel
from batchord.core.errors import BatchordError, ModelContractViolation, ModelError, ModelNotFound
from batchord.core.process.exhaustion import is_exhaustion, note_exhaustion
from batchord.core.reasons import Reason
from batchord.core.run.records import Rejection, Scalar, record_key
from batchord.core.text.counts import counted
from batchord.core.text.error_text import clause, error_text, message_of
from batchord.flow.predict.levels import with_levels
from batchord.flow.predict.outputs import check_contract, naming_the_function
from batchord.flow.predict.prepare import Prepared

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

#: The most characters of an error: a model may raise its whole input.
_MOST_DETAIL = 500

#: Gets the error for the first record of a batch for which the model raises, the record's key, and the batch's frame.
OnFailure = Callable[[Exception, Scalar, "pd.DataFrame"], None]

#: Errors whose cause is never a record: halving the batch would not help.
_NOT_THE_RECORDS = (ModelContractViolation, ModelNotFound)


def _ignored(_error: Exception, _key: Scalar, _frame: "pd.DataFrame") -> None:
    pass


def predict_isolating(
    model: LoadedModel,
    prepared: Prepared,
    *,
    suspects: list[Scalar] | None = None,
    on_failure: OnFailure = _ignored,
) -> tuple["pd.DataFrame", list[int], list[Rejection]]:
    """Returns the model's frame for the records that it predicted, their digests, and all rejections.

    The records for which this process lacked memory, although each was alone, are added to ``suspects``; the others of
    the batch are predicted. Raises MemoryError if ``suspects`` is None or if there are more than a few such records.

    ``on_failure`` is called for the first record for which the model raises, before any error that follows from it.

    Raises ModelContractViolation. Raises ModelError if more than a few records fail.
    """
    try:
        returned = _call(model, prepared.frame)
    except Exception as error:
        if not _is_of_the_records(error):
            raise
        first_error = error
    else:
        return returned, prepared.digests, prepared.rejections
    exhausted = is_exhaustion(first_error)
    if exhausted:
        _log_cause(first_error)
    returned, digests, rejections = _halve(model, prepared, first_error, suspects, on_failure)
    if not exhausted and len(rejections) == len(prepared.rejections):
        _log_cause(first_error)
    return returned, digests, rejections


class _Alone:
    """The records of a batch that failed although each was alone."""

    def __init__(self, frame: "pd.DataFrame", on_failure: OnFailure) -> None:
        self._frame = frame
        self._on_failure = on_failure
        self._most = max(MOST_RECORDS, int(len(frame) * MOST_SHARE))
        self.rejections: list[Rejection] = []
        #: The error of the first of these, as a part of a sentence.
        self._first = ""
        #: The keys of records for which this process lacked memory.
        self.starved: list[Scalar] = []

    def add(self, place: int, error: Exception) -> None:
        """Adds a record. Raises MemoryError or ModelError if there are more than a few."""
        key = self._frame.index[place]
        if is_exhaustion(error):
            self.starved.append(key)
            if len(self.starved) > self._most:
                raise _lack_of_memory(error) from error
            return
        if not self.rejections:
            self._first = _with_place(error)
            self._on_failure(error, key, self._frame)
        self.rejections.append(Rejection(key=key, reason=Reason.MODEL_ERROR, detail=_detail_of(error)))
        if len(self.rejections) > self._most:
            raise ModelError(
                f"The model raised for at least {len(self.rejections)} of the {counted(len(self._frame), 'record')} of "
                f"a batch, and no record was rejected. The first is record {record_key(self.rejections[0].key)}: "
                f"{self._first}. Correct the model or its inputs."
            ) from error


def _halve(
    model: LoadedModel,
    prepared: Prepared,
    first_error: Exception,
    suspects: list[Scalar] | None,
    on_failure: OnFailure,
) -> tuple["pd.DataFrame", list[int], list[Rejection]]:
    import pandas as pd

    frame = prepared.frame
    alone = _Alone(frame, on_failure)
    good: list[tuple[int, pd.DataFrame]] = []
    _free_after(first_error)
    # Halves are ranges of places. The first half is taken first, so that the order stays.
    waiting = _halves(0, len(frame)) if len(frame) > 1 else []
    if len(frame) == 1:
        alone.add(0, first_error)
    while waiting:
        start, stop = waiting.pop()
        try:
            good.append((start, _call(model, frame.iloc[start:stop])))
        except Exception as error:
            if not _is_of_the_records(error):
                raise
            _free_after(error)
            if stop - start > 1:
                waiting += _halves(start, stop)
            else:
                alone.add(start, error)
    if alone.starved and (suspects is None or (not good and len(frame) > 1)):
        raise _lack_of_memory(first_error) from first_error
    if not good and len(frame) > 1:
        raise ModelError(
            f"The model raised for every record of a batch of {len(frame):,}: {_with_place(first_error)}. "
            "Correct the model or its inputs."
        ) from first_error
    if suspects is not None:
        suspects += alone.starved
    digests = [prepared.digests[start + place] for start, part in good for place in range(len(part))]
    returned = pd.concat([part for _, part in good]) if good else frame.iloc[:0]
    return returned, digests, [*prepared.rejections, *alone.rejections]


def _log_cause(error: Exception) -> None:
    """Logs an error whose cause is no single record."""
    trace = trace_of(error)
    log.warning(
        "The model raised for several records together: %s",
        error_text(trace.error),
        exc_info=(type(trace.error), trace.error, trace.start),
    )


def _call(model: LoadedModel, frame: "pd.DataFrame") -> "pd.DataFrame":
    given = with_levels(frame)
    # A kind of the author's own has its predict() in a file of the author's.
    with naming_the_function(model.predict):
        returned = model.predict(given)
        check_contract(given, returned)
    return returned if given is frame else returned.set_axis(frame.index)


def _is_of_the_records(error: Exception) -> bool:
    """Whether a record may be the cause: it is the model's own exception, or a ModelError of its adapter."""
    if isinstance(error, ModelError):
        return not isinstance(error, _NOT_THE_RECORDS)
    return not isinstance(error, BatchordError)


def _halves(start: int, stop: int) -> list[tuple[int, int]]:
    middle = (start + stop) // 2
    return [(middle, stop), (start, middle)]  # a stack: the first half is taken first


def _free_after(error: Exception) -> None:
    if is_exhaustion(error):
        note_exhaustion(error)


def _lack_of_memory(error: Exception) -> MemoryError:
    return MemoryError(
        f"The model lacked memory, also for one record alone: {_with_place(error)}. Let it use less, or give its "
        "process more (BATCHORD_MEMORY_LIMIT_MB limits a worker's)."
    )


def _text_of(error: Exception) -> str:
    return (str(error) if isinstance(error, ModelError) else error_text(error))[:_MOST_DETAIL]


def _detail_of(error: Exception) -> str:
    """The author's own error for a record: the version and the key stand beside it."""
    own = trace_of(error).error
    return _text_of(error) if isinstance(own, SystemExit) else message_of(own)[:_MOST_DETAIL]


def _with_place(error: Exception) -> str:
    """The author's own error as a part of a sentence, with the innermost line of the author's code."""
    trace = trace_of(error)
    return clause(_detail_of(error)) + (f" ({trace.file}:{trace.line})" if trace.is_authors else "")
