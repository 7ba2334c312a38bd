"""What was changed by hand, and by whom."""

from alembic import op

revision = "0014"
down_revision = "0013"

_CHANGES = """
CREATE TABLE batchord.history (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    action    text NOT NULL,
    -- NULL: of none, or of all.
    pipeline  text,
    -- No foreign key: who started or cancelled a run is kept as long as any change, whatever becomes of the run.
    run_id    uuid,
    by_user   text,
    by_host   text,
    way       text NOT NULL,
    detail    jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX history_by_pipeline ON batchord.history (pipeline, id DESC);
"""


def upgrade() -> None:
    """Adds the table."""
    op.execute(_CHANGES)
