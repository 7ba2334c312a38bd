"""The ledger asks one function for the time."""

from alembic import op

revision = "0017"
down_revision = "0016"

_CHANGES = """
-- PostgreSQL puts the body of such a function in the place of its call, so a call costs nothing in the executor.
CREATE FUNCTION batchord.now() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
RETURN pg_catalog.clock_timestamp();

ALTER TABLE batchord.runs ALTER COLUMN created_at SET DEFAULT batchord.now();
ALTER TABLE batchord.shards ALTER COLUMN sent_at SET DEFAULT batchord.now();
ALTER TABLE batchord.attempts ALTER COLUMN started_at SET DEFAULT batchord.now();
ALTER TABLE batchord.attempt_logs ALTER COLUMN written_at SET DEFAULT batchord.now();
ALTER TABLE batchord.predictions ALTER COLUMN predicted_at SET DEFAULT batchord.now();
ALTER TABLE batchord.rejections ALTER COLUMN rejected_at SET DEFAULT batchord.now();
ALTER TABLE batchord.frontiers ALTER COLUMN updated_at SET DEFAULT batchord.now();
ALTER TABLE batchord.rates ALTER COLUMN updated_at SET DEFAULT batchord.now();
ALTER TABLE batchord.alerts ALTER COLUMN created_at SET DEFAULT batchord.now();
ALTER TABLE batchord.alerts ALTER COLUMN due_at SET DEFAULT batchord.now();
ALTER TABLE batchord.incidents ALTER COLUMN opened_at SET DEFAULT batchord.now();
ALTER TABLE batchord.pipelines ALTER COLUMN first_seen_at SET DEFAULT batchord.now();
ALTER TABLE batchord.history ALTER COLUMN at SET DEFAULT batchord.now();
"""


def upgrade() -> None:
    """Adds the function; the defaults of columns call it, too."""
    op.execute(_CHANGES)
