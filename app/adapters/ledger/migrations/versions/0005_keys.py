"""What is known of a record is looked up by its key first."""

from alembic import op

revision = "0005"
down_revision = "0004"

_CHANGES = """
-- As long as nobody has counted the rows of a table that was just filled, the planner expects one for each pipeline's
-- step: with pipeline and step first it read all of them anew for each record that it looked up.
ALTER TABLE batchord.predictions
    DROP CONSTRAINT predictions_pkey,
    ADD CONSTRAINT predictions_pkey PRIMARY KEY (record_key, pipeline, step, model_version);
ALTER TABLE batchord.rejections
    DROP CONSTRAINT rejections_pkey,
    ADD CONSTRAINT rejections_pkey PRIMARY KEY (record_key, pipeline, step, model_version);
-- Whether a step has any rejection is asked before each batch is written.
CREATE INDEX rejections_step ON batchord.rejections (pipeline, step);
"""


def upgrade() -> None:
    """Replaces two indexes; predictions cannot be written meanwhile."""
    op.execute(_CHANGES)
