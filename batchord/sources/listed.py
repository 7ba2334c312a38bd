"""A reader for records that a Python function lists from first to last, such as those of files.

Each read goes through all records. A kind with a faster way to a range writes its own
:class:`~batchord.core.declared.source_reader.SourceReader`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from batchord.core.declared.source_reader import Fetched, SourceReader, in_chunks, in_order
from batchord.core.errors import BatchordError, ConfigurationError, DataError, TransientError
from batchord.core.process.exhaustion import is_exhaustion
from batchord.core.run.records import Position, Rejection, Scalar
from batchord.core.text.error_text import error_text


class Record(NamedTuple):
    """One record of a source."""

    key: Scalar
    #: The values of its columns; or the reason why it cannot be predicted.
    values: Mapping[str, Any] | DataError
    #: What orders the record; None if the key orders it.
    arrival: Scalar | None = None

    @property
    def position(self) -> Position:
        """The position of the record."""
        return Position(arrival=self.arrival, key=self.key)


class ListedReader(SourceReader):
    """Reads the records that a function lists in ascending order of arrival and key, as Python compares them.

    If a record lacks a column, the frame has a missing value there.

    An OSError of the function becomes a TransientError; any other error becomes a ConfigurationError.
    """

    def __init__(self, records: Callable[[], Iterable[Record]], *, key: str) -> None:
        """``key``: the name of the frames' index."""
        self._records = records
        self._key = key
        self._interrupted = False

    def interrupt(self) -> None:
        """See the port. The read ends between two records."""
        self._interrupted = True

    def keys(self, *, after: Position | None, chunk_rows: int) -> Iterator[Sequence[Position]]:
        """See the port."""
        positions = (record.position for record in self._listed())
        above = (each for each in positions if after is None or in_order(each) > in_order(after))
        return in_chunks(above, chunk_rows)

    def rows(
        self, *, first: Position, last: Position, chunk_rows: int, columns: Sequence[str] | None = None
    ) -> Iterator[Fetched]:
        """See the port."""
        for records in in_chunks(self._between(in_order(first), in_order(last)), chunk_rows):
            yield self._fetched(records, columns)

    def _between(self, first: tuple[Scalar, ...], last: tuple[Scalar, ...]) -> Iterator[Record]:
        for record in self._listed():
            place = in_order(record.position)
            if place > last:
                return
            if place >= first:
                yield record

    def _listed(self) -> Iterator[Record]:
        """All records. Checks their order."""
        before: Position | None = None
        try:
            for record in self._records():
                self._check(record.position, before)
                yield record
                before = record.position
        except BatchordError:
            raise
        except OSError as error:
            raise TransientError(f"The source cannot be read now: {error_text(error)}") from error
        except Exception as error:
            if is_exhaustion(error):
                raise
            raise ConfigurationError(f"The source cannot be read: {error_text(error)}") from error

    def _check(self, position: Position, before: Position | None) -> None:
        if self._interrupted:
            raise TransientError("The source is read no further: the work that read it is over.")
        if before is not None and not in_order(position) > in_order(before):
            raise ConfigurationError(
                f"The source lists {position.to_json()} after {before.to_json()}: list records in ascending order of "
                "arrival and key, each key once."
            )

    def _fetched(self, records: Sequence[Record], columns: Sequence[str] | None) -> Fetched:
        from batchord.sources.frames import frame_of
        from batchord.sources.series import ColumnType

        good: list[tuple[Scalar, Mapping[str, Any]]] = []
        refused: list[Rejection] = []
        for key, values, _ in records:
            if isinstance(values, DataError):
                refused.append(Rejection(key=key, reason=values.reason, detail=str(values)))
            else:
                good.append((key, values))
        # The columns in the order in which the records first have them.
        given = dict.fromkeys(name for _, values in good for name in values) if columns is None else columns
        names = [name for name in given if name != self._key]
        rows = [(key, *(values.get(name) for name in names)) for key, values in good]
        frame, rejections = frame_of(rows, {name: ColumnType() for name in names}, self._key)
        return Fetched(frame, [*refused, *rejections])
