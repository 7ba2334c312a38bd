"""A source whose server ends idle transactions, as many hosted ones do."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from batchord.core.run.runs import RunState
from batchord.flow.predict import records as predict
from batchord.sources.sql import SqlSource
from tests.integration.flow_parts import Bench
from tests.waiting import wait_until

if TYPE_CHECKING:
    import pandas as pd

OPEN = """
    SELECT count(*) FROM pg_stat_activity
    WHERE application_name = 'batchord-source' AND datname = current_database() AND state = 'idle in transaction'
"""


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """A hundred records."""
    with Bench(database_url, tmp_path) as bench:
        bench.insert(100)
        yield bench


def reading_within(bench: Bench, milliseconds: int, monkeypatch: pytest.MonkeyPatch) -> SqlSource:
    """The records by way of a role's setting, here that of the address."""
    options = f"options=-c%20idle_in_transaction_session_timeout%3D{milliseconds}"
    monkeypatch.setitem(os.environ, "RECORDS_URL", f"{bench.url}?{options}")
    return SqlSource("SELECT id, body FROM records", key="id", url_env="RECORDS_URL")


def test_no_transaction_on_the_source_waits_for_the_model(bench: Bench) -> None:
    """While the model works at the first batch the whole shard has been read."""

    def working(frame: "pd.DataFrame") -> "pd.Series[Any]":
        if frame.index[0] == 1:
            wait_until(lambda: bench.value(OPEN) == 0, description="the source's transaction is over")
        return frame["body"].str.len()

    bench.declare(working, batch_rows=5)
    assert bench.run(parallelism=1).state is RunState.SUCCEEDED


def test_an_attempt_that_moved_on_is_not_the_last(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shard too large to be kept: its reader is cut off each time, some records further on."""
    monkeypatch.setattr(predict, "SPOOLED", 1)  # nothing is read ahead but for one frame
    source = reading_within(bench, 60_000, monkeypatch)
    cut = threading.Event()

    def cutting(frame: "pd.DataFrame") -> "pd.Series[Any]":
        with psycopg.connect(bench.url, autocommit=True) as session:
            session.execute(
                "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity "
                "WHERE application_name = 'batchord-source' AND datname = current_database()"
            )
        cut.set()
        return frame["body"].str.len()

    bench.declare(cutting, source=source, batch_rows=5)
    run = bench.run(parallelism=1, max_attempts=2)
    assert (run.state, run.predicted) == (RunState.SUCCEEDED, 100)
    assert cut.is_set()
    assert bench.value("SELECT max(attempt) FROM batchord.shards") > 2


def test_a_short_limit_of_the_servers_is_no_trouble(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches that take longer than a transaction may stand still."""
    source = reading_within(bench, 100, monkeypatch)

    def slow(frame: "pd.DataFrame") -> "pd.Series[Any]":
        bench.sql("SELECT pg_sleep(0.3)")
        return frame["body"].str.len()

    bench.declare(slow, source=source, batch_rows=20)
    run = bench.run(parallelism=1)
    assert (run.state, run.predicted) == (RunState.SUCCEEDED, 100)
    assert bench.value("SELECT max(attempt) FROM batchord.shards") == 1
