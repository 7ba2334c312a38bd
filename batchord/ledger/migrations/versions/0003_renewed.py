"""Shards know when their lease was renewed last: before the server's start, nobody could have renewed it since."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Adds a column."""
    op.execute("ALTER TABLE batchord.shards ADD COLUMN renewed_at timestamptz")
