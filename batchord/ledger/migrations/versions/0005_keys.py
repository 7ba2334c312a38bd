"""A prediction is looked up by its record's key first."""

from alembic import op

revision = "0005"
down_revision = "0004"

_CHANGES = """
-- As long as nobody has counted the rows of a table that was just filled, the planner expects one for each pipeline's
-- step: with pipeline and step first it read all of them anew for each record that it looked up.
ALTER TABLE batchord.predictions
    DROP CONSTRAINT predictions_pkey,
    ADD CONSTRAINT predictions_pkey PRIMARY KEY (record_key, pipeline, step, model_version);
"""


def upgrade() -> None:
    """Replaces an index; writers wait meanwhile."""
    op.execute(_CHANGES)
