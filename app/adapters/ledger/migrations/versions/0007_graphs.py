"""Steps of every kind in a graph, attempts and their logs, schedules switched at run time, alerts that are sent."""

from alembic import op

revision = "0007"
down_revision = "0006"

_CHANGES = """
-- How many runs of its pipeline may be at work while this one is.
ALTER TABLE batchord.runs ADD COLUMN max_active int NOT NULL DEFAULT 1;
-- Whether runs at work at once must have windows that do not overlap.
ALTER TABLE batchord.runs ADD COLUMN disjoint boolean NOT NULL DEFAULT true;
-- The run that this one takes up again.
ALTER TABLE batchord.runs ADD COLUMN rerun_of uuid;
DROP INDEX batchord.runs_one_running;
CREATE UNIQUE INDEX runs_one_running ON batchord.runs (pipeline) WHERE state = 'running' AND max_active = 1;
CREATE INDEX runs_by_pipeline ON batchord.runs (pipeline, created_at DESC);
-- The newest that succeeded is asked for at each tick, however many have been skipped since.
CREATE INDEX runs_succeeded ON batchord.runs (pipeline, created_at DESC) WHERE state = 'succeeded';

ALTER TABLE batchord.steps ADD COLUMN join_rule text NOT NULL DEFAULT 'all_done_ok';
-- Seconds that an attempt at the step as a whole may take; NULL: as long as it likes.
ALTER TABLE batchord.steps ADD COLUMN time_limit double precision;
-- Seconds after sent_at before the next attempt is due.
ALTER TABLE batchord.steps ADD COLUMN wait_seconds double precision NOT NULL DEFAULT 0;
-- What a Sql step gave, written down in the transaction of its statements.
ALTER TABLE batchord.steps ADD COLUMN committed jsonb;
-- Whether its end was taken over from the run that this run takes up again.
ALTER TABLE batchord.steps ADD COLUMN reused boolean NOT NULL DEFAULT false;

-- Seconds after sent_at before the next attempt is due.
ALTER TABLE batchord.shards ADD COLUMN wait_seconds double precision NOT NULL DEFAULT 0;

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

CREATE TABLE batchord.attempt_logs (
    id          bigint GENERATED ALWAYS AS IDENTITY,
    run_id      uuid NOT NULL,
    step        text NOT NULL,
    shard       int NOT NULL DEFAULT -1,
    attempt     int NOT NULL,
    part        int NOT NULL,
    worker      text NOT NULL,
    -- A list of [time, level, source, message].
    lines       jsonb NOT NULL,
    written_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, step, shard, attempt, part)
);
CREATE INDEX attempt_logs_order ON batchord.attempt_logs (run_id, id);

-- What was switched at run time, and since when a pipeline is known.
CREATE TABLE batchord.pipelines (
    name           text PRIMARY KEY,
    first_seen_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    paused_at      timestamptz,
    -- In place of the file's.
    schedule       jsonb,
    changed_at     timestamptz
);

ALTER TABLE batchord.alerts ADD COLUMN kind text NOT NULL DEFAULT 'audit';
ALTER TABLE batchord.alerts ADD COLUMN title text NOT NULL DEFAULT '';
-- When it is to be sent, or to be sent again.
ALTER TABLE batchord.alerts ADD COLUMN due_at timestamptz NOT NULL DEFAULT clock_timestamp();
ALTER TABLE batchord.alerts ADD COLUMN attempts int NOT NULL DEFAULT 0;
-- When each receiver, by a digest of its address, has taken it.
ALTER TABLE batchord.alerts ADD COLUMN sent jsonb NOT NULL DEFAULT '{}';
-- When every receiver had it, or it was given up; error says why.
ALTER TABLE batchord.alerts ADD COLUMN closed_at timestamptz;
ALTER TABLE batchord.alerts ADD COLUMN error text;
-- Of the time before alerts were sent.
UPDATE batchord.alerts SET closed_at = created_at;
CREATE INDEX alerts_due ON batchord.alerts (due_at) WHERE closed_at IS NULL;

-- What is wrong with a pipeline at the moment; gone when it has recovered.
CREATE TABLE batchord.incidents (
    pipeline   text NOT NULL,
    kind       text NOT NULL,
    opened_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    message    text NOT NULL,
    PRIMARY KEY (pipeline, kind)
);
"""


def upgrade() -> None:
    """Adds tables and columns; the unique index of runs at work is made anew."""
    op.execute(_CHANGES)
