"""Predictions as lines of text: CSV and JSON lines, in UTF-8."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

from batchord.core.run.exported import Column, ColumnType
from batchord.core.text.visible import in_json, in_one_line
from batchord.exports.sink import Sink
from batchord.output.masking import mask

#: What must be in quotes, by RFC 4180.
_QUOTED = re.compile('[",\r\n]')
_LINE_END = "\r\n"


class _Lines:
    """Writes each row as the line that ``line_of`` makes of it."""

    def __init__(self, sink: Sink, line_of: Callable[[Sequence[Any]], str]) -> None:
        self._sink = sink
        self._line_of = line_of

    def write(self, row: Sequence[Any]) -> None:
        """See the protocol."""
        self._sink.write(self._line_of(row).encode())


@contextmanager
def csv_rows(sink: Sink, columns: Sequence[Column], *, for_people: bool) -> Iterator[_Lines]:
    """CSV as RFC 4180 has it, with a line of names. NULL is empty, and an empty text is two quotes.

    Python's own csv module can tell them apart only since Python 3.12. Values that a spreadsheet takes for formulas
    stay as they are.
    """
    # A reader skips an empty line: where there is only one column, NULL is two quotes as well.
    null = "" if len(columns) > 1 else '""'
    forms = [_in_csv(column) for column in columns]

    def line_of(row: Sequence[Any]) -> str:
        line = ",".join([null if value is None else form(value) for form, value in zip(forms, row, strict=True)])
        return f"{in_one_line(mask(line))}\n" if for_people else line + _LINE_END

    lines = _Lines(sink, line_of)
    sink.write((",".join(column.name for column in columns) + ("\n" if for_people else _LINE_END)).encode())
    yield lines


@contextmanager
def jsonl_rows(sink: Sink, columns: Sequence[Column], *, for_people: bool) -> Iterator[_Lines]:
    """One JSON object a line. Numbers are numbers, lists are lists, and a JSON column is a JSON value."""
    fields = [(f"{_encode(column.name)}: ", _in_json(column)) for column in columns]

    def line_of(row: Sequence[Any]) -> str:
        values = [
            name + ("null" if value is None else form(value)) for (name, form), value in zip(fields, row, strict=True)
        ]
        line = f"{{{', '.join(values)}}}"
        return f"{in_json(mask(line)) if for_people else line}\n"

    yield _Lines(sink, line_of)


def _quoted(text: str) -> str:
    if text and not _QUOTED.search(text):
        return text
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def _moment(value: datetime) -> str:
    """ISO 8601, always with microseconds: readers take the first time of a column for the form of all."""
    return value.isoformat(timespec="microseconds")


_encode = json.JSONEncoder(ensure_ascii=False).encode
_IN_CSV: dict[ColumnType, Callable[[Any], str]] = {
    ColumnType.TEXT: _quoted,
    ColumnType.INTEGER: str,
    ColumnType.NUMBER: repr,
    ColumnType.SINGLE: repr,
    ColumnType.DECIMAL: str,
    ColumnType.BOOLEAN: lambda value: "true" if value else "false",
    ColumnType.DATE: date.isoformat,
    ColumnType.TIME: _moment,
    ColumnType.JSON: _quoted,
}
_IN_JSON: dict[ColumnType, Callable[[Any], str]] = {
    ColumnType.TEXT: _encode,
    ColumnType.INTEGER: str,
    ColumnType.NUMBER: _encode,
    ColumnType.SINGLE: _encode,
    ColumnType.DECIMAL: str,
    ColumnType.BOOLEAN: _encode,
    ColumnType.DATE: lambda day: f'"{day.isoformat()}"',
    ColumnType.TIME: lambda moment: f'"{_moment(moment)}"',
    ColumnType.JSON: str,
}


def _in_csv(column: Column) -> Callable[[Any], str]:
    """How values of the column are written in CSV: a list as the text of a JSON value."""
    if not column.is_list:
        return _IN_CSV[column.type]
    as_json = _in_json(column)
    return lambda value: _quoted(as_json(value))


def _in_json(column: Column) -> Callable[[Any], str]:
    form = _IN_JSON[column.type]
    if not column.is_list:
        return form
    return lambda values: f"[{', '.join(['null' if each is None else form(each) for each in values])}]"
