"""Alembic's entry point: a transaction for each revision, all under one advisory lock, in schema ``batchord``.

One transaction for all would hold the locks on several tables, and workers that write meanwhile take them in another
order: the migration would be the deadlock's victim, again and again. So the advisory lock has a transaction of its
own, on another connection. A session's lock would outlive the migration behind a transaction pooler.
"""

from alembic import context
from sqlalchemy import Connection, NullPool, create_engine, event, text

from batchord.database.own import LOOK_NOWHERE

#: Any constant will do, as long as no other program in the database takes the same.
_LOCK = 7_226_501_114

engine = create_engine(
    context.config.attributes["url"],
    poolclass=NullPool,
    connect_args={
        "application_name": "batchord-ledger-migrate",
        "connect_timeout": 10,
        # Behind a transaction pooler there may be no session to keep them in.
        "prepare_threshold": None,
    },
)


@event.listens_for(engine, "begin")
def look_nowhere(connection: Connection) -> None:
    """In every transaction: a pooler may have no session to keep it in."""
    connection.exec_driver_sql(LOOK_NOWHERE)


with engine.begin() as guard, engine.connect() as connection:
    guard.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
    guard.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    # IF NOT EXISTS asks for the right to create one even where it is there.
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
