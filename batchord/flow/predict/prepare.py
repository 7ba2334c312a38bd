"""Turns a frame of records into a frame that the model can read, and rejections for the other records."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from batchord.core.declared.models import Model
from batchord.core.errors import ConfigurationError
from batchord.core.ports import ImageStore
from batchord.core.reasons import Reason
from batchord.core.run.records import Rejection

if TYPE_CHECKING:
    import pandas as pd


#: An odd number of 64 bits.
_PRIME = 0x9E3779B97F4A7C15
_MISSING = 0x5DEECE66D
#: Up to this number, a float holds every whole number exactly.
_WHOLE = 2**53


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """Records that are ready for the model, and records that cannot be predicted."""

    frame: "pd.DataFrame"
    #: 64-bit digests of the inputs, in the frame's order.
    digests: list[int]
    rejections: list[Rejection] = field(default_factory=list)
    #: Records whose pictures had no room; they come in the next batch. None: no records are left.
    left: "pd.DataFrame | None" = None
    #: See :class:`batchord.core.ports.LoadedImages`.
    undelivered: Sequence[Rejection] = ()


def nothing_but(rejections: list[Rejection]) -> Prepared:
    """The rejections of records that cannot be read, without records for the model."""
    import pandas as pd

    return Prepared(frame=pd.DataFrame(), digests=[], rejections=list(rejections))


def prepare(
    frame: "pd.DataFrame", model: Model, images: ImageStore, *, arrival: str | None, picture_side: int | None = None
) -> Prepared:
    """Rejects records that cannot be predicted, loads as many images as have room, and digests the inputs.

    ``arrival`` is the column that orders records; an estimator that reads all columns does not get it. ``picture_side``
    is the loaded model's.

    Raises TransientError and ConfigurationError of the image store, and ConfigurationError if the source lacks a
    column.
    """
    rejections: list[Rejection] = []
    undelivered: Sequence[Rejection] = ()
    if not model.takes_arrival and arrival in frame.columns:
        frame = frame.drop(columns=[arrival])
    if model.text is not None:
        frame, rejections = _usable_texts(frame, model)
    digests = digest_rows(frame, without=model.images.column if model.images else None)
    left = None
    if model.images is not None:
        column = model.images.column
        _require(frame, column)
        loaded = images.read(frame[column], model.images, side=picture_side)
        rejections += loaded.rejections
        if loaded.unread:
            unread = set(loaded.unread)
            left = frame[[key in unread for key in frame.index]]
        undelivered = loaded.undelivered
        keep = [key in loaded.images for key in frame.index]
        digests = [
            value ^ loaded.digests[key] for key, value in zip(frame.index, digests, strict=True) if key in loaded.images
        ]
        frame = frame[keep].copy()
        frame[column] = _objects([loaded.images[key] for key in frame.index])
    return Prepared(frame=frame, digests=digests, rejections=rejections, left=left, undelivered=undelivered)


def _usable_texts(frame: "pd.DataFrame", model: Model) -> tuple["pd.DataFrame", list[Rejection]]:
    column = model.text or ""
    _require(frame, column)
    if _all_usable(frame[column], model):
        return frame, []
    rejections = []
    for key, text in zip(frame.index, frame[column], strict=True):
        if not isinstance(text, str):
            kind = "NULL" if text is None or text != text else f"of type {type(text).__name__}"  # noqa: PLR0124 -- NaN
            rejections.append(Rejection(key=key, reason=Reason.MISSING_TEXT, detail=f"column {column} is {kind}"))
        elif model.empty == "reject" and not text.strip():
            rejections.append(Rejection(key=key, reason=Reason.EMPTY_TEXT, detail=f"column {column} holds no text"))
    if not rejections:
        return frame, []
    rejected = {rejection.key for rejection in rejections}
    return frame[[key not in rejected for key in frame.index]], rejections


def _all_usable(texts: "pd.Series[Any]", model: Model) -> bool:
    """Whether all texts are usable: the usual case, checked at the speed of C."""
    try:
        stripped = list(map(str.strip, texts.tolist()))
    except TypeError:  # a value is not a text
        return False
    return model.empty != "reject" or all(stripped)


def digest_rows(frame: "pd.DataFrame", *, without: str | None) -> list[int]:
    """64-bit digests of the rows, as signed integers. They show later whether an input has changed.

    The digest of a value depends only on the value, not on the other rows: pandas gives a column of numbers another
    type if one of them is missing.
    """
    import numpy as np

    digests = np.zeros(len(frame), dtype=np.uint64)
    for place, name in enumerate(column for column in frame.columns if column != without):
        # The place of a column counts: a row in which two columns have swapped their values is another row.
        digests = digests * _PRIME + _digest_column(frame[name]) + np.uint64(place)
    values: list[int] = digests.view(np.int64).tolist()
    return values


def _digest_column(column: "pd.Series[Any]") -> Any:
    import numpy as np
    import pandas as pd

    missing = column.isna().to_numpy()
    kind = column.dtype
    if pd.api.types.is_bool_dtype(kind):
        digests = _digest_bools(column.fillna(value=False))
    elif pd.api.types.is_integer_dtype(kind):
        digests = _digest_numbers(column.fillna(0).to_numpy(dtype=np.int64))
    elif pd.api.types.is_float_dtype(kind):
        digests = _digest_numbers(column.fillna(0.0).to_numpy(dtype=np.float64))
    elif isinstance(kind, pd.DatetimeTZDtype) or pd.api.types.is_datetime64_dtype(kind):
        digests = _digest_times(column)
    else:
        digests = _digest_objects(column.tolist())
    digests[missing] = _MISSING
    return digests


def _digest_objects(values: list[Any]) -> Any:
    """The digests of a column of mixed types. A number or a time gets the same digest as in a column of its type."""
    import numpy as np
    import pandas as pd

    digests = pd.util.hash_array(np.array([*map(_plain, values), None], dtype=object)[:-1], categorize=False)
    kinds = set(map(type, values))
    for kind, digest in (
        (bool, _digest_bools),
        (int, _digest_numbers),
        (float, _digest_numbers),
        (datetime, _digest_times),
    ):
        if kind in kinds:
            places = [place for place, value in enumerate(values) if type(value) is kind and _is_small(value)]
            digests[places] = digest([values[place] for place in places])
    return digests


def _digest_bools(values: Any) -> Any:
    import numpy as np

    return ~_digest_numbers(np.asarray(values, dtype=np.int64))  # so that True and 1 differ


def _digest_numbers(values: Any) -> Any:
    """The digests of numbers. A whole number has the same digest as an integer and as a float."""
    import numpy as np
    import pandas as pd

    numbers = np.asarray(values)
    digests = pd.util.hash_array(numbers)
    if numbers.dtype.kind == "f":
        whole = (np.abs(numbers) <= _WHOLE) & (numbers == np.floor(numbers))
        digests[whole] = pd.util.hash_array(numbers[whole].astype(np.int64))
    return digests


def _digest_times(values: Any) -> Any:
    import numpy as np
    import pandas as pd

    times = pd.to_datetime(pd.Series(values), utc=True).dt.tz_localize(None)
    return _digest_numbers(times.to_numpy(dtype="datetime64[us]").view(np.int64))


def _is_small(value: Any) -> bool:
    """Whether a column of such values has its own type in pandas. Whole numbers beyond 64 bits have none."""
    return type(value) is not int or -(2**63) <= value < 2**63


def _plain(value: Any) -> str | bytes:
    """A value that pandas can digest: a text as it is, any other value as its ``repr``."""
    if type(value) is not str:
        return f"\0{value!r}"
    if value.isascii():
        return value
    # Half of a surrogate pair is no character, and pandas' own encoding refuses it.
    return value.encode("utf-8", "surrogatepass")


def _require(frame: "pd.DataFrame", column: str) -> None:
    if column not in frame.columns:
        raise ConfigurationError(
            f"The source gives no column {column!r}, which the model reads: add it to the source, such as to its SQL. "
            f"It gives {', '.join(map(str, frame.columns))}."
        )


def _objects(values: list[Any]) -> Any:
    """A column of objects that pandas does not take apart: it would take an image for a sequence."""
    import numpy as np

    column = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):
        column[place] = value
    return column
