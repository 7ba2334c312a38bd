"""A key of several columns: predictions lie by these columns, and join the source by them."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from batchord.flow.begin.dry_run import dry_run
from batchord.flow.upkeep.audit import audit
from batchord.reports.tried_frames import tried_frame
from batchord.sources.sql import SqlSource
from tests.integration.flow_parts import ITEMS, STEP, Bench
from tests.waiting import wait_until

if TYPE_CHECKING:
    import pandas as pd

SALES = SqlSource("SELECT store_id, day, body, sold_at FROM sales", key=["store_id", "day"], arrival="sold_at")
_TYPES = """
    SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
    WHERE attrelid = %s::regclass AND attname = ANY(%s) ORDER BY attnum
"""
_PRIMARY = "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = %s::regclass AND indisprimary"


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """Parts over one test's database, with sales of two stores on three days."""
    with Bench(database_url, tmp_path) as bench:
        bench.sql(
            "CREATE TABLE sales (store_id int, day date, body text, sold_at timestamptz DEFAULT now(), "
            "PRIMARY KEY (store_id, day))"
        )
        bench.sql(
            "INSERT INTO sales SELECT store, date '2026-05-01' + day, repeat('x', 10 * store + day), "
            "now() - interval '1 hour' FROM generate_series(1, 2) AS store, generate_series(0, 2) AS day"
        )
        yield bench


def joined(bench: Bench, table: str | None = None) -> list[tuple[Any, ...]]:
    """What a person gets who joins the predictions with their records."""
    return bench.sql(
        f"SELECT store_id, day, score = length(body) FROM sales JOIN {table or bench.table()} AS p "  # noqa: S608
        "USING (store_id, day) ORDER BY store_id, day"
    )


def test_a_table_has_the_sources_columns(bench: Bench) -> None:
    """By name and type, as its primary key. Runs, audits, retries and resets know each record by its text."""
    bench.declare(source=SALES)
    assert bench.run().predicted == 6
    types = bench.sql(_TYPES, bench.table(), ["store_id", "day", "record_key"])
    assert types == [("store_id", "integer"), ("day", "date"), ("record_key", "text")]
    assert bench.value(_PRIMARY, bench.table()).endswith("(store_id, day)")
    rows = joined(bench)
    assert len(rows) == 6
    assert rows[0] == (1, date(2026, 5, 1), True)
    assert bench.outcomes()["2:2026-05-03"] == 22
    bench.sql("DELETE FROM batchord.frontiers")
    assert bench.run().discovered == 0
    bench.sql("INSERT INTO sales VALUES (3, '2026-05-01', 'new')")
    assert bench.run().discovered == 1
    found, _ = audit(bench.parts(), pipeline=ITEMS)
    assert (found.records, found.predicted, found.duplicated, found.missing) == (7, 7, 0, 0)
    (forgotten,) = bench.ledger.resets.reset(ITEMS, [STEP])
    assert forgotten.predictions == 7
    assert bench.run().predicted == 7


def test_the_model_gets_a_level_for_each_column(bench: Bench) -> None:
    """With the values of the source; it returns its predictions by the index, or a rejection alone is its own."""
    indexes: list[pd.MultiIndex] = []

    def model(frame: "pd.DataFrame") -> "pd.Series[Any]":
        indexes.append(frame.index)  # type: ignore[arg-type]
        assert "store_id" not in frame.columns
        if (2, date(2026, 5, 3)) in frame.index:
            raise ValueError("this one")
        return frame.reset_index().set_index(["store_id", "day"])["body"].str.len()

    bench.declare(model, source=SALES)
    run = bench.run()
    assert (run.predicted, run.rejected) == (5, 1)
    assert list(indexes[0].names) == ["store_id", "day"]
    assert str(indexes[0].levels[0].dtype) == "int64"
    assert indexes[0][0] == (1, date(2026, 5, 1))
    assert bench.column("SELECT record_key FROM batchord.rejections") == ["2:2026-05-03"]
    assert len(joined(bench)) == 5


def test_each_type_joins(bench: Bench) -> None:
    """Every type that a table can have, in one key; texts with separators do not run into each other."""
    bench.sql(
        "CREATE TYPE mood AS ENUM ('good'); "
        "CREATE TABLE items (a bigint, b uuid, c text, d numeric(9, 2), e timestamptz, "
        "f float8, g bytea, h boolean, i char(4), j mood, k interval, body text)"
    )
    row = (
        "1, 'a0000000-0000-4000-8000-00000000000a', {c}, 1.50, '2026-01-01 12:00:00.5+01', 0.1, '\\x00ff', true, "
        "{i}, 'good', '1 day 02:00', 'x'"
    )
    texts = [("'a:b'", "'c'"), ("'a'", "'b:c'"), ("''", "'\\:'"), ("E'tab\\t'", "'\\'"), ("'é猫'", "''")]
    for c, i in texts:
        bench.sql(f"INSERT INTO items VALUES ({row.format(c=c, i=i)})")  # noqa: S608
    bench.declare(source=SqlSource("SELECT * FROM items", key=[*"abcdefghijk"]))
    assert bench.run().predicted == 5
    on = " AND ".join(f"p.{name} = items.{name}{'::text' if name in 'jk' else ''}" for name in "abcdefghijk")
    bench.sql("SET IntervalStyle TO 'postgres'")
    assert bench.value(f"SELECT count(*) FROM items JOIN {bench.table()} AS p ON {on}") == 5  # noqa: S608
    assert [name for name, _ in bench.sql(_TYPES, bench.table(), [*"abcdefghijk"])] == [*"abcdefghijk"]
    assert bench.run().discovered == 0
    found, _ = audit(bench.parts(), pipeline=ITEMS)
    assert (found.records, found.predicted, found.duplicated) == (5, 5, 0)


def test_equal_values_are_one_key_and_missing_ones_none(bench: Bench) -> None:
    """1.5 and 1.50 are the same number; a record with NULL in its key has none."""
    bench.sql("CREATE TABLE items (a numeric, b int, body text)")
    bench.sql("INSERT INTO items VALUES (1.5, 1, 'x'), (1.50, 1, 'y'), (2, NULL, 'z'), (2, 2, 'zz')")
    source = SqlSource("SELECT * FROM items", key=("a", "b"))
    bench.declare(source=source)
    run = bench.run()
    assert (run.predicted, run.rejected) == (1, 1)
    assert bench.sql("SELECT record_key, reason FROM batchord.rejections") == [("1.5:1", "duplicate-key")]
    assert bench.sql(f"SELECT a, b FROM {bench.table()}") == [(2, 2)]  # noqa: S608
    found, _ = audit(bench.parts(), pipeline=ITEMS)
    assert found.missing == 1
    assert "whose a, b is NULL" in str(found)


def test_an_authors_table_needs_only_its_own_columns(bench: Bench) -> None:
    """Whole numbers, dates, uuids, texts and booleans show the key's text, in any session."""
    bench.sql(
        "CREATE TABLE forecasts (store_id bigint, day date, note text, label text, score float8, writer int, "
        "predicted_at timestamptz DEFAULT now(), PRIMARY KEY (day, store_id));"
        "GRANT ALL ON forecasts TO batchord_author"
    )
    bench.declare(source=SALES, into="forecasts")
    run = bench.run()
    assert run.predicted == 6, run.error
    assert len(joined(bench, "forecasts")) == 6
    bench.sql("SET datestyle TO 'German'")
    assert bench.outcomes()["2:2026-05-03"] == 22
    bench.sql("DELETE FROM batchord.frontiers")
    assert bench.run().discovered == 0
    found, _ = audit(bench.parts(), pipeline=ITEMS)
    assert (found.records, found.predicted, found.duplicated, found.missing) == (6, 6, 0, 0)
    bench.ledger.resets.reset(ITEMS, [STEP])
    assert bench.value("SELECT count(*) FROM forecasts") == 0


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ("id int PRIMARY KEY", "ADD COLUMN store_id integer, ADD COLUMN day date, ADD PRIMARY KEY (store_id, day)"),
        ("store_id int, day date", "ADD PRIMARY KEY (store_id, day)"),
        ("store_id int NOT NULL, day date PRIMARY KEY", "ADD PRIMARY KEY (store_id, day)"),
        ("store_id smallint, day date, PRIMARY KEY (store_id, day)", "ALTER COLUMN store_id TYPE integer"),
        ("store_id int, day timestamp, PRIMARY KEY (store_id, day)", "ALTER COLUMN day TYPE date"),
    ],
)
def test_a_table_that_does_not_fit_is_named_with_its_remedy(bench: Bench, columns: str, problem: str) -> None:
    """The SQL mends it."""
    needed = "label text, score float8, writer int, predicted_at timestamptz NOT NULL DEFAULT now()"
    bench.sql(f"CREATE TABLE forecasts ({columns}, {needed}); GRANT ALL ON forecasts TO batchord_author")
    bench.declare(source=SALES, into="forecasts")
    error = str(bench.run().error)
    assert problem in error
    assert "ALTER TABLE public.forecasts" in error


def test_other_databases_write_the_same_text(bench: Bench, tmp_path: Path) -> None:
    """The types are those of the values."""
    file = tmp_path / "shop.db"
    with closing(sqlite3.connect(file)) as shop, shop:
        shop.execute("CREATE TABLE sales (store INTEGER, day TEXT, body TEXT, at INTEGER)")
        rows = [(1, "2026-05-01", "x", 1), (1, "a:b", "xx", 2), (1, "a\\", "xxx", 3), (2, "", "y", 4), (2, None, "", 5)]
        shop.executemany("INSERT INTO sales VALUES (?, ?, ?, ?)", rows)
    source = SqlSource(
        "SELECT * FROM sales", key=["store", "day"], arrival="at", url=f"sqlite:///{file}", settle=timedelta(0)
    )
    bench.declare(source=source)
    assert bench.run().predicted == 4
    assert bench.sql(_TYPES, bench.table(), ["store", "day"]) == [("store", "bigint"), ("day", "text")]
    assert sorted(bench.outcomes()) == ["1:2026-05-01", "1:a\\:b", "1:a\\\\", "2:"]
    bench.sql("DELETE FROM batchord.frontiers")
    assert bench.run().discovered == 0


def test_a_dry_run_shows_the_levels(bench: Bench) -> None:
    """By key, and in a notebook's frame."""
    bench.declare(source=SALES)
    tried = dry_run(bench.parts(), bench.catalog.get(ITEMS), key="2:2026-05-03")
    frame = tried_frame(tried)
    assert list(frame.index.names) == ["store_id", "day"]
    assert frame.loc[(2, date(2026, 5, 3)), "score"] == 22


def test_another_key_is_refused_while_there_are_predictions(bench: Bench) -> None:
    """As another type is; a column that becomes wider changes the table."""
    bench.declare(source=SALES)
    bench.run()
    bench.sql("ALTER TABLE sales ALTER COLUMN store_id TYPE bigint; INSERT INTO sales VALUES (5000000000, now(), 'x')")
    assert bench.run().predicted == 1
    assert bench.sql(_TYPES, bench.table(), ["store_id"]) == [("store_id", "bigint")]
    text = SqlSource("SELECT concat_ws(':', store_id, day) AS id, body FROM sales", key="id")
    bench.declare(source=text)
    assert bench.run().discovered == 0  # the texts are the same
    bench.sql("INSERT INTO sales VALUES (7, '2026-05-01', 'x')")
    assert "holds predictions with keys of the columns (store_id bigint, day date)" in str(bench.run().error)
    bench.ledger.resets.reset(ITEMS, [STEP])
    assert bench.run().predicted == 8
    bench.sql("INSERT INTO sales VALUES (8, '2026-05-01', 'x')")
    bench.declare(source=SALES)
    assert "holds predictions with keys of type text. Convert" in str(bench.run().error)


def test_key_columns_may_have_any_names(bench: Bench) -> None:
    """The ledger's columns make way."""
    bench.sql("CREATE TABLE items (id int, body text)")
    bench.sql("INSERT INTO items VALUES (1, 'a')")
    names = ["label", "record_key", "ctid", 'odd "Name', "100 % é"]
    columns = ", ".join('id AS "' + name.replace('"', '""') + '"' for name in names)
    bench.declare(source=SqlSource(f"SELECT {columns}, body FROM items", key=names))  # noqa: S608
    run = bench.run()
    assert run.predicted == 1, run.error
    assert bench.sql(f'SELECT label, record_key, key_ctid, "100 _ é" FROM {bench.table()}') == [(1, 1, 1, 1)]  # noqa: S608
    assert bench.outcomes() == {"1:1:1:1:1": 1}
    assert bench.run().discovered == 0


def test_a_column_of_another_type_needs_the_keys_text_beside_it(bench: Bench) -> None:
    """A time has another text in each zone. The SQL of the error mends the table."""
    bench.sql(
        "CREATE TABLE forecasts (store_id int, sold_at timestamptz, label text, score float8, writer int, "
        "predicted_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (store_id, sold_at));"
        "GRANT ALL ON forecasts TO batchord_author"
    )
    source = SqlSource(
        "SELECT store_id, sold_at + store_id * (day - date '2026-01-01') * interval '1 s' AS sold_at, body FROM sales",
        key=["store_id", "sold_at"],
    )
    bench.declare(source=source, into="forecasts")
    remedy = "ALTER TABLE public.forecasts ADD COLUMN record_key text NOT NULL UNIQUE"
    assert f"of type timestamp with time zone needs its text beside it: {remedy};" in str(bench.run().error)
    bench.sql(remedy)
    run = bench.run()
    assert run.predicted == 6, run.error
    assert bench.value("SELECT count(DISTINCT record_key) FROM forecasts WHERE record_key LIKE '_:2%%+00'") == 6
    assert bench.run().discovered == 0


def test_a_record_is_found_by_the_index_of_its_columns(bench: Bench) -> None:
    """Its text shows them. A text that is nobody's key finds nothing."""
    bench.sql(
        "INSERT INTO sales SELECT store, date '2020-01-01' + n, 'x' FROM generate_series(1, 20) AS store, "
        "generate_series(1, 2000) AS n; ANALYZE sales"
    )
    source = bench.parts().open_source(SALES, None)
    (found,) = source.find(["7:2021-02-03"])
    assert found.key == "7:2021-02-03"
    scans = "SELECT seq_scan, idx_scan FROM pg_stat_user_tables WHERE relname = 'sales'"
    ((before, indexed),) = bench.sql(scans)
    assert len(source.find([f"7:2021-02-{day:02}" for day in range(1, 29)])) == 28
    # A session reports what it has done after a second of idleness or with its next statement.
    wait_until(
        lambda: source.find(["8:2021-02-03"]) and bench.sql(scans)[0][1] >= indexed + 28,
        description="scans are counted",
    )
    assert bench.sql(scans)[0][0] <= before + 1  # the description of the query may count as a scan
    assert source.find(["7", "x:2021-02-03", "7:2021-02-30", "7:2021-02-03:1", ""]) == []
