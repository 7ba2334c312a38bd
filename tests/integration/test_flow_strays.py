"""Positions that no record can follow must not move the frontier, so the next run finds all later records."""

import sqlite3
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from batchord.flow.begin.preview import preview
from batchord.sources.sql import SqlSource
from tests.integration.flow_parts import ITEMS, Bench

SETTLE = timedelta(0)


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """A pipeline's parts."""
    with Bench(database_url, tmp_path) as bench:
        yield bench


def discovers_what_arrives_after_a_stray(bench: Bench) -> None:
    """Four runs as they come; each finds the two records that arrived before it."""
    for number in range(4):
        bench.sql("INSERT INTO strayed SELECT 'k' || %s || n, 'x', present FROM the_present, generate_series(1, 2) n",
                  number)  # fmt: skip
        assert bench.run().discovered == 2


@pytest.mark.parametrize(
    ("column", "present", "stray"),
    [
        ("bigint", "extract(epoch FROM clock_timestamp()) * 1000 - 5000", "2147472000000"),
        ("bigint", "extract(epoch FROM clock_timestamp()) - 5", "9223372036854775807"),
        ("int", "extract(epoch FROM clock_timestamp()) - 5", "2147483647"),
        ("float8", "extract(epoch FROM clock_timestamp()) - 5", "'infinity'"),
        ("float8", "extract(epoch FROM clock_timestamp()) - 5", "'NaN'"),
        ("numeric", "extract(epoch FROM clock_timestamp()) * 1000000 - 5", "'NaN'"),
        ("text", "to_char(clock_timestamp() - interval '5 s', 'YYYY-MM-DD HH24:MI:SS.US')", "'2038-01-19 00:00:00'"),
        ("text", "to_char(clock_timestamp() - interval '5 s', 'YYYY-MM-DD\"T\"HH24:MI:SS.US')", "'unknown'"),
        ("timestamptz", "clock_timestamp() - interval '5 s'", "'2038-01-19'"),
    ],
)  # fmt: skip
def test_what_arrives_after_a_stray_is_found(bench: Bench, column: str, present: str, stray: str) -> None:
    """For every wrong time, in every type, that a client's clock writes."""
    bench.sql(f"CREATE TABLE strayed (id text PRIMARY KEY, body text, at {column})")
    bench.sql(f"CREATE VIEW the_present AS SELECT CAST({present} AS {column}) AS present")
    bench.sql(f"INSERT INTO strayed SELECT 'stray', 'x', CAST({stray} AS {column})")
    bench.declare(source=SqlSource("SELECT id, body, at FROM strayed", key="id", arrival="at", settle=SETTLE))
    assert bench.run().discovered == 1
    discovers_what_arrives_after_a_stray(bench)
    (step,) = preview(bench.parts(), pipeline=ITEMS)
    assert step.stray is not None
    assert "The record stray has the position" in step.stray


def test_the_frontier_still_moves_below_a_stray(bench: Bench) -> None:
    """It is capped, not stopped: a run reads what is new and the stray, not the whole source."""
    bench.sql("CREATE TABLE strayed (id text PRIMARY KEY, body text, at bigint)")
    bench.sql("INSERT INTO strayed SELECT 'k' || n, 'x', 1700000000000 + n FROM generate_series(1, 100) n")
    bench.sql("INSERT INTO strayed VALUES ('stray', 'x', 9000000000000)")
    bench.declare(source=SqlSource("SELECT id, body, at FROM strayed", key="id", arrival="at", settle=SETTLE))
    bench.run()
    bench.run()
    bench.run()
    assert bench.value("SELECT position FROM batchord.frontiers") == [1700000000100, "k100"]


def test_an_id_above_its_sequence_is_a_stray(bench: Bench) -> None:
    """Somebody inserted a record with an id of their own; the sequence goes on below it."""
    bench.declare()
    bench.insert(3)
    bench.sql("INSERT INTO records (id, body) VALUES (1000000, 'by hand'), (9223372036854775807, 'the last')")
    assert bench.run().discovered == 5
    for _ in range(3):
        bench.insert(2)
        assert bench.run().discovered == 2
    (step,) = preview(bench.parts(), pipeline=ITEMS)
    assert step.stray is not None
    assert "9223372036854775807" in step.stray
    assert bench.value("SELECT position FROM batchord.frontiers") == [None, 7]


def test_ids_without_a_sequence_of_their_own_are_followed(bench: Bench) -> None:
    """A table that was copied from elsewhere: its sequence gave nothing."""
    bench.declare()
    bench.sql("INSERT INTO records (id, body) SELECT n, 'x' FROM generate_series(1, 10) AS n")
    bench.run()
    bench.run()
    assert bench.value("SELECT position FROM batchord.frontiers") == [None, 10]
    assert preview(bench.parts(), pipeline=ITEMS)[0].stray is None


def test_a_frontier_that_a_stray_took_along_comes_back(bench: Bench) -> None:
    """An earlier release left such a frontier."""
    bench.sql("CREATE TABLE strayed (id text PRIMARY KEY, body text, at bigint)")
    bench.sql("INSERT INTO strayed VALUES ('stray', 'x', 9000000000000)")
    bench.declare(source=SqlSource("SELECT id, body, at FROM strayed", key="id", arrival="at", settle=SETTLE))
    bench.run()
    bench.sql("UPDATE batchord.frontiers SET position = '[9000000000000, \"stray\"]'")
    bench.sql("INSERT INTO strayed VALUES ('lost', 'x', 1700000000000)")
    assert bench.run().discovered == 1


def test_texts_of_sqlite_are_times(bench: Bench, tmp_path: Path) -> None:
    """It has no other; they are compared as texts."""
    path = tmp_path / "records.sqlite"
    with sqlite3.connect(path, isolation_level=None) as table:
        table.execute("CREATE TABLE records (id INTEGER PRIMARY KEY, body TEXT, at TEXT DEFAULT CURRENT_TIMESTAMP)")
        table.execute("INSERT INTO records (body, at) VALUES ('x', '2038-01-19 00:00:00')")
        source = SqlSource("SELECT * FROM records", key="id", arrival="at", settle=SETTLE, url=f"sqlite:///{path}")
        bench.declare(source=source)
        assert bench.run().discovered == 1
        for second in range(4):
            written = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() - 60 + second))
            table.execute("INSERT INTO records (body, at) VALUES ('x', ?)", [written])
            assert bench.run().discovered == 1
    table.close()


@pytest.mark.parametrize(
    ("strays", "said"),
    [
        (1, "The frontier stays below this record"),
        (3, "3 records have such positions, this one the greatest"),
        (1500, "At least 1,000 records have such positions"),
    ],
)
@pytest.mark.parametrize("column", ["bigint", "timestamptz"])
def test_a_plan_says_how_many_strays_there_are(bench: Bench, column: str, strays: int, said: str) -> None:
    """The greatest by name, the others by their number, which is bounded."""
    present, future = ("now()", "'2038-01-19'") if column == "timestamptz" else ("1700000000000", "9000000000000")
    bench.sql(f"CREATE TABLE strayed (id text PRIMARY KEY, body text, at {column})")
    bench.sql(f"INSERT INTO strayed VALUES ('k', 'x', {present})")  # noqa: S608
    query = "INSERT INTO strayed SELECT 's' || n, 'x', CAST({} AS {}) FROM generate_series(1, %s) AS n"
    bench.sql(query.format(future, column), strays)
    bench.declare(source=SqlSource("SELECT id, body, at FROM strayed", key="id", arrival="at", settle=SETTLE))

    (step,) = preview(bench.parts(), pipeline=ITEMS)

    assert step.stray is not None
    assert said in step.stray
