"""The SQL that is sent, dialect by dialect."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql, mysql, oracle, postgresql, sqlite

from batchord.core.errors import ConfigurationError
from batchord.core.run.records import Position
from batchord.sources.sql import SqlSource
from batchord.sources.sql.statements import Statements

DIALECTS: dict[str, sa.Dialect] = {
    module.__name__.rpartition(".")[2]: module.dialect() for module in (postgresql, sqlite, mysql, mssql, oracle)
}
AFTER = Position(arrival=datetime(2026, 1, 1, tzinfo=UTC), key=7)
WINDOW = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))


def statements(
    dialect: str, sql: str = "SELECT * FROM t", *, arrival: str | None = "at", window: bool = False
) -> Statements:
    """Statements over a table with a key ``id``."""
    declared = SqlSource(sql, key="id", arrival=arrival, settle=timedelta(0))
    return Statements(declared, dialect=dialect, window=WINDOW if window else None)


def text(statement: sa.Select[tuple[object, ...]], dialect: str) -> str:
    """The statement on one line, as the dialect's server gets it."""
    return re.sub(r"\s+", " ", str(statement.compile(dialect=DIALECTS[dialect])))


@pytest.mark.parametrize("dialect", ["postgresql", "sqlite"])
def test_a_row_comparison_where_it_uses_the_index(dialect: str) -> None:
    """One condition over arrival and key."""
    assert "(records.at, records.id) > (" in text(statements(dialect).above(AFTER), dialect)


@pytest.mark.parametrize("dialect", ["mysql", "mssql", "oracle"])
def test_a_range_of_the_arrival_elsewhere(dialect: str) -> None:
    """The arrival has a bound of its own, for the index. The key decides among equal arrivals."""
    above = text(statements(dialect).above(AFTER), dialect)
    assert re.search(r"records\.at >= \S+ AND \(records\.at > \S+ OR records\.id > \S+\)", above), above
    between = text(statements(dialect).between(AFTER, AFTER, ("body",)), dialect)
    assert re.search(r"records\.at <= \S+ AND \(records\.at < \S+ OR records\.id <= \S+\)", between), between


@pytest.mark.parametrize("dialect", DIALECTS)
def test_values_are_bound_and_never_written_into_the_sql(dialect: str) -> None:
    """Neither the positions nor the window appear in the statement's text."""
    made = statements(dialect, "SELECT * FROM t WHERE at >= :window_start", window=True)
    sent = text(made.between(AFTER, AFTER, ("body",)), dialect)
    assert "2026" not in sent


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_statement_can_be_written_for_every_dialect(dialect: str) -> None:
    """A dialect without a server in these tests at least gets statements that SQLAlchemy can write."""
    made = statements(dialect)
    for each in (made.columns(), made.greatest(None), made.above(None), made.without_key(), made.without_arrival()):
        assert each is not None
        assert "FROM (SELECT * FROM t )" in text(each, dialect)


def test_names_are_quoted_where_they_must_be() -> None:
    """Upper case and reserved words are the author's own spelling."""
    declared = SqlSource("TABLE t", key="Id", arrival="order")
    sent = text(Statements(declared, dialect="postgresql", window=None).above(None), "postgresql")
    assert 'SELECT records."order", records."Id" FROM (TABLE t ) AS records' in sent


def test_only_the_window_is_a_parameter() -> None:
    """Casts, slices and times in literals keep their colons."""
    sql = r"SELECT id::text, a[1:2], '12:30', ':x', '\:y' FROM t WHERE at >= :window_start::timestamptz AND b % 2 = 0;"
    compiled = statements("postgresql", sql, window=True).columns().compile(dialect=DIALECTS["postgresql"])
    sent = str(compiled).replace("%%", "%").replace("%(window_start)s", ":window_start")
    assert sql.rstrip(";") in sent
    assert compiled.params["window_start"] == WINDOW[0]


@pytest.mark.parametrize(
    ("dialect", "start"),
    [("sqlite", "2026-01-01 00:00:00"), ("mysql", datetime(2026, 1, 1)), ("postgresql", WINDOW[0])],  # noqa: DTZ001
)
def test_a_window_is_an_instant_as_the_dialect_compares_it(dialect: str, start: object) -> None:
    """With its zone on PostgreSQL, in UTC elsewhere, as text in SQLite."""
    made = statements(dialect, "SELECT * FROM t WHERE at >= :window_start", window=True)
    assert made.columns().compile(dialect=DIALECTS[dialect]).params["window_start"] == start


def test_a_missing_window_is_reported() -> None:
    """A query with ``:window_end`` cannot run without one."""
    with pytest.raises(ConfigurationError, match="this run has no window"):
        statements("sqlite", "SELECT * FROM t WHERE at < :window_end")


def test_an_arrival_that_is_the_key_is_no_second_column() -> None:
    """``arrival="id"`` beside ``key="id"`` says the same twice."""
    assert statements("sqlite", arrival="id").arrival is None
