"""Drill of what a death costs: work that was not committed is done again, and no more than that."""

from batchord.flow.predict.records import BEHIND
from tests.drills.drill import Drill

_RECORDS = 4000
_BATCH = 20
_PROCESSES = 2
#: In each process: one batch in the model, some waiting to be written, and one in mid-commit.
_MOST = _PROCESSES * (1 + BEHIND + 1) * _BATCH

_COUNTING = """
        with (FOLDER / "given").open("a") as file:
            file.write(f"{len(frame)}\\n")
        return frame["body"].str.len()
"""


def test_a_worker_killed_in_mid_run_repeats_a_few_batches(drill: Drill) -> None:
    """The whole worker is killed at its hundredth batch: what was committed is not computed again."""
    cluster = drill.cluster
    cluster.insert_notes(_RECORDS - 400)
    drill.declare(_COUNTING.strip(), batch_rows=_BATCH, shard_rows=1000)
    cluster.start("control", "worker", "beat", faults={"worker": "after-predict=kill-parent@100"})
    drill.run()
    drill.wait_until_fired("after-predict")
    drill.settle()
    given = sum(map(int, (drill.folder / "given").read_text(encoding="utf-8").split()))
    assert given > _RECORDS, "the batch that was never handed over was computed twice"
    assert given - _RECORDS <= _MOST
    drill.check()
