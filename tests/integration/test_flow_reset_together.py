"""A reset while somebody else works: late writers, runs that start meanwhile, a reset that is killed."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from batchord.core.errors import ConfigurationError, LeaseLost
from batchord.flow.begin.start import start_run
from batchord.flow.drive.cancel import cancel_run
from batchord.flow.predict.plan import discover
from tests.integration.flow_parts import ITEMS, STEP, Bench, batch_of
from tests.integration.reset_parts import forget, outcomes, predicted_bench
from tests.waiting import wait_until


@pytest.fixture
def bench(database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """See :func:`.reset_parts.predicted_bench`."""
    with predicted_bench(database_url, tmp_path) as bench:
        yield bench


def test_a_late_writer_writes_nothing_after_a_reset(bench: Bench) -> None:
    """Its lease is still live by the clock, but its run was cancelled."""
    bench.insert(3)
    run_id, _ = bench.planned()
    lease = bench.claim(run_id)
    cancel_run(bench.parts(), run_id=run_id)
    forget(bench)
    with pytest.raises(LeaseLost):
        bench.ledger.shards.commit(lease, batch_of(11, rejected=[12]))
    assert outcomes(bench) == 0
    assert bench.run().predicted == 13
    bench.assert_exactly_once()


def test_a_late_planner_writes_no_frontier_after_a_reset(bench: Bench) -> None:
    """It has read the source and the old frontier, and its run was cancelled before it could commit."""
    bench.insert(3)
    run = bench.started()
    lease = bench.ledger.runs.claim_step(run.id, STEP, lease_seconds=60, worker="test:1", sharded=True)
    assert lease is not None
    plan = discover(bench.parts(), lease)
    cancel_run(bench.parts(), run_id=run.id)
    forget(bench)
    assert not bench.ledger.planner.plan(lease, plan)
    assert bench.sql("SELECT FROM batchord.frontiers") == []
    assert bench.run().predicted == 13


def test_a_run_that_starts_meanwhile_wins(bench: Bench, database_url: str) -> None:
    """Nothing is forgotten, and the run is as it would be without the reset."""
    bench.insert(2)
    with _held(database_url, "SELECT FROM batchord_results.items__score WHERE id = 7 FOR UPDATE") as held:
        waiting = _Waiting(lambda: forget(bench))
        wait_until(lambda: _waits(bench), description="the reset waits for the row")
        run_id, shards = bench.planned()
        held.rollback()
    with pytest.raises(
        ConfigurationError, match=rf"Run {run_id[:8]}\S* of items started meanwhile, so nothing was changed"
    ):
        waiting.result()
    assert outcomes(bench) == 10
    assert bench.run_on(run_id, shards).predicted == 2
    bench.assert_exactly_once()


def test_a_run_that_started_and_ended_meanwhile_wins_too(bench: Bench, database_url: str) -> None:
    """It took results for there that would be gone."""
    with _held(database_url, "SELECT FROM batchord_results.items__score WHERE id = 7 FOR UPDATE") as held:
        waiting = _Waiting(lambda: forget(bench))
        wait_until(lambda: _waits(bench), description="the reset waits for the row")
        assert bench.run().discovered == 0
        held.rollback()
    with pytest.raises(ConfigurationError, match="started meanwhile"):
        waiting.result()
    assert outcomes(bench) == 10


def test_a_run_that_starts_a_moment_later_sees_all_of_it(bench: Bench, database_url: str) -> None:
    """It waits for the reset's commit, and predicts every record."""
    bench.sql("INSERT INTO batchord.resets (pipeline, step) VALUES (%s, %s)", ITEMS, STEP)
    with _held(database_url, "SELECT FROM batchord.resets FOR UPDATE") as held:
        forgetting = _Waiting(lambda: forget(bench))
        wait_until(lambda: _waits(bench), description="the reset waits for a row after it has locked the pipeline")
        starting = _Waiting(lambda: start_run(bench.parts(), pipeline=ITEMS, trigger="call"))
        wait_until(lambda: _waits(bench, sessions=2), description="the run waits for the reset")
        held.rollback()
    assert forgetting.result()[0].predictions == 9
    run, messages = starting.result()
    assert bench.run_on(run.id, messages).predicted == 10
    bench.assert_exactly_once()


def test_a_reset_that_is_killed_has_changed_nothing(bench: Bench, database_url: str) -> None:
    """Its session ends in the middle of the deletion."""
    with _held(database_url, "SELECT FROM batchord.frontiers FOR UPDATE"):
        waiting = _Waiting(lambda: forget(bench))
        wait_until(lambda: _waits(bench), description="the reset waits, after it has deleted the predictions")
        bench.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        with pytest.raises(Exception, match="terminat"):
            waiting.result()
    assert outcomes(bench) == 10
    assert bench.sql("SELECT FROM batchord.resets UNION ALL SELECT FROM batchord.history") == []
    assert bench.run().discovered == 0


@contextmanager
def _held(url: str, statement: str) -> Iterator[psycopg.Connection[Any]]:
    """A transaction of somebody else's that holds rows until it is rolled back."""
    with psycopg.connect(url) as connection:
        connection.execute(statement.encode())
        yield connection
        connection.rollback()


def _waits(bench: Bench, *, sessions: int = 1) -> bool:
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    return bool(bench.value(query) >= sessions)


class _Waiting:
    """A call in a thread of its own."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._value: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=[call], daemon=True)
        self._thread.start()

    def _run(self, call: Callable[[], Any]) -> None:
        try:
            self._value = call()
        except Exception as error:  # noqa: BLE001 -- raised again where the result is read
            self._error = error

    def result(self) -> Any:
        """What the call returned; raises what it raised."""
        self._thread.join(timeout=60)
        assert not self._thread.is_alive()
        if self._error is not None:
            raise self._error
        return self._value
