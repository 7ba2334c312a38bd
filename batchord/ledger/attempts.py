"""The history of attempts at steps and shards.

A shard index of -1 stands for the step as a whole. The statement that changes a step or a shard also begins or ends its
attempt.
"""

from psycopg.types.json import Jsonb

from batchord.core.run.failures import Failure
from batchord.core.run.logs import AttemptName
from batchord.ledger.connection import Connection, Connections
from batchord.ledger.masked_text import masked_text

_END = """
    UPDATE batchord.attempts SET state = %(state)s, error = %(error)s, finished_at = batchord.now()
    WHERE run_id = %(run)s AND state = 'running'
      -- Of a step, only the attempts at the step as a whole: its shards have ended their own.
      AND (%(step)s::text IS NULL OR (step = %(step)s AND shard = -1))
"""
_NOTE_FAILURE = """
    UPDATE batchord.attempts SET failure = coalesce(failure, %(failure)s)
    WHERE run_id = %(run)s AND step = %(step)s AND shard = %(shard)s AND attempt = %(attempt)s
"""
#: The shard index that stands for the step as a whole.
_WHOLE = -1


class AttemptsTable:
    """What workers note about their attempts, besides the end, which goes with that of a shard or a step."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def note_failure(self, attempt: AttemptName, failure: Failure) -> None:
        """Keeps the first error of the author's code in an attempt; later ones change nothing."""
        shard = _WHOLE if attempt.shard is None else attempt.shard
        values = {"run": attempt.run_id, "step": attempt.step, "shard": shard, "attempt": attempt.attempt}
        with self._connections.transaction() as connection:
            connection.execute(_NOTE_FAILURE, {**values, "failure": Jsonb(failure.to_json())})


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
