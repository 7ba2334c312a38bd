"""A record that kills its worker, exhausts its time, or its memory, costs itself alone."""

import pytest

from tests.acceptance.cluster import Cluster

_POISON = """
    import os
    import signal
    import threading
    from app import Pipeline, Predict, SqlSource

    def poisoned(frame):
        if (frame["body"] == "poison").any():
            {act}
        return frame["body"].str.len()

    notes = Pipeline(
        "notes",
        steps=[Predict(
            "predict",
            source=SqlSource("SELECT id, body, created_at FROM notes", key="id", arrival="created_at"),
            model=poisoned,
            batch_rows=20,
            shard_rows=1000,
        )],
    )
"""
#: What the record does, the time limit in seconds, and the reason of its rejection. A fresh
#: process needs a moment to import what it needs, so the limit must not be shorter.
_ACTS = {
    "segfault": ("os.kill(os.getpid(), signal.SIGSEGV)", "600", "killed-worker"),
    "endless": ("threading.Event().wait()", "6", "out-of-time"),
}


@pytest.mark.parametrize("kind", _ACTS)
def test_a_poison_record_costs_itself_alone(notes: Cluster, kind: str) -> None:
    """One of 200 records kills whoever predicts it: it is rejected with the cause, the others are predicted."""
    act, limit, reason = _ACTS[kind]
    notes.insert_notes(120)
    notes.sql("INSERT INTO notes (body) VALUES ('poison')")
    notes.insert_notes(79)
    notes.pipeline("notes", _POISON.format(act=act))
    notes.start("control", "worker", "beat", BATCHORD_SHARD_TIME_LIMIT_SECONDS=limit)
    notes.call("batchord.start_run", pipeline="notes")
    notes.wait_for_records("notes", "notes", timeout=240)
    assert notes.sql("SELECT record_key, reason FROM batchord.rejections") == [("121", reason)]
    # Every attempt that did not end its shard cost a worker: 2 for the first shard, 1 for each of at most eight
    # halvings of its 200 records, 2 for the record itself.
    assert notes.sql("SELECT sum(attempt - 1) <= 12 FROM batchord.shards") == [(True,)]
    assert [run["state"] for run in notes.runs("notes")] == ["succeeded"]
    notes.assert_exactly_once("notes", "notes")
