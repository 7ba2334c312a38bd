"""Reads long lists a page at a time, from the newest on: by index, and no more rows than are shown.

A page ends with a mark, and the next page begins after it (keyset pagination): an offset would read all rows before it.
"""

from datetime import datetime
from typing import Any, LiteralString

from batchord.core.run.run_lists import RejectionFilter
from batchord.ledger.connection import Connections

#: The most groups of rejections by pipeline, step and reason that a filter may have; others are left out.
MOST_GROUPS = 200
#: A rejection among those of the same moment. It tells nothing of the record.
_MARK = "md5(concat_ws(E'\\x1f', pipeline, step, record_key, model_version))"
# Jumps from group to group in the index, however many rejections each has.
_GROUPS = """
    WITH RECURSIVE group_of AS (
        (SELECT {columns} FROM batchord.rejections {first} ORDER BY {columns} LIMIT 1)
        UNION ALL
        SELECT following.* FROM group_of AS before CROSS JOIN LATERAL (
            SELECT {columns} FROM batchord.rejections
            WHERE ({columns}) > ({before}) {more} ORDER BY {columns} LIMIT 1
        ) AS following
    ), chosen AS (
        SELECT * FROM (SELECT * FROM group_of LIMIT %(groups)s) AS groups
        WHERE (%(step)s::text IS NULL OR step = %(step)s) AND (%(reason)s::text IS NULL OR reason = %(reason)s)
    )
"""
_COUNTS = """
    SELECT {pipeline} AS pipeline, step, reason, count FROM chosen CROSS JOIN LATERAL (
        SELECT count(*)::int AS count FROM (
            SELECT FROM batchord.rejections AS old WHERE {same} LIMIT %(most)s) AS old
    ) AS counted
    ORDER BY count DESC, pipeline, step, reason
"""
_REJECTIONS = f"""
    SELECT newest.* FROM chosen CROSS JOIN LATERAL (
        SELECT pipeline, step, record_key AS key, reason, detail, attempts, model_version, run_id::text AS run_id,
               rejected_at, {_MARK} AS mark
        FROM batchord.rejections AS old
        WHERE {{same}} AND (%(at)s::timestamptz IS NULL
            OR (rejected_at <= %(at)s AND (rejected_at, {_MARK}) < (%(at)s, %(mark)s::text)))
        ORDER BY rejected_at DESC, {_MARK} DESC LIMIT %(limit)s
    ) AS newest
    ORDER BY rejected_at DESC, mark DESC LIMIT %(limit)s
"""
_ALERTS = """
    SELECT id, event, kind, pipeline, run_id::text AS run_id, title, message, created_at, attempts, closed_at, error,
           (SELECT count(*) FROM jsonb_object_keys(sent))::int AS receivers
    FROM batchord.alerts
    WHERE (%(pipeline)s::text IS NULL OR pipeline = %(pipeline)s) AND (%(before)s::bigint IS NULL OR id < %(before)s)
    ORDER BY id DESC LIMIT %(limit)s
"""
_HISTORY = """
    SELECT id, at, action, pipeline, run_id::text AS run_id, by_user AS user, by_host AS host, way, detail
    FROM batchord.history
    WHERE (%(pipeline)s::text IS NULL OR pipeline = %(pipeline)s)
      AND (%(run)s::uuid IS NULL OR run_id = %(run)s)
      AND (%(user)s::text IS NULL OR by_user = %(user)s)
      AND (%(before)s::bigint IS NULL OR id < %(before)s)
    ORDER BY id DESC LIMIT %(limit)s
"""
_AUDITS = """
    SELECT id, at, pipeline, seconds, records, predicted, rejected, pending, missing, duplicated, not_audited, steps,
           examples, run_id::text AS run_id, by_user AS user, by_host AS host, way
    FROM batchord.audits
    WHERE (%(pipeline)s::text IS NULL OR pipeline = %(pipeline)s) AND (%(before)s::bigint IS NULL OR id < %(before)s)
    ORDER BY id DESC LIMIT %(limit)s
"""
# The times in subqueries: a condition with a volatile function would use no index. Both ends of the hour, and the steps
# looked up one by one: of an open range, PostgreSQL expects a third of all shards, and would read all steps.
_THROUGHPUT = """
    SELECT queue, sum(newest)::int AS newest, sum(ended)::int AS ended, sum(records)::bigint AS records
    FROM (
        SELECT step.queue, shard.newest, shard.ended, shard.records
        FROM (
            SELECT run_id, step, count(*) AS ended, sum(predicted + rejected) AS records,
                   count(*) FILTER (WHERE finished_at > (SELECT batchord.now() - interval '5 minutes')) AS newest
            FROM batchord.shards
            WHERE finished_at > (SELECT batchord.now() - interval '1 hour') AND finished_at <= (SELECT batchord.now())
            GROUP BY run_id, step
        ) AS shard
        CROSS JOIN LATERAL (
            SELECT queue FROM batchord.steps WHERE run_id = shard.run_id AND name = shard.step LIMIT 1
        ) AS step
        UNION ALL
        SELECT queue, (finished_at > (SELECT batchord.now() - interval '5 minutes'))::int, 1, 0 FROM batchord.steps
        WHERE finished_at > (SELECT batchord.now() - interval '1 hour') AND finished_at <= (SELECT batchord.now())
          AND NOT sharded AND attempt > 0
    ) AS recent
    WHERE queue IS NOT NULL GROUP BY queue
"""


class Lists:
    """Read-only queries for people. Each reads a bounded number of rows."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def rejection_counts(self, of: RejectionFilter, *, most: int) -> list[dict[str, Any]]:
        """The number of rejections of each pipeline, step and reason, the largest first, up to ``most`` each."""
        return self._rows(_query(of, _COUNTS), {**_values(of), "most": most})

    def rejections(
        self, of: RejectionFilter, *, before: tuple[datetime, str] | None, limit: int
    ) -> list[dict[str, Any]]:
        """The newest rejections before that time and ``mark``, the newest first."""
        at, mark = (None, None) if before is None else before
        return self._rows(_query(of, _REJECTIONS), {**_values(of), "at": at, "mark": mark, "limit": limit})

    def alerts(self, *, pipeline: str | None, before: int | None, limit: int) -> list[dict[str, Any]]:
        """The newest alerts before that ``id``, the newest first, and how many receivers have each."""
        return self._rows(_ALERTS, {"pipeline": pipeline, "before": before, "limit": limit})

    def history(
        self, *, pipeline: str | None, run_id: str | None, user: str | None, before: int | None, limit: int
    ) -> list[dict[str, Any]]:
        """The newest changes by hand before that ``id``, the newest first."""
        values = {"pipeline": pipeline, "run": run_id, "user": user, "before": before, "limit": limit}
        return self._rows(_HISTORY, values)

    def audits(self, *, pipeline: str | None, before: int | None, limit: int) -> list[dict[str, Any]]:
        """The newest audits before that ``id``, the newest first."""
        return self._rows(_AUDITS, {"pipeline": pipeline, "before": before, "limit": limit})

    def throughput(self) -> list[dict[str, Any]]:
        """The shards and steps of each queue that ended in the last hour, and the ``newest``, of the last 5 minutes."""
        return self._rows(_THROUGHPUT, {})

    def _rows(self, query: LiteralString | str, values: Any) -> list[dict[str, Any]]:
        with self._connections.transaction() as connection:
            return connection.execute(query, values).fetchall()


def _query(of: RejectionFilter, selected: str) -> str:
    """``selected`` over the groups that the filter leaves."""
    leading = "run_id" if of.run_id is not None else "pipeline"
    columns = f"{leading}, step, reason"
    scoped = of.run_id is not None or of.pipeline is not None
    scope = f"{leading} = %(scope)s{'::uuid' if of.run_id is not None else ''}"
    same = f"old.{leading} = chosen.{leading} AND old.step = chosen.step AND old.reason = chosen.reason"
    if of.run_id is not None and of.pipeline is not None:
        same += " AND old.pipeline = %(pipeline)s"
    groups = _GROUPS.format(
        columns=columns,
        before=", ".join(f"before.{name}" for name in columns.split(", ")),
        first=f"WHERE {scope}" if scoped else "",
        more=f"AND {scope}" if scoped else "",
    )
    # A run has one pipeline.
    pipeline = "(SELECT pipeline FROM batchord.rejections AS any_of WHERE any_of.run_id = chosen.run_id LIMIT 1)"
    return groups + selected.format(same=same, pipeline=pipeline if of.run_id is not None else "pipeline")


def _values(of: RejectionFilter) -> dict[str, Any]:
    """What the query names."""
    return {
        "pipeline": of.pipeline,
        "step": of.step,
        "reason": of.reason,
        "scope": of.run_id or of.pipeline,
        "groups": MOST_GROUPS,
    }
