"""A rejection is looked up by its record's key first.

A revision of its own: a worker reads rejections before it writes predictions, and would deadlock with one that holds
both.
"""

from alembic import op

revision = "0006"
down_revision = "0005"

_CHANGES = """
ALTER TABLE batchord.rejections
    DROP CONSTRAINT rejections_pkey,
    ADD CONSTRAINT rejections_pkey PRIMARY KEY (record_key, pipeline, step, model_version);
-- Whether a step has any rejection is asked before each batch is written.
CREATE INDEX rejections_step ON batchord.rejections (pipeline, step);
"""


def upgrade() -> None:
    """Replaces an index and adds one; writers wait meanwhile."""
    op.execute(_CHANGES)
