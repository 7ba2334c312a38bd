"""Why an attempt was lost, which had to be read out of the error's text, and which Celery task made it."""

from alembic import op

revision = "0015"
down_revision = "0014"

_CAUSE = """
    CASE WHEN {error} LIKE '%time limit%' THEN 'out-of-time'
         WHEN {error} LIKE '%out of memory%' THEN 'out-of-memory'
         WHEN {error} LIKE '%SIGKILL%' THEN 'killed'
         WHEN {error} LIKE '%the worker vanished%' THEN 'vanished'
         WHEN {error} LIKE 'handed back%' THEN 'stopped'
         WHEN {error} LIKE '%lost: %' THEN 'ended' END
"""
_CHANGES = f"""
-- Of what was lost: vanished, killed, ended, out-of-time, out-of-memory, stopped; NULL for every other end.
ALTER TABLE batchord.attempts ADD COLUMN cause text;
-- The Celery task's id; NULL without Celery.
ALTER TABLE batchord.attempts ADD COLUMN task text;
-- Of the last attempt.
ALTER TABLE batchord.shards ADD COLUMN cause text;
UPDATE batchord.attempts SET cause = {_CAUSE.format(error="error")} WHERE state = 'lost';
-- The last of several errors; of shards that have ended nobody asks it.
UPDATE batchord.shards SET cause = {_CAUSE.format(error="regexp_replace(error, '^.*; ', '')")}
WHERE state IN ('pending', 'running') AND error IS NOT NULL;
"""


def upgrade() -> None:
    """Adds the columns."""
    op.execute(_CHANGES)
