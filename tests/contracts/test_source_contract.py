"""What every source owes its readers, in every kind of place, for every kind of key and arrival."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone

import pandas as pd
import pytest

from batchord.core.declared.source_reader import Fetched
from batchord.core.errors import ConfigurationError
from batchord.core.run.records import Position, record_key
from batchord.sources.sql.engine import dispose_engines
from batchord.sources.sql.reader import open_source
from tests.contracts.source_tables import (
    ARRIVAL_KINDS,
    DIALECTS,
    FURTHER_DATABASE,
    KEY_KINDS,
    NOWHERE,
    PLACES,
    Records,
    Table,
    connected,
    make_records,
    make_table,
)


def _address(kind: str, request: pytest.FixtureRequest, folders: pytest.TempPathFactory) -> str:
    if kind == "postgresql":
        create: Callable[[str | None], str] = request.getfixturevalue("create_database")
        return create(None)
    if kind == "sqlite":
        return f"sqlite:///{folders.mktemp('source') / 'records.sqlite'}"
    return FURTHER_DATABASE if kind == "further" and FURTHER_DATABASE is not None else kind


@pytest.fixture(scope="module", params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One database for all tables of a dialect, or what stands for another kind; each test makes its own records."""
    yield _address(request.param, request, tmp_path_factory)
    dispose_engines()


@pytest.fixture(scope="module", params=DIALECTS)
def source_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database, for what only queries owe."""
    yield _address(request.param, request, tmp_path_factory)
    dispose_engines()


@pytest.fixture(params=[(key, arrival) for key in KEY_KINDS for arrival in ARRIVAL_KINDS], ids=str)
def records(request: pytest.FixtureRequest, place: str) -> Records:
    """57 records of one kind."""
    return make_records(place, *request.param)


@pytest.fixture
def dated(place: str) -> Records:
    """Records with whole keys and instants."""
    return make_records(place, "bigint", "timestamptz")


@pytest.fixture
def dated_table(source_url: str) -> Table:
    """A table with whole keys and instants."""
    return make_table(source_url, "bigint", "timestamptz")


def flat(chunks: Iterable[Sequence[Position]]) -> list[Position]:
    """All positions of all chunks."""
    return [position for chunk in chunks for position in chunk]


def keys_of(parts: Iterable[Fetched]) -> list[object]:
    """The keys of all frames, as the index gives them; nothing is rejected."""
    frames = frames_of(parts)
    return [key for frame in frames for key in frame.index]


def frames_of(parts: Iterable[Fetched]) -> list[pd.DataFrame]:
    """The frames of all parts, of which nothing is rejected."""
    frames = []
    for frame, rejections in parts:
        assert rejections == []
        frames.append(frame)
    return frames


def stored(position: Position) -> Position:
    """The position after a stay in the ledger."""
    return Position.from_json(json.loads(json.dumps(position.to_json())))


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


def test_a_condition_chooses_the_newest_that_meet_it(dated_table: Table) -> None:
    """It is SQL over the query's columns; one that cannot be used is named."""
    source, expected = dated_table.opened("SELECT k, a, body, k + 1 AS next FROM {table}"), dated_table.positions()
    least = sorted(position.key for position in expected)[40]

    found = source.newest_with(f"next > {least} AND body LIKE '%:%' = (1 = 2) -- those", limit=5)

    assert list(found) == [position for position in expected if position.key >= least][-5:]
    with pytest.raises(ConfigurationError, match=r"The condition 'nothing = 1' cannot be used: .*k, a, body, next"):
        source.newest_with("nothing = 1", limit=5)


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


def test_only_the_audit_sees_records_without_arrival(dated_table: Table) -> None:
    """They have no place in the order of arrival, come last, and can be read as a range of their own."""
    with_arrival = dated_table.positions()
    dated_table.insert((1001, None), (1000, None), (None, with_arrival[0].arrival))
    source = dated_table.opened()
    undated = [Position(arrival=None, key=1000), Position(arrival=None, key=1001)]
    assert source.greatest_position() == with_arrival[-1]
    assert flat(source.keys(after=None, chunk_rows=10)) == with_arrival
    assert flat(source.keys_for_audit(chunk_rows=10)) == with_arrival + undated
    assert source.count_without_key() == 1
    assert keys_of(source.rows(first=undated[0], last=stored(undated[1]), chunk_rows=1)) == [1000, 1001]
    across = keys_of(source.rows(first=with_arrival[-2], last=undated[0], chunk_rows=10))
    assert across == [with_arrival[-2].key, with_arrival[-1].key, 1000]


def test_records_that_no_run_can_read_have_examples(dated_table: Table) -> None:
    """By the column that is NULL, with at most as many keys as were asked for; a record without a key has none."""
    arrival = dated_table.positions()[0].arrival
    assert dated_table.opened().unplaced(most=2) == []
    dated_table.insert((1001, None), (1000, None), (1002, None), (None, arrival))
    source = dated_table.opened()
    found = {each.column: each.keys for each in source.unplaced(most=5)}
    assert {column: sorted(keys) for column, keys in found.items()} == {"a": [1000, 1001, 1002], "k": []}
    assert [len(each.keys) for each in source.unplaced(most=2)] == [2, 0]


@pytest.mark.parametrize("chunk_rows", [1, 100])
def test_a_key_that_comes_twice_is_one_record_and_rejected(dated_table: Table, chunk_rows: int) -> None:
    """A join that multiplies records costs these, within a chunk and across its border, and no other."""
    doubled = "SELECT r.* FROM {table} AS r JOIN (SELECT 1 AS n UNION ALL SELECT 2) AS twice ON r.k = 48 OR n = 1"
    key = dated_table.positions()[20].key
    source = dated_table.opened(doubled.replace("48", str(key)))
    expected = dated_table.positions()
    assert flat(source.keys(after=None, chunk_rows=chunk_rows)) == expected
    parts = list(source.rows(first=expected[0], last=expected[-1], chunk_rows=chunk_rows))
    assert [each for frame, _ in parts for each in frame.index] == [each.key for each in expected if each.key != key]
    (rejection,) = (each for _, rejections in parts for each in rejections)
    assert (rejection.key, rejection.reason) == (key, "duplicate-key")
    assert f"the source gives k={key} 2 times" in rejection.detail


def test_the_authors_sql_reaches_the_database_as_written(dated_table: Table) -> None:
    """Percent signs, colons in literals, a closing semicolon and a comment at the end change nothing."""
    sql = "SELECT k, a, '12:30 :x 100%s' AS body FROM {table} WHERE body LIKE 'text%' AND body <> ':y' {end}"
    expected = dated_table.positions()
    for end in (" ; ", "-- all of them"):
        source = dated_table.opened(sql.replace("{end}", end))
        (frame,) = frames_of(source.rows(first=expected[0], last=expected[-1], chunk_rows=100))
        assert set(frame["body"]) == {"12:30 :x 100%s"}
        assert len(frame) == 57


def test_the_window_fills_the_authors_parameters(source_url: str) -> None:
    """Its ends are instants: a start that equals a record's arrival includes it, an end does not."""
    table = make_table(source_url, "bigint", "timestamp")
    arrivals = sorted({str(position.arrival) for position in table.positions()})
    start, end = (datetime.fromisoformat(arrivals[number]).replace(tzinfo=UTC) for number in (1, 3))
    sql = "SELECT * FROM {table} WHERE a >= :window_start AND a < :window_end"
    offset = timezone(timedelta(hours=5))
    source = open_source(table.source(sql), default_url=NOWHERE, window=(start.astimezone(offset), end))
    found = flat(source.keys(after=None, chunk_rows=100))
    assert found == table.positions()[10:30]
    assert source.greatest_position() == found[-1]
    with pytest.raises(ConfigurationError, match="this run has no window"):
        open_source(table.source(sql), default_url=NOWHERE)


def test_check_names_the_columns(dated_table: Table) -> None:
    """A key or an arrival that the query does not give is refused with a list of those that it gives."""
    assert dated_table.opened().check() == ("k", "body", "a")
    source = dated_table.opened("SELECT body, a FROM {table}")
    with pytest.raises(ConfigurationError, match=r"key='k' is not a column of its query: the query gives body, a\."):
        source.check()


def test_a_reader_that_stops_early_lets_go(dated_table: Table) -> None:
    """The cursor is closed with its iterator, so that the table can be dropped."""
    source = dated_table.opened()
    for _ in source.keys(after=None, chunk_rows=1):
        break
    for _ in source.rows(first=dated_table.positions()[0], last=dated_table.positions()[-1], chunk_rows=1):
        break
    with connected(dated_table.url) as connection:
        connection.exec_driver_sql(f"DROP TABLE {dated_table.name}")


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
