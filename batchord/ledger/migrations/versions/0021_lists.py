"""Lists of runs by state and by trigger, and the changes of one run, are found by index."""

from alembic import op

revision = "0021"
down_revision = "0020"

_CHANGES = """
-- Of 100,000 runs, the few that failed are the ones that people look for.
CREATE INDEX runs_by_state ON batchord.runs (state, created_at DESC);
CREATE INDEX runs_by_trigger ON batchord.runs (trigger, created_at DESC);
-- Who started, cancelled or repeated a run.
CREATE INDEX history_by_run ON batchord.history (run_id, id DESC) WHERE run_id IS NOT NULL;
"""


def upgrade() -> None:
    """Adds indexes."""
    op.execute(_CHANGES)
