"""Writes keys of a model's output as columns with a type, as texts that PostgreSQL reads.

What does not fit costs its own record: it is found here, and not by the server, which would refuse the whole batch.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from batchord.core.errors import DataError
from batchord.core.run.output_types import OutputColumn, OutputType
from batchord.core.text.counts import counted
from batchord.core.text.error_text import error_text
from batchord.flow.predict.typed_values import Write, as_float, unfitting, writer_for

if TYPE_CHECKING:
    import pandas as pd

#: Types whose texts have nothing that a list or COPY must escape.
_PLAIN = ("boolean", "smallint", "integer", "bigint", "real", "double precision", "numeric", "date", "uuid")
_FLOATS = ("real", "double precision")
_MOST_HALF = 65_504.0

#: The columns' texts by their names, and the errors of records by their places.
Typed = tuple[dict[str, list[str | None]], dict[int, DataError]]


def typed_columns(
    returned: "pd.DataFrame",
    columns: Iterable[OutputColumn],
    *,
    as_json: Callable[[Any], Any],
    is_missing: Callable[[Any], bool],
) -> Typed:
    """The declared columns that the model has returned."""
    typed: dict[str, list[str | None]] = {}
    reasons: dict[int, DataError] = {}
    for column in columns:
        if column.name not in returned.columns:
            continue
        write = _Writer(column.type, as_json, is_missing).write
        texts: list[str | None] = []
        for place, value in enumerate(returned[column.name].tolist()):
            text = None
            try:
                text = write(value)
            except DataError as error:
                reasons[place] = DataError(error.reason, f"column {column.name} ({column.type}): {error}")
            except Exception as error:  # noqa: BLE001 -- a value may raise anything, such as one that holds itself
                reasons[place] = unfitting(f"column {column.name} ({column.type}): {error_text(error)}")
            texts.append(text)
        typed[column.name] = texts
    return typed, reasons


class _Writer:
    """Writes the values of one column. Each of its methods gives None for a missing value, or raises DataError."""

    def __init__(self, kind: OutputType, as_json: Callable[[Any], Any], is_missing: Callable[[Any], bool]) -> None:
        self._kind = kind
        self._is_missing = is_missing
        self._single: Write | None = None if kind.is_vector else writer_for(kind, as_json=as_json)
        self.write = self._many if kind.is_list or kind.is_vector else self._one

    def _one(self, value: Any) -> str | None:
        if self._is_missing(value):
            return None
        if isinstance(value, DataError):  # the model itself rejects this record
            raise DataError(value.reason, str(value))
        assert self._single is not None  # noqa: S101 -- a vector is no single value
        return self._single(_unboxed(value))

    def _many(self, value: Any) -> str | None:
        if value is None or (not hasattr(value, "__len__") and self._is_missing(value)):
            return None
        if isinstance(value, DataError):
            raise DataError(value.reason, str(value))
        values = _members(value)
        if self._kind.is_vector:
            return _vector(values, self._kind)
        numbers = _floats(values) if self._kind.base in _FLOATS else None
        if numbers is not None:
            return f"{{{_as_text(numbers, self._kind.base)}}}"
        return f"{{{','.join(map(self._member, values))}}}"

    def _member(self, value: Any) -> str:
        if _is_nan(value):
            raise unfitting("the list holds nan")
        text = self._one(value)
        if text is None:
            return "NULL"
        return text if self._kind.base in _PLAIN else _quoted(text)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value  # noqa: PLR0124 -- NaN


def _unboxed(value: Any) -> Any:
    """One of numpy's scalars as Python's own value; any other value as it is."""
    return value.item() if getattr(value, "shape", None) == () and hasattr(value, "item") else value


def _members(value: Any) -> Any:
    """The members of a list, a tuple or an array of one dimension; an array of numbers stays one."""
    if isinstance(value, list | tuple):
        return value
    shape = getattr(value, "shape", None)
    if shape is not None and len(shape) != 1:
        raise unfitting(f"it has {counted(len(shape), 'dimension')}, not 1")
    if shape is None or not hasattr(value, "tolist"):
        raise unfitting(f"a value of the type {type(value).__name__} is no list")
    return value if getattr(getattr(value, "dtype", None), "kind", "") == "f" else value.tolist()


def _floats(values: Any) -> Any:
    """The members as an array of double precision; None if they are not all numbers. Raises DataError for NaN."""
    import numpy as np

    if not len(values) or (isinstance(values, list | tuple) and not set(map(type, values)) <= {float, int}):
        return None
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except OverflowError:
        return None
    if not np.isfinite(numbers).all():
        raise unfitting(f"the list holds {float(numbers[~np.isfinite(numbers)][0])}")
    return numbers


def _as_text(numbers: Any, base: str) -> str:
    if base == "double precision":
        return repr(numbers.tolist())[1:-1]
    import numpy as np

    with np.errstate(over="ignore", under="ignore"):
        narrow = numbers.astype(np.float32)
    if not np.isfinite(narrow).all():
        raise unfitting("the list holds a number beyond the range of real")
    # Nine digits tell each number of this type from all others; one call writes them all.
    return ("%.9g," * len(narrow) % tuple(narrow.tolist()))[:-1]


def _vector(values: Any, kind: OutputType) -> str:
    import numpy as np

    if len(values) != kind.sizes[0]:
        raise unfitting(f"the vector has {counted(len(values), 'number')}, not {kind.sizes[0]:,}")
    numbers = _floats(values)
    if numbers is None:
        numbers = np.asarray([as_float(_unboxed(value)) for value in values], dtype=np.float64)
    if kind.base == "halfvec" and (np.abs(numbers) > _MOST_HALF).any():
        raise unfitting("the vector holds a number beyond the range of halfvec")
    return f"[{_as_text(numbers, 'real')}]"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
