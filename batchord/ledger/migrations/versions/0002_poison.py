"""Shards that lose their workers are split; alerts are kept; runs may look at the whole source."""

from alembic import op

revision = "0002"
down_revision = "0001"

_CHANGES = """
-- How often a worker was killed, or vanished, or ran out of time while it held the shard.
ALTER TABLE batchord.shards ADD COLUMN losses int NOT NULL DEFAULT 0;
-- Such a run scans its whole source instead of what lies above the frontier.
ALTER TABLE batchord.runs ADD COLUMN full_scan boolean NOT NULL DEFAULT false;

CREATE TABLE batchord.alerts (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Names the event, so that it is told once, however often it is found.
    event       text NOT NULL UNIQUE,
    pipeline    text NOT NULL,
    run_id      uuid,
    message     text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
"""


def upgrade() -> None:
    """Adds columns and the table of alerts."""
    op.execute(_CHANGES)
