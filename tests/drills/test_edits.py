"""Drills of edits: a file is changed, broken and mended while its shards are at work."""

from tests.drills.drill import Drill
from tests.waiting import wait_until

#: Predicts the first bodies at once, of up to {free} letters, and holds the others until the test lets them go.
_HELD = """
        while frame["body"].str.len().min() > {free} and not (FOLDER / "go-{factor}").exists():
            threading.Event().wait(0.05)
        return frame["body"].str.len() * {factor}
"""


def _begun(drill: Drill) -> None:
    """Some shards are done, two are at work, and most are not begun."""
    drill.declare(_HELD.format(factor=1, free=40), shard_rows=20)
    drill.cluster.start("control", "worker", "beat")
    drill.run()
    done = "SELECT count(*) >= 2 FROM batchord.shards WHERE state = 'done'"
    wait_until(lambda: drill.cluster.sql(done) == [(True,)], description="two shards are done", timeout=120)


def _let_go(drill: Drill, factor: int) -> None:
    (drill.folder / f"go-{factor}").touch()


def _check(drill: Drill) -> None:
    """No record is lost, predicted twice or by mixed code. All runs but the last were cut short, without an alert."""
    sql = drill.cluster.sql
    states = tuple(state for (state,) in sql("SELECT state FROM batchord.runs ORDER BY created_at"))
    assert states == (*["partial"] * (len(states) - 1), "succeeded")
    drill.check(runs=states)
    mixed = "SELECT run_id FROM batchord.predictions GROUP BY run_id HAVING count(DISTINCT model_version) > 1"
    assert sql(mixed) == []
    assert sql("SELECT count(*)::int FROM batchord.alerts") == [(0,)]
    assert sql("SELECT count(*)::int FROM batchord.attempts WHERE state IN ('lost', 'failed')") == [(0,)]
    assert drill.cluster.restarts("worker") == drill.cluster.restarts("control") == 0


def test_an_edit_in_mid_run_goes_on_in_a_follow_up_run(drill: Drill) -> None:
    """The shards at work end with the code that they began with, the others are left to the new code."""
    _begun(drill)
    drill.declare('return frame["body"].str.len() * 100', shard_rows=20)
    drill.wait_until_taken_up()
    _let_go(drill, 1)
    drill.settle()
    _check(drill)
    assert drill.cluster.sql("SELECT kind FROM batchord.runs ORDER BY created_at") == [("manual",), ("follow-up",)]
    assert drill.cluster.sql("SELECT state FROM batchord.steps ORDER BY started_at") == [("code-changed",), ("done",)]


def test_a_broken_edit_in_mid_run_changes_nothing(drill: Drill) -> None:
    """The run ends with the code that it began with, also on processes that are started anew meanwhile."""
    _begun(drill)
    file = drill.cluster.pipelines / "notes.py"
    good = file.read_text(encoding="utf-8")
    file.write_text("half written (", encoding="utf-8")
    drill.wait_until_taken_up()
    _let_go(drill, 1)
    drill.settle()
    drill.check()
    assert drill.cluster.sql("SELECT state FROM batchord.runs") == [("succeeded",)]
    assert drill.cluster.sql("SELECT count(DISTINCT model_version)::int FROM batchord.predictions") == [(1,)]
    file.write_text(good, encoding="utf-8")


def test_many_edits_in_a_row_lose_nothing(drill: Drill) -> None:
    """After each edit the open records go to a new run. The last code predicts the last ones.

    It may take over 30 seconds: a stack starts, and three versions of a file are tried.
    """
    _begun(drill)
    for factor, free in ((2, 120), (3, 400)):
        drill.declare(_HELD.format(factor=factor, free=free), shard_rows=20)
        drill.wait_until_taken_up()
        _let_go(drill, factor - 1)
        wait_until(
            lambda factor=factor: (  # type: ignore[misc]
                drill.cluster.sql("SELECT count(DISTINCT model_version)::int FROM batchord.predictions") == [(factor,)]
            ),
            description="the new code predicts",
            timeout=120,
        )
    drill.settle()
    _check(drill)
