"""What every query of a database owes its readers, besides what each source does."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest

from batchord.core.errors import ConfigurationError
from batchord.core.run.records import Position
from batchord.sources.sql.engine import dispose_engines
from batchord.sources.sql.reader import open_source
from tests.contracts.source_tables import (
    DIALECTS,
    NOWHERE,
    Table,
    address,
    connected,
    flat,
    frames_of,
    keys_of,
    make_table,
    stored,
)


@pytest.fixture(scope="module", params=DIALECTS)
def source_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database, for what only queries owe."""
    yield address(request.param, request, tmp_path_factory)
    dispose_engines()


@pytest.fixture
def dated_table(source_url: str) -> Table:
    """A table with whole keys and instants."""
    return make_table(source_url, "bigint", "timestamptz")


def test_a_condition_chooses_the_newest_that_meet_it(dated_table: Table) -> None:
    """It is SQL over the query's columns; one that cannot be used is named."""
    source, expected = dated_table.opened("SELECT k, a, body, k + 1 AS next FROM {table}"), dated_table.positions()
    least = sorted(position.key for position in expected)[40]

    found = source.newest_with(f"next > {least} AND body LIKE '%:%' = (1 = 2) -- those", limit=5)

    assert list(found) == [position for position in expected if position.key >= least][-5:]
    with pytest.raises(ConfigurationError, match=r"The condition 'nothing = 1' cannot be used: .*k, a, body, next"):
        source.newest_with("nothing = 1", limit=5)


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
