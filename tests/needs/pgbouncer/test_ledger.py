"""The ledger, its sources and its Sql steps behind a transaction pooler."""

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from batchord import Sql
from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.steps import Predict
from batchord.core.errors import ConfigurationError
from batchord.core.run.runs import RunState
from batchord.ledger.connection import Connections
from batchord.ledger.roles.preparing import prepare_database
from batchord.sources.sql import SqlSource
from batchord.sources.sql.engine import dispose_engines
from batchord.sources.sql.reader import open_source
from tests.database_roles import all_one
from tests.integration.flow_parts import RECORDS, STEP, Bench, length


def test_several_processes_share_the_servers_sessions(
    database_url: str, pooled: Callable[[str], str], tmp_path: Path
) -> None:
    """A statement that one of them prepared would be in the way of the next."""
    with Bench(pooled(database_url), tmp_path, by_roles=False) as bench:
        bench.insert(300)
        names = [f"p{number}" for number in range(4)]
        for name in names:
            steps = [
                Predict(STEP, source=RECORDS, model=length, shard_rows=10),
                Sql("after", "SELECT 1 AS x", after=STEP),
            ]
            bench.catalog.pipelines[name] = Pipeline(name, steps=steps)
        for _ in range(2):  # a new pool each time, as a new process has
            with ThreadPoolExecutor(4) as pool:
                runs = list(pool.map(bench.run, names))
            assert [run.state for run in runs] == [RunState.SUCCEEDED] * 4
            bench.ledger.close()
        assert bench.value("SELECT count(*) FROM batchord.predictions") == 1200


def test_the_schema_is_made_by_several_at_once(empty_database_url: str, pooled: Callable[[str], str]) -> None:
    """The lock between them is a transaction's: a session's would stay with the pooler's session."""
    command = [Path(sys.executable).parent / "batchord", "migrate"]
    environment = os.environ | {"BATCHORD_DATABASE_URL": pooled(empty_database_url)}
    started = [subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) for _ in range(3)]
    assert [process.wait(timeout=60) for process in started] == [0, 0, 0]
    held = (
        "SELECT count(*) FROM pg_locks AS held JOIN pg_database AS here ON here.oid = held.database "
        "WHERE locktype = 'advisory' AND datname = current_database()"
    )
    with psycopg.connect(empty_database_url) as session:
        assert session.execute(held).fetchone() == (0,)


def test_no_setting_of_ours_reaches_other_clients(database_url: str, pooled: Callable[[str], str]) -> None:
    """The time after which a transaction that stands still is ended is the ledger's alone."""
    connections = Connections(pooled(database_url), lock_seconds=60)
    asked = "SELECT current_setting('idle_in_transaction_session_timeout') AS idle"
    try:
        with connections.transaction() as connection:
            assert connection.execute(asked).fetchone() == {"idle": "1min"}
    finally:
        connections.close()
    with psycopg.connect(pooled(database_url)) as application, psycopg.connect(database_url) as direct:
        assert application.execute(asked).fetchone() == direct.execute(asked).fetchone() == ("0",)


def test_statements_are_prepared_only_where_sessions_are_ours(database_url: str, pooled: Callable[[str], str]) -> None:
    """A pooler makes up the number of the server's process that a client is told."""
    for url, prepared in ((database_url, True), (pooled(database_url), False)):
        connections = Connections(url)
        try:
            with connections.transaction() as connection:
                assert (connection.prepare_threshold is not None) is prepared
        finally:
            connections.close()


def test_a_pooler_without_the_database_is_reported_in_one_line(database_url: str, pooled: Callable[[str], str]) -> None:
    """Its message differs from the server's."""
    url = sa.make_url(pooled(database_url)).set(database="nosuch").render_as_string(hide_password=False)
    with pytest.raises(ConfigurationError) as caught, Connections(url).transaction() as connection:
        connection.execute("SELECT 1")
    (line,) = str(caught.value).splitlines()
    assert 'database "nosuch" does not exist' in line


def test_no_path_of_ours_reaches_other_clients(database_url: str, pooled: Callable[[str], str]) -> None:
    """What the ledger, a source and a step look through is their transactions' alone."""
    url = pooled(database_url)
    asked = "SELECT current_setting('search_path') AS path"
    with psycopg.connect(url) as application:
        before = application.execute(asked).fetchone()
    connections = Connections(url)
    with connections.transaction() as ours:
        assert ours.execute(asked).fetchone() == {"path": "pg_catalog, pg_temp"}
    connections.close()
    prepare_database(all_one(url))
    source = open_source(SqlSource("SELECT 1 AS id", key="id", settle=timedelta(0)), default_url=url)
    assert len(list(source.keys(after=None, chunk_rows=10))) == 1
    dispose_engines()
    with psycopg.connect(url) as application:
        assert application.execute(asked).fetchone() == before
