"""The measured speeds of models: learned from the shards of each run."""

from typing import Any

from batchord.core.reasons import LossCause
from batchord.core.run.sizing import Rate, ShardTaken, learned
from batchord.ledger.connection import Connection

#: The rates of a step with a version of its model.
RATES = """
    SELECT worker_class, records_per_second, shards, most_rows FROM batchord.rates
    WHERE pipeline = %(pipeline)s AND step = %(step)s AND model_version = %(version)s
      -- Older rates are of workers that are gone.
      AND updated_at > (SELECT max(updated_at) - interval '7 days' FROM batchord.rates
                        WHERE pipeline = %(pipeline)s AND step = %(step)s AND model_version = %(version)s)
    ORDER BY worker_class
"""
#: Only times of first attempts count: nobody knows how much of a shard was done before a later attempt. A shard that
#: was split after it lost its worker counts with its size as out of memory. Its parts do not count: they are small to
#: find one record, so they do not show how much a worker can hold.
_TAKEN = f"""
    SELECT coalesce(worker_class, max(worker_class) OVER (), 'cpu') AS worker_class,
           (CASE WHEN timings ? 'work' THEN discovered ELSE (timings ->> 'rows')::bigint END)::bigint AS rows,
           coalesce((timings ->> 'work')::float8, 0) AS seconds,
           NOT timings ? 'work' AS out_of_memory
    FROM batchord.shards
    WHERE run_id = %(run)s AND step = %(step)s AND (
        state IN ('done', 'split') AND attempt = 1 AND timings ? 'work' AND discovered > 0
        OR state = 'split' AND parent IS NULL AND NOT timings ? 'work' AND EXISTS (
            SELECT FROM batchord.attempts AS attempt
            WHERE attempt.run_id = shards.run_id AND attempt.step = shards.step AND attempt.shard = shards.index
              AND attempt.cause IN ('{LossCause.OUT_OF_MEMORY}', '{LossCause.KILLED}')))
"""
_SAVE = """
    INSERT INTO batchord.rates (pipeline, step, model_version, worker_class, records_per_second, shards, most_rows)
    VALUES (%(pipeline)s, %(step)s, %(version)s, %(worker_class)s, %(records_per_second)s, %(shards)s, %(most_rows)s)
    ON CONFLICT (pipeline, step, model_version, worker_class) DO UPDATE SET
        records_per_second = excluded.records_per_second, shards = excluded.shards, most_rows = excluded.most_rows,
        updated_at = batchord.now()
"""


def read_rates(connection: Connection, *, pipeline: str, step: str, version: str) -> list[Rate]:
    """The rates of the step with this model version."""
    values = {"pipeline": pipeline, "step": step, "version": version}
    return [Rate(**row) for row in connection.execute(RATES, values)]


def learn_rates(connection: Connection, *, run_id: str, pipeline: str, step: str, version: str) -> None:
    """Updates the rates with the times of the run's shards."""
    rows = connection.execute(_TAKEN, {"run": run_id, "step": step}).fetchall()
    taken = [ShardTaken(**row) for row in rows]
    if not taken:
        return
    names: dict[str, Any] = {"pipeline": pipeline, "step": step, "version": version}
    for rate in learned(read_rates(connection, pipeline=pipeline, step=step, version=version), taken):
        connection.execute(_SAVE, names | vars(rate))
