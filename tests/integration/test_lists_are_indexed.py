"""What pages ask the ledger reads a bounded number of rows by index, however many runs and shards there are."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from batchord.core.run.run_lists import RunFilter, RunPlace
from batchord.core.run.runs import RunState
from batchord.ledger.connection import Connections
from batchord.ledger.run_details import RunDetails
from batchord.ledger.run_lists import RunLists

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
_RUN = "01a20000-0000-7000-8000-000000000001"
_FILL = f"""
INSERT INTO batchord.runs (id, pipeline, kind, trigger, state, created_at)
SELECT gen_random_uuid(), 'p' || i % 20, 'scheduled', CASE WHEN i % 5000 = 0 THEN 'cli' ELSE 'schedule' END,
       CASE WHEN i % 1000 = 0 THEN 'failed' ELSE 'succeeded' END,
       timestamptz '2026-03-01 12:00+00' - i * interval '1 minute'
FROM generate_series(1, 30000) AS i;
INSERT INTO batchord.runs (id, pipeline, kind, trigger, state, created_at)
VALUES ('{_RUN}', 'big', 'manual', 'cli', 'running', '2026-03-01 12:00+00');
INSERT INTO batchord.steps (run_id, name, ordinal, kind, state) VALUES ('{_RUN}', 'predict', 0, 'predict', 'running');
INSERT INTO batchord.rejections
    (pipeline, step, record_key, model_version, reason, detail, attempts, run_id, shard)
SELECT 'p', 'predict', i::text, 'v', 'empty-text', 'd', 1, gen_random_uuid(), 0 FROM generate_series(1, 20000) AS i;
ANALYZE;
"""  # noqa: S608 -- constants


class ExplainedLists(RunLists):
    """Keeps the plan of each statement."""

    def __init__(self, connections: Connections) -> None:
        super().__init__(connections)
        self.plans: list[str] = []

    def _rows(self, query: str, values: dict[str, Any]) -> list[dict[str, Any]]:
        self.plans.append(_plan(self._connections, query, values))
        return super()._rows(query, values)


class ExplainedDetails(RunDetails):
    """Keeps the plan of each statement."""

    def __init__(self, connections: Connections) -> None:
        super().__init__(connections)
        self.plans: list[str] = []

    def _rows(self, query: str, values: dict[str, Any]) -> list[dict[str, Any]]:
        self.plans.append(_plan(self._connections, query, values))
        return super()._rows(query, values)


def _plan(connections: Connections, query: str, values: dict[str, Any]) -> str:
    with connections.transaction() as connection:
        return "\n".join(row["QUERY PLAN"] for row in connection.execute(f"EXPLAIN {query}", values))


@pytest.fixture
def connections(database_url: str) -> Iterator[Connections]:
    """A ledger with 30,000 runs."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(_FILL.encode())
    opened = Connections(database_url)
    yield opened
    opened.close()


def test_lists_of_runs_are_read_by_index(connections: Connections) -> None:
    """Each filter, each page, the grid, and the values of the filters."""
    lists = ExplainedLists(connections)
    place = RunPlace(NOON - timedelta(days=9), _RUN)

    assert len(lists.newest(RunFilter(), limit=50)) == 50
    assert len(lists.newest(RunFilter(pipeline="p3"), limit=50, before=place)) == 50
    assert len(lists.newest(RunFilter(state=RunState.FAILED), limit=20)) == 20
    assert lists.newest(RunFilter(state=RunState.PARTIAL), limit=50) == []
    assert len(lists.newest(RunFilter(trigger="cli"), limit=50)) == 7
    assert len(lists.newest(RunFilter(start=NOON - timedelta(hours=1), end=NOON), limit=50)) == 50
    assert len(lists.newest_of_each(RunFilter(), ["p1", "p2", "gone"], each=40)) == 80
    assert len(lists.newest_of_each(RunFilter(trigger="cli"), ["p0", "p1"], each=40)) == 6
    assert lists.newest_of_each(RunFilter(state=RunState.PARTIAL), ["p1", "p2"], each=40) == []
    assert (len(lists.pipelines()), lists.triggers()) == (21, ["cli", "schedule"])

    assert [plan for plan in lists.plans if "Seq Scan" in plan or "Index" not in plan] == []


def test_a_run_is_read_by_index(connections: Connections) -> None:
    """Nothing of another run is looked at."""
    details = ExplainedDetails(connections)

    details.progress(_RUN)
    details.rejection_samples(_RUN, each=3, most=100, limit=10)

    assert [plan for plan in details.plans if "Seq Scan on rejections" in plan or "Seq Scan on runs" in plan] == []
