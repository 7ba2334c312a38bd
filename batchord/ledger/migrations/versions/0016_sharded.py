"""Whether a step becomes shards: the one thing that the ledger's statements ask about a step's kind."""

from alembic import op

revision = "0016"
down_revision = "0015"

_CHANGES = """
-- Generated: workers of the release before insert steps without it. PostgreSQL writes the table anew, which takes some
-- seconds for a million steps; whoever reads it waits meanwhile.
ALTER TABLE batchord.steps ADD COLUMN sharded boolean NOT NULL GENERATED ALWAYS AS (kind = 'predict') STORED;
"""


def upgrade() -> None:
    """Adds the column."""
    op.execute(_CHANGES)
