"""One record that the model cannot bear must cost itself alone, not its batch.

When a call raises, the batch is halved and each half tried again, down to the single record, which is
rejected with the error. When nearly everything raises, the model is broken, not the records: that is said
loudly instead of rejecting them all.

For want of memory nothing is rejected here: what fills this process may be left from other work.
"""

import logging
from typing import TYPE_CHECKING

from batchord.core.declared.limits import MOST_RECORDS, MOST_SHARE
from batchord.core.declared.loaded_model import LoadedModel
from batchord.core.errors import BatchordError, ModelContractViolation, ModelError, ModelNotFound
from batchord.core.process.exhaustion import is_exhaustion, note_exhaustion
from batchord.core.reasons import Reason
from batchord.core.run.records import Rejection, Scalar
from batchord.core.text.counts import counted
from batchord.core.text.error_text import clause, error_text
from batchord.flow.predict.outputs import check_contract
from batchord.flow.predict.prepare import Prepared

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

#: What says nothing about the records: halving the batch would not help.
_NOT_THE_RECORDS = (ModelContractViolation, ModelNotFound)


def predict_isolating(
    model: LoadedModel, prepared: Prepared, *, suspects: list[Scalar] | None = None
) -> tuple["pd.DataFrame", list[int], list[Rejection]]:
    """Returns the model's frame for the records it could bear, their digests, and all rejections.

    To ``suspects`` come the records for which this process lacked memory although each was alone; the others of the
    batch are predicted. Without that list, and when these are more than a few, MemoryError is raised.

    Raises ModelContractViolation, and ModelError when more records fail than a few.
    """
    try:
        returned = _call(model, prepared.frame)
    except Exception as error:
        if not _is_of_the_records(error):
            raise
        first_error = error
    else:
        return returned, prepared.digests, prepared.rejections
    return _halve(model, prepared, first_error, suspects)


class _Alone:
    """Records of a batch that failed each by itself."""

    def __init__(self, frame: "pd.DataFrame") -> None:
        self._frame = frame
        self._most = max(MOST_RECORDS, int(len(frame) * MOST_SHARE))
        self.rejections: list[Rejection] = []
        #: Those for which this process lacked memory.
        self.starved: list[Scalar] = []

    def add(self, place: int, error: Exception) -> None:
        """One more. Raises MemoryError or ModelError when they are more than a few."""
        key = self._frame.index[place]
        if is_exhaustion(error):
            self.starved.append(key)
            if len(self.starved) > self._most:
                raise MemoryError(_said(error)) from error
            return
        self.rejections.append(Rejection(key=key, reason=Reason.MODEL_ERROR, detail=_said(error)))
        if len(self.rejections) > self._most:
            raise ModelError(
                f"The model raised for {len(self.rejections)} of {counted(len(self._frame), 'record')} of a batch, "
                f"last for record {key}: {clause(_said(error))}. Fix the model or its inputs. No record was rejected."
            ) from error


def _halve(
    model: LoadedModel, prepared: Prepared, first_error: Exception, suspects: list[Scalar] | None
) -> tuple["pd.DataFrame", list[int], list[Rejection]]:
    import pandas as pd

    frame = prepared.frame
    _log_cause(first_error)
    alone = _Alone(frame)
    good: list[tuple[int, pd.DataFrame]] = []
    _free_after(first_error)
    # Places, not keys: halves are taken from the front, so that the order stays.
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
        raise MemoryError(_said(first_error)) from first_error
    if not good and len(frame) > 1:
        raise ModelError(
            f"The model raised for every record of a batch: {clause(_said(first_error))}. Fix the model or its inputs."
        ) from first_error
    if suspects is not None:
        suspects += alone.starved
    digests = [prepared.digests[start + place] for start, part in good for place in range(len(part))]
    returned = pd.concat([part for _, part in good]) if good else frame.iloc[:0]
    return returned, digests, [*prepared.rejections, *alone.rejections]


def _log_cause(error: Exception) -> None:
    """With its traceback from the author's function on, once for a batch: how we came to call it helps nobody."""
    cause = error.__cause__ or error
    trace = cause.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("batchord."):
        trace = trace.tb_next
    log.warning("The model raised: %s", error_text(cause), exc_info=(type(cause), cause, trace or cause.__traceback__))


def _call(model: LoadedModel, frame: "pd.DataFrame") -> "pd.DataFrame":
    returned = model.predict(frame)
    check_contract(frame, returned)
    return returned


def _is_of_the_records(error: Exception) -> bool:
    """Whether fewer records might do: a model's own error, as it is or as its adapter words it."""
    if isinstance(error, ModelError):
        return not isinstance(error, _NOT_THE_RECORDS)
    return not isinstance(error, BatchordError)


def _halves(start: int, stop: int) -> list[tuple[int, int]]:
    middle = (start + stop) // 2
    return [(middle, stop), (start, middle)]  # a stack: the first half is taken first


def _free_after(error: Exception) -> None:
    if is_exhaustion(error):
        note_exhaustion(error)


def _said(error: Exception) -> str:
    said = str(error) if isinstance(error, ModelError) else error_text(error)
    return said[:500]
