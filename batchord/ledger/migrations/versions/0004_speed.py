"""What is learned of a model's speed; shards of new records only; predictions of a run by where they lie."""

from alembic import op

revision = "0004"
down_revision = "0003"

_CHANGES = """
-- Whether no record between a shard's ends was accounted for when it was planned: then none is looked up again.
ALTER TABLE batchord.shards ADD COLUMN dense boolean NOT NULL DEFAULT false;
-- The shard that this one is a part of.
ALTER TABLE batchord.shards ADD COLUMN parent int;
-- Every model version that the step was planned with; shards are dense only while it is one.
ALTER TABLE batchord.frontiers ADD COLUMN versions text[] NOT NULL DEFAULT '{}';
UPDATE batchord.frontiers AS frontier SET versions = ARRAY(
    SELECT DISTINCT run.models ->> frontier.step FROM batchord.runs AS run
    WHERE run.pipeline = frontier.pipeline AND run.models ? frontier.step);

-- A run's predictions are written together, and the ids of runs rise with time: a few bytes for every 32 pages find
-- them as well as an entry for each row, which cost a fifth of each write.
DROP INDEX batchord.predictions_run;
CREATE INDEX predictions_run ON batchord.predictions
    USING brin (run_id) WITH (pages_per_range = 32, autosummarize = on);

-- What the shard ran on, such as cpu or cuda.
ALTER TABLE batchord.shards ADD COLUMN worker_class text;
CREATE TABLE batchord.rates (
    pipeline            text NOT NULL,
    step                text NOT NULL,
    model_version       text NOT NULL,
    worker_class        text NOT NULL,
    records_per_second  double precision NOT NULL,
    shards              bigint NOT NULL,
    most_rows           bigint,
    updated_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (pipeline, step, model_version, worker_class)
);
"""


def upgrade() -> None:
    """Adds columns and a table, and replaces an index."""
    op.execute(_CHANGES)
