"""What every source owes its readers, in every kind of place, for every kind of key and arrival."""

from collections.abc import Iterator

import pytest

from batchord.core.run.records import record_key
from batchord.sources.sql.engine import dispose_engines
from tests.contracts.pair_tables import make_pairs
from tests.contracts.source_tables import (
    ARRIVAL_KINDS,
    KEY_KINDS,
    LISTED,
    PLACES,
    Records,
    address,
    flat,
    frames_of,
    keys_of,
    make_records,
    stored,
)


@pytest.fixture(scope="module", params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One database for all tables of a dialect, or what stands for another kind; each test makes its own records."""
    yield address(request.param, request, tmp_path_factory)
    dispose_engines()


@pytest.fixture(params=[(key, arrival) for key in KEY_KINDS for arrival in ARRIVAL_KINDS], ids=str)
def records(request: pytest.FixtureRequest, place: str) -> Records:
    """57 records of one kind."""
    key, arrival = request.param
    return make_pairs(place, arrival) if key == "pair" and place != LISTED else make_records(place, key, arrival)


@pytest.fixture
def dated(place: str) -> Records:
    """Records with whole keys and instants."""
    return make_records(place, "bigint", "timestamptz")


def test_keys_are_all_positions_in_ascending_order(records: Records) -> None:
    """Nothing is missing, nothing is twice, and the order is the database's own."""
    source = records.opened()
    assert flat(source.keys(after=None, chunk_rows=10)) == records.positions()
    assert flat(source.keys_for_audit(chunk_rows=10)) == records.positions()
    greatest = source.greatest_position()
    # Among numbers of all sizes the largest look like times of the future.
    assert greatest == records.positions()[-1] or (source.stray and greatest in records.positions())


def test_keys_after_a_position_are_exactly_those_above_it(records: Records) -> None:
    """Also from among many keys of one arrival, and from a position that was stored as JSON."""
    source = records.opened()
    expected = records.positions()
    for number, position in enumerate(expected):
        assert flat(source.keys(after=stored(position), chunk_rows=100)) == expected[number + 1 :]


def test_the_source_compares_positions(records: Records) -> None:
    """In its own order, and only for a record that is there."""
    source = records.opened()
    expected = records.positions()
    for number in (0, 1, 9, 10, 30, 56):
        for limit in (0, 9, 10, 31, 56):
            assert source.at_or_below(stored(expected[number]), stored(expected[limit])) == (number <= limit)
    records.delete(*(position.key for position in expected))
    assert not source.at_or_below(expected[0], expected[1])


def test_records_are_found_by_the_texts_that_the_ledger_has_for_their_keys(records: Records) -> None:
    """One or several at once; a text that is nobody's key finds nothing."""
    source = records.opened()
    expected = records.positions()
    for position in expected[::7]:
        assert source.find([record_key(position.key)]) == [position]
    both = source.find(["nobody's key", *(record_key(position.key) for position in expected[:2])])
    assert sorted(both, key=expected.index) == expected[:2]
    assert source.find(["nobody's key", "-77", "7 apples"]) == []


def test_rows_are_the_range_with_both_ends(records: Records) -> None:
    """Every range gives its records with its first and its last, ascending."""
    source = records.opened()
    expected = records.positions()
    for first, last in ((0, 0), (0, 56), (3, 9), (9, 10), (12, 41), (56, 56)):
        parts = list(source.rows(first=stored(expected[first]), last=stored(expected[last]), chunk_rows=8))
        frames = frames_of(parts)
        assert keys_of(parts) == [position.key for position in expected[first : last + 1]]
        assert all(list(frame["body"]) == [f"text of {key}" for key in frame.index] for frame in frames)


def test_a_few_records_are_the_newest_or_that_of_a_key(records: Records) -> None:
    """A dry run chooses them, and reads them by their positions, however far apart these are."""
    source = records.opened()
    expected = records.positions()
    for limit in (1, 10, 57, 100):
        assert list(source.newest(limit=limit)) == expected[-limit:]
    for position in expected[::14]:
        assert list(source.find([record_key(position.key)])) == [position]
    assert list(source.find(["no such key"])) == []
    chosen = [expected[number] for number in (0, 9, 10, 56)]
    parts = list(source.records_at([stored(position) for position in chosen]))
    assert keys_of(parts) == [position.key for position in chosen]
    assert all(list(frame["body"]) == [f"text of {key}" for key in frame.index] for frame in frames_of(parts))


@pytest.mark.parametrize("chunk_rows", [1, 2, 56, 57, 58])
def test_chunks_hold_at_most_what_was_asked(dated: Records, chunk_rows: int) -> None:
    """A border between chunks loses and repeats nothing, and no chunk is empty."""
    source = dated.opened()
    expected = dated.positions()
    chunks = list(source.keys(after=None, chunk_rows=chunk_rows))
    parts = list(source.rows(first=expected[0], last=expected[-1], chunk_rows=chunk_rows))
    frames = frames_of(parts)
    full, rest = divmod(57, chunk_rows)
    assert (
        [len(chunk) for chunk in chunks]
        == [len(frame) for frame in frames]
        == [chunk_rows] * full + [rest] * (rest > 0)
    )
    assert flat(chunks) == expected
    assert keys_of(parts) == [position.key for position in expected]


@pytest.mark.parametrize("arrival", [None, "timestamptz"])
def test_an_empty_place_has_no_positions(place: str, arrival: str | None) -> None:
    """No record: no greatest position, no chunk, no frame."""
    source = make_records(place, "bigint", arrival, rows=0).opened()
    other = make_records(place, "bigint", arrival).positions()[0]
    assert source.greatest_position() is None
    assert list(source.keys(after=None, chunk_rows=10)) == []
    assert list(source.keys(after=other, chunk_rows=10)) == []
    assert list(source.keys_for_audit(chunk_rows=10)) == []
    assert list(source.rows(first=other, last=other, chunk_rows=10)) == []


def test_positions_are_the_range_with_both_ends(records: Records) -> None:
    """The same records as the rows of the range, ascending, in chunks of at most what was asked."""
    source = records.opened()
    expected = records.positions()
    for first, last in ((0, 0), (0, 56), (3, 9), (9, 10), (12, 41), (56, 56)):
        chunks = list(source.positions(first=stored(expected[first]), last=stored(expected[last]), chunk_rows=8))
        assert flat(chunks) == expected[first : last + 1]
        assert [len(chunk) for chunk in chunks[:-1]] == [8] * (len(chunks) - 1)
        frames = source.rows(first=expected[first], last=expected[last], chunk_rows=8)
        assert keys_of(frames) == [position.key for position in flat(chunks)]


def test_positions_follow_what_comes_into_a_range_and_goes_out_of_it(dated: Records) -> None:
    """Its ends need not be there any more; a range that holds nothing gives no chunk."""
    expected = dated.positions()
    source = dated.opened()
    dated.insert((1_000_000, expected[5].arrival))
    dated.delete(expected[3].key, expected[9].key)
    within = dated.positions()[3:9]
    assert 1_000_000 in [position.key for position in within]
    assert flat(source.positions(first=expected[3], last=expected[9], chunk_rows=4)) == within
    assert list(source.positions(first=expected[9], last=expected[3], chunk_rows=4)) == []
