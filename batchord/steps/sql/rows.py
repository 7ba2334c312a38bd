"""The result of a statement, as JSON."""

import math
from collections import Counter
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from batchord.core.errors import SqlFailed

#: The most rows that are handed on to later steps.
MOST_ROWS = 100
#: The most digits of a number: no float has more, and many readers of JSON take whole numbers for floats.
_MOST_DIGITS = 307
_COUNT_AT_ONCE = 1000


def output_of(result: sa.CursorResult[Any]) -> dict[str, Any]:
    """``row_count``, the number of rows returned or changed, and ``rows``, the first rows as dicts.

    Times are ISO 8601 texts, intervals seconds, numerics whole numbers or floats, arrays lists. Values that JSON or
    Python does not have (``infinity``, a year before our era) are PostgreSQL's text.

    Raises SqlFailed for bytes, and for two columns of one name.
    """
    if not result.returns_rows:
        return {"row_count": max(0, result.rowcount), "rows": []}
    names = list(result.keys())
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise SqlFailed(f"The last statement gives the column {twice[0]!r} twice: give each a name of its own (AS).")
    count = result.rowcount
    fetched = result.fetchmany(MOST_ROWS)
    if count < 0:  # this driver does not know the number before all rows are fetched
        count = len(fetched) + sum(len(part) for part in result.partitions(_COUNT_AT_ONCE))
    result.close()
    rows = [{name: _json(value, name) for name, value in zip(names, row, strict=True)} for row in fetched]
    return {"row_count": count, "rows": rows}


def _json(value: Any, column: str) -> Any:  # noqa: PLR0911 -- one line for each kind of value
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes | bytearray | memoryview):
        raise SqlFailed(
            f"The last statement's column {column!r} holds bytes, which cannot be handed on to other steps: leave it "
            "out, or convert it to text, such as encode(column, 'hex')."
        )
    if isinstance(value, dict):
        return {str(key): _json(each, column) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_json(each, column) for each in value]
    return str(value)


def _number(value: Decimal) -> int | float | str:
    if not value.is_finite() or value.adjusted() > _MOST_DIGITS:
        return str(value)
    return int(value) if value == value.to_integral_value() else float(value)
