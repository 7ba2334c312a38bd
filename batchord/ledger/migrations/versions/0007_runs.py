"""Runs that may be at work together, and reruns.

A revision for each table that workers use: they lock several in an order of their own.
"""

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
"""


def upgrade() -> None:
    """Adds columns and indexes."""
    op.execute(_CHANGES)
