"""Steps of every kind in a graph, and the attempts at them."""

from alembic import op

revision = "0008"
down_revision = "0007"

_CHANGES = """
ALTER TABLE batchord.steps ADD COLUMN join_rule text NOT NULL DEFAULT 'all_done_ok';
-- Seconds that an attempt at the step as a whole may take; NULL: as long as it likes.
ALTER TABLE batchord.steps ADD COLUMN time_limit double precision;
-- Seconds after sent_at before the next attempt is due.
ALTER TABLE batchord.steps ADD COLUMN wait_seconds double precision NOT NULL DEFAULT 0;
-- What a Sql step gave, written down in the transaction of its statements.
ALTER TABLE batchord.steps ADD COLUMN committed jsonb;
-- Whether its end was taken over from the run that this run takes up again.
ALTER TABLE batchord.steps ADD COLUMN reused boolean NOT NULL DEFAULT false;

-- How often it was sent again; each time the sweeper waits twice as long.
ALTER TABLE batchord.steps ADD COLUMN resent int NOT NULL DEFAULT 0;

-- Every attempt at a step or a shard.
CREATE TABLE batchord.attempts (
    run_id       uuid NOT NULL,
    step         text NOT NULL,
    -- -1: the step as a whole.
    shard        int NOT NULL DEFAULT -1,
    attempt      int NOT NULL,
    worker       text NOT NULL,
    -- running, done, failed, retried (an error; another attempt follows), handed back (not for an error of its own;
    -- another attempt follows), lost (its worker died), split, cancelled.
    state        text NOT NULL DEFAULT 'running',
    error        text,
    started_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- From when on it may have had effects that cannot be taken back; NULL where that does not matter.
    begun_at     timestamptz,
    finished_at  timestamptz,
    PRIMARY KEY (run_id, step, shard, attempt),
    FOREIGN KEY (run_id, step) REFERENCES batchord.steps ON DELETE CASCADE
);
"""


def upgrade() -> None:
    """Adds columns and a table."""
    op.execute(_CHANGES)
