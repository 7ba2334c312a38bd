"""Alembic's entry point. Each revision is a transaction; one advisory lock spans them all. The schema is ``batchord``.

A single transaction for all revisions would lock several tables. Workers that write at the same time lock them in
another order, so deadlocks would end the migration again and again. Therefore the advisory lock has a transaction of
its own, on another connection. A session's lock would outlive the migration behind a transaction pooler.
"""

from alembic import context
from sqlalchemy import Connection, NullPool, create_engine, event, text

from batchord.database.own import LOOK_NOWHERE

#: An arbitrary number that no other program in the database uses.
_LOCK = 7_226_501_114

engine = create_engine(
    context.config.attributes["url"],
    poolclass=NullPool,
    connect_args={
        "application_name": "batchord-ledger-migrate",
        "connect_timeout": 10,
        # Behind a transaction pooler, prepared statements may be left in another session.
        "prepare_threshold": None,
    },
)


@event.listens_for(engine, "begin")
def look_nowhere(connection: Connection) -> None:
    """Sets the search path in every transaction: behind a pooler, the next one may run in another session."""
    connection.exec_driver_sql(LOOK_NOWHERE)


with engine.begin() as guard, engine.connect() as connection:
    guard.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
    guard.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    # Not IF NOT EXISTS: it needs the right to create a schema even if the schema exists.
    if connection.scalar(text("SELECT to_regnamespace('batchord')")) is None:
        connection.execute(text("CREATE SCHEMA batchord"))
    connection.commit()
    context.configure(
        connection=connection,
        version_table="schema_version",
        version_table_schema="batchord",
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
