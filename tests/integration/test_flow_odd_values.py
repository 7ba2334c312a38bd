"""Values that PostgreSQL has and Python has not, and those that cannot be had at all: each costs its record at most."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest

from batchord.core.run.runs import RunState
from batchord.flow.begin.preview import preview
from batchord.flow.upkeep.audit import audit
from batchord.sources.sql import SqlSource
from tests.integration.flow_parts import ITEMS, Bench

#: A moment that Python's types cannot hold, in every type that has one.
ODD = [
    ("timestamptz", "infinity"),
    ("timestamptz", "-infinity"),
    ("timestamptz", "20225-01-01 00:00+00"),
    ("timestamptz", "0044-03-15 00:00+00 BC"),
    ("timestamp", "infinity"),
    ("timestamp", "294276-12-31 23:59:59"),
    ("timestamp", "0044-03-15 BC"),
    ("date", "infinity"),
    ("date", "-infinity"),
    ("date", "10000-01-01"),
    ("date", "0001-12-31 BC"),
    ("time", "24:00"),
    ("timetz", "24:00+00"),
    ("interval", "3000000 years"),
]

#: A column that fails for the record whose n is 5, and the expected detail of its rejection.
UNREADABLE = [
    ("100 / (n - 5)", "division by zero"),
    ("(CASE WHEN n = 5 THEN 'five' ELSE n::text END)::int", 'invalid input syntax for type integer: "five"'),
    ("CASE WHEN n = 5 THEN (SELECT m FROM generate_series(1, 2) AS m) END", "more than one row"),
    ("CASE WHEN n = 5 THEN complain() END", "this one is wrong"),
    ("CASE WHEN n = 5 THEN ('1' || repeat('0', 5000))::json END", "integer string conversion"),
    ("CASE WHEN n = 5 THEN (repeat('[', 5900) || repeat(']', 5900))::json END", "RecursionError"),
]


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """No records yet."""
    with Bench(database_url, tmp_path) as bench:
        yield bench


def plan_of(frame: pd.DataFrame) -> "pd.Series[Any]":
    """Does not look at any other column."""
    return frame["plan"].str.upper()


def is_there(frame: pd.DataFrame) -> "pd.Series[Any]":
    """Whether the moment is known."""
    return frame["moment"].notna().map({True: "known", False: "missing"})


def labels(bench: Bench, pipeline: str = ITEMS) -> dict[str, str]:
    """The label of each record."""
    return dict(bench.sql("SELECT record_key, label FROM batchord.predictions WHERE pipeline = %s", pipeline))


def odd_moments(bench: Bench, kind: str, moment: str) -> None:
    """Ten records, of which the fourth has a moment that Python has not."""
    bench.sql("DROP TABLE IF EXISTS moments")
    bench.sql(f"CREATE TABLE moments (id int PRIMARY KEY, plan text, moment {kind})")
    usual = {"time": "10:00", "timetz": "10:00+02", "interval": "1 day"}.get(kind, "2026-01-02")
    for number in range(10):
        bench.sql(f"INSERT INTO moments VALUES ({number}, 'basic', '{moment if number == 3 else usual}')")  # noqa: S608


@pytest.mark.parametrize("batch_rows", [1, 7, None])
def test_a_moment_that_python_has_not_is_missing(bench: Bench, batch_rows: int | None) -> None:
    """Its record is predicted like the others, which are not touched."""
    for number, (kind, moment) in enumerate(ODD):
        odd_moments(bench, kind, moment)
        source = SqlSource("SELECT * FROM moments", key="id")
        bench.declare(is_there, name=f"odd-{number}", source=source, batch_rows=batch_rows)
        run = bench.run(f"odd-{number}")
        assert (run.state, run.predicted, run.rejected) == (RunState.SUCCEEDED, 10, 0), (kind, moment, run.error)
        expected = {str(key): "missing" if key == 3 else "known" for key in range(10)}
        assert labels(bench, f"odd-{number}") == expected, (kind, moment)


def test_a_record_may_arrive_at_a_moment_that_python_has_not(bench: Bench) -> None:
    """It is planned, previewed, predicted once and audited, and the next run finds nothing."""
    for number, (kind, moment) in enumerate(each for each in ODD if each[0] in ("timestamptz", "timestamp", "date")):
        name, source = f"odd-{number}", SqlSource("SELECT * FROM moments", key="id", arrival="moment")
        odd_moments(bench, kind, moment)
        bench.sql("INSERT INTO moments VALUES (10, 'never', NULL)")
        bench.declare(plan_of, name=name, source=source, shard_rows=4)
        (seen,) = preview(bench.parts(), pipeline=name)
        assert seen.records == 10, (kind, moment)
        run = bench.run(name)
        assert (run.state, run.predicted, run.rejected) == (RunState.SUCCEEDED, 10, 0), (kind, moment, run.error)
        assert bench.run(name).discovered == 0, (kind, moment)
        found, _ = audit(bench.parts(), pipeline=name)
        assert (found.records, found.predicted, found.duplicated) == (11, 10, 0), (kind, moment)
        assert found.missing + found.pending == 1, (kind, moment)  # the one without an arrival


def test_moments_inside_of_ranges_and_arrays_are_accepted(bench: Bench) -> None:
    """An end of a range that is infinite is open."""
    bench.sql("CREATE TABLE stays (id int PRIMARY KEY, stay tstzrange, days date[])")
    bench.sql("INSERT INTO stays VALUES (1, '[2026-01-01,infinity)', '{infinity,2026-01-01}'), (2, NULL, NULL)")

    def open_end(frame: pd.DataFrame) -> "pd.Series[Any]":
        return frame["stay"].map(lambda stay: "no stay" if stay is None else str(stay.upper), na_action=None)

    bench.declare(open_end, source=SqlSource("SELECT * FROM stays", key="id"))
    assert bench.run().predicted == 2
    assert labels(bench) == {"1": "None", "2": "no stay"}


@pytest.mark.parametrize("batch_rows", [1, 7, None])
def test_a_value_that_cannot_be_had_costs_its_record(bench: Bench, batch_rows: int | None) -> None:
    """Whether the server cannot compute it or the driver cannot make it; the reason is the database's words."""
    bench.sql(
        "CREATE FUNCTION complain() RETURNS int LANGUAGE plpgsql STABLE AS "
        "$$ BEGIN RAISE EXCEPTION 'this one is wrong'; END $$"
    )
    bench.sql("CREATE TABLE numbers AS SELECT n, 'basic' AS plan FROM generate_series(1, 12) AS n")
    for number, (expression, says) in enumerate(UNREADABLE):
        name = f"odd-{number}"
        source = SqlSource(f"SELECT n AS id, plan, {expression} AS odd FROM numbers", key="id")  # noqa: S608
        bench.declare(plan_of, name=name, source=source, batch_rows=batch_rows)
        run = bench.run(name)
        assert (run.state, run.predicted, run.rejected) == (RunState.SUCCEEDED, 11, 1), (expression, run.error)
        rejected = "SELECT record_key, reason, detail FROM batchord.rejections WHERE pipeline = %s"
        ((key, reason, detail),) = bench.sql(rejected, name)
        assert (key, reason) == ("5", "unreadable-value")
        assert says in detail
        assert bench.run(name).discovered == 0


def test_a_text_that_is_no_text_costs_its_record(bench: Bench, superuser_url: str) -> None:
    """A database without an encoding keeps any bytes, and this one has the ledger's records beside it."""
    url, name = superuser_url, f"ascii_{uuid.uuid4().hex}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE 'C'".encode())
    elsewhere = f"{url.rpartition('/')[0]}/{name}"
    with psycopg.connect(elsewhere) as connection:
        connection.execute("CREATE TABLE records AS SELECT n AS id, E'\\xc3\\x84' AS plan FROM generate_series(1, 9) n")
        connection.execute("UPDATE records SET plan = E'\\xff' WHERE id = 4")
    bench.declare(plan_of, source=SqlSource("SELECT * FROM records", key="id", url=elsewhere))
    run = bench.run()
    assert (run.state, run.predicted, run.rejected) == (RunState.SUCCEEDED, 8, 1), run.error
    assert set(labels(bench).values()) == {"Ä"}
    assert bench.sql("SELECT record_key, reason FROM batchord.rejections") == [("4", "unreadable-value")]


def test_a_query_that_can_hardly_be_read_fails_aloud(bench: Bench) -> None:
    """Nothing is rejected: the query is wrong, not its records."""
    bench.insert(12)
    source = SqlSource("SELECT id, 1 / (id % 2) AS odd FROM records", key="id")
    bench.declare(plan_of, source=source)
    run = bench.run()
    assert (run.state, run.predicted, run.rejected) == (RunState.FAILED, 0, 0)
    assert "6 of 12 records cannot be read" in (run.error or "")


def test_a_column_that_the_model_does_not_read_is_not_fetched(bench: Bench) -> None:
    """Whatever it holds: a value that cannot be computed is never asked for."""
    bench.sql("CREATE TABLE photos AS SELECT n AS id, 'x' AS body FROM generate_series(1, 3) AS n")
    reads = bench.parts().open_source(SqlSource("SELECT id, body, 1 / (id - 2) AS odd FROM photos", key="id"), None)
    first, *_, last = next(iter(reads.keys(after=None, chunk_rows=10)))
    ((frame, rejections),) = reads.rows(first=first, last=last, chunk_rows=10, columns=["body"])
    assert (list(frame.columns), len(frame), rejections) == (["body"], 3, [])
