"""More sources that hang than a control worker has threads, and everything else goes on."""

import json

from tests.acceptance.cluster import Cluster
from tests.waiting import wait_until

_HANGING = """
    from batchord import Pipeline, Python, SqlSource

    def length(frame):
        return frame["body"].str.len()

    def answer():
        return 42

    for number in range(5):
        globals()[f"p{number}"] = Pipeline(
            f"hangs-{number}",
            source=SqlSource("SELECT id, body FROM notes, pg_sleep(600) AS nothing", key="id"),
            model=length,
        )
    steps = Pipeline("steps", steps=[Python("answer", answer)])
"""
_ASLEEP = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"


def test_sources_that_hang_stop_no_other_pipeline(notes: Cluster) -> None:
    """Four threads, of which one is left to ticks, summaries and sweeps; a cancelled run frees its own.

    Over 30 seconds on a busy machine: what hangs is given up after its time limit, which must be longer than an
    ordinary read takes there.
    """
    notes.pipeline("hanging", _HANGING)
    notes.insert_notes(5)
    notes.start("control", "worker", BATCHORD_LEASE_SECONDS="3")
    runs = [json.loads(notes.batchord("run", f"hangs-{number}", "--json").stdout)["id"] for number in range(5)]
    wait_until(lambda: notes.sql(_ASLEEP) == [(3,)], description="three sources hang")

    assert "succeeded" in notes.batchord("run", "steps", "--wait").stdout

    for run in runs:
        notes.batchord("cancel", run)
    wait_until(lambda: notes.sql(_ASLEEP) == [(0,)], description="nothing is read for a cancelled run")
    assert "succeeded" in notes.batchord("run", "notes", "--wait").stdout
