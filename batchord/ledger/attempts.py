"""The history of attempts at steps and shards.

-1 in place of a shard's index stands for the step as a whole. An attempt is entered, and ended, in the statement that
changes its step or its shard.
"""

from batchord.ledger.connection import Connection
from batchord.ledger.told import told

_END = """
    UPDATE batchord.attempts SET state = %(state)s, error = %(error)s, finished_at = clock_timestamp()
    WHERE run_id = %(run)s AND state = 'running'
      -- Of a step its attempts as a whole: its shards have ended theirs.
      AND (%(step)s::text IS NULL OR (step = %(step)s AND shard = -1))
"""


def end_attempts(connection: Connection, run_id: str, *, step: str | None, state: str, error: str | None) -> None:
    """Ends what is under way of a step as a whole; ``step`` None: of the whole run."""
    values = {"run": run_id, "step": step, "state": state, "error": told(error)}
    connection.execute(_END, values)


def ending(update: str, *, state: str) -> str:
    """``update``, which changes a shard and returns it as ``shard``, and ends the shard's attempt with it."""
    cause = ", cause = shard.cause" if state == "lost" else ""
    return f"""
        WITH shard AS ({update}), ended AS (
            UPDATE batchord.attempts AS attempt
            SET state = '{state}', error = shard.error, finished_at = clock_timestamp(){cause}
            FROM shard
            WHERE attempt.run_id = shard.run_id AND attempt.step = shard.step AND attempt.shard = shard.index
              AND attempt.attempt = shard.attempt
        )
        SELECT shard.predicted + shard.rejected AS accounted FROM shard
    """
