"""What a step's code was when it was planned, and which pipelines files have scheduled."""

from alembic import op

revision = "0012"
down_revision = "0011"

_CHANGES = """
-- Digest of the source and the model as they were declared; NULL: planned by an earlier release, or no Predict step.
ALTER TABLE batchord.steps ADD COLUMN code text;

-- When a file that schedules it was last seen; NULL: none does, or its end was told of.
ALTER TABLE batchord.pipelines ADD COLUMN scheduled_by_file_at timestamptz;
"""


def upgrade() -> None:
    """Adds columns."""
    op.execute(_CHANGES)
