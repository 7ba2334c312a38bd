"""A key is in the ledger as PostgreSQL writes it, whatever its type: people join by it and type it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from batchord.core.run.runs import RunState
from batchord.flow.begin.repair import retry_rejections
from batchord.flow.upkeep.audit import audit
from batchord.sources.sql import SqlSource
from tests.integration.flow_parts import ITEMS, STEP, Bench

#: Types, and keys of them in ascending order, as an author writes them.
KEYS = {
    "char(10)": ["AB", "ABCDEFGHIJ", "C", "x y"],
    "varchar(10)": ["AB ", "ABC"],
    '"char"': ["a", "b"],
    "name": ["one", "two"],
    "numeric": ["-1.50", "0.000", "1.5", "100", "1e3", "12345678901234567890.1234567890"],
    "numeric(12,4)": ["1", "1.5", "20"],
    "real": ["-1.5", "0.1", "16777216", "1e20", "Infinity"],
    "double precision": ["-Infinity", "-1e300", "0.1", "1", "10000000", "1e16", "NaN"],
    "timestamptz": ["-infinity", "2026-01-01 00:00:00+00", "2026-01-01 12:00:00.5+05:30", "infinity"],
    "timestamp": ["0044-03-15 BC", "2026-01-01 12:00:00.000001", "20225-01-01"],
    "date": ["-infinity", "0001-12-31 BC", "2026-01-01", "20225-01-01"],
    "time": ["00:00", "10:00:00.5", "24:00"],
    "interval": ["1 hour", "1 day", "1 mon 2 days"],
    "bytea": ["\\x00ff", "\\x41"],
    "boolean": ["false", "true"],
    "uuid": ["00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"],
    "jsonb": ['{"a": 1}', '{"a": 2.50, "b": [true, null]}'],
    "integer[]": ["{1,2}", "{1,NULL}"],
    "text[]": ['{"a b",c}', '{"it\'s","\\"quoted\\""}'],
    "int4range": ["[1,5)", "[2,)"],
    "inet": ["10.0.0.1", "10.0.0.0/8"],
    "mood": ["good", "bad"],
    "bigint": ["-9223372036854775808", "9223372036854775807"],
}


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """No records yet; the connection's settings are not those of a source."""
    with Bench(database_url, tmp_path) as bench:
        bench.sql("CREATE TYPE mood AS ENUM ('good', 'bad')")
        yield bench


def length(frame: pd.DataFrame) -> "pd.Series[Any]":
    """How long a text is; none for a record without one."""
    return frame["body"].str.len()


def keyed(bench: Bench, kind: str) -> None:
    """Records with keys of a type, of which the last has no text."""
    bench.sql("DROP TABLE IF EXISTS keyed")
    bench.sql(f"CREATE TABLE keyed (k {kind} PRIMARY KEY, body text, created_at timestamptz DEFAULT now())")
    for key in KEYS[kind]:
        bench.sql(f"INSERT INTO keyed VALUES (%s::{kind}, 'body')", key)  # noqa: S608
    bench.sql(f"UPDATE keyed SET body = NULL WHERE k = %s::{kind}", KEYS[kind][-1])  # noqa: S608


def joined(bench: Bench, pipeline: str) -> int:
    """How many records the documented join finds, in a session with the settings that the docs name."""
    return int(
        bench.value(
            "SELECT count(*) FROM keyed r JOIN (SELECT pipeline, record_key FROM batchord.predictions "
            "UNION ALL SELECT pipeline, record_key FROM batchord.rejections) p ON p.record_key = r.k::text "
            "WHERE p.pipeline = %s",
            pipeline,
        )
    )


@pytest.mark.parametrize("arrival", [None, "created_at"])
def test_the_ledgers_text_of_a_key_is_postgresqls(bench: Bench, arrival: str | None) -> None:
    """It joins, a rejection is found by it, each run leaves out what is done, and the audit agrees."""
    bench.sql("SET TIME ZONE 'UTC'")
    for number, kind in enumerate(KEYS):
        name, count = f"keys-{number}", len(KEYS[kind])
        keyed(bench, kind)
        source = SqlSource("SELECT * FROM keyed", key="k", arrival=arrival)
        bench.declare(length, name=name, source=source, shard_rows=2, batch_rows=1)
        run = bench.run(name)
        assert (run.state, run.predicted, run.rejected) == (RunState.SUCCEEDED, count - 1, 1), (kind, run.error)
        assert joined(bench, name) == count, kind
        assert bench.run(name).discovered == 0, kind
        found, _ = audit(bench.parts(), pipeline=name)
        assert (found.records, found.missing, found.duplicated) == (count, 0, 0), kind
        bench.sql(f"UPDATE keyed SET body = 'now' WHERE k = %s::{kind}", KEYS[kind][-1])  # noqa: S608
        (text,) = bench.column(f"SELECT k::text FROM keyed WHERE k = %s::{kind}", KEYS[kind][-1])  # noqa: S608
        run, taken, messages = retry_rejections(bench.parts(), pipeline=name, keys=[text])
        assert taken == 1, kind
        assert run is not None
        assert bench.run_on(run.id, messages).predicted == 1, kind
        assert joined(bench, name) == count, kind


@pytest.mark.parametrize(
    ("kind", "key", "older"),
    [
        ("char(4)", "AB", "AB  "),
        ("numeric", "1.50", "1.5"),
        ("numeric", "1000", "1000"),
        ("double precision", "1", "1.0"),
        ("double precision", "Infinity", "inf"),
        ("timestamptz", "2026-01-01 12:00:00+00", "2026-01-01T12:00:00+00:00"),
        ("timestamp", "2026-01-01 12:00:00.5", "2026-01-01T12:00:00.500000"),
        ("bytea", "\\x00ff", "00ff"),
        ("date", "2026-01-01", "2026-01-01"),
    ],
)
def test_what_an_older_version_wrote_is_known(bench: Bench, kind: str, key: str, older: str) -> None:
    """Under its text: nothing is predicted again, and nothing is missing."""
    bench.sql(f"CREATE TABLE keyed (k {kind} PRIMARY KEY, body text)")
    bench.sql(f"INSERT INTO keyed VALUES (%s::{kind}, 'body')", key)  # noqa: S608
    bench.declare(length, source=SqlSource("SELECT * FROM keyed", key="k"))
    run = bench.run()
    assert run.predicted == 1
    bench.insert_earlier("SELECT pipeline, step, %s, model_version, run_id, 0, 1 FROM batchord.predictions", older)
    bench.sql(f"DELETE FROM {bench.table()}")  # noqa: S608
    bench.sql("DELETE FROM batchord.frontiers")
    assert bench.run().discovered == 0
    found, _ = audit(bench.parts(), pipeline=ITEMS)
    assert (found.records, found.predicted, found.missing) == (1, 1, 0)


@pytest.mark.parametrize("batch_rows", [1, 2, 7, None])
@pytest.mark.parametrize("arrival", [None, "created_at"])
@pytest.mark.parametrize("elsewhere", [False, True], ids=["beside the ledger", "elsewhere"])
def test_a_key_that_comes_twice_costs_its_own_records(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, batch_rows: int | None, arrival: str | None, *, elsewhere: bool
) -> None:
    """One rejection for all of its rows, wherever batches and shards end; the others are predicted."""
    bench.insert(12)
    monkeypatch.setenv("RECORDS_URL", bench.url)
    source = SqlSource(
        "SELECT r.* FROM records r JOIN (VALUES (1), (2), (3)) AS more (n) ON n = 1 OR r.id IN (4, 8, 12)",
        key="id",
        arrival=arrival,
        url_env="RECORDS_URL" if elsewhere else None,
    )
    bench.declare(length, source=source, batch_rows=batch_rows, shard_rows=4)
    run = bench.run()
    assert (run.state, run.predicted, run.rejected) == (RunState.SUCCEEDED, 9, 3), run.error
    assert bench.column("SELECT record_key FROM batchord.rejections ORDER BY record_key::int") == ["4", "8", "12"]
    ((reason, detail),) = bench.sql("SELECT DISTINCT reason, detail FROM batchord.rejections WHERE record_key = '8'")
    assert reason == "duplicate-key"
    assert detail.startswith("the source gives id=8 3 times")
    bench.assert_exactly_once()
    assert bench.run().discovered == 0
    found, _ = audit(bench.parts(), pipeline=ITEMS)
    assert (found.missing, found.duplicated) == (0, 0)
    assert bench.value("SELECT count(*) FROM batchord.steps WHERE name = %s AND state <> 'done'", STEP) == 0


def test_a_key_that_comes_twice_under_two_arrivals_costs_itself_within_a_batch(bench: Bench) -> None:
    """Nobody knows which of its rows is meant."""
    bench.insert(5)
    source = SqlSource(
        "SELECT r.id, r.body, r.created_at + n * interval '1 second' AS at FROM records r "
        "JOIN (VALUES (1), (2)) AS more (n) ON n = 1 OR r.id = 3",
        key="id",
        arrival="at",
    )
    bench.declare(length, source=source)
    run = bench.run()
    assert (run.predicted, run.rejected) == (4, 1)
    bench.assert_exactly_once()
