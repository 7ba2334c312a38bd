"""The formats of a file of predictions, and how its name says one."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from batchord.core.errors import ConfigurationError
from batchord.core.process.extras import Extra, require
from batchord.core.run.exported import Column
from batchord.exports.sink import Sink


class Format(StrEnum):
    """A format, by the ending of the names of its files."""

    PARQUET = "parquet"
    CSV = "csv"
    JSONL = "jsonl"


class RowWriter(Protocol):
    """Writes rows into a file, one after the other. It holds few of them."""

    def write(self, row: Sequence[Any]) -> None:
        """Writes a row: for each column None, str, int, float, bool, date, an aware datetime in UTC, or a list of such.

        Raises OSError if the file cannot take it.
        """


def format_of(file: Path) -> Format:
    """The format that the file's name says. Raises ConfigurationError if it says none."""
    ending = file.suffix.lower().removeprefix(".")
    if ending in list(Format):
        return Format(ending)
    endings = ", ".join(f".{each}" for each in Format)
    is_named = f"ends in .{ending}, which is no format" if ending else "has no ending"
    raise ConfigurationError(f"{file} {is_named}: let it end in one of {endings}, or name the format with --format.")


def require_format(chosen: Format) -> None:
    """Raises MissingExtra if this environment cannot write the format."""
    if chosen is Format.PARQUET:
        require(Extra.PARQUET, for_what="Parquet")


def writing(
    chosen: Format, sink: Sink, columns: Sequence[Column], *, for_people: bool = False
) -> AbstractContextManager[RowWriter]:
    """A writer of rows into ``sink``, which has all of them after the block.

    ``for_people``: for a terminal. Then a row is one line, and nothing in it controls the terminal. A file in Parquet
    is for programs only.
    """
    if chosen is Format.PARQUET:
        from batchord.exports.parquet import parquet_rows

        return parquet_rows(sink, columns)
    from batchord.exports.texts import csv_rows, jsonl_rows

    return (csv_rows if chosen is Format.CSV else jsonl_rows)(sink, columns, for_people=for_people)
