"""Past audits are kept, and long lists are read a page at a time."""

from alembic import op

revision = "0022"
down_revision = "0021"

_CHANGES = """
CREATE TABLE batchord.audits (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at           timestamptz NOT NULL DEFAULT batchord.now(),
    pipeline     text NOT NULL,
    seconds      double precision NOT NULL,
    records      bigint NOT NULL,
    predicted    bigint NOT NULL,
    rejected     bigint NOT NULL,
    pending      bigint NOT NULL,
    missing      bigint NOT NULL,
    duplicated   bigint NOT NULL,
    -- Why steps could not be checked, by step.
    not_audited  jsonb NOT NULL DEFAULT '{}',
    -- The counts of each step of several.
    steps        jsonb NOT NULL DEFAULT '{}',
    -- Some keys for each kind of finding.
    examples     jsonb NOT NULL DEFAULT '{}',
    -- The run that predicts what was missing. No foreign key: an audit outlives a pruned run.
    run_id       uuid,
    -- NULL: the daily audit.
    by_user      text,
    by_host      text,
    way          text
);
CREATE INDEX audits_by_pipeline ON batchord.audits (pipeline, id DESC);

-- The newest of each step and reason are read from the index's end, and a group is counted without the others.
CREATE INDEX rejections_newest ON batchord.rejections (pipeline, step, reason, rejected_at);
CREATE INDEX rejections_newest_of_run ON batchord.rejections (run_id, step, reason, rejected_at);
-- Those two begin with the columns of these.
DROP INDEX batchord.rejections_step;
DROP INDEX batchord.rejections_run;

CREATE INDEX alerts_by_pipeline ON batchord.alerts (pipeline, id DESC);
CREATE INDEX history_by_user ON batchord.history (by_user, id DESC);

-- What ended a moment ago, for the throughput of queues.
CREATE INDEX shards_finished ON batchord.shards (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX steps_finished ON batchord.steps (finished_at) WHERE finished_at IS NOT NULL AND NOT sharded;
"""


def upgrade() -> None:
    """Adds a table and indexes. It replaces two indexes by wider ones; writers wait meanwhile."""
    op.execute(_CHANGES)
