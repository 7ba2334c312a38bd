"""The alerts of a day are counted by index."""

from alembic import op

revision = "0023"
down_revision = "0022"

_CHANGES = """
-- With the pipeline, so that the first page counts them without reading them.
CREATE INDEX alerts_recent ON batchord.alerts (created_at, pipeline);
"""


def upgrade() -> None:
    """Adds an index."""
    op.execute(_CHANGES)
