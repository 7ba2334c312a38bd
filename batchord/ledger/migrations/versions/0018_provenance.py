"""Each prediction's provenance is a row of a view; and the ledger knows when a person reset a step."""

from alembic import op

revision = "0018"
down_revision = "0017"

_CHANGES = """
-- All joins are outer joins over primary keys: a prediction whose run was pruned stays a row, and a query that asks for
-- fewer columns reads fewer tables.
CREATE VIEW batchord.provenance AS
SELECT prediction.pipeline, prediction.step, prediction.record_key, prediction.model_version,
       prediction.label, prediction.score, prediction.run_id, run.kind, run.trigger, run.slot,
       prediction.shard, prediction.attempt, shard.attempt AS attempts, attempt.worker, attempt.task,
       prediction.input_digest, step.code, step.planned_at AS discovered_at, prediction.predicted_at
FROM batchord.predictions AS prediction
LEFT JOIN batchord.runs AS run ON run.id = prediction.run_id
LEFT JOIN batchord.steps AS step ON step.run_id = prediction.run_id AND step.name = prediction.step
LEFT JOIN batchord.shards AS shard
       ON shard.run_id = prediction.run_id AND shard.step = prediction.step AND shard.index = prediction.shard
LEFT JOIN batchord.attempts AS attempt
       ON attempt.run_id = prediction.run_id AND attempt.step = prediction.step AND attempt.shard = prediction.shard
      AND attempt.attempt = prediction.attempt;

-- No foreign key and no row of pipelines: a step may be reset after its file is gone. Rows stay: what an older run
-- wrote counts no more.
CREATE TABLE batchord.resets (
    pipeline  text NOT NULL,
    step      text NOT NULL,
    reset_at  timestamptz NOT NULL DEFAULT batchord.now(),
    PRIMARY KEY (pipeline, step)
);
"""


def upgrade() -> None:
    """Adds a view and a table."""
    op.execute(_CHANGES)
