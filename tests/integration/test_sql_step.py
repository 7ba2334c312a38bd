"""The statements of a Sql step: one transaction, bound values, JSON out of it, and the marker in the ledger."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import sqlalchemy as sa

from batchord import Sql
from batchord.core.errors import ConfigurationError, LeaseLost, OutOfTime, OutputRefused, SqlFailed, TransientError
from batchord.core.run.leases import Lease, StepLease, StepWork
from batchord.core.run.runs import Run, RunState
from batchord.steps.sql import runner
from tests.integration.step_contexts import step_context
from tests.waiting import wait_until

Execute = Callable[..., dict[str, Any]]


@pytest.fixture
def lease(database_url: str) -> StepLease:
    """The right to execute step ``load``, which is running, and a table ``t``."""
    run_id, token = str(uuid.uuid4()), str(uuid.uuid4())
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE TABLE t (n int PRIMARY KEY, what text, more jsonb)")
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


@pytest.fixture
def execute(database_url: str, lease: StepLease) -> Execute:
    """Executes statements on the ledger's database unless told otherwise."""

    def execute(
        *statements: str, time_limit: float | None = 60, values: dict[str, Any] | None = None, **options: Any
    ) -> dict[str, Any]:
        context = step_context(database_url, lease, time_limit=time_limit, params=values)
        return Sql("load", statements, **options).execute(context)

    return execute


def ask(url: str, query: str) -> list[Any]:
    """The rows of a query, in a transaction of its own."""
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


def committed(url: str) -> Any:
    """What the step's marker says."""
    return ask(url, "SELECT committed FROM batchord.steps")[0][0]


def test_the_last_statement_is_the_output_and_is_written_down(execute: Execute, database_url: str) -> None:
    """All statements are one transaction, and with it comes the marker."""
    output = execute("INSERT INTO t VALUES (1, 'a'), (2, 'b')", "SELECT n, what FROM t ORDER BY n;")
    assert output == {"row_count": 2, "rows": [{"n": 1, "what": "a"}, {"n": 2, "what": "b"}]}
    assert committed(database_url) == output


def test_changes_are_counted(execute: Execute) -> None:
    """With what they return, and without; what makes a table counts nothing."""
    assert execute("INSERT INTO t SELECT generate_series(1, 250)") == {"row_count": 250, "rows": []}
    output = execute("UPDATE t SET what = 'x' RETURNING n")
    assert (output["row_count"], len(output["rows"])) == (250, 100)
    assert execute("CREATE TABLE u (n int)") == {"row_count": 0, "rows": []}


def test_when_the_second_statement_fails_the_first_did_not_happen(execute: Execute, database_url: str) -> None:
    """Neither on the table nor in the ledger; the message says which, and what the database said."""
    with pytest.raises(SqlFailed, match=r"Statement 2 of 2 was refused: column t.whta does not exist\. Perhaps"):
        execute("INSERT INTO t VALUES (1)", "UPDATE t SET what = 'b' WHERE t.whta = 'c'")
    assert ask(database_url, "SELECT * FROM t") == []
    assert committed(database_url) is None


@pytest.mark.parametrize("change", ["lease_token = gen_random_uuid()", "state = 'done'", "name = 'other'"])
def test_who_lost_the_lease_commits_nothing(execute: Execute, database_url: str, change: str) -> None:
    """Another worker may have executed it already."""
    with psycopg.connect(database_url) as connection:
        connection.execute(f"UPDATE batchord.steps SET {change}".encode())  # noqa: S608 -- of this file
    with pytest.raises(LeaseLost, match=r"Step load of run .* another worker"):
        execute("INSERT INTO t VALUES (1)")
    assert ask(database_url, "SELECT * FROM t") == []
    assert committed(database_url) is None


@pytest.mark.parametrize(("place", "rows"), [("before-sql-commit", 0), ("after-sql-commit", 1)])
def test_marker_and_work_are_committed_together(
    execute: Execute, database_url: str, monkeypatch: pytest.MonkeyPatch, place: str, rows: int
) -> None:
    """Whatever breaks off, before or after the commit, leaves both or neither."""

    def break_off(name: str) -> None:
        if name == place:
            raise TransientError(name)

    monkeypatch.setattr(runner, "fault", break_off)
    with pytest.raises(TransientError, match=place):
        execute("INSERT INTO t VALUES (1)")
    assert len(ask(database_url, "SELECT * FROM t")) == rows
    assert committed(database_url) == ({"row_count": 1, "rows": []} if rows else None)


@pytest.mark.parametrize("evil", ["'; DROP TABLE t; --", "x' OR '1'='1", ":n", "%s %(n)s", "\\'", '"', "$1"])
def test_values_are_never_part_of_the_statement(execute: Execute, database_url: str, evil: str) -> None:
    """They arrive as they are."""
    output = execute("INSERT INTO t (n, what) VALUES (:n, :what) RETURNING what", values={"n": 1, "what": evil})
    assert output["rows"] == [{"what": evil}]
    assert ask(database_url, "SELECT what FROM t") == [(evil,)]


def test_the_steps_parameters_go_before_the_runs(execute: Execute) -> None:
    """Both may be named; percent signs and casts mean what they mean in SQL."""
    sql = "SELECT :a::int AS a, :b AS b, 'x' LIKE '%x' AS c, ' :no' AS d, 7 % 4 AS e"
    output = execute(sql, values={"a": 1, "b": "run's"}, params={"b": "step's"})
    assert output["rows"] == [{"a": 1, "b": "step's", "c": True, "d": " :no", "e": 3}]


def test_lists_and_dicts_are_json(execute: Execute) -> None:
    """As values and in rows."""
    execute("INSERT INTO t VALUES (1, NULL, :more)", params={"more": {"a": [1, None, "ü"]}})
    output = execute("SELECT more FROM t WHERE more @> :part", params={"part": {"a": [1]}})
    assert output["rows"] == [{"more": {"a": [1, None, "ü"]}}]
    output = execute("SELECT n FROM jsonb_array_elements(:list) AS n", params={"list": [3, 4]})
    assert output["rows"] == [{"n": 3}, {"n": 4}]


def test_rows_are_json(execute: Execute) -> None:
    """Types that JSON lacks become what it has; times are in UTC."""
    output = execute("""
        SELECT 3.0::numeric AS whole, 2.5::numeric AS half, 'NaN'::float8 AS nan, now() > '2020-01-01' AS yes,
            timestamptz '2026-01-02 03:04:05+01' AS at, date '2026-01-02' AS day, interval '1 minute' AS long,
            uuid '00000000-0000-0000-0000-000000000001' AS id, ARRAY[1.5, 2]::numeric[] AS list, NULL AS nothing
    """)
    assert output["rows"] == [
        {
            "whole": 3, "half": 2.5, "nan": "nan", "yes": True, "at": "2026-01-02T02:04:05+00:00", "day": "2026-01-02",
            "long": 60.0, "id": "00000000-0000-0000-0000-000000000001", "list": [1.5, 2], "nothing": None,
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sql", "error", "says"),
    [
        ("SELECT '\\x00'::bytea AS raw", SqlFailed, "column 'raw' holds bytes"),
        ("SELECT 1 AS a, 2 AS a", SqlFailed, "column 'a' twice"),
        ("SELECT repeat('x', 70000)", OutputRefused, "at most 65,536"),
        ("VACUUM t", SqlFailed, "VACUUM cannot run inside a transaction block. .*Bash step with psql"),
        ("SELECT 1 / 0", SqlFailed, "division by zero"),
        ("DO $$ BEGIN RAISE serialization_failure; END $$", TransientError, "stopped by the database"),
        ("DO $$ BEGIN RAISE deadlock_detected; END $$", TransientError, "stopped by the database"),
        ("SELECT pg_terminate_backend(pg_backend_pid())", TransientError, "stopped by the database"),
        ("SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(9)", TransientError, "user request"),
        ("SELECT :missing", ConfigurationError, "The parameters are: pipeline, run_id, slot"),
    ],
)
def test_what_cannot_be_done_leaves_nothing(
    execute: Execute, database_url: str, sql: str, error: type[Exception], says: str
) -> None:
    """Each error says who has to act."""
    with pytest.raises(error, match=says):
        execute("INSERT INTO t VALUES (1)", sql)
    assert ask(database_url, "SELECT * FROM t") == []
    assert committed(database_url) is None


def test_all_statements_together_are_bounded(execute: Execute, database_url: str) -> None:
    """What one has used the next has less."""
    with pytest.raises(OutOfTime, match="time limit of 1 s"):
        execute("INSERT INTO t VALUES (1)", "SELECT pg_sleep(0.7)", "SELECT pg_sleep(0.7)", time_limit=1)
    assert ask(database_url, "SELECT * FROM t") == []


def test_waiting_for_a_lock_is_bounded_too(execute: Execute, database_url: str) -> None:
    """Somebody holds the table."""
    with psycopg.connect(database_url) as other:
        other.execute("LOCK TABLE t")
        with pytest.raises(OutOfTime):
            execute("INSERT INTO t VALUES (1)", time_limit=0.5)


def test_a_constraint_that_is_looked_at_last_can_still_refuse(execute: Execute, database_url: str) -> None:
    """The commit itself may fail."""
    execute("CREATE TABLE late (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(SqlFailed, match="The end of the transaction was refused: duplicate key"):
        execute("INSERT INTO late VALUES (1), (1)")
    assert ask(database_url, "SELECT * FROM late") == []


def test_an_author_may_take_another_role_and_isolation(execute: Execute, database_url: str) -> None:
    """The marker is written all the same, and the next step has a session of its own."""
    output = execute(
        "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "GRANT SELECT ON t TO pg_monitor",
        "SET ROLE pg_monitor",
        "SELECT current_user, current_setting('transaction_isolation') AS isolation",
    )
    assert output["rows"] == [{"current_user": "pg_monitor", "isolation": "serializable"}]
    assert committed(database_url) == output
    assert execute("SELECT current_user = session_user AS mine")["rows"] == [{"mine": True}]


def test_the_session_is_called_by_its_name_and_ends(execute: Execute, database_url: str) -> None:
    """Discovery of new records waits for the transactions of such sessions."""
    name = "SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()"
    assert execute(name)["rows"] == [{"application_name": "batchord-sql-step"}]
    left = "SELECT FROM pg_stat_activity WHERE application_name = 'batchord-sql-step' AND datname = current_database()"
    wait_until(lambda: not ask(database_url, left), description="the step's session ended")


def test_secrets_stand_in_no_message(execute: Execute, database_url: str) -> None:
    """Neither a parameter that is called a secret, nor the URL's password, nor the rows that a detail quotes."""
    with pytest.raises(SqlFailed, match=r"invalid input syntax for type integer: .\*\*\*") as caught:
        execute("SELECT CAST(:api_key AS int)", params={"api_key": "s3cr3t-value"})
    assert "s3cr3t-value" not in str(caught.value)
    assert caught.value.__cause__ is None
    with pytest.raises(SqlFailed, match="duplicate key") as caught:
        execute("INSERT INTO t VALUES (4711), (4711)")
    assert "4711" not in str(caught.value)
    wrong = sa.make_url(database_url).set(password="wr0ng-secret")  # noqa: S106
    with pytest.raises(ConfigurationError, match="authentication failed") as refused:
        execute("SELECT 1", url=wrong.render_as_string(hide_password=False))
    assert "wr0ng-secret" not in str(refused.value)
    assert urlsplit(database_url).password not in str(refused.value)


def test_a_server_that_is_not_there_may_come_back(execute: Execute) -> None:
    """Nothing listens at port 1."""
    with pytest.raises(TransientError, match="does not answer"):
        execute("SELECT 1", url="postgresql://user:hidden-pw@127.0.0.1:1/none")


def test_an_address_from_the_environment(execute: Execute, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """There no marker is written, even if it is the ledger's database."""
    with pytest.raises(ConfigurationError, match="The step's variable url_env='OTHER_DB' is not set"):
        execute("SELECT 1", url_env="OTHER_DB")
    monkeypatch.setenv("OTHER_DB", database_url)
    assert execute("SELECT 1 AS one", url_env="OTHER_DB")["rows"] == [{"one": 1}]
    assert committed(database_url) is None


def test_another_database(execute: Execute, tmp_path: Path) -> None:
    """SQLite: the same transaction, parameters and counts; tables that were made are rolled back as well."""
    url = f"sqlite:///{tmp_path}/other.db"
    with pytest.raises(SqlFailed, match="no such table: missing"):
        execute("CREATE TABLE u (n int, what text)", "SELECT * FROM missing", url=url)
    execute("CREATE TABLE u (n int, what text)", url=url)
    execute("INSERT INTO u VALUES (:n, :what)", url=url, params={"n": 1, "what": {"a": 1}})
    assert execute("SELECT * FROM u", url=url) == {"row_count": 1, "rows": [{"n": 1, "what": '{"a": 1}'}]}
    many = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 2500) SELECT n FROM c"
    output = execute(many, url=url)
    assert (output["row_count"], len(output["rows"])) == (2500, 100)


def test_decimals_are_bound_without_loss(execute: Execute) -> None:
    """Of a value that no float holds."""
    output = execute("SELECT :d::text AS d", params={"d": Decimal("0.1000000000000000000001")})
    assert output["rows"] == [{"d": "0.1000000000000000000001"}]
