"""Alembic's entry point: one transaction, under an advisory lock, in schema ``batchord``."""

from alembic import context
from sqlalchemy import NullPool, create_engine, text

#: Any constant will do, as long as no other program in the database takes the same.
_LOCK = 7_226_501_114

engine = create_engine(
    context.config.attributes["url"],
    poolclass=NullPool,
    connect_args={"application_name": "batchord-ledger-migrate", "connect_timeout": 10},
)
with engine.connect() as connection, connection.begin():
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    connection.execute(text("CREATE SCHEMA IF NOT EXISTS batchord"))
    context.configure(connection=connection, version_table="schema_version", version_table_schema="batchord")
    context.run_migrations()
engine.dispose()
