"""Processes die at named points of the code; every record is predicted once all the same."""

import pytest

from tests.acceptance.cluster import Cluster

_NOTES = """
    from app import Pipeline, Predict, SqlSource

    def length(frame):
        return frame["body"].str.len()

    notes = Pipeline(
        "notes",
        steps=[Predict(
            "predict",
            source=SqlSource("SELECT id, body, created_at FROM notes", key="id", arrival="created_at"),
            model=length,
            batch_rows=20,
            shard_rows=200,
        )],
    )
"""


@pytest.fixture
def drill(notes: Cluster) -> Cluster:
    """400 notes in two shards of ten batches each, and a folder in which passes of fault points are counted."""
    notes.insert_notes(400)
    notes.pipeline("notes", _NOTES)
    (notes.folder / "faults").mkdir()
    notes.environment["BATCHORD_FAULTS_DIR"] = str(notes.folder / "faults")
    return notes


@pytest.mark.parametrize(
    ("process", "fault"),
    [
        ("control", "before-plan-commit=kill@1"),
        # The first message says that the step is ready; the second is the chord.
        ("control", "after-commit-before-publish=kill@2"),
        ("worker", "after-predict=kill@3"),
        ("worker", "after-batch-commit=kill@3"),
        ("worker", "after-shard-finish=kill@1"),
        ("worker", "after-shard-finish=kill-parent@1"),
        ("worker", "before-batch-commit=raise@3"),
    ],
)
def test_a_process_that_dies_at_the_wrong_moment_costs_only_time(drill: Cluster, process: str, fault: str) -> None:
    """The run ends once, as succeeded, with nothing lost and nothing twice."""
    for name in ("control", "worker", "beat"):
        drill.start(name, **({"BATCHORD_FAULTS": fault} if name == process else {}))
    drill.call("batchord.start_run", pipeline="notes")
    drill.wait_for_records("notes", "notes", timeout=120)
    passes = (drill.folder / "faults" / fault.partition("=")[0]).stat().st_size
    assert passes >= int(fault.rpartition("@")[2]), "the fault was reached"
    assert [run["state"] for run in drill.runs("notes")] == ["succeeded"]
    drill.assert_exactly_once("notes", "notes")
