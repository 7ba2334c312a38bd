"""What in the schema ``batchord`` is the ledger's; whatever else lies there, an author put there unawares."""

from typing import LiteralString

SCHEMA: LiteralString = "batchord"
#: Held by whoever changes rights: PostgreSQL refuses two at once. Any constant will do, as long as no other program in
#: the database takes the same.
TURN: LiteralString = "SELECT pg_catalog.pg_advisory_xact_lock(7226501115)"

#: Tables, views and routines.
LEDGERS_OWN = (
    "alerts",
    "attempt_logs",
    "attempts",
    "commit_sql_step",
    "current_predictions",
    "frontiers",
    "history",
    "incidents",
    "pipelines",
    "predictions",
    "rates",
    "rejections",
    "runs",
    "schema_version",
    "shards",
    "steps",
)
