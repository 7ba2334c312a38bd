"""Discovery inside the database, where source and ledger are one: the same records as by looking up each key."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.dialects import postgresql
from sqlalchemy.pool import NullPool

from batchord.core.errors import ConfigurationError
from batchord.core.run.records import Position, record_key
from batchord.core.run.shards import ShardRange
from batchord.sources.sql import SqlSource
from batchord.sources.sql.engine import dispose_engines
from batchord.sources.sql.outcomes import find_outcomes
from batchord.sources.sql.reader import SqlRecords, open_source
from batchord.sources.sql.statements import Statements

ROWS = 7
#: The table of the step's predictions.
OWN = "batchord_results.p__predict"
RECORDS = 40
#: Every kind of key that is looked up inside: its type, and its value for record n, n * 7 % 41 to mix the order.
KEYS = {
    "bigint": "n * 7 % 41",
    "smallint": "n * 7 % 41 - 20",
    "uuid": "lpad(to_hex(n * 7 % 41), 32, 'a')::uuid",
    "text": "'key ' || n * 7 % 41 || E'\\t\\\\'",
    "varchar(20)": "n * 7 % 41",
}


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    """In the ledger's database."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection
    dispose_engines()


def opened(database_url: str, sql: str = "SELECT k, a, body FROM records", **more: Any) -> SqlRecords:
    """The table as a source."""
    return open_source(SqlSource(sql, **{"key": "k", "arrival": "a", **more}), default_url=database_url)


def fill(connection: psycopg.Connection, key_type: str, key: str) -> None:
    """RECORDS records, some of them of one moment."""
    connection.execute(f"CREATE TABLE records (k {key_type}, a timestamptz, body text)".encode())
    connection.execute(
        f"INSERT INTO records SELECT ({key})::{key_type}, timestamptz '2026-01-01' + n / 3 * interval '1 s', 'x' "  # noqa: S608
        f"FROM generate_series(1, {RECORDS}) AS n".encode()
    )


def account(
    connection: psycopg.Connection, *keys: Any, table: str = "earlier_predictions", step: str = "predict"
) -> None:
    """Writes outcomes, as if these keys had been predicted or rejected."""
    columns, values = ("reason, detail, attempts", "'r', 'd', 1") if table == "rejections" else ("attempt", "1")
    for key in keys:
        if table == OWN:
            connection.execute(f"INSERT INTO {OWN} (k, writer) VALUES (%s, 1)".encode(), [key])  # noqa: S608
            continue
        connection.execute(
            f"INSERT INTO batchord.{table} (pipeline, step, record_key, model_version, run_id, shard, {columns}) "  # noqa: S608
            f"VALUES ('p', %s, %s, 'v', gen_random_uuid(), 0, {values})".encode(),
            [step, record_key(key)],
        )


@pytest.mark.parametrize("arrival", ["a", None], ids=["with an arrival", "by the key"])
@pytest.mark.parametrize("table", ["earlier_predictions", OWN])
@pytest.mark.parametrize("key_type", KEYS)
def test_pieces_are_what_looking_up_each_key_gives(
    connection: psycopg.Connection, database_url: str, key_type: str, arrival: str | None, table: str
) -> None:
    """Ranges that follow each other, counts of what neither predictions nor rejections of the step hold."""
    fill(connection, key_type, KEYS[key_type])
    source = opened(database_url, arrival=arrival)
    assert source.counter is source
    (every,) = source.keys(after=None, chunk_rows=1000)
    predicted, rejected = [every[n].key for n in (0, 3, 4, *range(14, 21), 39)], [every[5].key]
    if table == OWN:
        connection.execute("SELECT batchord.make_results('p', 'predict', 'k', %s)", [source.key_type])
    account(connection, *predicted, table=table)
    account(connection, *rejected, table="rejections")
    account(connection, every[1].key, step="another")
    for after in (None, every[9]):
        above = [position for position in every if after is None or every.index(position) > 9]
        pieces = source.pieces(after=after, pipeline="p", step="predict", rows=ROWS)
        assert pieces is not None
        found = [(piece.first, piece.last, piece.planned, piece.places) for piece in pieces]
        assert found == [
            (
                part[0],
                part[-1],
                sum(position.key not in {*predicted, *rejected} for position in part),
                (start, start + len(part) - 1),
            )
            for start, part in ((at, above[at : at + ROWS]) for at in range(0, len(above), ROWS))
        ]


def test_slices_of_pieces_follow_each_other(
    connection: psycopg.Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many it takes, and whether the last one is full or not; places go on from one to the next."""
    fill(connection, "bigint", KEYS["bigint"])
    source = opened(database_url)
    account(connection, 7, 14, 21)

    def found(rows: int) -> list[ShardRange]:
        return list(source.pieces(after=None, pipeline="p", step="predict", rows=rows) or [])

    for rows in (1, ROWS, 10):
        whole = found(rows)
        for pieces in (1, 2, RECORDS // rows):
            monkeypatch.setattr("batchord.sources.sql.pieces._SLICE", pieces)
            assert found(rows) == whole
        monkeypatch.undo()
        assert [each for piece in whole for each in piece.places or ()][-1] == RECORDS - 1


def test_no_more_is_read_than_a_run_can_take(
    connection: psycopg.Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever stops after the first slice has not asked for the second."""
    fill(connection, "bigint", "n")
    monkeypatch.setattr("batchord.sources.sql.pieces._SLICE", 1)
    asked: list[Position | None] = []
    fresh_in_pieces = Statements.fresh_in_pieces

    def counted(self: Statements, after: Position | None, *given: Any) -> Any:
        asked.append(after)
        return fresh_in_pieces(self, after, *given)

    monkeypatch.setattr(Statements, "fresh_in_pieces", counted)
    pieces = opened(database_url).pieces(after=None, pipeline="p", step="predict", rows=ROWS)
    assert pieces is not None
    assert next(pieces).planned == ROWS
    assert asked == [None]
    assert next(pieces).planned == ROWS
    assert len(asked) == 2


def test_columns_may_have_any_names(connection: psycopg.Connection, database_url: str) -> None:
    """Also those that come to mind for a place in an order."""
    connection.execute(
        "CREATE TABLE records AS SELECT n AS place, now() AS final, '' AS twice FROM generate_series(1, 9) n"
    )
    source = opened(database_url, "SELECT place, final, twice FROM records", key="place", arrival="final")
    pieces = source.pieces(after=None, pipeline="p", step="predict", rows=ROWS)
    assert pieces is not None
    assert [piece.planned for piece in pieces] == [7, 2]


def test_keys_of_another_collation_are_compared_as_the_ledger_does(
    connection: psycopg.Connection, database_url: str
) -> None:
    """Which PostgreSQL would not do by itself, or would do by the column's rules."""
    connection.execute('CREATE TABLE records (k text COLLATE "C", a timestamptz, body text)')
    connection.execute("INSERT INTO records VALUES ('abc', now(), ''), ('ABC', now(), '')")
    account(connection, "ABC")
    pieces = opened(database_url).pieces(after=None, pipeline="p", step="predict", rows=ROWS)
    assert pieces is not None
    assert [piece.planned for piece in pieces] == [1]


def test_no_records_are_no_pieces(connection: psycopg.Connection, database_url: str) -> None:
    """An empty table, and one whose records have no key or no arrival."""
    connection.execute("CREATE TABLE records (k bigint, a timestamptz, body text)")
    source = opened(database_url)
    for _ in range(2):
        pieces = source.pieces(after=None, pipeline="p", step="predict", rows=ROWS)
        assert pieces is not None
        assert list(pieces) == []
        connection.execute("INSERT INTO records VALUES (NULL, now(), ''), (1, NULL, '')")


def test_a_key_that_comes_twice_is_one_record(connection: psycopg.Connection, database_url: str) -> None:
    """Wherever in a piece; its rows take places, so that nobody takes the shard for untouched."""
    fill(connection, "bigint", "n")
    source = opened(
        database_url, "SELECT r.k, r.a FROM records r JOIN (VALUES (1), (2), (3)) AS v (i) ON v.i = 1 OR r.k > 11"
    )
    pieces = source.pieces(after=None, pipeline="p", step="predict", rows=ROWS)
    assert pieces is not None
    found = list(pieces)
    assert sum(piece.planned for piece in found) == RECORDS
    assert [piece.dense for piece in found].count(True) < len(found)


@pytest.mark.parametrize("key_type", ["numeric", "timestamptz", "bytea", "char(4)", "double precision"])
def test_keys_whose_text_is_another_there_are_looked_up_one_by_one(
    connection: psycopg.Connection, database_url: str, key_type: str
) -> None:
    """As long as rows of older versions may be there, which wrote another text of them."""
    connection.execute(f"CREATE TABLE records (k {key_type}, a timestamptz, body text)".encode())
    assert opened(database_url).pieces(after=None, pipeline="p", step="predict", rows=ROWS) is None


def test_a_key_that_the_ledger_shortens_is_looked_up_one_by_one(
    connection: psycopg.Connection, database_url: str
) -> None:
    """And all others with it."""
    connection.execute("CREATE TABLE records AS SELECT repeat('k', 500) AS k, now() AS a, '' AS body")
    source = opened(database_url)
    assert source.pieces(after=None, pipeline="p", step="predict", rows=ROWS) is not None
    connection.execute("INSERT INTO records VALUES (repeat('k', 501), now(), '')")
    assert source.pieces(after=None, pipeline="p", step="predict", rows=ROWS) is None


def test_a_source_elsewhere_is_looked_up_one_by_one(
    connection: psycopg.Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named by its own address, even where that is the ledger's."""
    fill(connection, "bigint", "n")
    monkeypatch.setenv("RECORDS_URL", database_url)
    for more in ({"url": database_url}, {"url_env": "RECORDS_URL"}):
        assert opened(database_url, **more).counter is None


def test_a_position_of_another_order_is_refused(connection: psycopg.Connection, database_url: str) -> None:
    """As for keys."""
    fill(connection, "bigint", "n")
    with pytest.raises(ConfigurationError, match="the source had another order when the position was stored"):
        opened(database_url).pieces(after=Position(arrival=None, key=1), pipeline="p", step="predict", rows=ROWS)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from _nodes(part)


@pytest.mark.parametrize("table", ["earlier_predictions", "rejections"])
@pytest.mark.parametrize("known", [300, 3000])
def test_what_is_known_is_looked_up_by_key_before_its_rows_were_counted(
    connection: psycopg.Connection, database_url: str, table: str, known: int
) -> None:
    """Read by pipeline and step, each of the open window's records would cost all that the step has."""
    connection.execute(f"ALTER TABLE batchord.{table} SET (autovacuum_enabled = false)".encode())
    connection.execute("CREATE TABLE records (k bigint PRIMARY KEY, a timestamptz)")
    connection.execute("CREATE INDEX ON records (a, k)")
    connection.execute("ANALYZE records")
    moment = "timestamptz '2026-01-01' + n * interval '1 s'"
    connection.execute(f"INSERT INTO records SELECT n, {moment} FROM generate_series(1, {known}) AS n".encode())  # noqa: S608
    columns, values = ("reason, detail, attempts", "'r', 'd', 1") if table == "rejections" else ("attempt", "1")
    connection.execute(
        f"INSERT INTO batchord.{table} (pipeline, step, record_key, model_version, run_id, shard, {columns}) "  # noqa: S608
        f"SELECT 'p', 'predict', n, 'v', gen_random_uuid(), 0, {values} FROM generate_series(1, {known}) AS n".encode()
    )
    declared = SqlSource("SELECT k, a FROM records", key="k", arrival="a")
    statements = Statements(declared, dialect="postgresql", window=None)
    after = Position(arrival=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=known - 200), key=0)
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(database_url), poolclass=NullPool)
    with engine.connect() as reader:
        outcomes = find_outcomes(reader, "p", "predict")
    statement = statements.fresh_in_pieces(after, 50, 2048, outcomes)
    compiled = statement.compile(dialect=postgresql.psycopg.dialect())

    (row,) = connection.execute(
        f"EXPLAIN (ANALYZE, FORMAT JSON) {compiled}".encode(), compiled.construct_params()
    ).fetchall()

    nodes = list(_nodes(row[0][0]["Plan"]))
    read = [node["Actual Rows"] * node["Actual Loops"] for node in nodes if node.get("Relation Name") == table]
    assert read
    assert sum(read) <= known
    assert not any(node.get("Rows Removed by Join Filter") for node in nodes)


def test_a_connection_of_another_encoding_reads_the_same_records(
    connection: psycopg.Connection, database_url: str
) -> None:
    """By every way of reading: a word of the author's that one of them misread would lose its records."""
    connection.execute("CREATE TABLE records AS SELECT 1 AS k, now() AS a, 'Z\u00fcrich' AS body")
    source = opened(
        f"{database_url}?client_encoding=latin1", "SELECT k, a, body FROM records WHERE body = 'Z\u00fcrich'"
    )
    (position,) = (each for chunk in source.keys(after=None, chunk_rows=10) for each in chunk)
    (piece,) = source.pieces(after=None, pipeline="p", step="predict", rows=ROWS) or ()
    ((frame, _),) = source.rows(first=position, last=position, chunk_rows=10)
    assert (piece.first, piece.planned) == (position, 1)
    assert frame["body"].tolist() == ["Z\u00fcrich"]
