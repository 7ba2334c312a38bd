"""Predictions as a Parquet file, by pyarrow."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
_TEXTS = (ColumnType.TEXT, ColumnType.JSON)


class _Groups:
    """Collects rows and writes them as row groups."""

    def __init__(self, writer: "pq.ParquetWriter", columns: Sequence[Column]) -> None:
        self._writer = writer
        self._texts = [place for place, column in enumerate(columns) if column.type in _TEXTS]
        self._rows: list[Sequence[Any]] = []
        self._characters = 0

    def write(self, row: Sequence[Any]) -> None:
        """See the protocol."""
        self._rows.append(row)
        self._characters += sum([len(row[place] or "") for place in self._texts])
        if len(self._rows) >= GROUP_ROWS or self._characters >= GROUP_CHARACTERS:
            self.end_group()

    def end_group(self) -> None:
        """Writes the rows that it holds."""
        if not self._rows:
            return
        import pyarrow as pa

        schema = self._writer.schema
        columns = zip(*self._rows, strict=True)
        arrays = [pa.array(values, type=kind) for values, kind in zip(columns, schema.types, strict=True)]
        self._writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema), row_group_size=len(self._rows))
        self._rows, self._characters = [], 0


@contextmanager
def parquet_rows(sink: Sink, columns: Sequence[Column]) -> Iterator[_Groups]:
    """Parquet. Times have their zone, numbers are numbers, and JSON is text."""
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
        ColumnType.TIME: pa.timestamp("us", tz="UTC"),
        ColumnType.JSON: pa.string(),
    }
    return pa.schema([(column.name, types[column.type]) for column in columns])
