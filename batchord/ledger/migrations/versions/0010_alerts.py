"""Alerts are sent."""

from alembic import op

revision = "0010"
down_revision = "0009"

_CHANGES = """
ALTER TABLE batchord.alerts ADD COLUMN kind text NOT NULL DEFAULT 'audit';
ALTER TABLE batchord.alerts ADD COLUMN title text NOT NULL DEFAULT '';
-- When it is to be sent, or to be sent again.
ALTER TABLE batchord.alerts ADD COLUMN due_at timestamptz NOT NULL DEFAULT clock_timestamp();
ALTER TABLE batchord.alerts ADD COLUMN attempts int NOT NULL DEFAULT 0;
-- When each receiver, by a digest of its address, has taken it.
ALTER TABLE batchord.alerts ADD COLUMN sent jsonb NOT NULL DEFAULT '{}';
-- When every receiver had it, or it was given up; error says why.
ALTER TABLE batchord.alerts ADD COLUMN closed_at timestamptz;
ALTER TABLE batchord.alerts ADD COLUMN error text;
-- Of the time before alerts were sent.
UPDATE batchord.alerts SET closed_at = created_at;
CREATE INDEX alerts_due ON batchord.alerts (due_at) WHERE closed_at IS NULL;
"""


def upgrade() -> None:
    """Adds columns and an index."""
    op.execute(_CHANGES)
