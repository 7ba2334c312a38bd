"""What a list of records gives beyond what every source owes its readers."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

import pytest

from batchord.core.declared.source_reader import Fetched, SourceReader
from batchord.core.errors import ConfigurationError, DataError, TransientError
from batchord.core.reasons import Reason
from batchord.sources.listed import ListedReader, Record

START = datetime(2026, 1, 1, tzinfo=UTC)
#: Three records of each of nineteen moments.
RECORDS = [
    Record(f"k{number:02}", {"body": f"text {number}", "number": number}, START + timedelta(hours=number // 3))
    for number in range(57)
]
POSITIONS = [record.position for record in RECORDS]


def reader(records: Iterable[Record] = RECORDS) -> SourceReader:
    """They are listed anew each time."""
    return ListedReader(lambda: records, key="key")


def flat(chunks: Iterable[Any]) -> list[Any]:
    """All of all chunks, none of which is empty."""
    listed = list(chunks)
    assert all(len(chunk) for chunk in listed)
    return list(chain.from_iterable(listed))


def test_the_greatest_position_is_of_the_present() -> None:
    """What a clock cannot have given yet is a stray; a source without records has no position."""
    assert reader().greatest_position() == POSITIONS[-1]
    future = Record("late", {}, datetime.now(UTC) + timedelta(days=3))
    strayed = reader([*RECORDS, future])
    assert strayed.greatest_position() == POSITIONS[-1]
    assert strayed.stray is not None
    assert strayed.stray.key == "late"
    assert strayed.lies_beyond(future.position)
    assert not strayed.lies_beyond(POSITIONS[-1])
    assert reader([]).greatest_position() is None


def test_many_ids_that_look_like_times_are_ids() -> None:
    """More of them than strays can be."""
    ids = [Record(number, {}) for number in (5, *range(4_000_000_000, 4_000_010_001))]
    assert reader(ids).greatest_position() == ids[-1].position
    assert reader(ids[:100]).greatest_position() == ids[0].position


def test_the_audit_sees_all_and_nothing_tells_of_transactions() -> None:
    """So there is no frontier without ``settle=``."""
    assert flat(reader().keys_for_audit(chunk_rows=10)) == POSITIONS
    assert (reader().count_without_key(), reader().settles_by_clock) == (0, False)
    assert (reader().transactions, reader().counter) == (None, None)


def _fetched(*records: Record, columns: tuple[str, ...] | None = None) -> Fetched:
    (fetched,) = reader(records).rows(
        first=records[0].position, last=records[-1].position, chunk_rows=10, columns=columns
    )
    return fetched


def test_a_record_that_cannot_be_read_costs_itself_alone() -> None:
    """It is rejected for the reason that the kind gives, or since its value fits no column."""
    broken = Record(2, DataError(Reason.UNREADABLE_VALUE, "no JSON"))
    frame, rejections = _fetched(Record(1, {"n": None}), broken, Record(3, {"n": 2**60}), Record(4, {"n": 4}))
    assert list(frame.index) == [1, 4]
    assert [(each.key, each.reason) for each in rejections] == [(2, "unreadable-value"), (3, "unfitting-value")]


def test_frames_have_the_columns_that_are_wanted() -> None:
    """What a record lacks is missing; the key is the index."""
    records = [Record(1, {"key": 1, "a": "x", "b": 1}), Record(2, {"key": 2, "c": "\ud800"})]
    assert list(_fetched(*records).frame.columns) == ["a", "b", "c"]
    frame, _ = _fetched(*records, columns=("c", "z"))
    assert list(frame.columns) == ["c", "z"]
    assert frame.isna().to_numpy().tolist() == [[True, True], [False, True]]


@pytest.mark.parametrize(
    "records",
    [
        [Record(2, {}), Record(1, {})],
        [Record(1, {}), Record(1, {})],
        [Record("a", {}, 2), Record("b", {}, 1)],
        [Record("a", {}), Record(1, {})],
    ],
    ids=["descending", "twice", "by arrival", "of two types"],
)
def test_records_out_of_order_are_refused(records: list[Record]) -> None:
    """Ranges of them would lose some."""
    with pytest.raises(ConfigurationError, match="The source"):
        list(reader(records).keys(after=None, chunk_rows=10))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError("the disk is away"), TransientError),
        (KeyError("id"), ConfigurationError),
        (TransientError("later"), TransientError),
        (MemoryError(), MemoryError),
    ],
)
def test_errors_of_the_function_leave_as_batchords(error: Exception, kind: type[Exception]) -> None:
    """With what they said; a lack of memory is the process's matter."""

    def records() -> Iterator[Record]:
        yield RECORDS[0]
        raise error

    with pytest.raises(kind) as raised:
        list(ListedReader(records, key="key").keys(after=None, chunk_rows=1))
    assert str(error).strip("'") in str(raised.value)


def test_a_reader_can_be_interrupted() -> None:
    """Between two records, also of a list that never ends."""

    def endless() -> Iterator[Record]:
        number = 0
        while True:
            yield Record(number := number + 1, {})

    source = ListedReader(endless, key="key")
    chunks = source.keys(after=None, chunk_rows=2)
    assert [each.key for each in next(chunks)] == [1, 2]
    source.interrupt()
    with pytest.raises(TransientError, match="read no further"):
        next(chunks)
