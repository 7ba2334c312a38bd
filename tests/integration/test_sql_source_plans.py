"""Discovery costs what is new, not what is there: PostgreSQL's plans for a table of 200,000 records."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from batchord.core.run.records import Position
from batchord.sources.sql import SqlSource, postgres
from batchord.sources.sql.engine import dispose_engines, engine_for, source_url
from batchord.sources.sql.reader import open_source
from batchord.sources.sql.statements import Statements

ROWS = 200_000
#: Records above the position that the tests scan from.
OPEN_WINDOW = 500
#: Type of the arrival, its value for record i, and the number of its type.
ARRIVALS = {
    "timestamptz": ("timestamptz '2026-01-01 00:00+00' + i * interval '1 second'", postgres.TIMESTAMPTZ),
    "timestamp": ("timestamp '2026-01-01 00:00' + i * interval '1 second'", postgres.TIMESTAMP),
    "bigint": ("i + 2::bigint ^ 40", 20),
    "integer": ("i", 23),
    "text": ("to_char(i, 'FM0000000')", 25),
    "uuid": ("lpad(to_hex(i), 32, '0')::uuid", postgres.UUID_TYPE),
    "numeric": ("i / 10.0", 1700),
}


@pytest.fixture(scope="module")
def url(create_database: Callable[[str | None], str]) -> Iterator[str]:
    """A database of this module alone."""
    yield create_database(None)
    dispose_engines()


def fill(url: str, name: str, key_type: str, key: str, *columns: str, index: str) -> None:
    """A table ``name`` with ROWS records: a key, further columns as ``name type = value``, and one index."""
    given = [column.split("=", 1) for column in columns]
    declared = ", ".join([f"k {key_type} NOT NULL", "body text", *[column for column, _ in given]])
    values = ", ".join([f"({key})::{key_type}", "repeat('word ', 10)", *[value for _, value in given]])
    with psycopg.connect(url) as connection:
        statements = (
            f"CREATE TABLE {name} ({declared})",
            f"INSERT INTO {name} SELECT {values} FROM generate_series(1, {ROWS}) AS i",  # noqa: S608
            index,
        )
        for statement in statements:
            connection.execute(statement.encode())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"VACUUM ANALYZE {name}".encode())


def plan(url: str, statement: sa.Select[Any], *, cursor: bool) -> str:
    """PostgreSQL's plan for the statement, as a cursor on the server where it is read as one."""
    engine = engine_for(source_url(SqlSource("SELECT 1", key="k"), url))
    compiled = statement.compile(dialect=engine.dialect)
    declare = "DECLARE explained CURSOR FOR " if cursor else ""
    with engine.begin() as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN {declare}{compiled}", dict(compiled.params))
        return "\n".join(row[0] for row in rows)


def position_before_the_window(url: str, declared: SqlSource) -> tuple[Position, Position]:
    """The position that leaves OPEN_WINDOW records above it, and the greatest one."""
    order = declared.key if declared.arrival is None else f"{declared.arrival}, {declared.key}"
    with psycopg.connect(url) as connection:
        query = f"SELECT {order} FROM ({declared.sql}) AS r ORDER BY {order} OFFSET {ROWS - OPEN_WINDOW - 1}"  # noqa: S608
        rows = connection.execute(query.encode()).fetchall()
    first, last = (Position(arrival=None if len(row) == 1 else row[0], key=row[-1]) for row in (rows[0], rows[-1]))
    return first, last


def expect_index(url: str, declared: SqlSource, leading_type: int, index: str) -> None:
    """All three statements reach their records by the index."""
    statements = Statements(declared, dialect="postgresql", window=None)
    before, greatest = position_before_the_window(url, declared)
    scan = plan(url, statements.above(before), cursor=True)
    assert f"using {index}" in scan, scan
    assert "Index Cond" in scan, scan
    assert "Seq Scan" not in scan, scan
    shard = plan(url, statements.between(before, greatest, ("body",)), cursor=True)
    assert f"using {index}" in shard, shard
    assert "Index Cond" in shard, shard
    top = plan(url, statements.greatest(postgres.cap(leading_type, None)), cursor=False)
    assert f"Scan Backward using {index}" in top, top
    read = [key for chunk in open_source(declared, default_url=url).keys(after=before, chunk_rows=100) for key in chunk]
    assert len(read) == OPEN_WINDOW
    assert read[-1] == greatest


@pytest.mark.parametrize("kind", ARRIVALS)
def test_a_composite_index_serves_every_type_of_arrival(url: str, kind: str) -> None:
    """Arrival and key are compared as a row, with values that keep the index usable."""
    value, number = ARRIVALS[kind]
    name = f"arrival_{kind}"
    fill(url, name, "bigint", "i", f"a {kind}={value}", index=f"CREATE INDEX {name}_both ON {name} (a, k)")
    # Settled at once, since uuids need settle=.
    declared = SqlSource(f"SELECT * FROM {name}", key="k", arrival="a", settle=timedelta(0))  # noqa: S608
    expect_index(url, declared, number, f"{name}_both")


def test_an_index_on_the_arrival_alone_is_enough(url: str) -> None:
    """Only keys of one and the same arrival are sorted."""
    value, number = ARRIVALS["timestamptz"]
    fill(url, "alone", "bigint", "i", f"a timestamptz={value}", index="CREATE INDEX alone_a ON alone (a)")
    expect_index(url, SqlSource("SELECT * FROM alone", key="k", arrival="a"), number, "alone_a")


@pytest.mark.parametrize(("kind", "key"), [("bigint", "i"), ("integer", "i"), ("text", "to_char(i, 'FM0000000')")])
def test_the_primary_key_orders_records_without_arrival(url: str, kind: str, key: str) -> None:
    """Also behind a filter and a join of the author's."""
    name = f"key_{kind}"
    fill(url, name, kind, key, index=f"ALTER TABLE {name} ADD PRIMARY KEY (k)")
    expect_index(url, SqlSource(f"SELECT * FROM {name}", key="k"), 20, f"{name}_pkey")  # noqa: S608
    filtered = f"SELECT k, upper(body) AS body FROM {name} WHERE body LIKE 'word%'"  # noqa: S608
    expect_index(url, SqlSource(filtered, key="k"), 20, f"{name}_pkey")
