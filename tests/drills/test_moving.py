"""Drills of the move of earlier releases' predictions: whoever dies or stands still, each record stays in one place."""

import signal

import pytest

from tests.drills.drill import Drill
from tests.waiting import wait_until

#: Predictions of three fourths of the notes, wide enough for several transactions; each fifth by two models.
_EARLIER = """
    INSERT INTO batchord.earlier_predictions
        (pipeline, step, record_key, model_version, score, output, run_id, shard, attempt, predicted_at)
    SELECT 'notes', 'predict', id::text, 'v' || version, 1, jsonb_build_object('wide', repeat('x', 1500)),
           '01970000-0000-7000-8000-000000000001', 0, version, created_at + version * interval '1 second'
    FROM notes, generate_series(1, 2) AS version WHERE id <= 300 AND (version = 1 OR id % 5 = 0)
"""
_SHOWN = "SELECT record_key, model_version, predicted_at FROM batchord.current_predictions ORDER BY 1, 2"
_LOST = f"SELECT count(*) FROM (TABLE public.before EXCEPT ({_SHOWN})) AS lost"  # noqa: S608 -- constants
_STATE = "SELECT has_earlier, moving_from, moved, kept FROM batchord.results"
_STAYED = "SELECT superseded, count(*) FROM batchord.earlier_predictions GROUP BY 1"
_MOVED = [(False, None, 300, 0)]


@pytest.mark.parametrize(
    ("point", "hit"),
    [("in-move", 1), ("in-move", 3), ("before-move-commit", 2), ("after-move-commit", 1), ("after-move-commit", 2)],
)
def test_a_worker_killed_while_it_moves_predictions_loses_none(drill: Drill, point: str, hit: int) -> None:
    """Runs go on meanwhile, and the next worker continues."""
    cluster = drill.cluster
    _fill(drill)
    faults = {"control": f"{point}=kill@{hit}"}
    cluster.start("control", "worker", "beat", faults=faults, BATCHORD_WATCH_SECONDS="0.5")
    drill.run()
    drill.wait_until_fired(point)
    # A message that the killed worker had taken would come back only after a quarter of an hour.
    wait_until(lambda: cluster.restarts("control") == 1, description="the control worker is started again")
    cluster.insert_notes(200)
    drill.run()
    _settle(drill)


@pytest.mark.parametrize("point", ["in-move", "before-move-commit"])
def test_a_worker_that_stands_still_while_it_moves_predictions_holds_nobody_up(drill: Drill, point: str) -> None:
    """PostgreSQL ends its transaction, and another worker moves the same rows."""
    cluster = drill.cluster
    _fill(drill)
    cluster.start("control", "worker", "beat", faults={"control": f"{point}=stop@2"}, BATCHORD_WATCH_SECONDS="0.5")
    drill.run()
    drill.wait_until_fired(point)
    stopped = cluster.process("control")
    cluster.start("control2", BATCHORD_WATCH_SECONDS="0.5")
    cluster.insert_notes(200)
    drill.run()
    wait_until(lambda: cluster.sql(_STATE) == _MOVED, description="all predictions have moved", timeout=120)
    stopped.send_signal(signal.SIGCONT)
    _settle(drill)


def test_two_workers_move_predictions_at_the_same_time(drill: Drill) -> None:
    """One moves, the other finds nothing to do."""
    cluster = drill.cluster
    _fill(drill)
    cluster.start("control", "control2", "worker", "beat", BATCHORD_WATCH_SECONDS="0.1")
    drill.injected()
    drill.run()
    cluster.insert_notes(200)
    drill.run()
    _settle(drill)


def _fill(drill: Drill) -> None:
    cluster = drill.cluster
    cluster.sql(_EARLIER)
    cluster.sql("CREATE TABLE public.before AS " + _SHOWN)


def _settle(drill: Drill) -> None:
    cluster = drill.cluster
    drill.settle()
    wait_until(lambda: cluster.sql(_STATE) == _MOVED, description="all predictions have moved", timeout=120)
    # The other versions of each fifth record stay, and are not served. A check of outcomes would count them twice.
    assert cluster.sql(_STAYED) == [(True, 60)]
    assert cluster.sql(_LOST) == [(0,)]
    assert cluster.sql("SELECT count(*) FROM batchord.predictions") == [(660,)]
    cluster.sql("DELETE FROM batchord.earlier_predictions WHERE superseded")
    drill.check(runs=("succeeded", "succeeded"))
