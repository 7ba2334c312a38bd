"""Turns what a model returned into predictions that the ledger can store."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from batchord.core.code.places import place_of_function
from batchord.core.errors import DataError, ModelContractViolation
from batchord.core.reasons import Reason
from batchord.core.run.output_types import OutputColumn
from batchord.core.run.predictions import Batch, Predictions
from batchord.core.run.records import Rejection, storable
from batchord.core.text.counts import counted
from batchord.core.text.error_text import error_text
from batchord.flow.predict.typed import typed_columns

if TYPE_CHECKING:
    import pandas as pd

#: The most bits of a whole number: a little less than 4,300 digits, beyond which Python refuses to write it as text.
_MOST_BITS = 14_000


def to_batch(
    given: "pd.DataFrame",
    returned: Any,
    digests: list[int],
    rejections: list[Rejection],
    *,
    columns: Sequence[OutputColumn] = (),
    whole: bool = False,
) -> Batch:
    """Checks the model's contract and turns its frame into columns for the ledger.

    A record whose output cannot be stored (a score that is not finite, bytes, nothing at all) is rejected; the others
    of its batch are kept. ``digests`` are in the order of ``given``. ``columns``: what the step declares as
    ``outputs``. ``whole``: whether ``outputs`` hold these, too, as for people.

    Raises ModelContractViolation if the frame does not have one row per record in the same order.
    """
    check_contract(given, returned)
    labels, label_reasons = _labels(returned)
    scores, score_reasons = _scores(returned)
    typed, typed_reasons = typed_columns(returned, columns, as_json=json_value, is_missing=_missing)
    apart = _unshown(columns) if whole else typed
    others = [column for column in returned.columns if column not in ("label", "score") and column not in apart]
    outputs, output_reasons = _outputs(returned, others)
    rejected = list(rejections)
    reasons = {**label_reasons, **score_reasons, **output_reasons, **typed_reasons}
    every = Predictions(
        keys=given.index.tolist(), labels=labels, scores=scores, outputs=outputs, digests=digests, typed=typed
    )
    if not reasons and _all_there(labels, scores):
        return Batch(predictions=every, rejections=rejected)
    kept: list[int] = []
    answers = others if whole else [*others, *_of_json(typed, columns)]
    for place, key in enumerate(every.keys):
        error = reasons.get(place)
        score = scores[place]
        if score is not None and math.isnan(score):
            # pandas writes a missing number as NaN. Beside a label it is a missing value; alone it is an invalid score.
            error = error if labels[place] is not None else DataError(Reason.NOT_FINITE, "the score is nan")
            score = scores[place] = None
        if error is None and labels[place] is None and score is None:
            error = _no_answer(returned, answers, place, outputs[place], typed)
        if error is not None:
            rejected.append(Rejection(key=key, reason=error.reason, detail=str(error)))
            continue
        kept.append(place)
    return Batch(predictions=every.only(kept), rejections=rejected)


def _of_json(typed: Mapping[str, Any], columns: Sequence[OutputColumn]) -> list[str]:
    """The columns whose lists may hold NaN: those of numbers were found to be finite."""
    return [column.name for column in columns if column.name in typed and column.type.base in ("json", "jsonb")]


def _unshown(columns: Sequence[OutputColumn]) -> set[str]:
    """The columns that hold bytes, which JSON has not."""
    return {column.name for column in columns if column.type.base == "bytea"}


def _no_answer(
    returned: "pd.DataFrame",
    columns: list[str],
    place: int,
    output: dict[str, Any] | None,
    typed: Mapping[str, list[str | None]],
) -> DataError | None:
    """The error of a record without label and score; None if its other columns hold an answer.

    A vector that holds NaN or infinity is no answer: stored with nulls, it would look like one. Beside a label or a
    score such a list is stored, with a missing value in that place.
    """
    if not output and all(texts[place] is None for texts in typed.values()):
        return DataError(Reason.NO_OUTPUT, "the model returned nothing for this record")
    for column in columns:
        value, name = returned[column].iloc[place], storable(str(column))
        stored = (output or {}).get(name)
        if stored is None and column in typed:
            stored = json_value(value)
        gap = _gap(stored, value)
        if gap is not None:
            return DataError(Reason.NOT_FINITE, f"column {column}: the list holds {gap}")
    return None


def _all_there(labels: list[str | None], scores: list[float | None]) -> bool:
    """Whether each record has a label or a score, and no score is NaN: the usual case."""
    if None in scores:
        return scores.count(None) == len(scores) and None not in labels
    return not any(map(math.isnan, scores))  # type: ignore[arg-type]  # no score is None


def check_contract(given: "pd.DataFrame", returned: Any) -> None:
    """One row per record, same index, same order. Raises ModelContractViolation."""
    import pandas as pd

    if not isinstance(returned, pd.DataFrame):
        raise ModelContractViolation(
            f"The model returned a {type(returned).__name__}: return a DataFrame, or from a function a Series."
        )
    if len(returned) != len(given):
        raise ModelContractViolation(
            f"The model returned {counted(len(returned), 'row')} for {counted(len(given), 'record')}: return one row "
            "for each record."
        )
    if not returned.index.equals(given.index):
        raise ModelContractViolation(
            "The model returned an index that differs from its input: keep the frame's index and its order."
        )
    if returned.columns.has_duplicates:
        raise ModelContractViolation(
            "The model returned two columns with the same name: give each column a name of its own."
        )


@contextmanager
def naming_the_function(function: object) -> Iterator[None]:
    """Adds the place of the author's function to an error that says what is wrong with what it returned."""
    try:
        yield
    except ModelContractViolation as error:
        place = place_of_function(function)
        if place is not None and place not in str(error):
            error.args = (f"{error} See {place}.",)
        raise


def _labels(returned: "pd.DataFrame") -> tuple[list[str | None], dict[int, DataError]]:
    if "label" not in returned.columns:
        return [None] * len(returned), {}
    values = returned["label"].tolist()
    if set(map(type, values)) == {str}:
        return values, {}
    reasons: dict[int, DataError] = {}
    labels: list[str | None] = []
    for place, value in enumerate(values):
        if isinstance(value, bytes | DataError):
            reasons[place] = (
                DataError(Reason.BYTES_OUTPUT, "the label is bytes: return text") if isinstance(value, bytes) else value
            )
            labels.append(None)
        else:
            labels.append(None if _missing(value) else str(value))
    return labels, reasons


def _scores(returned: "pd.DataFrame") -> tuple[list[float | None], dict[int, DataError]]:
    if "score" not in returned.columns:
        return [None] * len(returned), {}
    values = returned["score"].tolist()
    if set(map(type, values)) == {float} and not any(map(math.isinf, values)):
        return values, {}
    reasons: dict[int, DataError] = {}
    scores: list[float | None] = []
    for place, value in enumerate(values):
        if value is None or isinstance(value, DataError):
            if value is not None:
                reasons[place] = value
            scores.append(None)
            continue
        try:
            score = float(value)
        except (TypeError, ValueError) as error:
            raise ModelContractViolation(f"The model returned the score {value!r}: return a number.") from error
        if math.isinf(score):
            reasons[place] = DataError(Reason.NOT_FINITE, f"the score is {score}")
        scores.append(score)
    return scores, reasons


def _outputs(returned: "pd.DataFrame", columns: list[str]) -> tuple[list[dict[str, Any] | None], dict[int, DataError]]:
    if not columns:
        return [None] * len(returned), {}
    reasons: dict[int, DataError] = {}
    outputs: list[dict[str, Any] | None] = []
    for place, row in enumerate(zip(*(returned[column].tolist() for column in columns), strict=True)):
        output: dict[str, Any] = {}
        for column, value in zip(columns, row, strict=True):
            try:
                converted = json_value(value)
            except DataError as error:
                reasons[place] = DataError(error.reason, f"column {column}: {error}")
                continue
            except Exception as error:  # noqa: BLE001 -- a value may raise anything, such as one that holds itself
                detail = f"column {column}: it cannot be stored as JSON: {error_text(error)}"
                reasons[place] = DataError(Reason.NOT_JSON, detail)
                continue
            if converted is not None:
                output[storable(str(column))] = converted
        outputs.append(output or None)
    return outputs, reasons


def json_value(value: Any) -> Any:  # noqa: C901, PLR0911 -- one line per type reads best
    """``value`` in a form that PostgreSQL's JSON can hold; a missing value is None.

    Raises DataError for bytes, for types that JSON does not have, and for whole numbers with too many digits. If the
    value is a DataError itself, it raises a copy of it.
    """
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        raise DataError(Reason.NOT_JSON, "a whole number of more than 4,000 digits cannot be stored as JSON")
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {storable(str(key)): json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(item) for item in value]
    if _missing(value):
        return None
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal | UUID):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        raise DataError(Reason.BYTES_OUTPUT, "bytes cannot be stored as JSON")
    if hasattr(value, "tolist"):  # numpy's scalars and arrays
        return json_value(value.tolist())
    if isinstance(value, DataError):  # the model itself rejects this record
        raise DataError(value.reason, str(value))  # a copy: raised again, it would keep all old frames
    raise DataError(Reason.NOT_JSON, f"{type(value).__name__} cannot be stored as JSON")


def _gap(output: Any, returned: Any) -> float | None:
    """The first number in a list of ``returned`` that is not finite; ``output`` has None in its place."""
    if isinstance(output, dict) and isinstance(returned, dict):
        gaps = (_gap(output.get(storable(str(key))), value) for key, value in returned.items())
        return next((gap for gap in gaps if gap is not None), None)
    values = returned.tolist() if hasattr(returned, "tolist") else returned
    if not isinstance(output, list) or not isinstance(values, list | tuple):
        return None
    for stored, value in zip(output, values, strict=True):
        number = value.tolist() if stored is None and hasattr(value, "tolist") else value
        if stored is None and isinstance(number, float) and not math.isfinite(number):
            return number
        if isinstance(stored, list | dict) and (gap := _gap(stored, value)) is not None:
            return gap
    return None


def _missing(value: Any) -> bool:
    """Whether the value is None, NaN, NaT or pandas' NA."""
    import pandas as pd

    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value))
