"""The logs of attempts, in the ledger."""

from collections.abc import Container, Iterator
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from batchord.core.run.logs import AttemptName, LogLine, LogPart, PartName
from batchord.core.run.run_ids import first_run_id
from batchord.ledger.connection import Connections

#: The shard index that stands for the step as a whole: the table's key cannot hold NULL.
_WHOLE = -1
#: Above the number of every part.
_LAST = 2**31 - 1
#: How many parts are in memory at the same time. A part has about 64 KiB.
_PAGE = 32
#: The most parts that one statement deletes. Short transactions do not delay VACUUM.
_DELETE = 1000

_APPEND = """
    INSERT INTO batchord.attempt_logs (run_id, step, shard, attempt, part, worker, lines)
    VALUES (%(run)s, %(step)s, %(shard)s, %(attempt)s, %(part)s, %(worker)s, %(lines)s)
    ON CONFLICT DO NOTHING
"""
_NAMES = """
    SELECT id, step, shard, attempt, part FROM batchord.attempt_logs
    WHERE run_id = %(run)s AND (%(step)s::text IS NULL OR step = %(step)s)
      AND (%(step)s::text IS NULL OR %(shard)s::int IS NULL OR shard = %(shard)s)
    ORDER BY id
"""
_READ = """
    SELECT step, shard, attempt, part, worker, lines FROM batchord.attempt_logs
    WHERE run_id = %(run)s AND id = ANY(%(ids)s) ORDER BY id
"""
_TAIL = """
    SELECT part, lines FROM batchord.attempt_logs
    WHERE run_id = %(run)s AND step = %(step)s AND shard = %(shard)s AND attempt = %(attempt)s AND part < %(before)s
    ORDER BY part DESC LIMIT 1
"""
_ATTEMPTS = "SELECT DISTINCT step, shard, attempt FROM batchord.attempt_logs WHERE run_id = %(run)s"
_DELETE_BEFORE = """
    DELETE FROM batchord.attempt_logs WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM batchord.attempt_logs WHERE run_id < %(bound)s ORDER BY run_id LIMIT %(most)s))
"""


class LogTable:
    """Implements :class:`batchord.core.run.logs.LogStore`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def append(self, part: LogPart) -> None:
        """See :class:`batchord.core.run.logs.LogStore`."""
        values = {
            **_values(part.attempt),
            "part": part.part,
            "worker": part.worker,
            "lines": Jsonb([line.to_json() for line in part.lines]),
        }
        with self._connections.transaction() as connection:
            connection.execute(_APPEND, values)

    def read(
        self,
        run_id: str,
        *,
        step: str | None = None,
        shard: int | None = None,
        seen: Container[PartName] = frozenset(),
    ) -> Iterator[LogPart]:
        """See :class:`batchord.core.run.logs.LogStore`."""
        values = {"run": run_id, "step": step, "shard": shard}
        # `seen` holds names, not the last id: a part with a lower id may be committed later.
        with self._connections.transaction() as connection:
            name_rows = connection.execute(_NAMES, values).fetchall()
        ids = [row["id"] for row in name_rows if PartName(_attempt(run_id, row), row["part"]) not in seen]
        # Page by page: a cursor would keep its transaction open while a person reads, and PostgreSQL would end it.
        for start in range(0, len(ids), _PAGE):
            with self._connections.transaction() as connection:
                rows = connection.execute(_READ, {"run": run_id, "ids": ids[start : start + _PAGE]}).fetchall()
            for row in rows:
                yield _part(run_id, row)

    def tail(self, attempt: AttemptName, *, lines: int) -> list[LogLine]:
        """See :class:`batchord.core.run.logs.LogStore`."""
        found: list[LogLine] = []
        before: int | None = _LAST
        while before is not None and len(found) < lines:
            with self._connections.transaction() as connection:
                row = connection.execute(_TAIL, {**_values(attempt), "before": before}).fetchone()
            found[:0] = [] if row is None else [LogLine.from_json(line) for line in row["lines"]]
            before = None if row is None else row["part"]
        return found[-lines:]

    def attempts(self, run_id: str) -> set[AttemptName]:
        """See :class:`batchord.core.run.logs.LogStore`."""
        with self._connections.transaction() as connection:
            return {_attempt(run_id, row) for row in connection.execute(_ATTEMPTS, {"run": run_id})}

    def delete_before(self, moment: datetime) -> int:
        """See :class:`batchord.core.run.logs.LogStore`."""
        values = {"bound": first_run_id(moment), "most": _DELETE}
        deleted = 0
        while True:
            with self._connections.transaction() as connection:
                count = connection.execute(_DELETE_BEFORE, values).rowcount
            deleted += count
            if count < _DELETE:
                return deleted


def _part(run_id: str, row: dict[str, Any]) -> LogPart:
    return LogPart(
        attempt=_attempt(run_id, row),
        part=row["part"],
        worker=row["worker"],
        lines=tuple(LogLine.from_json(line) for line in row["lines"]),
    )


def _values(name: AttemptName) -> dict[str, Any]:
    shard = _WHOLE if name.shard is None else name.shard
    return {"run": name.run_id, "step": name.step, "shard": shard, "attempt": name.attempt}


def _attempt(run_id: str, row: dict[str, Any]) -> AttemptName:
    return AttemptName(run_id, row["step"], None if row["shard"] == _WHOLE else row["shard"], row["attempt"])
