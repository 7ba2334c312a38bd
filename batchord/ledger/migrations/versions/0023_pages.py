"""What pages filter by is found by index: a pipeline's runs by state and by trigger, and the alerts of a day."""

from alembic import op

revision = "0023"
down_revision = "0022"

_CHANGES = """
-- The newest runs of each pipeline that failed, or that people started.
CREATE INDEX runs_by_pipeline_and_state ON batchord.runs (pipeline, state, created_at DESC);
CREATE INDEX runs_by_pipeline_and_trigger ON batchord.runs (pipeline, trigger, created_at DESC);
-- The first of these has its rows, too.
DROP INDEX batchord.runs_succeeded;
-- With the pipeline, so that the first page counts them without reading them.
CREATE INDEX alerts_recent ON batchord.alerts (created_at, pipeline);
"""


def upgrade() -> None:
    """Adds indexes, one of which replaces another. Writers wait meanwhile."""
    op.execute(_CHANGES)
