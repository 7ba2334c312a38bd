"""What people switched at run time, and the state of each pipeline."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from batchord.core.run.history import Change
from batchord.core.run.standing import Standing
from batchord.ledger.connection import Connections
from batchord.ledger.history import keep_change

_REGISTER = """
    INSERT INTO batchord.pipelines (name) SELECT unnest(%(names)s::text[]) ON CONFLICT (name) DO NOTHING
"""
_STANDINGS = """
    SELECT pipeline.name, batchord.now() AS now, pipeline.first_seen_at, pipeline.paused_at, pipeline.switched_at,
           pipeline.scheduled_at, pipeline.schedule,
           (SELECT run.slot FROM batchord.runs AS run
            WHERE run.pipeline = pipeline.name AND run.kind = 'scheduled' AND run.slot IS NOT NULL
            ORDER BY run.slot DESC LIMIT 1) AS last_slot,
           CASE WHEN success.created_at > coalesce((SELECT max(reset_at) FROM batchord.resets AS reset
                                                    WHERE reset.pipeline = pipeline.name), '-infinity')
                THEN success.window_end END AS last_window_end, success.finished_at AS last_success_at,
           work.started_at AS running_since, work.id::text AS running_id
    FROM batchord.pipelines AS pipeline LEFT JOIN LATERAL (
        SELECT run.started_at, run.id FROM batchord.runs AS run
        WHERE run.pipeline = pipeline.name AND run.state = 'running' ORDER BY run.started_at LIMIT 1) AS work ON true
    LEFT JOIN LATERAL (
        SELECT run.window_end, run.finished_at, run.created_at FROM batchord.runs AS run
        WHERE run.pipeline = pipeline.name AND run.state = 'succeeded' ORDER BY run.created_at DESC LIMIT 1
    ) AS success ON true
    WHERE pipeline.name = ANY(%(names)s)
"""
_SWITCHED = """
    SELECT name, paused_at IS NOT NULL AS paused, schedule FROM batchord.pipelines
    WHERE paused_at IS NOT NULL OR schedule IS NOT NULL
"""
_PAUSE = """
    UPDATE batchord.pipelines SET switched_at = batchord.now(),
        paused_at = CASE WHEN %(paused)s THEN batchord.now() END
    WHERE name = %(name)s AND (paused_at IS NOT NULL) <> %(paused)s
"""
_SCHEDULED_BY_FILE = """
    INSERT INTO batchord.pipelines (name, scheduled_by_file_at)
    SELECT unnest(%(names)s::text[]), batchord.now()
    ON CONFLICT (name) DO UPDATE SET scheduled_by_file_at = excluded.scheduled_by_file_at
"""
_GONE = """
    SELECT name, scheduled_by_file_at FROM batchord.pipelines
    WHERE scheduled_by_file_at < batchord.now() - make_interval(secs => %(seconds)s) AND name <> ALL(%(names)s)
"""
_WINDOWS = """
    SELECT window_start, window_end FROM batchord.runs
    WHERE pipeline = %s AND kind = 'backfill' AND state IN ('queued', 'running')
"""


class PipelineRows:
    """The state of pipelines, and what people switched at run time. It survives restarts."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def standing(self, name: str) -> Standing:
        """The state of a pipeline. Registers the pipeline in the ledger if it is new."""
        return self.standings([name])[name]

    def standings(self, names: Sequence[str]) -> dict[str, Standing]:
        """The states of several pipelines. Registers those that are new."""
        values = {"names": list(names)}
        with self._connections.transaction() as connection:
            standings = _read(connection.execute(_STANDINGS, values))
            if len(standings) < len(set(names)):
                connection.execute(_REGISTER, values)
                standings = _read(connection.execute(_STANDINGS, values))
        return standings

    def known(self, names: Sequence[str]) -> dict[str, Standing]:
        """The states of those of the pipelines that the ledger knows. It writes nothing."""
        with self._connections.transaction() as connection:
            return _read(connection.execute(_STANDINGS, {"names": list(names)}))

    def switched(self) -> dict[str, dict[str, Any]]:
        """``paused`` and ``schedule``, as JSON values, of each pipeline that people paused or scheduled differently."""
        with self._connections.transaction() as connection:
            return {row.pop("name"): row for row in connection.execute(_SWITCHED)}

    def pause(self, name: str, *, paused: bool, change: Change | None = None) -> bool:
        """Pauses or resumes a pipeline and keeps the ``change``. Returns False, doing nothing, if it was so already."""
        with self._connections.transaction() as connection:
            connection.execute(_REGISTER, {"names": [name]})
            if connection.execute(_PAUSE, {"name": name, "paused": paused}).rowcount == 0:
                return False
            keep_change(connection, change)
            return True

    def reschedule(self, name: str, schedule: dict[str, Any] | None, *, change: Change | None = None) -> None:
        """Replaces the schedule of the pipeline's file, and keeps the ``change``. None: the file's holds again."""
        with self._connections.transaction() as connection:
            connection.execute(_REGISTER, {"names": [name]})
            connection.execute(
                "UPDATE batchord.pipelines SET schedule = %s, scheduled_at = batchord.now() WHERE name = %s",
                [None if schedule is None else Jsonb(schedule), name],
            )
            keep_change(connection, change)

    def note_scheduled(self, names: Sequence[str]) -> None:
        """Notes that files schedule these pipelines now."""
        with self._connections.transaction() as connection:
            connection.execute(_SCHEDULED_BY_FILE, {"names": list(names)})

    def gone(self, declared: Sequence[str], *, for_seconds: float) -> dict[str, datetime]:
        """Pipelines that no file has scheduled for ``for_seconds`` and that are not ``declared``.

        Each comes with the time at which a file last scheduled it.
        """
        with self._connections.transaction() as connection:
            rows = connection.execute(_GONE, {"names": list(declared), "seconds": for_seconds})
            return {row["name"]: row["scheduled_by_file_at"] for row in rows}

    def forget_scheduled(self, name: str) -> None:
        """Forgets that files scheduled the pipeline: its alert is kept."""
        with self._connections.transaction() as connection:
            connection.execute("UPDATE batchord.pipelines SET scheduled_by_file_at = NULL WHERE name = %s", [name])

    def open_windows(self, name: str) -> set[tuple[datetime, datetime]]:
        """The windows of the pipeline's backfills that are queued or running."""
        with self._connections.transaction() as connection:
            return {(row["window_start"], row["window_end"]) for row in connection.execute(_WINDOWS, [name])}


def _read(rows: Any) -> dict[str, Standing]:
    return {row.pop("name"): Standing(**row) for row in rows}
