"""Finds runs by what people write for them: the beginning of an id, or the name of a pipeline."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from batchord.core.run.runs import Run
from batchord.ledger.connection import Connection, Connections
from batchord.ledger.rows import RUN_COLUMNS, one, run_from

#: The most runs that are returned for the beginning of an id.
MOST_RUNS = 11
_BETWEEN = f"""
    SELECT {RUN_COLUMNS} FROM batchord.runs WHERE id BETWEEN %s AND %s ORDER BY id DESC LIMIT {MOST_RUNS}
"""
_LATEST = f"""
    SELECT {RUN_COLUMNS} FROM batchord.runs WHERE pipeline = %s {{}} ORDER BY created_at DESC, id DESC LIMIT 1
"""
_OPEN = f"""
    SELECT {RUN_COLUMNS} FROM batchord.runs WHERE pipeline = %s AND state IN ('queued', 'running')
    ORDER BY created_at, id
"""
_NEIGHBOURS = """
    SELECT asked.id::text AS id,
           (SELECT id::text FROM batchord.runs AS run WHERE run.id < asked.id ORDER BY run.id DESC LIMIT 1) AS lesser,
           (SELECT id::text FROM batchord.runs AS run WHERE run.id > asked.id ORDER BY run.id LIMIT 1) AS greater
    FROM unnest(%s::uuid[]) AS asked (id)
"""


class Neighbours:
    """Knows all ids of runs, within a transaction that is under way."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def neighbours(self, run_ids: Sequence[str]) -> tuple[list[dict[str, Any]], datetime]:
        """See :meth:`RunNames.neighbours`."""
        rows = self._connection.execute(_NEIGHBOURS, [list(run_ids)]).fetchall()
        moment: datetime = one(self._connection.execute("SELECT batchord.now() AS now").fetchone())["now"]
        return rows, moment


class RunNames:
    """Finds runs by indexes only, however many there are."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def between(self, least: str, greatest: str) -> list[Run]:
        """The runs from the id ``least`` to ``greatest``, the newest first, at most :data:`MOST_RUNS`."""
        return self._runs(_BETWEEN, [least, greatest])

    def latest(self, pipeline: str) -> Run | None:
        """The pipeline's newest run that was not skipped; if all were skipped, the newest; None if there is none."""
        never_skipped = self._runs(_LATEST.format("AND state <> 'skipped'"), [pipeline])
        return next(iter(never_skipped or self._runs(_LATEST.format(""), [pipeline])), None)

    def open(self, pipeline: str) -> list[Run]:
        """The pipeline's runs that are queued or running, the oldest first."""
        return self._runs(_OPEN, [pipeline])

    def is_pipeline(self, name: str) -> bool:
        """Whether the ledger has seen a pipeline of that name, also one without a run."""
        with self._connections.transaction() as connection:
            row = connection.execute("SELECT FROM batchord.pipelines WHERE name = %s", [name]).fetchone()
            return row is not None

    def neighbours(self, run_ids: Sequence[str]) -> tuple[list[dict[str, Any]], datetime]:
        """For each of these ids, the next lesser and the next greater id of a run, if there are any; and the time."""
        with self._connections.transaction() as connection:
            return Neighbours(connection).neighbours(run_ids)

    def _runs(self, query: str, values: Sequence[Any]) -> list[Run]:
        with self._connections.transaction() as connection:
            return [run_from(row) for row in connection.execute(query, values)]
