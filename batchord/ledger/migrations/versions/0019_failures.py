"""The first error of the author's code in each attempt, with its traceback."""

from alembic import op

revision = "0019"
down_revision = "0018"

_CHANGES = """
ALTER TABLE batchord.attempts ADD COLUMN failure jsonb;
"""


def upgrade() -> None:
    """Adds the column."""
    op.execute(_CHANGES)
