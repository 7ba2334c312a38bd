"""What ended runs have counted, kept for metrics: a counter must not fall when runs are pruned."""

from alembic import op

revision = "0020"
down_revision = "0019"

_CHANGES = """
CREATE TABLE batchord.tallies (
    pipeline  text NOT NULL,
    name      text NOT NULL,
    -- The step, the state or the cause; empty where the name needs none.
    label     text NOT NULL DEFAULT '',
    value     double precision NOT NULL,
    PRIMARY KEY (pipeline, name, label)
);
ALTER TABLE batchord.runs ADD COLUMN tallied boolean NOT NULL DEFAULT false;
-- Open runs, and those that ended a moment ago: metrics read these alone, however many have ended.
CREATE INDEX runs_untallied ON batchord.runs (id) WHERE NOT tallied;
"""


def upgrade() -> None:
    """Adds a table, a column and an index."""
    op.execute(_CHANGES)
