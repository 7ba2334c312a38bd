"""Executes the statements of a Sql step."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
import sqlalchemy as sa

from batchord.core.declared.context import RunContext, checked_output
from batchord.core.declared.step_context import StepContext
from batchord.core.errors import LeaseLost, OutOfTime
from batchord.core.process.fault_points import fault
from batchord.database.engine import create_engine, resolved_url
from batchord.database.lenient import as_text, bear_times
from batchord.database.own import PATH_WITHOUT_LEDGER
from batchord.steps.sql.failures import connecting, executing, was_cancelled
from batchord.steps.sql.parameters import bound
from batchord.steps.sql.rows import output_of
from batchord.steps.sql.step import Sql

#: It differs from the name of the ledger's sessions: these sessions may write to a source, so discovery waits for them.
APPLICATION_NAME = "batchord-sql-step"
#: Executed before the step's statements, so that a ``current_date`` or a cast means the same in every process. On
#: PostgreSQL only for the transaction: behind a pooler, a session's setting would reach other clients.
_SESSION = {"postgresql": "SET LOCAL TIME ZONE 'UTC'", "mysql": "SET time_zone = '+00:00'"}
_SESSION["mariadb"] = _SESSION["mysql"]
#: The greatest time-out that PostgreSQL accepts, in milliseconds.
_LONGEST = 2**31 - 1

#: The role that executes statements can write to the ledger only through this function.
_COMMITTED = sa.text("""
    SELECT batchord.commit_sql_step(
        run => CAST(:run_id AS uuid), step => :step, token => CAST(:token AS uuid), output => CAST(:output AS jsonb))
""")


def execute(declared: Sql, context: StepContext) -> dict[str, Any]:
    """Executes the statements in one transaction; see :meth:`batchord.steps.sql.step.Sql.execute`.

    Returns ``row_count`` and ``rows`` (dicts, at most 100) of the last statement. The connection is closed afterwards:
    what a step sets, locks or creates for its session must not reach the next step.
    """
    url = resolved_url(declared.url, declared.url_env, context.database_url, whose="step")
    values = {**context.run.params, **_of_run(context.run), **declared.params}
    statements = [bound(each, values, dialect=url.get_backend_name()) for each in declared.statements]
    clock = _Clock(context.time_limit)
    with _connection(url, context.lock_seconds) as connection:
        output: dict[str, Any] = {}
        for number, statement in enumerate(statements, start=1):
            what = f"Statement {number} of {len(statements)}"
            with executing(url, what, values), clock.bounding(connection):
                result = connection.execute(statement)
                if number == len(statements):
                    output = output_of(result)
        checked_output(context.run.step, output)  # refuse an output that is too large before the commit
        with executing(url, "The end of the transaction", values), clock.bounding(connection):
            if declared.url is None and declared.url_env is None:
                _write_down(connection, context, output)
            fault("before-sql-commit")
            connection.commit()
    fault("after-sql-commit")
    return output


def _of_run(run: RunContext) -> dict[str, Any]:
    """The values that parameters may name besides the run's own parameters."""
    return {
        "run_id": run.id,
        "pipeline": run.pipeline,
        "slot": run.slot,
        "window_start": run.window_start,
        "window_end": run.window_end,
    }


@contextmanager
def _connection(url: sa.URL, lock_seconds: float) -> Iterator[sa.Connection]:
    """A connection in a transaction, which is rolled back unless somebody commits it."""
    engine = create_engine(url, application_name=APPLICATION_NAME, whose="step", poolclass=sa.NullPool)
    if engine.dialect.name == "sqlite":
        # Python's sqlite3 begins a transaction only with the first change of a row: tables created before would stay.
        sa.event.listen(engine, "connect", _no_transactions_of_its_own)
        sa.event.listen(engine, "begin", _begin)
    with connecting(url):
        connection = engine.connect()
    try:
        with connecting(url):
            if isinstance(driver := connection.connection.driver_connection, psycopg.Connection):
                bear_times(driver.adapters, as_text)
            path = list(_beside_the_ledger(connection))
            if engine.dialect.name in _SESSION:
                connection.exec_driver_sql(_SESSION[engine.dialect.name])
            if engine.dialect.name == "postgresql":
                # As for the ledger's own transactions: this one locks the step's row. The worker that takes the step
                # over, and the sweeper, would wait for it.
                idle = max(1, int(lock_seconds * 1000))
                limit = f"SET LOCAL idle_in_transaction_session_timeout = {idle}"
                connection.exec_driver_sql("; ".join([limit, *path]))
        yield connection
    finally:
        connection.close()


def _beside_the_ledger(connection: sa.Connection) -> Iterator[str]:
    """The statement after which a name without a schema means the author's table, not the ledger's.

    The path is asked for in an earlier transaction: a query in the step's own would take its snapshot, and the author
    may want to set the isolation first.
    """
    if connection.dialect.name == "postgresql":
        path = connection.exec_driver_sql(f"SELECT {PATH_WITHOUT_LEDGER}").scalar()
        connection.rollback()
        if path is not None:  # the query quotes each name
            yield f"SET LOCAL search_path TO {path}".replace("%", "%%")


class _Clock:
    """The time that a step has left. On PostgreSQL the server ends a statement that exceeds it.

    On other databases the time is checked only between statements.
    """

    def __init__(self, limit: float | None) -> None:
        self._limit = limit
        self._end = None if limit is None else time.monotonic() + limit

    @contextmanager
    def bounding(self, connection: sa.Connection) -> Iterator[None]:
        """Raises OutOfTime if the time is over before the block, or if the server ends a statement in it for that."""
        if self._end is None:
            yield
            return
        left = self._end - time.monotonic()
        if left <= 0:
            raise self._over()
        try:
            if connection.dialect.name == "postgresql":
                milliseconds = max(1, min(_LONGEST, int(left * 1000)))
                connection.exec_driver_sql(f"SET LOCAL statement_timeout = {milliseconds}")
            yield
        except sa.exc.SQLAlchemyError as error:
            if was_cancelled(error) and time.monotonic() >= self._end - 0.01:
                raise self._over() from None
            raise

    def _over(self) -> OutOfTime:
        return OutOfTime(
            f"The statements took longer than the time limit of {self._limit:g} s. Nothing was committed. Make "
            "them faster, or give the step a longer time_limit=."
        )


def _write_down(connection: sa.Connection, context: StepContext, output: Mapping[str, Any]) -> None:
    # The author's statements may have changed to a role that cannot use the ledger.
    connection.exec_driver_sql("RESET ROLE")
    run = context.run
    named = {"output": json.dumps(output), "run_id": run.id, "step": run.step, "token": context.token}
    if not connection.scalar(_COMMITTED, named):
        connection.rollback()
        raise LeaseLost(f"Step {run.step} of run {run.id} belongs to another worker now. Nothing of it was committed.")


def _no_transactions_of_its_own(connection: Any, _record: Any) -> None:
    connection.isolation_level = None


def _begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN")
