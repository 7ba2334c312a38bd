"""The ledger: runs, steps, shards, predictions, rejections, frontiers."""

from alembic import op

revision = "0001"
down_revision = None

_TABLES = """
CREATE TABLE batchord.runs (
    id            uuid PRIMARY KEY,
    pipeline      text NOT NULL,
    kind          text NOT NULL,
    trigger       text NOT NULL,
    slot          timestamptz,
    window_start  timestamptz,
    window_end    timestamptz,
    state         text NOT NULL,
    params        jsonb NOT NULL DEFAULT '{}',
    request       text UNIQUE,
    models        jsonb NOT NULL DEFAULT '{}',
    discovered    bigint NOT NULL DEFAULT 0,
    predicted     bigint NOT NULL DEFAULT 0,
    rejected      bigint NOT NULL DEFAULT 0,
    summary       jsonb,
    error         text,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at    timestamptz,
    finished_at   timestamptz,
    -- A tick sent twice, or by two beats, opens one run. A run without a slot is never a duplicate.
    UNIQUE (pipeline, kind, slot)
);
-- At most one run of a pipeline is at work: two at once would plan the same records.
CREATE UNIQUE INDEX runs_one_running ON batchord.runs (pipeline) WHERE state = 'running';
-- The sweeper and the queue look at open runs only, however many have ended.
CREATE INDEX runs_open ON batchord.runs (pipeline, created_at) WHERE state IN ('queued', 'running');
CREATE INDEX runs_recent ON batchord.runs (created_at DESC);

CREATE TABLE batchord.steps (
    run_id        uuid NOT NULL REFERENCES batchord.runs ON DELETE CASCADE,
    name          text NOT NULL,
    ordinal       int NOT NULL,
    kind          text NOT NULL,
    after         text[] NOT NULL DEFAULT '{}',
    state         text NOT NULL,
    attempt       int NOT NULL DEFAULT 0,
    lease_token   uuid,
    lease_until   timestamptz,
    worker        text,
    queue         text,
    backlog_left  boolean NOT NULL DEFAULT false,
    sent_at       timestamptz,
    started_at    timestamptz,
    planned_at    timestamptz,
    finished_at   timestamptz,
    output        jsonb,
    error         text,
    PRIMARY KEY (run_id, name)
);
-- The sweeper looks at these only.
CREATE INDEX steps_open ON batchord.steps (run_id) WHERE state IN ('ready', 'planning', 'running');
CREATE INDEX steps_backlog ON batchord.steps (run_id) WHERE backlog_left;

CREATE TABLE batchord.shards (
    run_id          uuid NOT NULL,
    step            text NOT NULL,
    index           int NOT NULL,
    first_position  jsonb NOT NULL,
    last_position   jsonb NOT NULL,
    planned         bigint NOT NULL,
    -- As planned until the shard is done, then what its range really held.
    discovered      bigint NOT NULL,
    state           text NOT NULL DEFAULT 'pending',
    attempt         int NOT NULL DEFAULT 0,
    lease_token     uuid,
    lease_until     timestamptz,
    worker          text,
    predicted       bigint NOT NULL DEFAULT 0,
    rejected        bigint NOT NULL DEFAULT 0,
    timings         jsonb,
    error           text,
    sent_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- How often it was sent again; each time the sweeper waits twice as long.
    resent          int NOT NULL DEFAULT 0,
    started_at      timestamptz,
    finished_at     timestamptz,
    PRIMARY KEY (run_id, step, index),
    FOREIGN KEY (run_id, step) REFERENCES batchord.steps ON DELETE CASCADE
);
CREATE INDEX shards_open ON batchord.shards (run_id, step) WHERE state IN ('pending', 'running');

CREATE TABLE batchord.predictions (
    pipeline       text NOT NULL,
    step           text NOT NULL,
    record_key     text NOT NULL,
    model_version  text NOT NULL,
    label          text,
    score          double precision,
    output         jsonb,
    run_id         uuid NOT NULL,
    shard          int NOT NULL,
    attempt        int NOT NULL,
    input_digest   bigint,
    predicted_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (pipeline, step, record_key, model_version)
);
CREATE INDEX predictions_run ON batchord.predictions (run_id, step);

CREATE TABLE batchord.rejections (
    pipeline       text NOT NULL,
    step           text NOT NULL,
    record_key     text NOT NULL,
    model_version  text NOT NULL,
    reason         text NOT NULL,
    detail         text NOT NULL,
    attempts       int NOT NULL,
    run_id         uuid NOT NULL,
    shard          int NOT NULL,
    rejected_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (pipeline, step, record_key, model_version)
);
CREATE INDEX rejections_run ON batchord.rejections (run_id, step);

-- The newest model version's prediction of each record.
CREATE VIEW batchord.current_predictions AS
SELECT DISTINCT ON (pipeline, step, record_key) *
FROM batchord.predictions
ORDER BY pipeline, step, record_key, predicted_at DESC;

CREATE TABLE batchord.frontiers (
    pipeline       text NOT NULL,
    step           text NOT NULL,
    -- Another query may give other records: a frontier counts only for the source that it was made with.
    source_digest  text NOT NULL,
    position       jsonb,
    candidates     jsonb NOT NULL DEFAULT '[]',
    moved_at       timestamptz,
    updated_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (pipeline, step)
);
"""


def upgrade() -> None:
    """Creates the tables in schema ``batchord``."""
    op.execute(_TABLES)
