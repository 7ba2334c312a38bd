"""Checks the statements of a Sql step: PostgreSQL parses them and looks up their names, and executes none."""

from collections.abc import Iterator

import psycopg
import sqlalchemy as sa
from psycopg.pq import DiagnosticField, ExecStatus
from sqlalchemy.dialects import postgresql

from batchord.core.declared.step_context import CheckContext
from batchord.core.text.sql_text import changes_tables
from batchord.database.engine import create_engine, resolved_url
from batchord.database.own import LOOK_BESIDE_LEDGER, MARK_READING
from batchord.steps.sql.failures import connecting
from batchord.steps.sql.parameters import clause_of
from batchord.steps.sql.step import Sql

APPLICATION_NAME = "batchord-check"
#: A parameter's value decides about its type, and a check does not know it. So with parameters, only these errors are
#: certain: a column or a table that does not exist, a name that may mean two columns, a schema that does not exist.
_OF_NAMES = frozenset({"42703", "42P01", "42702", "3F000"})
_OF_SYNTAX = "42601"
#: The type of a parameter is open; its value will decide.
_OPEN_TYPE = "42P18"


def check(declared: Sql, context: CheckContext) -> Iterator[str]:
    """The problems of the statements, each with the database's own words.

    Other databases than PostgreSQL execute what they are asked to prepare, or cannot prepare it: for them only the
    parameters are checked. Raises ConfigurationError and TransientError.
    """
    url = resolved_url(declared.url, declared.url_env, context.database_url, whose="step")
    clauses = [clause_of(sql, dialect=url.get_backend_name()) for sql in declared.statements]
    if url.drivername != "postgresql+psycopg":
        return
    engine = create_engine(url, application_name=APPLICATION_NAME, whose="step", poolclass=sa.NullPool)
    may_change = context.tables_may_change
    with connecting(url), engine.connect().execution_options(postgresql_readonly=True) as connection:
        milliseconds = round(context.time_limit.total_seconds() * 1000)
        connection.exec_driver_sql(
            f"SET LOCAL statement_timeout = {milliseconds}; {MARK_READING}; {LOOK_BESIDE_LEDGER}"
        )
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)  # noqa: S101 -- this dialect uses psycopg
        for number, clause in enumerate(clauses, start=1):
            problem = _problem(driver, clause, names_are_known=not may_change)
            if problem is not None:
                yield f"Statement {number} of {len(clauses)} would be refused: {problem}"
            may_change = may_change or changes_tables(declared.statements[number - 1])


def _problem(driver: psycopg.Connection[object], clause: sa.TextClause, *, names_are_known: bool) -> str | None:
    compiled = clause.compile(dialect=postgresql.dialect(paramstyle="numeric_dollar"))  # type: ignore[no-untyped-call]
    driver.execute("SAVEPOINT batchord_check")
    result = driver.pgconn.prepare(b"", str(compiled).encode())
    driver.execute("ROLLBACK TO SAVEPOINT batchord_check")
    if result.status == ExecStatus.COMMAND_OK:
        return None
    state = (result.error_field(DiagnosticField.SQLSTATE) or b"").decode()
    certain = state == _OF_SYNTAX or (
        names_are_known and (state in _OF_NAMES if compiled.params else state != _OPEN_TYPE)
    )
    return result.error_message.decode(errors="replace").removeprefix("ERROR:").strip() if certain else None
