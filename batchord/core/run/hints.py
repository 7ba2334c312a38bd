"""What usually causes an error of the author's code, as the error's text and the columns of the frame show it."""

import re
from collections.abc import Mapping

from batchord.core.run.failures import Failure
from batchord.core.text.similar import meant

#: What pandas says of a column that a frame lacks.
_NO_COLUMN = re.compile(
    r"KeyError: (?:\"?(?:None of )?\[(?:Index\(\[)?)?'([^'\n]+)'|"
    r"AttributeError: '\w*DataFrame' object has no attribute '(\w+)'"
)
_IN_PANDAS = re.compile(r"[/\\]pandas[/\\]")
#: What Python, NumPy and scikit-learn say of a value that is no number.
_NO_NUMBER = re.compile(
    r"could not convert string to float|could not convert .* to numeric|Unable to parse string|"
    r"float\(\) argument must be a string or|"
    r"not compatible with arrays of bytes/strings|DType.* could not be promoted by|invalid literal for int\(\)|"
    r"can't multiply sequence by non-int|unsupported operand type\(s\) for .*'str'"
)
_NUMBERS = re.compile(r"(u?int|float|bool|complex)", re.IGNORECASE)
#: The most columns that a hint names.
_MOST = 5


def hint_of(failure: Failure, *, index: str | None = None) -> str | None:
    """One sentence about the likely cause and the way to mend it; None if the error could be anything.

    A failure without columns is not of a model, and has none. ``index``: the name of the frame's index, if it is
    known; of several levels, all names with commas.
    """
    if failure.columns is None:
        return None
    # A dictionary of the author's raises a KeyError as well, but outside of pandas.
    missing = _NO_COLUMN.match(failure.error) if _IN_PANDAS.search(failure.traceback) else None
    name = missing and (missing[1] or missing[2])
    if name and name == index and name not in failure.columns:
        return f"The frame has no column {name!r}, because it is the key: write frame.index."
    if name and index and name in index.split(", ") and name not in failure.columns:
        level = f"frame.index.get_level_values({name!r})"
        return f"The frame has no column {name!r}, because it is a column of the key: write {level}."
    if name and name not in failure.columns:
        return f"The frame has no column {name!r}: {meant(name, failure.columns, listed='its columns are')}"
    return _hint_of_types(failure.columns) if _NO_NUMBER.search(failure.error) else None


def _hint_of_types(columns: Mapping[str, str]) -> str | None:
    others = {name: dtype for name, dtype in columns.items() if not _NUMBERS.match(dtype)}
    if not others:
        return None
    named = ", ".join(f"{name} ({dtype})" for name, dtype in list(others.items())[:_MOST])
    more = f" and {len(others) - _MOST:,} more" if len(others) > _MOST else ""
    first = next(iter(others))
    return (
        f"Columns of the frame that are no numbers: {named}{more}. Where the model needs a number, cast the column in "
        f"the source's SQL, such as CAST({first} AS double precision) AS {first}, or give the SqlSource "
        f"dtypes={{{first!r}: 'float64'}}, which rejects the records whose value is no number."
    )
