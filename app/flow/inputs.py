"""A frame of records becomes a frame that a model can take, and rejections for the rest."""

import hashlib
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from app.core.errors import ConfigurationError
from app.core.models import Model, SklearnModel
from app.core.ports import ImageStore
from app.core.records import Rejection

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """Records that are ready for the model, and those that never will be."""

    frame: "pd.DataFrame"
    #: 64-bit digests of the inputs, in the frame's order.
    digests: list[int]
    rejections: list[Rejection] = field(default_factory=list)


def prepare(frame: "pd.DataFrame", model: Model, images: ImageStore, *, arrival: str | None) -> Prepared:
    """Takes out what cannot be predicted, loads images, and digests the inputs.

    ``arrival`` is the column that orders records; an estimator that takes all columns is not given it.

    Raises TransientError and ConfigurationError of the image store, and ConfigurationError for a column
    that the source does not give.
    """
    rejections: list[Rejection] = []
    if isinstance(model, SklearnModel) and model.features is None and model.text is None and arrival in frame.columns:
        frame = frame.drop(columns=[arrival])
    if model.text is not None:
        frame, rejections = _usable_texts(frame, model)
    digests = digest_rows(frame, without=model.images.column if model.images else None)
    if model.images is not None:
        column = model.images.column
        _require(frame, column)
        loaded = images.read(frame[column], model.images)
        rejections += loaded.rejections
        keep = [key in loaded.images for key in frame.index]
        digests = [
            value ^ loaded.digests[key] for key, value in zip(frame.index, digests, strict=True) if key in loaded.images
        ]
        frame = frame[keep].copy()
        frame[column] = _objects([loaded.images[key] for key in frame.index])
    return Prepared(frame=frame, digests=digests, rejections=rejections)


def _usable_texts(frame: "pd.DataFrame", model: Model) -> tuple["pd.DataFrame", list[Rejection]]:
    column = model.text or ""
    _require(frame, column)
    rejections = []
    for key, text in zip(frame.index, frame[column], strict=True):
        if not isinstance(text, str):
            kind = "NULL" if text is None or text != text else f"of type {type(text).__name__}"  # noqa: PLR0124 -- NaN
            rejections.append(Rejection(key=key, reason="missing-text", detail=f"column {column} is {kind}"))
        elif model.empty == "reject" and not text.strip():
            rejections.append(Rejection(key=key, reason="empty-text", detail=f"column {column} holds no text"))
    if not rejections:
        return frame, []
    rejected = {rejection.key for rejection in rejections}
    return frame[[key not in rejected for key in frame.index]], rejections


def digest_rows(frame: "pd.DataFrame", *, without: str | None) -> list[int]:
    """A 64-bit digest of each row's values as signed integers; tells later whether an input has changed.

    Over Python's values, so that it does not depend on a row's company: pandas keeps a column of numbers as
    another type once one of them is missing, and its own hash follows.
    """
    columns = [frame[name].tolist() for name in frame.columns if name != without]
    return [_digest(row) for row in zip(*columns, strict=True)] if columns else [0] * len(frame)


def _digest(row: tuple[Any, ...]) -> int:
    plain = [None if _missing(value) else value for value in row]
    text = repr(plain).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big", signed=True)


def _missing(value: Any) -> bool:
    """None, NaN, NaT and pandas' NA; a list is never missing."""
    if value is None or isinstance(value, str | int):
        return value is None
    import pandas as pd

    return value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value))


def _require(frame: "pd.DataFrame", column: str) -> None:
    if column not in frame.columns:
        raise ConfigurationError(
            f"The source gives no column {column!r}, which the model reads: add it to the source's SQL. "
            f"It gives {', '.join(map(str, frame.columns))}."
        )


def _objects(values: list[Any]) -> Any:
    """A column of objects that pandas must not look into: an image is a sequence to it."""
    import numpy as np

    column = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):
        column[place] = value
    return column
