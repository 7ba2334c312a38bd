"""Checks that each record has one outcome, in plain SQL that shares no code with the product."""

from dataclasses import dataclass
from typing import Any

import psycopg

#: The outcomes of each record: how often it was predicted or rejected.
_OUTCOMES = """
    SELECT record_key, count(*) AS times FROM (
        SELECT record_key FROM batchord.predictions WHERE pipeline = %(pipeline)s
        UNION ALL SELECT record_key FROM batchord.rejections WHERE pipeline = %(pipeline)s
    ) AS outcome GROUP BY record_key
"""
_BY_RECORD = """
    SELECT count(*) FILTER (WHERE record.{key} IS NOT NULL AND outcome.times IS NULL) AS lost,
           count(*) FILTER (WHERE outcome.times > 1) AS twice,
           count(*) FILTER (WHERE record.{key} IS NULL) AS strays
    FROM {table} AS record FULL JOIN ({outcomes}) AS outcome ON outcome.record_key = record.{key}::text
"""
_UNENDED = """
    SELECT count(*) FROM batchord.runs AS run
    WHERE pipeline = %(pipeline)s
      AND (finished_at IS NULL OR state IN ('queued', 'running')
           OR EXISTS (SELECT FROM batchord.steps AS step WHERE step.run_id = run.id AND step.finished_at IS NULL
                      AND run.state = 'succeeded')
           OR EXISTS (SELECT FROM batchord.shards AS shard WHERE shard.run_id = run.id
                      AND shard.state IN ('pending', 'running') AND run.state <> 'cancelled'))
"""
_UNBALANCED = """
    SELECT count(*) FROM batchord.runs AS run
    WHERE pipeline = %(pipeline)s AND state = 'succeeded'
      AND (discovered <> predicted + rejected
           OR predicted <> (SELECT count(*) FROM batchord.predictions AS p WHERE p.run_id = run.id)
           OR rejected <> (SELECT count(*) FROM batchord.rejections AS r WHERE r.run_id = run.id))
"""
_SLOTS_TWICE = """
    SELECT count(*) FROM (SELECT slot FROM batchord.runs WHERE pipeline = %(pipeline)s AND slot IS NOT NULL
                          GROUP BY kind, slot HAVING count(*) > 1) AS slot
"""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What is wrong; all zero if nothing is."""

    #: Records without a prediction and without a rejection.
    lost: int = 0
    #: Records with more than one prediction or rejection.
    twice: int = 0
    #: Outcomes of records that do not exist.
    strays: int = 0
    #: Runs that have not ended, or that ended with open steps or shards.
    unended: int = 0
    #: Runs for which discovered is not predicted + rejected, or whose numbers differ from the tables.
    unbalanced: int = 0
    #: Slots with more than one run.
    slots_twice: int = 0


def findings(connection: psycopg.Connection[Any], table: str, pipeline: str, *, key: str = "id") -> Findings:
    """Checks every record of ``table``, whose key is the column ``key``, and every run of ``pipeline``."""
    values = {"pipeline": pipeline}

    def numbers(query: str) -> tuple[int, ...]:
        row: tuple[int, ...] | None = connection.execute(query, values).fetchone()  # type: ignore[call-overload]
        assert row is not None
        return row

    lost, twice, strays = numbers(_BY_RECORD.format(table=table, key=key, outcomes=_OUTCOMES))
    return Findings(
        lost=lost,
        twice=twice,
        strays=strays,
        unended=numbers(_UNENDED)[0],
        unbalanced=numbers(_UNBALANCED)[0],
        slots_twice=numbers(_SLOTS_TWICE)[0],
    )
