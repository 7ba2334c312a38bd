"""One record that the model cannot bear must cost itself alone, not its batch.

When a call raises, the batch is halved and each half tried again, down to the single record, which is
rejected with the error. When nearly everything raises, the model is broken, not the records: that is said
loudly instead of rejecting them all.
"""

from typing import TYPE_CHECKING

from app.core.error_text import error_text
from app.core.errors import BatchordError, ModelContractViolation, ModelError, ModelNotFound
from app.core.limits import MOST_RECORDS, MOST_SHARE
from app.core.ports import LoadedModel
from app.core.records import Rejection
from app.flow.inputs import Prepared
from app.flow.outputs import check_contract

if TYPE_CHECKING:
    import pandas as pd

#: What says nothing about the records: halving the batch would not help.
_NOT_THE_RECORDS = (ModelContractViolation, ModelNotFound)


def predict_isolating(model: LoadedModel, prepared: Prepared) -> tuple["pd.DataFrame", list[int], list[Rejection]]:
    """Returns the model's frame for the records it could bear, their digests, and all rejections.

    Raises ModelContractViolation, and ModelError when more records fail than a few.
    """
    try:
        returned = _call(model, prepared.frame)
    except Exception as error:
        if not _is_of_the_records(error):
            raise
        return _halve(model, prepared, error)
    return returned, prepared.digests, prepared.rejections


def _halve(
    model: LoadedModel, prepared: Prepared, first_error: Exception
) -> tuple["pd.DataFrame", list[int], list[Rejection]]:
    import pandas as pd

    frame = prepared.frame
    most = max(MOST_RECORDS, int(len(frame) * MOST_SHARE))
    good: list[tuple[int, pd.DataFrame]] = []
    rejections: list[Rejection] = []
    # Places, not keys: halves are taken from the front, so that the order stays.
    waiting = _halves(0, len(frame)) if len(frame) > 1 else []
    if len(frame) == 1:
        rejections.append(_rejection(frame.index[0], first_error))
    while waiting:
        start, stop = waiting.pop()
        try:
            good.append((start, _call(model, frame.iloc[start:stop])))
        except Exception as error:
            if not _is_of_the_records(error):
                raise
            if stop - start > 1:
                waiting += _halves(start, stop)
                continue
            rejections.append(_rejection(frame.index[start], error))
            if len(rejections) > most:
                raise ModelError(
                    f"The model raised for {len(rejections)} of {len(frame)} records of a batch, last for record "
                    f"{frame.index[start]}: {_said(error)}. Mend the model or its inputs; nothing was rejected."
                ) from error
    if not good and len(frame) > 1:
        raise ModelError(f"The model raised for every record of a batch: {_said(first_error)}.") from first_error
    digests = [prepared.digests[start + place] for start, part in good for place in range(len(part))]
    returned = pd.concat([part for _, part in good]) if good else frame.iloc[:0]
    return returned, digests, [*prepared.rejections, *rejections]


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


def _rejection(key: object, error: Exception) -> Rejection:
    reason = "out-of-memory" if isinstance(error, MemoryError) else "model-error"
    return Rejection(key=key, reason=reason, detail=_said(error))  # type: ignore[arg-type]  # a frame's key is a Scalar


def _said(error: Exception) -> str:
    said = str(error) if isinstance(error, ModelError) else error_text(error)
    return said[:500]
