"""What belongs to the ledger in the schema ``batchord``. An author put everything else there by mistake."""

from typing import LiteralString

SCHEMA: LiteralString = "batchord"
#: Takes the lock for changing rights: PostgreSQL refuses two changes at the same time. The number is arbitrary; no
#: other program in the database may use it.
TURN: LiteralString = "SELECT pg_catalog.pg_advisory_xact_lock(7226501115)"

#: Tables, views and routines.
LEDGERS_OWN = (
    "alerts",
    "attempt_logs",
    "attempts",
    "audits",
    "commit_sql_step",
    "current_predictions",
    "frontiers",
    "history",
    "incidents",
    "now",
    "pipelines",
    "predictions",
    "provenance",
    "rates",
    "rejections",
    "resets",
    "runs",
    "schema_version",
    "shards",
    "steps",
    "tallies",
)
