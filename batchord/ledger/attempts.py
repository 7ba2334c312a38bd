"""The history of attempts at steps and shards.

A shard index of -1 stands for the step as a whole. The statement that changes a step or a shard also begins or ends its
attempt.
"""

from batchord.ledger.connection import Connection
from batchord.ledger.masked_text import masked_text

_END = """
    UPDATE batchord.attempts SET state = %(state)s, error = %(error)s, finished_at = batchord.now()
    WHERE run_id = %(run)s AND state = 'running'
      -- Of a step, only the attempts at the step as a whole: its shards have ended their own.
      AND (%(step)s::text IS NULL OR (step = %(step)s AND shard = -1))
"""


def end_attempts(connection: Connection, run_id: str, *, step: str | None, state: str, error: str | None) -> None:
    """Ends the running attempts at a step as a whole; without ``step``, all running attempts of the run."""
    values = {"run": run_id, "step": step, "state": state, "error": masked_text(error)}
    connection.execute(_END, values)


def ending(update: str, *, state: str) -> str:
    """A statement that runs ``update``, which changes one shard and returns it, and ends this shard's attempt."""
    cause = ", cause = shard.cause" if state == "lost" else ""
    return f"""
        WITH shard AS ({update}), ended AS (
            UPDATE batchord.attempts AS attempt
            SET state = '{state}', error = shard.error, finished_at = batchord.now(){cause}
            FROM shard
            WHERE attempt.run_id = shard.run_id AND attempt.step = shard.step AND attempt.shard = shard.index
              AND attempt.attempt = shard.attempt
        )
        SELECT shard.predicted + shard.rejected AS accounted FROM shard
    """
