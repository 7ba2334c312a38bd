"""What belongs to the ledger in the schema ``batchord``. An author put everything else there by mistake."""

from typing import LiteralString

SCHEMA: LiteralString = "batchord"
#: The schema of the tables of predictions, one for each ``Predict`` step. All of it is the ledger's.
RESULTS_SCHEMA: LiteralString = "batchord_results"
#: Takes the lock for changing rights: PostgreSQL refuses two changes at the same time. The number is arbitrary; no
#: other program in the database may use it.
TURN: LiteralString = "SELECT pg_catalog.pg_advisory_xact_lock(7226501115)"

#: Tables, views and routines.
LEDGERS_OWN = (
    "add_outputs",
    "alerts",
    "are_wider",
    "attempt_logs",
    "attempts",
    "audits",
    "commit_sql_step",
    "create_results",
    "create_results_of",
    "current_predictions",
    "earlier_predictions",
    "frontiers",
    "grant_alike",
    "history",
    "incidents",
    "is_wider",
    "key_text",
    "make_results",
    "make_results_of_columns",
    "now",
    "output_type",
    "pipelines",
    "place_results",
    "place_results_at",
    "predictions",
    "provenance",
    "rates",
    "refuse_older_workers",
    "rejections",
    "resets",
    "result_rows",
    "results",
    "results_name",
    "runs",
    "schema_version",
    "serve_results",
    "shards",
    "show_results",
    "steps",
    "tallies",
    "text_of_parts",
    "use_results",
    "use_results_of_columns",
    "whole_output",
    "writers",
)
