"""Values of a Sql step's last statement that Python or JSON do not have: they are handed on as PostgreSQL's text."""

import json
import uuid
from datetime import UTC, datetime

import psycopg
import pytest

from batchord import Sql
from batchord.core.run.leases import Lease, StepLease, StepWork
from batchord.core.run.runs import Run, RunState
from tests.integration.step_contexts import step_context


@pytest.fixture
def lease(database_url: str) -> StepLease:
    """The right to execute a step that is running."""
    run_id, token = str(uuid.uuid4()), str(uuid.uuid4())
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO batchord.runs (id, pipeline, kind, trigger, state) "
            "VALUES (%s, 'p', 'manual', 'cli', 'running')",
            [run_id],
        )
        connection.execute(
            "INSERT INTO batchord.steps (run_id, name, ordinal, kind, state, lease_token) "
            "VALUES (%s, 'load', 0, 'sql', 'running', %s)",
            [run_id, token],
        )
    run = Run(
        id=run_id, pipeline="p", kind="manual", trigger="cli", slot=None, window_start=None, window_end=None,
        state=RunState.RUNNING, params={}, full_scan=False, rerun_of=None, models={}, discovered=0, predicted=0,
        rejected=0, summary=None, error=None, created_at=datetime.now(UTC), started_at=None, finished_at=None,
    )  # fmt: skip
    return Lease(run_id=run_id, pipeline="p", step="load", attempt=1, token=token, work=StepWork(run=run))


def test_what_python_has_not_is_postgresqls_text(database_url: str, lease: StepLease) -> None:
    """The statement's changes are committed, and the value can be written to JSON and read again."""
    odd = {
        "timestamptz 'infinity'": "infinity",
        "timestamp '-infinity'": "-infinity",
        "timestamp '0044-03-15 BC'": "0044-03-15 00:00:00 BC",
        "date '20225-01-01'": "20225-01-01",
        "time '24:00'": "24:00:00",
        "ARRAY[date 'infinity']": ["infinity"],
        "'1e400'::numeric": "1" + "0" * 400,
        "'1e400'::numeric + 0.5": "1" + "0" * 400 + ".5",
        "'NaN'::numeric": "NaN",
        "1.50::numeric": 1.5,
        "timestamptz '2026-01-02 00:00+00'": "2026-01-02T00:00:00+00:00",
    }
    columns = ", ".join(f"{expression} AS c{number}" for number, expression in enumerate(odd))
    statements = ["CREATE TABLE t (n int)", "INSERT INTO t VALUES (1)", f"SELECT {columns}"]
    output = Sql("load", statements).execute(step_context(database_url, lease))
    assert json.loads(json.dumps(output, allow_nan=False)) == output
    assert list(output["rows"][0].values()) == list(odd.values())
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT n FROM t").fetchall() == [(1,)]
        assert connection.execute("SELECT committed IS NOT NULL FROM batchord.steps").fetchall() == [(True,)]
