"""Predictions as a Parquet file, by pyarrow."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from batchord.core.run.exported import Column, ColumnType
from batchord.exports.sink import Sink

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

#: The most rows of a row group. A writer holds one group in memory, and so does a reader.
GROUP_ROWS = 50_000
#: The most characters of a row group, a little more with its last row: outputs may be long.
GROUP_CHARACTERS = 16 * 2**20
_TEXTS = (ColumnType.TEXT, ColumnType.JSON, ColumnType.DECIMAL)
#: The most digits of Parquet's decimal numbers of 128 bits.
_MOST_DIGITS = 38


class _Groups:
    """Collects rows and writes them as row groups."""

    def __init__(self, writer: "pq.ParquetWriter", columns: Sequence[Column]) -> None:
        self._writer = writer
        self._texts = [place for place, each in enumerate(columns) if each.type in _TEXTS and not each.is_list]
        self._lists = [place for place, column in enumerate(columns) if column.is_list]
        self._decimals = [place for place, column in enumerate(columns) if _is_decimal(column)]
        self._rows: list[Sequence[Any]] = []
        self._characters = 0

    def write(self, row: Sequence[Any]) -> None:
        """See the protocol."""
        self._rows.append(row)
        self._characters += sum([len(row[place] or "") for place in self._texts])
        for place in self._lists:
            self._characters += _characters(row[place] or [])
        if len(self._rows) >= GROUP_ROWS or self._characters >= GROUP_CHARACTERS:
            self.end_group()

    def end_group(self) -> None:
        """Writes the rows that it holds."""
        if not self._rows:
            return
        import pyarrow as pa

        schema = self._writer.schema
        columns: list[Sequence[Any]] = list(zip(*self._rows, strict=True))
        for place in self._decimals:
            columns[place] = _decimals(list(columns[place]))
        arrays = [pa.array(values, type=kind) for values, kind in zip(columns, schema.types, strict=True)]
        self._writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema), row_group_size=len(self._rows))
        self._rows, self._characters = [], 0


@contextmanager
def parquet_rows(sink: Sink, columns: Sequence[Column]) -> Iterator[_Groups]:
    """Parquet. Times have their zone, numbers are numbers, lists are lists, and JSON is text."""
    import pyarrow.parquet as pq

    writer = pq.ParquetWriter(sink, _schema(columns))
    groups = _Groups(writer, columns)
    try:
        yield groups
        groups.end_group()
    except BaseException:
        sink.let_go()  # pyarrow ends the file when the writer is closed or forgotten, and the file may be full
        raise
    finally:
        writer.close()


def _schema(columns: Sequence[Column]) -> "pa.Schema":
    import pyarrow as pa

    types = {
        ColumnType.TEXT: pa.string(),
        ColumnType.INTEGER: pa.int64(),
        ColumnType.NUMBER: pa.float64(),
        ColumnType.SINGLE: pa.float32(),
        ColumnType.DECIMAL: pa.string(),
        ColumnType.BOOLEAN: pa.bool_(),
        ColumnType.DATE: pa.date32(),
        ColumnType.TIME: pa.timestamp("us", tz="UTC"),
        ColumnType.JSON: pa.string(),
    }

    def type_of(column: Column) -> "pa.DataType":
        kind = pa.decimal128(*column.sizes) if _is_decimal(column) else types[column.type]
        return pa.list_(kind) if column.is_list else kind

    return pa.schema([(column.name, type_of(column)) for column in columns])


def _is_decimal(column: Column) -> bool:
    """Whether Parquet has the type. A number of unknown or more digits is a text, which loses none."""
    return column.type is ColumnType.DECIMAL and bool(column.sizes) and column.sizes[0] <= _MOST_DIGITS


def _decimals(value: Any) -> Any:
    if isinstance(value, list):
        return [_decimals(each) for each in value]
    return None if value is None else Decimal(value)


def _characters(value: Any) -> int:
    """About how many bytes the members of a list take."""
    return sum(map(_characters, value)) if isinstance(value, list) else len(value) if isinstance(value, str) else 8
