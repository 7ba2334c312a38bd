"""Shards wait before their next attempt as long as their author says."""

from alembic import op

revision = "0009"
down_revision = "0008"

_CHANGES = """
-- Seconds after sent_at before the next attempt is due.
ALTER TABLE batchord.shards ADD COLUMN wait_seconds double precision NOT NULL DEFAULT 0;
"""


def upgrade() -> None:
    """Adds a column."""
    op.execute(_CHANGES)
